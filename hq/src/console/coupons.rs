//! Coupons redeemed more than once, as a page.

use super::pages::{panel, shell, table};
use super::words::{Language, ago, escape};
use crate::coupon::Conflict;
use crate::store::now_ms;

pub(super) fn page(rows: &[Conflict], up: bool, language: Language) -> String {
    let title = language.pick("重复核销的优惠券", "Coupons redeemed twice");
    let note = language.pick(
        "断网时两处核销了同一张券；两笔销售都有效",
        "two places redeemed the same coupon while one was offline; both sales stand",
    );
    let body = if rows.is_empty() {
        format!(r#"<p class="empty">{}</p>"#, language.pick("没有", "None"))
    } else {
        listed(rows, language)
    };
    let back = format!(r#"<p class="back"><a href="/">← {}</a></p>"#, language.pick("总览", "Overview"));
    shell(title, "/coupons", &(back + &panel(title, note, &body)), up, language)
}

fn listed(rows: &[Conflict], language: Language) -> String {
    let headers = [
        (language.pick("活动", "Campaign"), ""),
        (language.pick("券号", "Serial"), ""),
        (language.pick("时间", "When"), ""),
        (language.pick("交易", "Sale"), ""),
        (language.pick("另一笔交易", "Other sale"), ""),
    ];
    let sale = |transaction: &str, box_id: &str| {
        format!(r#"{} <a href="/box/{id}">{id}</a>"#, escape(transaction), id = escape(box_id))
    };
    let now = now_ms();
    let rows = rows.iter().map(|row| {
        vec![
            escape(&row.campaign),
            escape(&row.serial),
            ago(now - row.at, language),
            sale(&row.transaction, &row.box_id),
            sale(&row.other_transaction, &row.other_box),
        ]
    });
    table(&headers, rows.collect())
}
