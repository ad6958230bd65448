//! Chinese and English, side by side.

use axum::http::header::{ACCEPT_LANGUAGE, COOKIE, HeaderMap};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Zh,
    En,
}

impl Language {
    /// The query says it, else the cookie, else the browser.
    pub(super) fn of(query: Option<&str>, headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let cookie = text(COOKIE).split(';').find_map(|pair| pair.trim().strip_prefix("lang="));
        match query.or(cookie) {
            Some("zh") => Self::Zh,
            Some("en") => Self::En,
            _ if text(ACCEPT_LANGUAGE).starts_with("zh") => Self::Zh,
            _ => Self::En,
        }
    }

    pub(super) fn tag(self) -> &'static str {
        self.pick("zh", "en")
    }

    pub(super) fn pick(self, zh: &'static str, en: &'static str) -> &'static str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }
}

/// `¥1,234.50`; currencies without minor units as they are.
pub(crate) fn money(amount: i64, currency: &str) -> String {
    let (symbol, decimals) = match currency {
        "CNY" => ("¥", 2),
        "EUR" => ("€", 2),
        "USD" => ("$", 2),
        "GBP" => ("£", 2),
        "JPY" => ("¥", 0),
        other => (other, 2),
    };
    let sign = if amount < 0 { "−" } else { "" };
    let gap = if symbol.len() == 3 && symbol.is_ascii() { " " } else { "" };
    let unit = 10_u64.pow(decimals);
    let (whole, part) = (amount.unsigned_abs() / unit, amount.unsigned_abs() % unit);
    let whole = thousands(whole);
    if decimals == 0 {
        return format!("{sign}{symbol}{gap}{whole}");
    }
    format!("{sign}{symbol}{gap}{whole}.{part:02}")
}

pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How long ago, in one unit.
pub(super) fn ago(ms: i64, language: Language) -> String {
    let seconds = ms.max(0) / 1000;
    let (number, zh, en) = match seconds {
        0..=1 => return language.pick("刚刚", "just now").into(),
        2..60 => (seconds, "秒前", "s ago"),
        60..3600 => (seconds / 60, "分钟前", "min ago"),
        3600..86_400 => (seconds / 3600, "小时前", "h ago"),
        _ => (seconds / 86_400, "天前", "days ago"),
    };
    format!("{number} {}", language.pick(zh, en))
}

pub(super) fn tender(kind: &str, language: Language) -> &str {
    match (language, kind) {
        (Language::Zh, "cash") => "现金",
        (Language::Zh, "card") => "银行卡",
        (Language::Zh, "wallet") => "扫码",
        (Language::Zh, "member_wallet") => "会员钱包",
        (Language::En, "member_wallet") => "member wallet",
        (Language::Zh | Language::En, other) => other,
    }
}

/// What an alarm is called; docs/OPERATIONS-HQ.md says what to do.
pub(super) fn alarm_name(kind: &str, language: Language) -> String {
    let (zh, en) = match kind {
        "new_epoch" => ("日志历史不一致，已开新纪元", "Another past: new epoch"),
        "box_ahead" => ("盒子记录多于总部", "Box ahead of headquarters"),
        "batch_refused" => ("批次无法读取", "Batch refused"),
        "coupon_conflict" => ("优惠券重复核销", "Coupon redeemed twice"),
        "sale_conflict" => ("同一笔交易内容冲突", "Sale completed twice, differently"),
        "receipt_repeated" => ("小票号重复", "Receipt number given twice"),
        "late_payment" => ("支付结束后到账", "Payment taken after its end"),
        "terminal_difference" => ("刷卡机日结不符", "Terminal's day differs"),
        "terminal_changed" => ("刷卡机编号变更", "Another card terminal"),
        "head_mismatch" => ("签名与日志不符", "Journal is not as signed"),
        "head_refused" => ("签名无法验证", "Signature refused"),
        "journal_cut" => ("日志被截断", "Journal was cut"),
        "box_key_changed" => ("盒子签名密钥变更", "Box signs with another key"),
        "disk_low" => ("存储空间不足", "Little room on the disk"),
        "disk_full" => ("存储空间已满", "Disk full"),
        "wal_held" => ("有程序一直占用流水文件", "A program holds the journal"),
        "backup_failed" => ("备份失败", "Backup failed"),
        "clock_doubted" => ("时钟不可信", "Clock in doubt"),
        "restored" => ("日志曾损坏或恢复", "Journal damaged or restored"),
        other => return escape(other),
    };
    language.pick(zh, en).into()
}

/// Text made safe between tags and within double quotes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_numbers_are_written_as_people_write_them() {
        assert_eq!(money(123_450, "CNY"), "¥1,234.50");
        assert_eq!(money(-5, "EUR"), "−€0.05");
        assert_eq!(money(1_500, "JPY"), "¥1,500");
        assert_eq!(money(100, "CHF"), "CHF 1.00");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(thousands(12), "12");
    }

    #[test]
    fn what_boxes_say_cannot_become_markup() {
        assert_eq!(escape("<a href='x'>&\"\u{7}"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;\u{fffd}");
    }
}
