//! Providers' statements: a CSV of charges and refunds, in the shapes of WeChat's and Alipay's bills, and in one of our own for those
//! who have none that is alike everywhere: the acquirers of UnionPay's codes, and the retailer's gift cards.
//!
//! Columns are found by their heading, not by place: both providers have added columns over the years. WeChat writes a backtick
//! before each value, Alipay lines with `#` around the table; what follows the table is a summary and is not read.

use crate::db::{Connection, params};
use anyhow::{Context as _, bail, ensure};
use checkout::words::LocalMinute;
use std::borrow::Cow;

/// No statement of a day is longer.
const BYTES_MAX: usize = 256 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    Charge,
    Refund,
}

/// One movement of money, as the provider has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub kind: LineKind,
    pub provider: String,
    /// Our number of the charge.
    pub order_no: String,
    /// Our number of the refund, where it is one.
    pub refund_no: String,
    /// The provider's.
    pub reference: String,
    pub amount: i64,
    pub currency: String,
    /// Milliseconds since 1970.
    pub at: i64,
}

impl LineKind {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Refund => "refund",
        }
    }
}

/// What the columns are called: our order, our refund, theirs, the charge's amount, the refund's, the time, the currency.
struct Shape {
    provider: &'static str,
    /// Which column says whose line it is, where one statement is of several.
    provider_column: &'static str,
    order: &'static str,
    refund: &'static str,
    reference: &'static str,
    charge_amount: &'static str,
    refund_amount: &'static str,
    time: &'static str,
    currency: &'static str,
    /// Which column says by what words that a line is a refund.
    refund_word: (&'static str, &'static [&'static str]),
}

const SHAPES: [Shape; 3] = [
    Shape {
        provider: "wechat",
        provider_column: "",
        order: "商户订单号",
        refund: "商户退款单号",
        reference: "微信订单号",
        charge_amount: "订单金额",
        refund_amount: "退款金额",
        time: "交易时间",
        currency: "货币种类",
        refund_word: ("交易状态", &["REFUND", "REVOKED"]),
    },
    Shape {
        provider: "alipay",
        provider_column: "",
        order: "商户订单号",
        refund: "退款批次号/请求号",
        reference: "支付宝交易号",
        charge_amount: "订单金额（元）",
        refund_amount: "订单金额（元）",
        time: "完成时间",
        currency: "",
        refund_word: ("业务类型", &["退款"]),
    },
    Shape {
        provider: "",
        provider_column: "provider",
        order: "order_no",
        refund: "refund_no",
        reference: "reference",
        charge_amount: "amount",
        refund_amount: "amount",
        time: "time",
        currency: "currency",
        refund_word: ("kind", &["refund"]),
    },
];

/// Whose lines a statement of our own shape may have.
const OWN: [&str; 2] = ["unionpay", "gift"];

/// What a file holds: UTF-8, or GBK as Alipay writes it.
#[must_use]
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::GBK.decode(bytes).0,
    }
}

/// # Errors
/// Names the line that is not understood; nothing of a statement is taken then.
pub fn read(text: &str) -> anyhow::Result<Vec<Line>> {
    ensure!(text.len() <= BYTES_MAX, "a statement of {} bytes", text.len());
    let text = text.trim_start_matches('\u{feff}');
    let table: Vec<&str> = text.lines().skip_while(|line| line.trim_start().starts_with('#')).collect();
    let heading = table.first().context("the statement is empty")?;
    let heading: Vec<String> = cells(heading)?;
    let shape = SHAPES.iter().find(|shape| heading.iter().any(|name| name == shape.reference));
    let shape = shape.context(
        "the heading is neither WeChat's, nor Alipay's, nor ours: no column 微信订单号, 支付宝交易号 or reference",
    )?;
    for wanted in [shape.order, shape.refund, shape.charge_amount, shape.refund_amount, shape.time] {
        ensure!(heading.iter().any(|name| name == wanted), "the heading has no column {wanted}");
    }
    let mut lines = Vec::new();
    for (index, row) in table.iter().enumerate().skip(1) {
        // The summary has a heading of its own; Alipay's is a remark.
        if row.starts_with("总交易单数") || row.trim_start().starts_with('#') {
            break;
        }
        if row.trim().is_empty() {
            continue;
        }
        lines.push(line(shape, &heading, &cells(row)?).with_context(|| format!("line {}", index + 1))?);
    }
    Ok(lines)
}

fn line(shape: &Shape, heading: &[String], row: &[String]) -> anyhow::Result<Line> {
    let value = |name: &str| -> String {
        let found = heading.iter().position(|known| known == name).and_then(|at| row.get(at));
        found.cloned().unwrap_or_default()
    };
    let (column, words) = shape.refund_word;
    let refund = words.contains(&value(column).as_str());
    let amount = value(if refund { shape.refund_amount } else { shape.charge_amount });
    let amount = minor(&amount).with_context(|| format!("{amount:?} is no amount"))?;
    let time = value(shape.time);
    let order_no = value(shape.order);
    ensure!(!order_no.is_empty(), "no order number");
    let provider = if shape.provider.is_empty() { value(shape.provider_column) } else { shape.provider.into() };
    ensure!(
        !shape.provider.is_empty() || OWN.contains(&provider.as_str()),
        "{provider:?} is neither unionpay nor gift"
    );
    Ok(Line {
        kind: if refund { LineKind::Refund } else { LineKind::Charge },
        provider,
        order_no,
        refund_no: if refund { value(shape.refund) } else { String::new() },
        reference: value(shape.reference),
        amount: amount.saturating_abs(),
        currency: Some(value(shape.currency)).filter(|code| !code.is_empty()).unwrap_or_else(|| "CNY".into()),
        at: moment(&time).with_context(|| format!("{time:?} is no time"))?,
    })
}

fn cells(row: &str) -> anyhow::Result<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(row.as_bytes());
    let Some(record) = reader.records().next() else { bail!("an empty line") };
    Ok(record?.iter().map(|cell| cell.trim().trim_start_matches('`').trim().to_owned()).collect())
}

/// `12.3` is 1230; what has more than two decimals or is no number is nothing.
fn minor(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 2 || !all(whole) || !all(part) {
        return None;
    }
    let part: i64 = format!("{part:0<2}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(part)?.checked_mul(sign)
}

/// Providers write the time of Beijing.
const BEIJING_MS: i64 = 8 * 3_600_000;

fn moment(text: &str) -> Option<i64> {
    let (day, clock) = text.split_once(' ')?;
    let minute = checkout::calendar::read(&format!("{day}T{}", clock.get(..5)?))?;
    let second: i64 = clock.get(6..8).unwrap_or("0").parse().ok()?;
    minute.0.checked_mul(60_000)?.checked_add(second * 1_000)?.checked_sub(BEIJING_MS)
}

/// The statement a sandbox writes.
pub(super) fn in_wechat_shape(lines: &[Line]) -> String {
    let mut out = String::from(
        "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,\
         应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,\
         费率,订单金额,申请退款金额,费率备注\n",
    );
    for line in lines {
        let refund = line.kind == LineKind::Refund;
        let money = |amount: i64| format!("{}.{:02}", amount / 100, amount % 100);
        let (charged, back) = if refund { (0, line.amount) } else { (line.amount, 0) };
        let cells = [
            clock(line.at),
            "wx0000000000000000".into(),
            "0000000000".into(),
            "0".into(),
            String::new(),
            line.reference.clone(),
            line.order_no.clone(),
            String::new(),
            "MICROPAY".into(),
            if refund { "REFUND" } else { "SUCCESS" }.into(),
            "OTHERS".into(),
            line.currency.clone(),
            money(charged),
            "0.00".into(),
            if refund { line.reference.clone() } else { "0".into() },
            if refund { line.refund_no.clone() } else { "0".into() },
            money(back),
            "0.00".into(),
            if refund { "ORIGINAL" } else { "" }.into(),
            if refund { "SUCCESS" } else { "" }.into(),
            String::new(),
            String::new(),
            "0.00000".into(),
            "0.00%".into(),
            money(charged),
            money(back),
            String::new(),
        ];
        let row: Vec<String> = cells.iter().map(|cell| format!("`{cell}")).collect();
        out.push_str(&row.join(","));
        out.push('\n');
    }
    let sum = |kind| lines.iter().filter(|line| line.kind == kind).map(|line| line.amount).sum::<i64>();
    let money = |amount: i64| format!("{}.{:02}", amount / 100, amount % 100);
    out.push_str("总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\n");
    let (charged, back) = (money(sum(LineKind::Charge)), money(sum(LineKind::Refund)));
    out.push_str(&format!("`{},`{charged},`{back},`0.00,`0.00000,`{charged},`{back}\n", lines.len()));
    out
}

/// The same in our own shape.
pub(super) fn in_own_shape(lines: &[Line]) -> String {
    let mut out = String::from("provider,kind,order_no,refund_no,reference,amount,currency,time\n");
    for line in lines {
        let (kind, amount) = (line.kind.word(), format!("{}.{:02}", line.amount / 100, line.amount % 100));
        let Line { provider, order_no, refund_no, reference, currency, at, .. } = line;
        out.push_str(&format!(
            "{provider},{kind},{order_no},{refund_no},{reference},{amount},{currency},{}\n",
            clock(*at)
        ));
    }
    out
}

fn clock(at: i64) -> String {
    let local = at.saturating_add(BEIJING_MS);
    let minute = checkout::calendar::write(LocalMinute(local.div_euclid(60_000))).replace('T', " ");
    format!("{minute}:{:02}", local.rem_euclid(60_000) / 1_000)
}

/// Which day of the provider's a moment is on.
pub(super) const fn day_of(at: i64) -> i64 {
    at.saturating_add(BEIJING_MS).div_euclid(24 * 3_600_000)
}

/// Takes a statement in; the same lines again change nothing.
///
/// # Errors
/// When the database cannot be written.
pub fn keep(db: &mut Connection, lines: &[Line]) -> anyhow::Result<usize> {
    let txn = db.transaction()?;
    let mut kept = 0;
    let mut seen: std::collections::BTreeMap<(&str, &str, &str), i64> = std::collections::BTreeMap::new();
    {
        // A line that stands there twice is kept twice: that is the difference looked for.
        let mut insert = txn.prepare_cached(
            "INSERT INTO statement_line
                (provider, kind, order_no, refund_no, nth, reference, amount, currency, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
        )?;
        for line in lines {
            let nth = seen.entry((line.kind.word(), &line.order_no, &line.refund_no)).or_default();
            *nth += 1;
            kept += insert.execute(params![
                line.provider,
                line.kind.word(),
                line.order_no,
                line.refund_no,
                *nth,
                line.reference,
                line.amount,
                line.currency,
                line.at
            ])?;
        }
    }
    txn.commit()?;
    Ok(kept)
}
