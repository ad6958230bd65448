//! What devices say and are told, in the shop's words; `drivers` turns these into bytes.

use crate::face::{Consent, ErasureReceipt};
use crate::receipt::{Currency, Receipt, Slip};
use crate::words::{Attempt, Grams, Language, MemberId, Money, Name, TenderId, TransactionId, TruncatedPan, Utc};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Something a device reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceEvent {
    Scan(Scan),
    Weight(Weight),
    Terminal(TerminalEvent),
    Printer(PrinterEvent),
    Face {
        attempt: Attempt,
        event: FaceEvent,
    },
    /// Nothing of the member is left; the receipt where there was something.
    FaceErased {
        member: MemberId,
        receipt: Option<Box<ErasureReceipt>>,
    },
    /// How many members the camera knows, and whether it may search all of them for one face.
    Gallery {
        members: u32,
        whole: bool,
    },
    /// The line is open but the device behind it cannot work, or can again; `detail` is for pages.
    Health {
        ready: bool,
        detail: Name,
    },
}

/// Something a device is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceCommand {
    /// Sound and light of the scanner.
    Beep(Beep),
    /// Whether a scanner that is triggered by its host looks for symbols.
    Trigger(Trigger),
    /// What the customer display shows.
    Show(Box<Show>),
    Light(LaneLight),
    /// Answer with the next stable weight, or the reason there is none. A scale that computes prices does so
    /// from price per kilogram and tare; the others weigh what is on the plate.
    ReadWeight {
        unit_price: Money,
        tare: Grams,
    },
    Terminal(TerminalCommand),
    Print(Box<PrintJob>),
    Face(FaceCommand),
}

/// One decoded symbol as the scanner delivered it. May be a wallet code, so it never prints its data.
#[derive(Clone, PartialEq, Eq)]
pub struct Scan {
    /// AIM symbology identifier without `]`, such as `E0`, `C1`, `d2` (ISO/IEC 15424), where the scanner sends it.
    pub aim: Option<[u8; 2]>,
    /// Printable ASCII and GS (29); anything else was refused by the driver.
    pub data: Vec<u8>,
}

impl core::fmt::Debug for Scan {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Scan({} bytes)", self.data.len())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beep {
    Good,
    Bad,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    On,
    Off,
}

/// The light above a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneLight {
    Free,
    Busy,
    /// A person of the staff is wanted.
    Attention,
}

/// One picture of a customer display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Show {
    pub language: Language,
    pub currency: Currency,
    pub what: Shown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    Welcome {
        store: Name,
    },
    /// The last line of the basket, and what the basket comes to.
    Line {
        name: Name,
        price: Money,
        total: Money,
    },
    /// What is left to pay.
    Due {
        due: Money,
    },
    Paid {
        change: Money,
    },
}

/// A scale's answer. Only a stable weight can price anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    Stable(Grams),
    /// A scale that is approved to compute prices did so: net of its own tare.
    Priced {
        net: Grams,
        unit_price: Money,
        total: Money,
    },
    Fault(ScaleFault),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScaleFault {
    /// Still in motion when the time was up.
    Moving,
    Over,
    Negative,
    /// Nothing on the plate.
    Empty,
    /// Less on the plate than the scale may weigh.
    TooLight,
    /// What lies there was weighed already: the plate has to be cleared first.
    Unmoved,
    /// The scale says that it is broken or not calibrated.
    Defect,
    /// The scale wants its operator (outside zero, needs calibration, refused).
    Attention,
}

/// What a payment terminal reports about the attempt it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TerminalEvent {
    /// Text for the shopper: “insert card”, “enter PIN”.
    Progress { tender: TenderId, text: Name },
    /// The terminal's answer, not yet acknowledged to it: it takes the money back unless
    /// [`TerminalCommand::Acknowledge`] follows. Make it durable first.
    Answered { tender: TenderId, outcome: CardOutcome },
    /// The exchange is over; the terminal is free again.
    Finished { tender: TenderId },
    /// What the terminal remembers of its last payment, asked by [`TerminalCommand::Query`].
    Last { tender: TenderId, last: LastPayment },
    /// Lines it had printed after its answer: they belong on the receipt, too.
    Printed { tender: TenderId, lines: Vec<String> },
    /// What an end of day came to: payments less what went back, and how many where the terminal says it.
    Totals { tender: TenderId, total: Money, count: Option<u32> },
    /// A service is over; 0 is success, anything else the terminal's code.
    Serviced { tender: TenderId, service: TerminalService, code: u8 },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardOutcome {
    Approved(CardSlip),
    /// Result code of the terminal (ZVT BMP 27), 0 where it gave none.
    Declined {
        code: u8,
    },
}

/// What may be kept and printed of a card payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardSlip {
    /// Captured amount in minor units, as the terminal states it.
    pub amount: Money,
    /// Trace number of the terminal (ZVT BMP 0B).
    pub trace: u32,
    /// Receipt number of the terminal (ZVT BMP 87); 0 where it gave none.
    pub receipt: u32,
    pub terminal: String,
    pub pan: Option<TruncatedPan>,
    /// Card scheme as the terminal names it.
    pub scheme: String,
    /// How the terminal names the payment, where numbers do not say it; a reversal gives it back.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reference: String,
    /// Text the terminal requires on the receipt.
    pub text: Vec<String>,
    /// The terminal approved it by itself: its bank has not been asked yet.
    #[serde(default, skip_serializing_if = "is_online")]
    pub offline: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_online(offline: &bool) -> bool {
    !*offline
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastPayment {
    Approved(CardSlip),
    /// The last thing it did was not an approved payment.
    Nothing,
    /// It cannot say: a person must look at it.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TerminalCommand {
    /// Take `amount` (minor units) from a card. Given once per tender, never repeated.
    Authorise { tender: TenderId, amount: Money, at: Utc },
    /// Give `amount` back to a card; answered and acknowledged as a payment.
    Refund { tender: TenderId, amount: Money, at: Utc },
    /// Cancel the payment of that slip; answered and acknowledged as a payment.
    Reverse { tender: TenderId, of: Box<CardSlip>, at: Utc },
    /// The answer is on disk: let the payment stand.
    Acknowledge { tender: TenderId },
    /// What was your last payment? Moves no money.
    Query { tender: TenderId },
    /// Give up waiting for a card; the answer still comes as [`TerminalEvent::Answered`].
    Abort { tender: TenderId },
    /// A task of the terminal itself, under a name of the caller's choice.
    Service { tender: TenderId, service: TerminalService },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminalService {
    /// Is it ready? Moves nothing and needs no registration.
    Status,
    Diagnosis,
    /// Hands the day's payments to the bank and prints totals.
    EndOfDay,
    /// Prints the slip of the last payment again.
    Reprint,
    LogOff,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    Receipt(Receipt),
    Slip(Slip),
}

impl Document {
    /// What [`PrinterEvent::Printed`] names it by.
    #[must_use]
    pub const fn id(&self) -> &TransactionId {
        match self {
            Self::Receipt(receipt) => &receipt.transaction,
            Self::Slip(slip) => &slip.id,
        }
    }
}

/// One document on its way to paper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrintJob {
    pub document: Document,
    /// Open the cash drawer with it.
    pub drawer: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrinterEvent {
    /// The printer confirmed that the whole job is on paper.
    Printed {
        transaction: TransactionId,
    },
    PaperOut,
    PaperLow,
    CoverOpen,
    Ready,
}

/// What the vision process is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaceCommand {
    /// Open the camera, recognise whoever stands before it, close it.
    Recognise {
        attempt: Attempt,
        deadline_ms: u32,
        /// Only these members can be meant.
        among: Option<Vec<MemberId>>,
    },
    /// Stop looking.
    Cancel { attempt: Attempt },
    /// Open the camera and keep a template of whoever stands before it.
    Enrol { attempt: Attempt, member: MemberId, consent: Box<Consent>, deadline_ms: u32 },
    /// Destroy what consents given before that time allowed to be kept.
    Erase { member: MemberId, before: Utc },
}

/// What the vision process says about one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaceEvent {
    Guidance(FaceHint),
    Outcome(FaceOutcome),
    Enrolled { frames: u8 },
    EnrolRefused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaceHint {
    LookHere,
    ComeCloser,
    StepBack,
    OnePerson,
    HoldStill,
    MoreLight,
    LessLight,
    UncoverFace,
    TurnLeft,
    TurnRight,
}

/// The end of one attempt. A face identifies; it never pays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaceOutcome {
    /// `score_milli`: cosine similarity · 1000.
    Match {
        member: MemberId,
        score_milli: u16,
    },
    Ambiguous,
    NoMatch,
    NotLive,
    NoFace,
    TimedOut,
    /// No models, no camera, or the process is away.
    Unavailable,
}
