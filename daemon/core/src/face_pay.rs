//! Paying by face: a face says who somebody may be, a second factor of that person says yes, headquarters charges the wallet.
//!
//! `recognised → name and amount shown → tap, PIN or phone → Started → asked of headquarters → Approved | Declined`. Two types keep
//! the halves apart: a [`Recognised`] comes of a camera and pays nothing; an [`Authorised`] comes of a `Recognised` and the factor
//! the shop's rules want for the amount, and only it is taken for a charge.
//!
//! ```compile_fail
//! use checkout::face_pay::{Authorised, Recognised};
//! fn charge(_: Authorised) {}
//! fn seen(face: Recognised) {
//!     charge(face);
//! }
//! ```
//!
//! Neither can be made outside this module:
//!
//! ```compile_fail
//! use checkout::face_pay::Authorised;
//! let forged = Authorised { ..panic!() };
//! ```
//!
//! Away from headquarters nothing is paid this way.

use crate::event::Event;
use crate::face::{AMONG_MAX, FaceRefused, FaceRules, Factor, TAIL_DIGITS};
use crate::member::MemberEvent;
use crate::page::{Attendant, Refused};
use crate::tender::{WALLET_ANSWER_MS, WalletLive};
use crate::turn::{Effect, Turn};
use crate::view::TenderKind;
use crate::wire::{Question, Said};
use crate::words::{Attempt, LaneId, MemberId, Money, Mono, Private};
use alloc::string::String;
use alloc::vec::Vec;

/// How long a recognised face may be followed by its second factor.
pub const CONFIRM_MS: u64 = 60_000;
/// A phone is given this long to say yes.
const PHONE_WAIT_MS: u32 = 60_000;
const PIN_DIGITS: core::ops::RangeInclusive<usize> = 4..=8;

/// Who a camera took somebody for. It authorises nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognised {
    member: MemberId,
    attempt: Attempt,
}

/// A member agreed, by the factor the shop's rules want, to pay this amount.
#[derive(Debug)]
pub struct Authorised {
    member: MemberId,
    attempt: Attempt,
    amount: Money,
    said: Said,
}

impl Recognised {
    pub(crate) const fn new(member: MemberId, attempt: Attempt) -> Self {
        Self { member, attempt }
    }

    /// Takes the second factor for `amount`.
    fn confirm(self, rules: &FaceRules, amount: Money, pin: Option<Private<String>>) -> Result<Authorised, Refused> {
        let said = match (rules.factor(amount), pin) {
            (Factor::Tap, _) => Said::Tap,
            (Factor::Phone, _) => Said::Phone,
            (Factor::Pin, Some(pin)) if is_pin(&pin.0) => Said::Pin(pin),
            (Factor::Pin, _) => return Err(Refused::Face(FaceRefused::PinNeeded)),
        };
        Ok(Authorised { member: self.member, attempt: self.attempt, amount, said })
    }
}

fn is_pin(text: &str) -> bool {
    PIN_DIGITS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A recognised face that waits for its second factor.
#[derive(Clone, Debug)]
pub(crate) struct Confirming {
    pub(crate) recognised: Recognised,
    pub(crate) until: Mono,
}

impl Confirming {
    pub(crate) const fn attempt(&self) -> Attempt {
        self.recognised.attempt
    }
}

impl Turn<'_> {
    /// Opens the camera to pay what is due.
    pub(crate) fn pay_by_face(
        &mut self,
        lane: LaneId,
        consent: String,
        tail: Option<Private<String>>,
    ) -> Result<(), Refused> {
        if !self.config.floor.face.pay || self.config.till.training {
            return Err(Refused::Face(FaceRefused::PayOff));
        }
        self.payable(lane)?;
        if !self.live.online {
            return Err(Refused::HqOffline);
        }
        // What was paid before has a member or none, and keeps it.
        if self.money_moves(lane) && self.open(lane).is_none_or(|open| open.member.is_none()) {
            return Err(Refused::Paying);
        }
        self.look(lane, consent, tail, true)
    }

    /// The members a shopper can be by the last digits of a telephone number: they narrow the search and prove nothing.
    pub(crate) fn among(&self, tail: Option<Private<String>>) -> Result<Option<Vec<MemberId>>, Refused> {
        let Some(Private(tail)) = tail else { return Ok(None) };
        if tail.len() != TAIL_DIGITS || !tail.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refused::Face(FaceRefused::Tail));
        }
        let among = self.catalog.members_by_tail(&tail);
        if among.is_empty() || among.len() > AMONG_MAX {
            Err(Refused::Face(FaceRefused::Tail))
        } else {
            Ok(Some(among))
        }
    }

    /// A face was recognised to pay: name and amount are shown, and nothing else happens before the second factor.
    pub(crate) fn ask_to_confirm(&mut self, lane: LaneId, recognised: Recognised) {
        let Ok(amount) = self.payable(lane) else { return };
        let factor = self.config.floor.face.factor(amount);
        let (attempt, member) = (recognised.attempt, recognised.member.clone());
        self.record(Some(lane), Event::Member(MemberEvent::FacePayAsked { attempt, member, amount, factor }));
        self.live.lane(lane).confirming = Some(Confirming { recognised, until: self.now.mono.plus_ms(CONFIRM_MS) });
    }

    /// The second factor, for the amount that was shown.
    pub(crate) fn confirm_face_pay(
        &mut self,
        lane: LaneId,
        attempt: Attempt,
        amount: Money,
        pin: Option<Private<String>>,
    ) -> Result<(), Refused> {
        let due = self.payable(lane)?;
        let waits = self.live.lane(lane).confirming.clone();
        let Some(Confirming { recognised, until }) = waits.filter(|waits| waits.attempt() == attempt) else {
            return Err(Refused::NothingHere);
        };
        let known = self.open(lane).and_then(|open| open.member.as_ref());
        let gone = until <= self.now.mono || known.is_none_or(|known| known.member != recognised.member);
        if gone {
            self.live.lane(lane).confirming = None;
            return Err(Refused::NothingHere);
        }
        if amount != due {
            return Err(Refused::Face(FaceRefused::AmountChanged));
        }
        if !self.live.online {
            return Err(Refused::HqOffline);
        }
        let authorised = recognised.confirm(&self.config.floor.face, amount, pin)?;
        self.live.lane(lane).confirming = None;
        self.charge_member(lane, authorised);
        Ok(())
    }

    /// Asks headquarters to charge the member's wallet: at most once, by the tender's id.
    fn charge_member(&mut self, lane: LaneId, authorised: Authorised) {
        let Authorised { member, attempt, amount, said } = authorised;
        let factor = said.factor();
        let tender = self.next_tender(lane);
        let confirmed = MemberEvent::FacePayConfirmed { attempt, tender, member: member.clone(), amount, factor };
        self.record(Some(lane), Event::Member(confirmed));
        let tender = self.start_tender(lane, TenderKind::MemberWallet, amount, None, None);
        let mono = self.now.mono;
        let live = self.live.lane(lane);
        live.tender_due = Some(mono.plus_ms(WALLET_ANSWER_MS));
        live.wallet = Some(WalletLive::new(mono));
        let currency = self.config.currency.code.clone();
        let what = Question::ChargeMember { tender, member, amount, currency, said };
        self.out.effects.push(Effect::Ask { wait_ms: PHONE_WAIT_MS, what });
    }

    /// Of the sale found the member says that somebody else paid: headquarters gives the money back first and asks later.
    pub(crate) fn dispute_face_pay(&mut self, lane: LaneId, by: &Attendant, reason: &str) -> Result<(), Refused> {
        let reason = crate::line::spoken(reason)?;
        let sold = self.live.lane(lane).found.clone().ok_or(Refused::NoSuchSale)?;
        let paid = |one: &&crate::sale::SaleTender| one.kind == TenderKind::MemberWallet && one.amount > Money::ZERO;
        let Some(paid) = sold.sale.tenders.iter().find(paid) else { return Err(Refused::NoSuchSale) };
        let (tender, amount, staff) = (paid.tender.clone(), paid.amount, by.staff.clone());
        self.record(Some(lane), Event::Member(MemberEvent::FacePayDisputed { tender, amount, staff, reason }));
        self.notice(lane, true, ("已登记争议，总部会先行赔付", "The dispute is on file: headquarters pays first"));
        Ok(())
    }

    pub(crate) fn confirm_tick(&mut self, lane: LaneId) {
        let now = self.now.mono;
        self.live.lane(lane).confirming.take_if(|waits| waits.until <= now);
    }
}
