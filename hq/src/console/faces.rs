//! The ledger of faces, as a page: how many lie where, who agreed, withdrew and was erased. Members by opaque id only.

use super::pages::{panel, shell, table};
use super::words::{Language, ago, escape, thousands};
use crate::faces::{Assessment, Entry};
use crate::store::now_ms;

pub(super) fn page(numbers: &Assessment, rows: &[Entry], up: bool, language: Language) -> String {
    let back = format!(r#"<p class="back"><a href="/">← {}</a></p>"#, language.pick("总览", "Overview"));
    let title = language.pick("人脸：同意与删除", "Faces: consents and erasures");
    let body = back + &counted(numbers, language) + &ledger(rows, language);
    shell(title, "/faces", &body, up, language)
}

fn counted(numbers: &Assessment, language: Language) -> String {
    let [soon, due] = numbers.filing_marks;
    let state = if numbers.faces_stored >= due {
        language.pick("须在 30 个工作日内备案", "filing is due within 30 working days")
    } else if numbers.faces_stored >= soon {
        language.pick("接近备案数量，请准备材料", "close to 100,000, where filing is due: prepare it")
    } else {
        language.pick("未达备案数量", "below the number to file at")
    };
    let fact = |what: &str| thousands(numbers.facts.get(what).copied().unwrap_or(0));
    let rows = [
        (
            language.pick("已保存的人脸（去重）", "Faces stored, each person once"),
            format!("{} · {state}", thousands(numbers.faces_stored)),
        ),
        (language.pick("识别次数", "Times recognised"), fact("recognised")),
        (language.pick("刷脸付款确认", "Payments confirmed after a face"), fact("confirmed")),
        (language.pick("争议", "Disputed"), fact("disputed")),
        (language.pick("撤回", "Withdrawn"), fact("withdrawn")),
        (language.pick("尚未删完", "Not erased everywhere yet"), thousands(numbers.erasures_open)),
    ];
    let rows = rows.into_iter().map(|(what, value)| vec![what.to_owned(), value]).collect();
    let headers = [(language.pick("项目", "What"), ""), (language.pick("数量", "How many"), "")];
    panel(
        language.pick("概况", "In numbers"),
        language.pick(
            "达到 10 万人须备案，8 万人时提醒",
            "an operator has to file from 100,000 people on; at 80,000 an alarm says so",
        ),
        &table(&headers, rows),
    )
}

fn ledger(rows: &[Entry], language: Language) -> String {
    let headers = [
        (language.pick("时间", "When"), ""),
        (language.pick("会员编号", "Member"), ""),
        (language.pick("事项", "What"), ""),
        (language.pick("门店盒子", "Box"), ""),
        (language.pick("凭据", "Evidence"), ""),
    ];
    let now = now_ms();
    let listed = rows.iter().map(|row| {
        vec![
            ago(now - row.at, language),
            escape(&row.member),
            what(&row.what, language).to_owned(),
            format!(r#"<a href="/box/{id}">{id}</a>"#, id = escape(&row.box_id)),
            escape(&evidence(row)),
        ]
    });
    let body = if rows.is_empty() {
        format!(r#"<p class="empty">{}</p>"#, language.pick("没有", "None"))
    } else {
        table(&headers, listed.collect())
    };
    panel(
        language.pick("台账", "Ledger"),
        language.pick("不含照片、特征和分数", "no picture, no template, no score"),
        &body,
    )
}

fn what(what: &str, language: Language) -> &str {
    match what {
        "consented" => language.pick("同意", "Consented"),
        "enrolled" => language.pick("已开通", "Enrolled"),
        "not_enrolled" => language.pick("未开通", "Not enrolled"),
        "withdrawn" => language.pick("撤回", "Withdrawn"),
        "erased" => language.pick("已删除", "Erased"),
        "confirmed" => language.pick("付款确认", "Payment confirmed"),
        "disputed" => language.pick("争议", "Disputed"),
        other => other,
    }
}

/// Which text was agreed to, or what of a receipt tells one from another.
fn evidence(row: &Entry) -> String {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let short = |value: &serde_json::Value| text(value).chars().take(12).collect::<String>();
    match row.what.as_str() {
        "consented" => format!("{} · {}", text(&row.detail["text_version"]), short(&row.detail["text_sha256"])),
        "erased" => {
            let receipts = row.detail["receipts"].as_array().map(Vec::as_slice).unwrap_or_default();
            receipts.iter().map(|receipt| short(&receipt["signature"])).collect::<Vec<_>>().join(" ")
        }
        _ => text(&row.detail["tender"]),
    }
}
