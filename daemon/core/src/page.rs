//! What people press on pages, and the answers they get.

use crate::words::{Attempt, Language, LineNo, Money, Name, Role, StaffId, TenderId};
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// One press. Staff requests carry who pressed: the page port checks the person before it asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PageRequest {
    /// A code typed by hand.
    Key {
        code: String,
    },
    SetQuantity {
        line: LineNo,
        quantity: u32,
    },
    VoidLine {
        line: LineNo,
    },
    /// Give the whole basket up; refused once money has moved.
    VoidTransaction {},
    /// Recognise me by face: the shopper agreed to the text of that version.
    Recognise {
        consent: String,
    },
    CancelRecognise {
        attempt: Attempt,
    },
    RemoveMember {},
    Pay {
        method: Method,
    },
    /// Back out of a payment that waits for a card or a code.
    CancelPayment {},
    /// Leave what waits for its weight.
    CancelWeighing {},
    CallHelp {},
    Speak {
        language: Language,
    },
    /// Clear the thank-you screen.
    Next {},
    Staff {
        staff: StaffId,
        #[serde(default)]
        role: Role,
        request: StaffRequest,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    Card,
    /// Show the code of a wallet app to the scanner.
    Wallet,
    /// Staff only, see [`StaffRequest::TakeCash`]; what the shopper hands over.
    Cash {
        given: Money,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StaffRequest {
    /// Answer an intervention.
    Answer {
        intervention: u64,
        approved: bool,
    },
    /// The terminal could not say: a person looked at it.
    ResolveTender {
        tender: TenderId,
        taken: bool,
        reason: String,
    },
    /// Cash over the counter of a staffed lane; what the shopper hands over.
    TakeCash {
        given: Money,
    },
    Reprint {},
    /// Another price for a line; how far below the price book depends on the role.
    OverridePrice {
        line: LineNo,
        unit_price: Money,
        reason: String,
    },
    /// A remark on a line or, without one, on the basket; nothing about a person.
    Note {
        #[serde(default)]
        line: Option<LineNo>,
        text: String,
    },
    /// As the shopper's, with a reason.
    VoidTransaction {
        reason: String,
    },
    /// The packing of what is being weighed.
    SetTare {
        tare_g: u32,
    },
    EndHelp {},
    /// Close the business day of the store; refused while a basket is open.
    DayClose {},
}

/// Who pressed on a staff page, as the page port checked it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attendant {
    pub staff: StaffId,
    pub role: Role,
}

impl Attendant {
    pub(crate) fn at_least(&self, role: Role) -> Result<(), Refused> {
        if self.role >= role { Ok(()) } else { Err(Refused::RoleTooLow) }
    }
}

/// Why a request was not carried out. Data, not an error: the page shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    NoLane,
    NothingHere,
    NoSuchLine,
    Paying,
    NothingToPay,
    Intervention,
    NoTerminal,
    TerminalDown,
    CashNeedsStaff,
    NotEnough,
    HqOffline,
    FaceUnavailable,
    InDoubt,
    BasketOpen,
    BadQuantity,
    StaffOnly,
    RoleTooLow,
    ComesWithLine,
    BadPrice,
    BadWeight,
    NeedsReason,
    TooLong,
    PersonalData,
}

impl Refused {
    /// What the page says.
    #[must_use]
    pub fn text(self) -> Name {
        let (zh, en) = match self {
            Self::NoLane => ("没有这个收银台", "There is no such lane"),
            Self::NothingHere => ("没有可处理的内容", "There is nothing to do this to"),
            Self::NoSuchLine => ("没有这一行商品", "There is no such line"),
            Self::Paying => ("正在付款，请稍候", "A payment is under way, please wait"),
            Self::NothingToPay => ("购物篮是空的", "The basket is empty"),
            Self::Intervention => ("请等店员确认", "Please wait for an assistant to confirm"),
            Self::NoTerminal => ("本台没有刷卡机", "This lane has no card terminal"),
            Self::TerminalDown => {
                ("刷卡机暂不可用，请换一种付款方式", "The card terminal is not available, please pay another way")
            }
            Self::CashNeedsStaff => ("现金请到人工收银台", "Cash is taken at staffed lanes"),
            Self::NotEnough => ("金额不够", "That is not enough"),
            Self::HqOffline => ("网络暂时中断，不能用钱包付款", "Wallets need the network, which is away just now"),
            Self::FaceUnavailable => {
                ("人脸识别暂不可用，请扫会员码", "Face recognition is not available, please scan your member code")
            }
            Self::InDoubt => ("付款结果待确认，请等店员", "The payment is being checked, please wait for an assistant"),
            Self::BasketOpen => ("还有未完成的购物篮", "A basket is still open"),
            Self::BadQuantity => ("数量应在 1 到 999 之间", "Quantity must be between 1 and 999"),
            Self::StaffOnly => ("需要店员操作", "An assistant has to do this"),
            Self::ComesWithLine => ("这一行随商品一起增减", "This line comes and goes with its goods"),
            Self::BadPrice => ("这个价格不能用", "That price cannot be set"),
            Self::BadWeight => ("这个重量不能用", "That weight cannot be set"),
            Self::NeedsReason => ("请写明原因", "Please give a reason"),
            Self::TooLong => ("文字太长", "That text is too long"),
            Self::PersonalData => {
                ("请不要写电话、卡号等个人信息", "Please leave out telephone, card and other numbers of people")
            }
            Self::RoleTooLow => ("需要更高权限的店员", "This needs somebody with more authority"),
        };
        Name { zh: zh.into(), en: en.into() }
    }
}
