//! Payments headquarters charges: wallet codes and gift cards.
//!
//! The providers' rules: ask after five seconds and then every ten, give up after forty-five, never within fifteen of the
//! payment, and only after having asked. Until headquarters has said what became of it the lane takes no other payment.

use super::{DeclineReason, QUERY_AGAIN_MS, TenderEvent, TenderState, WALLET_ANSWER_MS};
use crate::event::Event;
use crate::page::Refused;
use crate::scan::WalletProvider;
use crate::turn::{Effect, Turn};
use crate::view::TenderKind;
use crate::wire::{Question, WalletOutcome};
use crate::words::{LaneId, Money, Mono, Name, Private, TenderId};
use alloc::string::String;

/// How long a shopper may take to confirm on the phone: then the payment is given up.
pub const WALLET_PENDING_MS: u64 = 45_000;
/// Providers refuse to take a payment back sooner.
pub const REVERSE_NOT_BEFORE_MS: u64 = 15_000;
/// Headquarters asks a provider on, for this long.
const HQ_WAIT_MS: u32 = 30_000;

/// A payment headquarters is working on, as far as this start knows.
#[derive(Clone, Debug)]
pub(crate) struct WalletLive {
    /// It may not be given up before.
    earliest: Mono,
    /// It is given up then.
    give_up: Mono,
    /// Asked, headquarters has said that it is not decided.
    undecided: bool,
}

impl WalletLive {
    pub(crate) const fn new(now: Mono) -> Self {
        Self { earliest: now.plus_ms(REVERSE_NOT_BEFORE_MS), give_up: now.plus_ms(WALLET_PENDING_MS), undecided: false }
    }

    pub(crate) const fn due(&self) -> Mono {
        self.give_up
    }
}

/// What a code is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    /// To pay so much.
    Pay(Money),
    /// To say what is left on a gift card.
    Balance,
}

impl Turn<'_> {
    /// A code was scanned while one was wanted.
    pub(crate) fn payment_code(&mut self, lane: LaneId, provider: WalletProvider, code: Private<String>) {
        match self.live.lane(lane).wants_code.take() {
            Some(Wants::Balance) if provider == WalletProvider::Gift => {
                let what = Question::GiftBalance { lane, code };
                self.out.effects.push(Effect::Ask { wait_ms: HQ_WAIT_MS, what });
            }
            Some(Wants::Balance) => self.notice(lane, false, ("这不是礼品卡", "That is no gift card")),
            wanted => self.pay_code(lane, wanted, provider, code),
        }
    }

    fn pay_code(&mut self, lane: LaneId, wanted: Option<Wants>, provider: WalletProvider, code: Private<String>) {
        let Ok(due) = self.payable(lane) else {
            return;
        };
        let amount = match wanted {
            Some(Wants::Pay(amount)) => amount.min(due),
            Some(Wants::Balance) | None => due,
        };
        let kind = if provider == WalletProvider::Gift { TenderKind::Gift } else { TenderKind::Wallet };
        let tender = self.start_tender(lane, kind, amount, None, None);
        let mono = self.now.mono;
        let live = self.live.lane(lane);
        live.tender_due = Some(mono.plus_ms(WALLET_ANSWER_MS));
        live.wallet = Some(WalletLive::new(mono));
        let currency = self.config.currency.code.clone();
        let what = Question::AuthoriseWallet { tender, amount, currency, provider, code };
        self.out.effects.push(Effect::Ask { wait_ms: HQ_WAIT_MS, what });
    }

    /// The next gift card shown says what is left on it.
    pub(crate) fn check_gift(&mut self, lane: LaneId) -> Result<(), Refused> {
        if !self.live.online {
            return Err(Refused::HqOffline);
        }
        if self.tender_in_flight(lane).is_some() {
            return Err(Refused::Paying);
        }
        self.live.lane(lane).wants_code = Some(Wants::Balance);
        self.notice(lane, true, ("请扫描礼品卡", "Please show the gift card to the scanner"));
        Ok(())
    }

    pub(crate) fn gift_balance(&mut self, lane: LaneId, balance: Option<Money>) {
        if self.config.lane(lane).is_none() {
            return;
        }
        let Some(balance) = balance else {
            return self.notice(lane, false, ("没有这张礼品卡", "There is no such gift card"));
        };
        let shown = self.config.currency.show(balance);
        let (zh, en) = (alloc::format!("礼品卡余额 {shown}"), alloc::format!("Left on the gift card: {shown}"));
        self.notice(lane, true, (&zh, &en));
    }

    pub(crate) fn wallet_answer(&mut self, tender: &TenderId, outcome: WalletOutcome) {
        if self.late_refund_answer(tender, &outcome) {
            return;
        }
        let found = self.lane_of_tender(tender).and_then(|lane| Some((lane, self.tender(lane, tender)?)));
        let Some((lane, found)) = found.filter(|(_, found)| !found.is_over()) else {
            return self.late_answer(tender, outcome);
        };
        let (asked, refund) = (found.amount, found.is_refund());
        match outcome {
            WalletOutcome::Approved { amount, reference } if refund => {
                self.refund_stands(lane, tender, amount, reference);
            }
            WalletOutcome::Declined { .. } | WalletOutcome::NotFound | WalletOutcome::Reversed if refund => {
                self.refund_declined(lane);
            }
            // Less than asked (too little on it) is kept; the rest is still due.
            WalletOutcome::Approved { amount, reference } if amount > Money::ZERO && amount <= asked => {
                self.approve(lane, tender, amount, reference, Money::ZERO);
                self.complete_if_paid(lane);
            }
            WalletOutcome::Approved { .. } => self.hand_to_staff(lane),
            WalletOutcome::Declined { reason } => self.decline(lane, tender, DeclineReason::Provider { reason }),
            WalletOutcome::NotFound => self.decline(lane, tender, DeclineReason::NotTaken),
            WalletOutcome::Reversed => self.decline(lane, tender, DeclineReason::TakenBack),
            WalletOutcome::Pending => self.wallet_pending(lane, refund),
        }
    }

    /// The first question five seconds after, then every ten.
    fn wallet_pending(&mut self, lane: LaneId, refund: bool) {
        let mono = self.now.mono;
        let live = self.live.lane(lane);
        let Some(wallet) = live.wallet.as_mut().filter(|_| !refund) else {
            live.query_due = Some(mono.plus_ms(QUERY_AGAIN_MS));
            live.tender_due = None;
            return;
        };
        let first = live.tender_due.is_some_and(|due| due < wallet.give_up);
        wallet.undecided |= !first;
        if first {
            // It has answered: from here on only the shopper is waited for.
            live.tender_due = Some(wallet.give_up);
            live.query_due = Some(mono.plus_ms(WALLET_ANSWER_MS));
        } else {
            live.query_due = Some(mono.plus_ms(QUERY_AGAIN_MS));
        }
        live.tender_text =
            Name { zh: "请在手机上输入支付密码".into(), en: "Please confirm on your phone".into() };
    }

    /// The shopper or staff backs out: it is given up as soon as the provider's rule allows.
    pub(super) fn give_up_early(&mut self, lane: LaneId) -> Result<(), Refused> {
        let mono = self.now.mono;
        let live = self.live.lane(lane);
        let wallet = live.wallet.as_mut().ok_or(Refused::Paying)?;
        wallet.give_up = wallet.earliest.max(mono);
        live.query_due = Some(mono);
        live.tender_text = Name { zh: "正在撤销付款".into(), en: "Giving the payment up".into() };
        Ok(())
    }

    /// Gives the payment up where its time has come; asked first, and again while nobody answers.
    pub(super) fn wallet_tick(&mut self, lane: LaneId) {
        let mono = self.now.mono;
        let online = self.live.online;
        let Some(wallet) = self.live.lane(lane).wallet.as_mut().filter(|wallet| wallet.give_up <= mono) else {
            return;
        };
        wallet.give_up = mono.plus_ms(QUERY_AGAIN_MS);
        let undecided = wallet.undecided;
        let in_flight = self.tender_in_flight(lane).filter(|tender| tender.kind.is_hq() && !tender.is_refund());
        let Some(tender) = in_flight.map(|tender| tender.id.clone()) else {
            self.live.lane(lane).wallet = None;
            return;
        };
        if !undecided || !online {
            return;
        }
        let known = self.tender(lane, &tender).is_some_and(|tender| tender.giving_up);
        if !known {
            self.record(Some(lane), Event::Tender(TenderEvent::GivingUp { tender: tender.clone() }));
        }
        self.out.effects.push(Effect::Ask { wait_ms: HQ_WAIT_MS, what: Question::ReverseWallet { tender } });
    }

    /// After a restart nothing is known of how long it has been: it is asked about before it is given up.
    pub(super) fn wallet_in_doubt(&mut self, lane: LaneId) {
        let mono = self.now.mono;
        let wanted = self
            .tender_in_flight(lane)
            .is_some_and(|tender| tender.kind.is_hq() && !tender.is_refund() && tender.state != TenderState::Answered);
        if wanted {
            self.live.lane(lane).wallet.get_or_insert(WalletLive::new(mono));
        }
    }
}
