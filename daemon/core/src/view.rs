//! The picture others may read: pages, command line, metrics. Derived, never stored, holds no member's name unmasked.

use crate::audit::FloorAudit;
use crate::catalog::Content;
use crate::coupon::Coupon;
use crate::device::{FaceHint, FaceOutcome};
use crate::face::Factor;
use crate::facts::InForce;
use crate::line::LineKind;
use crate::policy::Exposure;
use crate::receipt::{Currency, Receipt, ReceiptTender, TaxLine};
use crate::rules::OverrideLimits;
use crate::shift::ShiftReport;
use crate::store::DayReport;
use crate::tender::TerminalClosing;
use crate::totals::Totals;
use crate::upkeep::Upkeep;
use crate::words::{
    Attempt, DeviceId, LaneId, Language, LineNo, MemberId, Money, Name, PriceBook, ReceiptNo, Role, StaffId, TenderId,
    TransactionId, Utc,
};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub store: Name,
    pub currency: Currency,
    pub price_book: PriceBook,
    /// By dataset, which version is in force.
    pub datasets: BTreeMap<String, InForce>,
    /// HQ answers.
    pub online: bool,
    pub lanes: Vec<LaneView>,
    /// The business day so far.
    pub day: Totals,
    /// The day closed last.
    pub last_day: Option<DayReport>,
    /// Baskets that wait for a lane.
    pub suspended: Vec<SuspendedView>,
    /// What terminals approved by themselves and have not handed in.
    pub exposure: BTreeMap<DeviceId, Exposure>,
    /// Terminals that answer under another number than before.
    pub changed_terminals: Vec<DeviceId>,
    /// What each terminal handed in last.
    pub closings: BTreeMap<DeviceId, TerminalClosing>,
    /// Payments that arrived after all and go back.
    pub refund_tasks: Vec<RefundTaskView>,
    /// Nothing here is a sale.
    pub training: bool,
    /// What questions to shoppers came to, by rule.
    pub audit: FloorAudit,
    /// How far each role may change a price.
    pub overrides: OverrideLimits,
    /// The box's clock, disk and copies.
    pub upkeep: Upkeep,
}

/// A payment that was taken though it had ended without money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundTaskView {
    pub tender: TenderId,
    pub kind: TenderKind,
    pub lane: LaneId,
    pub amount: Money,
    /// The provider's number of the payment.
    pub reference: String,
    pub at: Utc,
    pub done: bool,
    /// A person has to give it back.
    pub staff: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspendedView {
    pub transaction: TransactionId,
    /// What calls it at a scanner.
    pub code: String,
    pub lane: LaneId,
    pub at: Utc,
    pub pieces: u32,
    pub total: Money,
    pub member: bool,
}

/// The shift at a lane. What its drawer must hold is not in it: the cashier counts first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShiftView {
    pub number: u64,
    pub staff: StaffId,
    pub opened: Utc,
    pub totals: Totals,
}

/// The sale goods are brought back from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoldView {
    pub transaction: TransactionId,
    pub lane: LaneId,
    pub receipt: ReceiptNo,
    pub at: Utc,
    pub lines: Vec<SoldLineView>,
    pub tenders: Vec<ReceiptTender>,
    /// Something of it was paid from a member's wallet by face.
    pub face_paid: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoldLineView {
    pub no: LineNo,
    pub name: Name,
    pub quantity: u32,
    pub weight_g: Option<u32>,
    /// What was paid for all of it.
    pub total: Money,
    /// Not brought back yet.
    pub left: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneView {
    pub lane: LaneId,
    pub kind: LaneKind,
    pub language: Language,
    pub phase: Phase,
    pub transaction: Option<TransactionId>,
    pub lines: Vec<LineView>,
    pub pieces: u32,
    pub subtotal: Money,
    pub discount: Money,
    pub total: Money,
    pub taxes: Vec<TaxLine>,
    pub rounding: Money,
    pub paid: Money,
    /// Negative: to be given back.
    pub due: Money,
    /// What was paid so far, and given back.
    pub tenders: Vec<PaidView>,
    /// Being given up: what was paid is on its way back.
    pub voiding: bool,
    /// Neither terminal nor network.
    pub cash_only: bool,
    /// The code of the basket that left for another lane.
    pub handed: Option<String>,
    pub shift: Option<ShiftView>,
    /// The shift closed last, and when.
    pub last_shift: Option<(Utc, ShiftReport)>,
    pub found: Option<SoldView>,
    pub member: Option<MemberView>,
    pub face: Option<FaceView>,
    /// The camera looks for codes.
    pub camera: bool,
    /// A recognised face that waits for its second factor.
    pub confirming: Option<ConfirmingView>,
    /// Whose data the page port may tell this lane's page; the page itself never learns the id.
    #[serde(skip)]
    pub shown_data: Option<MemberId>,
    /// There is such a member: what a page shows of their data goes from the screen when this ends.
    pub data_shown: bool,
    /// The camera knows more members than one face may be searched among: the shopper gives the last digits of a telephone number.
    pub face_narrow: bool,
    /// Attempts in a row at this lane that knew nobody.
    pub face_failures: u32,
    /// Members may pay by face here, now.
    pub face_pay: bool,
    /// What waits for its weight.
    pub weighing: Option<WeighingView>,
    pub tender: Option<TenderView>,
    pub interventions: Vec<InterventionView>,
    pub bagging: Option<BaggingView>,
    pub rescan: Option<RescanView>,
    pub attending: Option<AttendingView>,
    /// Coupons shown with the basket.
    pub coupons: Vec<Coupon>,
    /// Staff's remark on the basket.
    pub note: String,
    /// Help was called and nobody has come yet.
    pub help_since: Option<Utc>,
    /// The last thing worth telling; `serial` grows with each, so that a page shows and sounds it once.
    pub notice: Option<Notice>,
    /// The last completed sale of this lane.
    pub receipt: Option<ReceiptView>,
    pub devices: Vec<DeviceView>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneKind {
    Staffed,
    Kiosk,
    Phone,
    Gate,
}

/// What the lane is doing; a page shows one screen for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nobody here.
    Idle,
    Scanning,
    /// An item sold by weight waits for a stable weight.
    Weighing,
    /// Waits for a card or a wallet code.
    Paying,
    /// The outcome of a payment is being asked for.
    InDoubt,
    /// A person has to look at the terminal.
    Staff,
    /// Paid; the thank-you screen.
    Done,
    /// The basket left for another lane; its code is shown.
    Handed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineView {
    pub no: LineNo,
    pub kind: LineKind,
    pub name: Name,
    pub quantity: u32,
    pub weight_g: Option<u32>,
    /// Per piece, or per kilogram where it was weighed.
    pub unit_price: Money,
    /// What a kilogram, 100 g or a litre of it costs, where the content is known.
    pub per_content: Option<PerContentView>,
    /// Before savings.
    pub gross: Money,
    pub savings: Vec<SavingView>,
    /// After savings.
    pub total: Money,
    pub min_age: Option<u8>,
    pub parent: Option<LineNo>,
    pub tare_g: u32,
    pub serial: Option<String>,
    /// What the price book says, where staff set another price.
    pub list_price: Option<Money>,
    pub note: String,
    /// Carried outside the bag.
    pub skipped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerContentView {
    pub price: Money,
    pub of: Content,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavingView {
    pub name: Name,
    pub amount: Money,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    pub masked: String,
    pub level: String,
    pub by_face: bool,
    /// The member showed the code: what concerns their own data may be asked for.
    pub by_code: bool,
    /// Where the shop gives points.
    pub points: Option<PointsView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsView {
    /// As far as this store knows; what this basket has burnt is off already.
    pub balance: u64,
    /// What this basket earns when it is paid.
    pub will_earn: u64,
    /// What of the amount due they can pay now.
    pub payable: Money,
    /// Why they can pay nothing, where there are some.
    pub refused: Option<Name>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaceView {
    pub attempt: Attempt,
    /// While looking.
    pub hint: Option<FaceHint>,
    /// Somebody enrols, by this person of the staff: the lane's page and theirs may show what the camera sees.
    pub enrols: Option<StaffId>,
    /// When done; a match is told by kind only, the member stands in [`LaneView::member`].
    pub outcome: Option<FaceEnd>,
}

/// What a shopper sees before anything is paid by face.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmingView {
    pub attempt: Attempt,
    pub masked: String,
    pub amount: Money,
    pub factor: Factor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaceEnd {
    Match,
    Ambiguous,
    NoMatch,
    NotLive,
    NoFace,
    TimedOut,
    Unavailable,
}

impl From<&FaceOutcome> for FaceEnd {
    fn from(outcome: &FaceOutcome) -> Self {
        match outcome {
            FaceOutcome::Match { .. } => Self::Match,
            FaceOutcome::Ambiguous => Self::Ambiguous,
            FaceOutcome::NoMatch => Self::NoMatch,
            FaceOutcome::NotLive => Self::NotLive,
            FaceOutcome::NoFace => Self::NoFace,
            FaceOutcome::TimedOut => Self::TimedOut,
            FaceOutcome::Unavailable => Self::Unavailable,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeighingView {
    pub name: Name,
    /// Per kilogram.
    pub unit_price: Money,
    /// Packing that will be taken off.
    pub tare_g: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaidView {
    pub kind: TenderKind,
    pub amount: Money,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenderView {
    /// `None` while a wallet tender still waits for its code.
    pub tender: Option<TenderId>,
    pub kind: TenderKind,
    pub amount: Money,
    /// Of one in doubt.
    pub check: Option<CheckView>,
    /// “Insert card”, “enter PIN”: from the terminal.
    pub text: Name,
}

/// What staff compares with the terminal's last slip, or the provider's list, before saying what became of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckView {
    pub started: Utc,
    pub device: Option<DeviceId>,
    /// As the terminal names itself, where it answered; else empty.
    pub terminal: String,
    /// What it answered with.
    pub trace: Option<u32>,
    /// Its last payment known before: a slip with this number is not the one looked for.
    pub last_trace: Option<u32>,
    /// Headquarters was asked to give it up.
    pub giving_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenderKind {
    Card,
    Cash,
    Wallet,
    /// The member's points.
    Points,
    /// Stored value.
    Gift,
    /// The member's wallet at headquarters, by face and a second factor.
    MemberWallet,
}

impl TenderKind {
    /// Headquarters charges it and gives it back.
    #[must_use]
    pub const fn is_hq(self) -> bool {
        matches!(self, Self::Wallet | Self::Gift | Self::MemberWallet)
    }

    /// As in the journal.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Cash => "cash",
            Self::Wallet => "wallet",
            Self::Points => "points",
            Self::Gift => "gift",
            Self::MemberWallet => "member_wallet",
        }
    }

    /// What paper and pages call money that went back this way.
    #[must_use]
    pub fn given_back(self) -> Name {
        let (zh, en) = match self {
            Self::Card => ("退回银行卡", "Back to card"),
            Self::Cash => ("退现金", "Cash back"),
            Self::Wallet => ("退回电子钱包", "Back to wallet"),
            Self::Points => ("退回积分", "Points back"),
            Self::Gift => ("退回礼品卡", "Back to gift card"),
            Self::MemberWallet => ("退回会员钱包", "Back to member wallet"),
        };
        Name { zh: zh.into(), en: en.into() }
    }

    #[must_use]
    pub fn name(self) -> Name {
        let (zh, en) = match self {
            Self::Card => ("银行卡", "Card"),
            Self::Cash => ("现金", "Cash"),
            Self::Wallet => ("电子钱包", "Wallet"),
            Self::Points => ("积分", "Points"),
            Self::Gift => ("礼品卡", "Gift card"),
            Self::MemberWallet => ("会员钱包（刷脸）", "Member wallet (face)"),
        };
        Name { zh: zh.into(), en: en.into() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterventionView {
    pub id: u64,
    /// [`crate::intervention::InterventionKind::code`].
    pub kind: String,
    pub line: Option<LineNo>,
    /// What staff reads.
    pub text: Name,
    /// What the shopper reads.
    pub shopper: Name,
    /// Who may say yes.
    pub role: Role,
}

/// The scale under the bags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaggingView {
    pub expected_g: i64,
    pub measured_g: Option<u32>,
    pub tolerance_g: u32,
    /// Pieces the expectation was learned from; 0: it is the catalogue's.
    pub samples: u32,
    /// Pieces scanned that are not in the bag yet.
    pub waiting: u32,
    /// Where it is one line only.
    pub line: Option<LineNo>,
    pub right: bool,
    pub muted: bool,
}

/// A look at the basket under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RescanView {
    pub intervention: u64,
    /// `None`: all.
    pub pieces: Option<u32>,
    pub matched: u32,
    pub missed: u32,
}

/// Staff showed a badge here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttendingView {
    pub staff: StaffId,
    pub role: Role,
    /// A PIN is asked for with each answer.
    pub pin: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub serial: u64,
    pub good: bool,
    pub text: Name,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptView {
    pub receipt: Receipt,
    pub printed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    pub name: DeviceId,
    /// `scanner`, `scale`, `terminal`, `printer`, `vision`, `camera`, `display`, `light`.
    pub kind: String,
    pub up: bool,
    /// Why it is down, or what it wants: “paper out”.
    pub detail: Option<Name>,
}
