//! Messages of this family: fields between separators, the first one the message's number. What their codes mean is told
//! as POS integrado has it.

use super::profile::Places;
use checkout::device::CardSlip;
use checkout::words::{Money, Name, TruncatedPan};

/// Códigos de respuesta.
pub(super) const UNREACHABLE: u8 = 3;
pub(super) const CANCELLED: u8 = 7;
pub(super) const NO_SALE: u8 = 11;
pub(super) const NOT_SUPPORTED: u8 = 12;
pub(super) const AMOUNT_WRONG: u8 = 72;
/// A slip in an answer is one string of rows this wide.
const ROW: usize = 40;
const ROWS_MAX: usize = 100;

/// An answer, its fields not yet trusted.
pub(super) struct Message<'a> {
    fields: Vec<&'a str>,
}

impl<'a> Message<'a> {
    pub(super) fn of(text: &'a str, separator: char) -> Self {
        Self { fields: text.split(separator).collect() }
    }

    pub(super) fn field(&self, at: usize) -> &'a str {
        self.fields.get(at).map_or("", |field| field.trim())
    }

    pub(super) fn kind(&self) -> &'a str {
        self.field(0)
    }

    /// What stands at one of the profile's places; nothing at those it has not.
    pub(super) fn told(&self, place: usize) -> &'a str {
        if place == 0 { "" } else { self.field(place) }
    }

    /// The result; `None` where it is no number, which proves nothing.
    pub(super) fn code(&self, place: usize) -> Option<u8> {
        number(self.told(place)).and_then(|code| u8::try_from(code).ok())
    }

    /// Of a sale and the last sale, which are alike. `None` without an amount or a number of its own.
    pub(super) fn slip(&self, places: &Places) -> Option<CardSlip> {
        let number_of = self.told(places.operation);
        let operation = u32::try_from(number(number_of)?).ok().filter(|operation| *operation > 0)?;
        let amount = i64::try_from(number(self.told(places.amount))?).ok()?;
        let digits = self.told(places.last4);
        let known = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let voucher = self.voucher(places.voucher);
        let text = if voucher.is_empty() {
            vec![crate::digits::hide(&format!("OPERACION: {number_of} AUTORIZACION: {}", self.told(places.auth)))]
        } else {
            voucher
        };
        Some(CardSlip {
            amount: Money(amount),
            trace: operation,
            receipt: operation,
            terminal: crate::digits::hide(self.told(places.terminal)),
            pan: known.then(|| TruncatedPan::of(&format!("************{digits}"))),
            scheme: scheme(self.told(places.brand))
                .map_or_else(|| kind_of_card(self.told(places.card_kind)), str::to_owned),
            reference: String::new(),
            text,
            offline: false,
        })
    }

    /// The shopper's copy of the slip the terminal would have printed.
    fn voucher(&self, place: usize) -> Vec<String> {
        let letters: Vec<char> = self.fields.get(place).map_or("", |field| field).chars().collect();
        if place == 0 || letters.len() <= 1 {
            return Vec::new();
        }
        let rows: Vec<String> = letters
            .chunks(ROW)
            .map(|row| crate::digits::hide(row.iter().collect::<String>().trim_end()))
            .take(ROWS_MAX)
            .collect();
        let copy = rows.iter().position(|row| row.contains("COPIA CLIENTE"));
        let from = copy.map_or(0, |at| at.saturating_sub(1));
        rows.into_iter().skip(from).filter(|row| !row.is_empty()).collect()
    }
}

/// Digits alone.
pub(super) fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Tabla de abreviación de tarjetas.
fn scheme(brand: &str) -> Option<&'static str> {
    Some(match brand {
        "VI" => "Visa",
        "MC" => "Mastercard",
        "CA" => "Casas Comerciales",
        "CR" => "Credencial",
        "AX" => "American Express",
        "CE" => "Cerrada",
        "DC" => "Diners",
        "TP" => "Presto",
        "MG" => "Magna",
        "TM" => "MasCard",
        "RP" => "Ripley",
        "EX" => "Extra",
        "TC" => "CMR",
        "DB" => "Redcompra",
        _ => return None,
    })
}

fn kind_of_card(kind: &str) -> String {
    match kind {
        "CR" => "Crédito",
        "DB" => "Débito",
        _ => "",
    }
    .into()
}

/// What the shopper is asked for meanwhile.
pub(super) fn progress(code: Option<u8>) -> Name {
    let (zh, en) = match code {
        Some(78) => ("请刷卡、插卡或拍卡", "Insert or tap your card"),
        Some(79) => ("请在终端上确认金额", "Please confirm the amount on the terminal"),
        Some(80) => ("请在终端上选择分期", "Please choose the instalments on the terminal"),
        Some(81) => ("请在终端上输入密码", "Please enter your PIN on the terminal"),
        Some(82) => ("请稍候", "Please wait"),
        Some(_) | None => ("请看终端", "Please look at the terminal"),
    };
    Name { zh: zh.into(), en: en.into() }
}

/// Tabla de respuestas, shortened.
pub(super) fn meaning(code: u8) -> Option<(&'static str, &'static str)> {
    Some(match code {
        0 => ("已批准", "approved"),
        1 => ("被拒绝", "refused"),
        2 => ("主机无应答", "the host does not answer"),
        UNREACHABLE => ("连接失败", "the connection failed"),
        4 => ("交易已撤销", "cancelled already"),
        5 => ("没有可撤销的交易", "nothing to cancel"),
        6 => ("不支持此卡", "card not supported"),
        CANCELLED => ("在终端上取消", "cancelled at the terminal"),
        8 => ("借记交易不能撤销", "a debit payment cannot be cancelled"),
        9 => ("读卡错误", "the card could not be read"),
        10 => ("金额过小", "amount too small"),
        NO_SALE => ("没有交易", "there is no sale"),
        NOT_SUPPORTED => ("不支持此交易", "not supported"),
        13 | 67 | 74 | 76 | 77 => ("请先结算", "end of day is due"),
        20 => ("无效卡", "invalid card"),
        21 => ("不允许撤销", "cancelling is not allowed"),
        22 => ("超时", "timed out"),
        24 => ("打印机缺纸", "no paper"),
        26 => ("需要下载密钥", "keys must be loaded"),
        27 => ("需要更新", "an update is due"),
        AMOUNT_WRONG => ("金额错误", "amount must be above 0"),
        78 => ("等待读卡", "waiting for a card"),
        79 => ("等待确认金额", "amount to be confirmed"),
        80 => ("选择分期", "instalments to be chosen"),
        81 => ("等待输入密码", "PIN to be entered"),
        82 => ("正在发送", "asking the host"),
        93 => ("被拒绝", "declined"),
        _ => return None,
    })
}
