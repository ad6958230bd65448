//! The page an auditor reads: what headquarters works out otherwise than a box recorded it.

use super::pages::{panel, shell, table};
use super::read::Parity;
use super::words::{Language, ago, escape, thousands};
use crate::parity::{Row, words};
use checkout::words::Name;

pub(super) fn page(seen: &Parity, up: bool, language: Language) -> String {
    let title = language.pick("总部核价", "Sales worked out again");
    let checked = thousands(seen.checked.unsigned_abs());
    let note = match language {
        Language::Zh => format!("总部用同样的程序重新计算了 {checked} 笔销售"),
        Language::En => format!("headquarters worked out {checked} sales again, with the code of the boxes"),
    };
    let against = language.pick(
        "逐笔核对：每行所用的价格本与押金、促销与优惠券（有效期、是否重复使用）、会员等级与限次、退货对应的原交易、税额、\
         付款与找零、现金尾差、积分，以及班次和日结报表。",
        "Held against: the price book each line names and its deposits; promotions and coupons, when they were valid and \
         whether they were used before; the member's level and limits; the sale that returned goods were bought in; tax, \
         payments, change and cash rounding; points; and the reports of shifts and days.",
    );
    let body = if seen.differences.is_empty() {
        format!(r#"<p class="empty">{}</p>"#, language.pick("没有差异", "No difference"))
    } else {
        differences(seen, language)
    };
    let back = format!(r#"<p class="back"><a href="/">← {}</a></p>"#, language.pick("总览", "Overview"));
    let body = format!(r#"{body}<p class="empty">{against}</p>"#);
    shell(title, "/parity", &(back + &panel(title, &note, &body)), up, language)
}

fn differences(seen: &Parity, language: Language) -> String {
    let headers = [
        (language.pick("时间", "When"), ""),
        (language.pick("门店盒", "Box"), ""),
        (language.pick("交易或报表", "Sale or report"), ""),
        (language.pick("项目", "What"), ""),
        (language.pick("位置", "Where"), ""),
        (language.pick("总部算得", "Headquarters works out"), "num"),
        (language.pick("收银盒记为", "The box recorded"), "num"),
    ];
    let said = |name: Name| match language {
        Language::Zh => escape(&name.zh),
        Language::En => escape(&name.en),
    };
    let value = |row: &Row, raw: &str| match words::value(&row.what, raw, &row.currency) {
        nothing if nothing.is_empty() => "—".to_owned(),
        value => escape(&value),
    };
    let rows = seen.differences.iter().map(|row| {
        vec![
            ago(seen.now - row.at, language),
            format!(r#"<a href="/box/{id}">{id}</a>"#, id = escape(&row.box_id)),
            escape(&row.transaction),
            said(words::what(&row.what)),
            said(words::place(&row.place)),
            value(row, &row.expected),
            format!(r#"<b class="bad">{}</b>"#, value(row, &row.found)),
        ]
    });
    table(&headers, rows.collect())
}
