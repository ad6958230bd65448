//! What people press on pages, and the answers they get.

use crate::face::{Age, FaceRefused};
use crate::phone;
use crate::receipt::SlipRow;
use crate::words::{Attempt, Language, LineNo, Money, Name, Private, Role, StaffId, TenderId, TransactionId};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One press. Staff requests carry who pressed: the page port checks the person before it asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PageRequest {
    /// A code typed by hand.
    Key {
        code: String,
    },
    /// I am the member with this telephone number.
    Phone {
        number: Private<String>,
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
        /// The last digits of the shopper's telephone number, where the gallery is too large to be searched whole.
        #[serde(default)]
        tail: Option<Private<String>>,
    },
    /// The same, to pay what is due from the member's wallet.
    PayByFace {
        consent: String,
        #[serde(default)]
        tail: Option<Private<String>>,
    },
    /// Yes to the name and the amount that are shown, with the payment PIN where one is asked for.
    ConfirmFacePay {
        attempt: Attempt,
        amount: Money,
        #[serde(default)]
        pin: Option<Private<String>>,
    },
    /// I do not want to be recognised any more: nothing of my face stays.
    WithdrawFace {},
    /// Show me all that this store has of me.
    MyData {},
    /// The same on paper. What stands on it the page port writes: no page has a word for it.
    #[serde(skip)]
    PrintMyData {
        rows: Vec<SlipRow>,
    },
    CancelRecognise {
        attempt: Attempt,
    },
    RemoveMember {},
    /// Look for codes with the lane's camera, for a while.
    OpenCamera {},
    CloseCamera {},
    /// All that is due, or `amount` of it.
    Pay {
        method: Method,
        #[serde(default)]
        amount: Option<Money>,
    },
    /// What is left on the gift card shown next.
    CheckGift {},
    /// Back out of a payment that waits for a card or a code.
    CancelPayment {},
    /// Leave what waits for its weight.
    CancelWeighing {},
    CallHelp {},
    /// Keep the basket under its code, to go on with it at another lane.
    Suspend {},
    Speak {
        language: Language,
    },
    RemoveCoupon {
        campaign: String,
        serial: String,
    },
    /// What lies on the bagging scale is a bag of mine.
    OwnBag {},
    /// This line does not go into the bag.
    SkipBagging {
        line: LineNo,
    },
    /// Staff whose badge was scanned here, where the shop asks for no PIN besides.
    Badged {
        request: StaffRequest,
    },
    /// Staff leaves the lane again.
    LeaveLane {},
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
    /// The member's points.
    Points,
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
        #[serde(default)]
        reason: String,
    },
    /// The terminal could not say: a person looked at it.
    /// Of a refund: whether the money was given back. That a payment was not taken a supervisor says: it can be paid again then.
    ResolveTender {
        tender: TenderId,
        taken: bool,
        reason: String,
        /// Where less moved than was asked for.
        #[serde(default)]
        amount: Option<Money>,
    },
    /// A late payment headquarters does not give back: a person did, or says why not.
    SettleLate {
        tender: TenderId,
        reason: String,
    },
    /// Cash over the counter of a staffed lane: what the shopper hands over for all that is due, or for `amount` of it.
    TakeCash {
        given: Money,
        #[serde(default)]
        amount: Option<Money>,
    },
    /// Nothing is due either way, such as an even exchange.
    Finish {},
    /// Go on here with a basket that waits.
    Resume {
        transaction: TransactionId,
    },
    Shift(ShiftRequest),
    Return(ReturnRequest),
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
    /// As the shopper's, with a reason, and also where something is paid: that is given back first.
    VoidTransaction {
        reason: String,
    },
    /// The packing of what is being weighed.
    SetTare {
        tare_g: u32,
    },
    /// Keep a template of the member at the lane, who agreed to that text.
    EnrolFace {
        text_version: String,
        /// The page port fills it in: the hash of the text it shows.
        #[serde(default)]
        text_sha256: String,
        age: Age,
        /// Number of the form a guardian signed.
        #[serde(default)]
        guardian: Option<String>,
        #[serde(default)]
        until_utc_ms: Option<i64>,
    },
    /// The member at the lane wants all that this store has of them.
    MemberData {},
    /// Too many failures shut the lane's camera: open it again.
    ReopenFace {},
    /// A member says that somebody else paid from the wallet for the sale found.
    DisputeFacePay {
        reason: String,
    },
    /// I am at the lane: what is scanned there while a look at the basket is due is part of that look.
    Attend {},
    /// No more questions of the bagging scale to this shopper.
    MuteBagging {
        reason: String,
    },
    EndHelp {},
    /// Close the business day of the store; refused while a basket or a shift is open.
    DayClose {},
    /// The lane's card terminal answers under another number, and is the shop's own all the same.
    AcceptTerminal {},
    /// The lane's card terminal hands its day in; its sum is held against the journal.
    CloseTerminal {},
    /// The last closed day once more.
    PrintDay {},
}

/// About the drawer of a staffed lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ShiftRequest {
    Open {
        float: Money,
    },
    PaidIn {
        amount: Money,
        reason: String,
    },
    PaidOut {
        amount: Money,
        reason: String,
    },
    /// To the safe.
    Drop {
        amount: Money,
    },
    /// Open the drawer without a sale.
    NoSale {
        reason: String,
    },
    /// Ends the shift with what the cashier counted; only the answer says what it should have been.
    Close {
        counted: Money,
    },
    PrintX {},
    /// The last closed shift once more.
    PrintZ {},
}

/// About goods brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ReturnRequest {
    /// The sale of a receipt: its code, or its number such as `2-000123`.
    Find { code: String },
    /// So many of that line of the sale found.
    Line { line: LineNo, quantity: u32 },
    /// Without a receipt.
    Goods {
        code: String,
        quantity: u32,
        #[serde(default)]
        weight_g: Option<u32>,
        reason: String,
    },
    /// Give back what is owed: as it was paid, or in cash.
    Refund {
        #[serde(default)]
        in_cash: bool,
    },
    /// Put the sale found away.
    Leave {},
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
    NoPrinter,
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
    BadAmount,
    MoreThanDue,
    StillDue,
    CashOnly,
    NoDrawer,
    NoShift,
    ShiftOpen,
    NoSuchSale,
    TooLate,
    NoSuchGoods,
    AlreadyReturned,
    BasketFull,
    Bagging,
    BagNotWeighed,
    PinNeeded,
    NoPoints,
    NotEnoughPoints,
    PointsOffline,
    PointsNeedCode,
    DiskFull,
    CardOffline,
    TerminalChanged,
    CameraUnavailable,
    /// About faces and paying by them.
    Face(FaceRefused),
    BadPhone,
    UnknownPhone,
    /// More than one member has it.
    SharedPhone,
    PhoneTooOften,
}

impl Refused {
    /// What the page says.
    #[must_use]
    pub fn text(self) -> Name {
        let (zh, en) = self.words();
        Name { zh: zh.into(), en: en.into() }
    }

    pub(crate) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Face(refused) => refused.text(),
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
            Self::NoPrinter => ("打印机暂不可用", "The printer is not available"),
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
            Self::BadAmount => ("金额不对", "That is no amount this can be done with"),
            Self::MoreThanDue => {
                ("刷卡、钱包和积分不能超过应付金额", "Card, wallet and points cannot take more than is due")
            }
            Self::StillDue => ("还有金额未结清", "There is still money due"),
            Self::CashOnly => (
                "网络和刷卡机都不可用，目前只能付现金，请到人工收银台",
                "Only cash just now: network and card terminal are away. Please pay at a staffed lane",
            ),
            Self::NoDrawer => ("本台没有钱箱", "This lane has no cash drawer"),
            Self::NoShift => ("请先开班", "Please open a shift first"),
            Self::ShiftOpen => ("还有未交班的收银台", "A shift is still open"),
            Self::NoSuchSale => ("没有找到这张小票的交易", "No sale of this box has that receipt"),
            Self::TooLate => ("这笔交易已超过可退货的时间", "That sale is too long ago to take goods back"),
            Self::NoSuchGoods => ("没有找到这件商品", "These goods are not on file"),
            Self::AlreadyReturned => ("可退数量不足：已经退过了", "Not so many left: they were returned before"),
            Self::BasketFull => ("购物篮已满", "The basket is full"),
            Self::Bagging => (
                "请先把商品放进袋中，或告诉我们不装袋",
                "Please put the goods into the bag first, or tell us you carry them",
            ),
            Self::BagNotWeighed => ("正在称袋子，请再点一次", "The bag is being weighed: please press once more"),
            Self::PinNeeded => ("请输入工牌的密码", "Please enter the PIN that goes with the badge"),
            Self::NoPoints => ("没有可用的积分", "There are no points to pay with"),
            Self::NotEnoughPoints => ("积分不够", "There are not so many points"),
            Self::PointsOffline => {
                ("网络中断，暂不能用积分付款", "The network is away: points cannot be used just now")
            }
            Self::PointsNeedCode => {
                ("用积分付款请再扫一次会员码", "To pay with points, please scan your member code too")
            }
            Self::CardOffline | Self::TerminalChanged | Self::CameraUnavailable => self.of_device(),
            Self::BadPhone | Self::UnknownPhone | Self::SharedPhone | Self::PhoneTooOften => phone::words(self),
            Self::RoleTooLow => ("需要更高权限的店员", "This needs somebody with more authority"),
            Self::DiskFull => (
                "存储空间已满：已开始的购物可以完成，暂不能开始新的购物",
                "The disk is full: a basket already begun can be finished, no new one can be begun",
            ),
        }
    }

    /// What the page says of a terminal that may not take a card.
    const fn of_device(self) -> (&'static str, &'static str) {
        if matches!(self, Self::CardOffline) {
            (
                "刷卡机连不上银行，离线额度已用完，请换一种付款方式",
                "The terminal does not reach its bank, and no more may be taken without it: please pay another way",
            )
        } else if matches!(self, Self::TerminalChanged) {
            (
                "刷卡机的编号变了，主管核对后才能继续刷卡",
                "The card terminal answers under another number: a supervisor has to look at it first",
            )
        } else {
            ("摄像头暂不可用，请用扫码枪", "The camera is not available, please use the scanner")
        }
    }
}
