//! Payments as a page: what is open, what arrived late, and where statements and journals differ.

use super::pages::{panel, shell, table};
use super::words::{Language, ago, escape, money};
use crate::db::Connection;
use crate::fold::again::{self, Receipt, SoldAgain};
use crate::pay::reconcile::{self, Difference, Kind};
use crate::store::now_ms;

/// As many as fit a page.
const ROWS_MAX: usize = 500;

pub(super) struct Seen {
    differences: Vec<Difference>,
    open: Vec<Open>,
    again: Vec<SoldAgain>,
}

/// A payment that is not at its end, or that arrived late and has not gone back.
struct Open {
    box_id: String,
    tender: String,
    provider: String,
    amount: i64,
    currency: String,
    state: String,
    at: i64,
    late: bool,
}

pub(super) fn seen(db: &Connection) -> anyhow::Result<Seen> {
    let mut rows = db.prepare_cached(
        "SELECT box, tender, provider, amount, currency, state, at, late IS NOT NULL FROM payment p
         WHERE state IN ('asked', 'pending', 'reversing')
            OR (late IS NOT NULL AND NOT EXISTS (SELECT 1 FROM payment_refund r
                WHERE r.box = p.box AND r.charge = p.tender AND r.state = 'approved'))
         ORDER BY at DESC LIMIT 500",
    )?;
    let open = rows.query_map([], |row| {
        Ok(Open {
            box_id: row.get(0)?,
            tender: row.get(1)?,
            provider: row.get(2)?,
            amount: row.get(3)?,
            currency: row.get(4)?,
            state: row.get(5)?,
            at: row.get(6)?,
            late: row.get(7)?,
        })
    })?;
    let open = open.collect::<Result<_, _>>()?;
    Ok(Seen { differences: reconcile::differences(db)?, open, again: again::list(db, 500)? })
}

pub(super) fn page(seen: &Seen, up: bool, language: Language) -> String {
    let title = language.pick("收款核对", "Payments");
    let none = || format!(r#"<p class="empty">{}</p>"#, language.pick("没有", "None"));
    let open = if seen.open.is_empty() { none() } else { open(&seen.open, language) };
    let differences = if seen.differences.is_empty() { none() } else { differences(&seen.differences, language) };
    let again = if seen.again.is_empty() { none() } else { sold_again(&seen.again, language) };
    let back = format!(r#"<p class="back"><a href="/">← {}</a></p>"#, language.pick("总览", "Overview"));
    let body =
        back + &panel(
            language.pick("未结束的付款", "Payments without an end"),
            language.pick(
                "等待支付机构答复，或迟到后尚未退回",
                "waiting for a provider's word, or late and not given back yet",
            ),
            &open,
        ) + &panel(
            language.pick("对账差异", "Statements and journals differ"),
            language.pick(
                "支付机构账单与门店流水逐笔核对",
                "providers' statements against the stores' journals, line by line",
            ),
            &differences,
        ) + &panel(
            language.pick("同一笔交易两次成交", "One transaction, two sales"),
            language.pick(
                "存储卡被复制时购物未完成，两边都收了款；请核对两张小票",
                "a disk was copied while the basket was open, and both were paid: look at both receipts",
            ),
            &again,
        );
    shell(title, "/payments", &body, up, language)
}

fn open(rows: &[Open], language: Language) -> String {
    let headers = [
        (language.pick("时间", "When"), ""),
        (language.pick("门店盒", "Box"), ""),
        (language.pick("付款编号", "Tender"), ""),
        (language.pick("机构", "Provider"), ""),
        (language.pick("状态", "State"), ""),
        (language.pick("金额", "Amount"), "num"),
    ];
    let now = now_ms();
    let state = |row: &Open| match (row.late, row.state.as_str()) {
        (true, _) => language.pick("迟到，待退回", "late, to go back"),
        (false, "asked") => language.pick("已询问", "asked"),
        (false, "pending") => language.pick("等待顾客确认", "the shopper confirms"),
        (false, _) => language.pick("正在撤销", "being given up"),
    };
    let rows = rows.iter().map(|row| {
        vec![
            ago(now - row.at, language),
            format!(r#"<a href="/box/{id}">{id}</a>"#, id = escape(&row.box_id)),
            escape(&row.tender),
            escape(&row.provider),
            state(row).to_owned(),
            money(row.amount, &row.currency),
        ]
    });
    table(&headers, rows.collect())
}

fn sold_again(rows: &[SoldAgain], language: Language) -> String {
    let headers = [
        (language.pick("交易", "Transaction"), ""),
        (language.pick("第一张小票", "First receipt"), ""),
        (language.pick("第二张小票", "Second receipt"), ""),
    ];
    let now = now_ms();
    let receipt = |one: &Receipt| {
        let lane = one.lane.map(|lane| format!("/{lane}")).unwrap_or_default();
        format!(
            r#"<a href="/box/{id}">{id}{lane}</a> #{} <b>{}</b> <small>{} {}</small>"#,
            one.number,
            money(one.total, &one.currency),
            escape(&one.tenders),
            ago(now - one.at, language),
            id = escape(&one.box_id)
        )
    };
    let rows = rows.iter().map(|row| vec![escape(&row.transaction), receipt(&row.first), receipt(&row.again)]);
    table(&headers, rows.collect())
}

fn differences(rows: &[Difference], language: Language) -> String {
    let headers = [
        (language.pick("时间", "When"), ""),
        (language.pick("差异", "What"), ""),
        (language.pick("机构", "Provider"), ""),
        (language.pick("商户单号", "Order number"), ""),
        (language.pick("门店盒", "Box"), ""),
        (language.pick("门店记为", "The journal says"), "num"),
        (language.pick("账单记为", "The statement says"), "num"),
    ];
    let kind = |kind| match kind {
        Kind::MissingHere => language.pick("门店没有", "not in a journal"),
        Kind::MissingThere => language.pick("账单没有", "not in the statement"),
        Kind::AmountDiffers => language.pick("金额不符", "another amount"),
        Kind::Double => language.pick("重复", "more than once"),
    };
    let now = now_ms();
    let rows = rows.iter().take(ROWS_MAX).map(|row| {
        let sum = |amount: Option<i64>| amount.map_or_else(|| "—".to_owned(), |amount| money(amount, &row.currency));
        let place = row
            .box_id
            .as_deref()
            .map_or_else(|| "—".to_owned(), |id| format!(r#"<a href="/box/{id}">{id}</a>"#, id = escape(id)));
        vec![
            ago(now - row.at, language),
            format!(r#"<b class="bad">{}</b>"#, kind(row.kind)),
            escape(&row.provider),
            escape(&row.order_no),
            place,
            sum(row.here),
            sum(row.there),
        ]
    });
    table(&headers, rows.collect())
}
