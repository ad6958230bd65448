//! A whole store in virtual time, with a power cut possible at every gap: money taken equals money charged,
//! every receipt number once, and what HQ acknowledged is what the box has. A store that performs effects before it commits is caught.

use crate::common::{COLA, MEMBER, NOODLES, PEARS, SPIRITS, Shelf, scan};
use crate::points;
use checkout::basket::BasketEvent;
use checkout::device::Weight;
use checkout::device::{
    CardOutcome, CardSlip, DeviceCommand, DeviceEvent, LastPayment, PrinterEvent, TerminalCommand, TerminalEvent,
};
use checkout::event::{Event, Record};
use checkout::page::{Method, PageRequest, StaffRequest};
use checkout::sale::Sale;
use checkout::store::{HqInput, PortStatus};
use checkout::tender::{TenderEvent, TenderState};
use checkout::view::{Phase, TenderKind};
use checkout::wire::{Answer, Question, WalletOutcome};
use checkout::words::{DeviceId, Grams, LaneId, LineNo, Money, Mono, Now, RequestId, Role, TenderId, Utc};
use checkout::{Effect, Input, Step, Store};
use std::collections::BTreeMap;

const SEEDS: u64 = 1_000;
const LANES: [u16; 2] = [1, 2];

#[test]
fn a_thousand_stores_with_power_cuts_take_exactly_the_money_they_record() {
    let mut cuts = 0;
    let mut sales = 0;
    let (mut split, mut given_back, mut burnt) = (0, 0, 0);
    for seed in 1..=SEEDS {
        let mut world = World::new(seed, Order::CommitFirst);
        world.trade(150);
        world.settle();
        world.check().unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        cuts += world.cuts;
        sales += world.terminal_money().1;
        split += world.journal.iter().filter_map(sale).filter(|sale| sale.tenders.len() > 1).count() as u64;
        given_back += u64::from(!world.by_hand.is_empty());
        burnt += world
            .journal
            .iter()
            .filter_map(sale)
            .filter_map(|sale| sale.points)
            .map(|points| points.burnt)
            .sum::<u64>();
    }
    assert!(split > SEEDS && given_back > 20, "{split} sales in parts, {given_back} stores gave money back");
    assert!(burnt > SEEDS, "{burnt} points burnt");
    println!("{SEEDS} stores, {cuts} power cuts, {sales} card payments captured");
    assert!(cuts > SEEDS && sales > SEEDS / 2, "the test must cut ({cuts}) and sell ({sales})");
}

#[test]
fn a_store_that_acts_before_it_commits_is_caught() {
    let caught = (1..=SEEDS).find(|seed| {
        let mut world = World::new(*seed, Order::EffectsFirst);
        world.trade(150);
        world.settle();
        world.check().is_err()
    });
    assert!(caught.is_some(), "{SEEDS} seeds did not catch a store that charges before it commits");
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    CommitFirst,
    EffectsFirst,
}

struct World {
    random: Random,
    order: Order,
    clock: u64,
    shelf: Shelf,
    store: Store,
    /// What is on disk.
    journal: Vec<Record>,
    /// What HQ has committed.
    at_hq: Vec<Record>,
    terminals: BTreeMap<DeviceId, Terminal>,
    wallets: BTreeMap<TenderId, Option<Money>>,
    /// Given back by a person, by kind.
    by_hand: BTreeMap<&'static str, i64>,
    queue: BTreeMap<(u64, u64), Input>,
    serial: u64,
    cuts: u64,
    calm: bool,
}

/// A terminal with a memory of its own.
#[derive(Default)]
struct Terminal {
    trace: u32,
    payments: Vec<Payment>,
}

struct Payment {
    tender: TenderId,
    slip: CardSlip,
    state: Captured,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Captured {
    Pending,
    Yes,
    TakenBack,
}

impl World {
    fn new(seed: u64, order: Order) -> Self {
        let mut world = Self {
            random: Random::new(seed),
            order,
            clock: 1_000,
            shelf: points::shelf(),
            store: Store::new(points::rules()),
            journal: Vec::new(),
            at_hq: Vec::new(),
            terminals: LANES.iter().map(|lane| (DeviceId(format!("terminal-{lane}")), Terminal::default())).collect(),
            wallets: BTreeMap::new(),
            by_hand: BTreeMap::new(),
            queue: BTreeMap::new(),
            serial: 0,
            cuts: 0,
            calm: false,
        };
        world.boot();
        world
    }

    fn trade(&mut self, actions: u32) {
        for _ in 0..actions {
            let input = self.shopper();
            self.turn(vec![input]);
            let until = self.clock + self.random.below(4_000);
            self.run_until(until);
        }
    }

    /// Everything works again: all that is in flight must come to an end.
    fn settle(&mut self) {
        self.calm = true;
        self.boot();
        for _ in 0..40 {
            self.run_until(self.clock + 20_000);
            self.staff_looks();
        }
        let at = self.clock;
        self.sync();
        self.run_until(at + 1_000);
    }

    fn run_until(&mut self, until: u64) {
        loop {
            let tick = self.store.deadline().map(|(at, _)| at.0);
            let next = self.queue.keys().next().map(|(at, _)| *at);
            let Some(at) = [tick, next].into_iter().flatten().min().filter(|at| *at <= until) else {
                break;
            };
            self.clock = self.clock.max(at);
            let mut inputs: Vec<Input> = Vec::new();
            if tick.is_some_and(|tick| tick <= self.clock) {
                inputs.push(Input::Tick);
            }
            while inputs.len() < 64
                && let Some(key) = self.queue.keys().next().copied().filter(|(at, _)| *at <= self.clock)
            {
                inputs.extend(self.queue.remove(&key));
            }
            self.turn(inputs);
        }
        self.clock = self.clock.max(until);
    }

    /// Drain, step each, commit, act; the power may go at each gap.
    fn turn(&mut self, inputs: Vec<Input>) {
        let mut step = Step::default();
        for input in inputs {
            self.store.step(self.now(), input, &self.shelf, &mut step);
        }
        let Step { events, effects } = step;
        if self.order == Order::EffectsFirst {
            for effect in effects.clone() {
                if self.cut() {
                    return;
                }
                self.perform(effect);
            }
        }
        if self.cut() {
            return;
        }
        self.journal.extend(events);
        if self.order == Order::CommitFirst {
            for effect in effects {
                if self.cut() {
                    return;
                }
                self.perform(effect);
            }
        }
        if self.random.one_in(4) {
            self.sync();
        }
        self.cut();
    }

    fn cut(&mut self) -> bool {
        if self.calm || !self.random.one_in(60) {
            return false;
        }
        self.cuts += 1;
        self.boot();
        true
    }

    fn boot(&mut self) {
        self.queue.clear();
        self.clock += 500 + self.random.below(5_000);
        for terminal in self.terminals.values_mut() {
            terminal.connection_lost();
        }
        let mut store = Store::new(points::rules());
        for record in &self.journal {
            store.apply(record);
        }
        self.store = store;
        self.later(0, Input::Boot { version: "test".into(), nonce: self.clock });
        for lane in LANES {
            for kind in ["scanner", "scale", "terminal", "printer"] {
                let delay = self.random.below(1_500);
                self.later(
                    1 + delay,
                    Input::Port { device: DeviceId(format!("{kind}-{lane}")), status: PortStatus::Up },
                );
            }
        }
        let delay = self.random.below(3_000);
        self.later(2 + delay, Input::Hq(HqInput::Online(true)));
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Device { device, command: DeviceCommand::Terminal(command) } => self.terminal(&device, command),
            Effect::Device { device, command: DeviceCommand::ReadWeight { .. } } => {
                let grams = Grams(100 + u32::try_from(self.random.below(2_000)).unwrap_or(0));
                self.later(300, Input::Device { device, event: DeviceEvent::Weight(Weight::Stable(grams)) });
            }
            Effect::Device { device, command: DeviceCommand::Print(job) } => {
                let transaction = job.document.id().clone();
                self.later(
                    700,
                    Input::Device { device, event: DeviceEvent::Printer(PrinterEvent::Printed { transaction }) },
                );
            }
            Effect::Device {
                command:
                    DeviceCommand::Beep(_)
                    | DeviceCommand::Trigger(_)
                    | DeviceCommand::Show(_)
                    | DeviceCommand::Light(_)
                    | DeviceCommand::Recognise { .. }
                    | DeviceCommand::CancelRecognise { .. },
                ..
            }
            | Effect::Reply { .. } => {}
            Effect::Ask { what, .. } => self.provider(what),
        }
    }

    fn terminal(&mut self, device: &DeviceId, command: TerminalCommand) {
        let (hang, luck, delay) =
            (!self.calm && self.random.one_in(12), self.random.below(10), 200 + self.random.below(3_000));
        let terminal = self.terminals.get_mut(device).expect("every terminal of the configuration exists");
        let mut events = Vec::new();
        match command {
            TerminalCommand::Authorise { tender, .. } if luck == 0 => {
                events.push(TerminalEvent::Answered {
                    tender: tender.clone(),
                    outcome: CardOutcome::Declined { code: 5 },
                });
            }
            // Approves, captures and never says so (seen on real terminals).
            TerminalCommand::Authorise { tender, amount, .. } if luck == 1 => {
                terminal.pay(tender.clone(), amount, Captured::Yes);
                events.push(TerminalEvent::Finished { tender });
            }
            TerminalCommand::Authorise { tender, amount, .. } => {
                let slip = terminal.pay(tender.clone(), amount, Captured::Pending);
                events.push(TerminalEvent::Answered { tender, outcome: CardOutcome::Approved(slip) });
            }
            TerminalCommand::Acknowledge { tender } => {
                terminal.acknowledged(&tender);
                events.push(TerminalEvent::Finished { tender });
            }
            TerminalCommand::Query { tender } => events.push(TerminalEvent::Last { tender, last: terminal.last() }),
            TerminalCommand::Abort { .. } => {}
            TerminalCommand::Refund { .. } | TerminalCommand::Reverse { .. } | TerminalCommand::Service { .. } => {
                unreachable!("the core gives no money back by card, and runs no services, by itself")
            }
        }
        if hang {
            // The line breaks before the answer: what was not acknowledged is taken back.
            terminal.connection_lost();
            let down = PortStatus::Down { reason: "hung up".into() };
            self.later(delay, Input::Port { device: device.clone(), status: down });
            self.later(delay + 1_500, Input::Port { device: device.clone(), status: PortStatus::Up });
            return;
        }
        for event in events {
            self.later(delay, Input::Device { device: device.clone(), event: DeviceEvent::Terminal(event) });
        }
    }

    /// The wallet provider behind HQ: at most one charge per tender, and a tender it has denied stays denied.
    fn provider(&mut self, what: Question) {
        let lost = !self.calm && self.random.one_in(5);
        let (tender, outcome) = match what {
            Question::AuthoriseWallet { tender, amount, .. } => {
                let taken = if self.random.one_in(6) { None } else { Some(amount) };
                let taken = *self.wallets.entry(tender.clone()).or_insert(taken);
                (tender, taken)
            }
            Question::QueryWallet { tender } => {
                let taken = *self.wallets.entry(tender.clone()).or_insert(None);
                (tender, taken)
            }
            Question::ClaimCoupon { .. } | Question::Chunk { .. } => return,
        };
        let outcome = match outcome {
            Some(amount) => WalletOutcome::Approved { amount, reference: "w".into() },
            None => WalletOutcome::NotFound,
        };
        if !lost {
            let delay = 100 + self.random.below(2_000);
            self.later(delay, Input::Hq(HqInput::Answer(Answer::Wallet { tender, outcome })));
        }
    }

    fn shopper(&mut self) -> Input {
        let lane = LANES[usize::from(self.random.one_in(2))];
        let code = [COLA, NOODLES, SPIRITS, PEARS, MEMBER, "135790246813579024", "4006381333931"][self.random.pick(7)];
        // Every other payment is for a part.
        let amount = self.random.one_in(2).then_some(Money(150));
        let what = match self.random.below(12) {
            0..=4 => return scan(lane, code),
            5 | 6 => PageRequest::Pay { method: Method::Card, amount },
            7 if self.random.one_in(3) => PageRequest::Pay { method: Method::Points, amount },
            7 => PageRequest::Pay { method: Method::Wallet, amount },
            8 if self.random.one_in(8) => {
                return self.staff(lane, StaffRequest::VoidTransaction { reason: "left".into() });
            }
            8 if self.random.one_in(4) => PageRequest::VoidTransaction {},
            8 => PageRequest::VoidLine { line: LineNo(1) },
            9 => PageRequest::SetQuantity { line: LineNo(1), quantity: 3 },
            10 => {
                return self.staff(lane, StaffRequest::TakeCash { given: Money(100_000), amount });
            }
            _ => {
                let asked = self.store.facts().interventions;
                return self
                    .staff(lane, StaffRequest::Answer { intervention: asked, approved: true, reason: String::new() });
            }
        };
        Input::Page { lane: LaneId(lane), request: RequestId(0), what }
    }

    fn staff(&self, lane: u16, request: StaffRequest) -> Input {
        let what = PageRequest::Staff { staff: checkout::words::StaffId("s-1".into()), role: Role::Cashier, request };
        Input::Page { lane: LaneId(lane), request: RequestId(0), what }
    }

    /// Where the machines could not tell, a person reads the terminal and says what it shows.
    fn staff_looks(&mut self) {
        for lane in LANES {
            let view = self.store.view(&self.shelf);
            let Some(found) = view.lanes.iter().find(|view| view.lane.0 == lane && view.phase == Phase::Staff) else {
                continue;
            };
            let Some((tender, kind, amount)) =
                found.tender.as_ref().and_then(|tender| Some((tender.tender.clone()?, tender.kind, tender.amount.0)))
            else {
                continue;
            };
            let refund = amount < 0;
            if refund {
                *self.by_hand.entry(name_of(kind)).or_default() -= amount;
            }
            let taken = refund || self.terminals.values().any(|terminal| terminal.took(&tender));
            let request =
                StaffRequest::ResolveTender { tender, taken, reason: "read at the terminal".into(), amount: None };
            let input = self.staff(lane, request);
            self.turn(vec![input]);
        }
    }

    /// Sends what HQ has not acknowledged; HQ keeps it once.
    fn sync(&mut self) {
        let acked = self.at_hq.len();
        self.at_hq.extend_from_slice(self.journal.get(acked..).unwrap_or_default());
    }

    fn check(&self) -> Result<(), String> {
        self.check_money()?;
        points::moved_once(&self.journal, self.store.facts())?;
        self.check_receipts()?;
        if self.at_hq != self.journal {
            return Err("HQ does not have what the box has".into());
        }
        let flying = self.store.facts().lanes.values().filter_map(|lane| lane.open.as_ref());
        let flying = flying
            .flat_map(|open| &open.tenders)
            .find(|tender| !matches!(tender.state, TenderState::Approved | TenderState::Declined));
        flying.map_or(Ok(()), |tender| Err(format!("{} never came to an end: {:?}", tender.id, tender.state)))
    }

    /// Per kind of tender: what was taken from shoppers equals what the journal says stands.
    fn check_money(&self) -> Result<(), String> {
        for sale in self.journal.iter().filter_map(sale) {
            let paid: i64 = sale.tenders.iter().map(|tender| tender.amount.0).sum();
            if paid != sale.total.0 + sale.rounding.0 {
                return Err(format!("{} sold for {} and paid with {paid}", sale.transaction, sale.total.0));
            }
        }
        let stands = self.stands();
        for record in &self.journal {
            let Event::Basket(BasketEvent::Voided { transaction, .. }) = &record.event else { continue };
            let of_it = stands.iter().filter(|(tender, _)| tender.transaction() == *transaction);
            let kept: i64 = of_it.map(|(_, (_, amount))| amount).sum();
            if kept != 0 {
                return Err(format!("{transaction} was given up and kept {kept}"));
            }
        }
        // What a person gave back is in the journal as a payment of a negative amount, and in no machine.
        let mut recorded = self.by_hand.clone();
        for (kind, amount) in stands.values() {
            *recorded.entry(name_of(*kind)).or_default() += amount;
        }
        let cards = recorded.get("card").copied().unwrap_or(0);
        let wallets = recorded.get("wallet").copied().unwrap_or(0);
        let provider: i64 = self.wallets.values().flatten().map(|amount| amount.0).sum();
        if cards != self.terminal_money().0 {
            return Err(format!("terminals took {} and the journal says {cards}", self.terminal_money().0));
        }
        if wallets != provider {
            return Err(format!("the provider took {provider} and the journal says {wallets}"));
        }
        Ok(())
    }

    /// Every payment the journal says stands, and for how much.
    fn stands(&self) -> BTreeMap<TenderId, (TenderKind, i64)> {
        let (mut asked, mut stands) = (BTreeMap::new(), BTreeMap::new());
        for record in &self.journal {
            let Event::Tender(event) = &record.event else { continue };
            match event {
                TenderEvent::Started { tender, kind, amount, .. } => drop(asked.insert(tender, (*kind, amount.0))),
                TenderEvent::Approved { tender, amount, .. } => {
                    stands.insert(tender.clone(), (asked[tender].0, amount.0));
                }
                TenderEvent::Resolved { tender, taken: true, amount, .. } => {
                    let (kind, all) = asked[tender];
                    stands.insert(tender.clone(), (kind, amount.map_or(all, |amount| amount.0)));
                }
                TenderEvent::CardAnswered { .. }
                | TenderEvent::Rounded { .. }
                | TenderEvent::Declined { .. }
                | TenderEvent::InDoubt { .. }
                | TenderEvent::HandedToStaff { .. }
                | TenderEvent::Resolved { .. }
                | TenderEvent::SlipPrinted { .. }
                | TenderEvent::TerminalSeen { .. } => {}
            }
        }
        stands
    }

    fn check_receipts(&self) -> Result<(), String> {
        for lane in LANES {
            let of_lane = self.journal.iter().filter(|record| record.lane == Some(LaneId(lane)));
            let numbers = of_lane.filter_map(sale).map(|sale| sale.receipt.0);
            if !numbers.eq(1..=self.store.facts().lanes[&LaneId(lane)].receipts) {
                return Err(format!("receipt numbers of lane {lane} have a gap or a double"));
            }
        }
        Ok(())
    }

    /// Captured money and how many payments it came from.
    fn terminal_money(&self) -> (i64, u64) {
        let captured = self
            .terminals
            .values()
            .flat_map(|terminal| &terminal.payments)
            .filter(|payment| payment.state == Captured::Yes);
        captured.fold((0, 0), |(sum, count), payment| (sum + payment.slip.amount.0, count + 1))
    }

    fn later(&mut self, delay: u64, input: Input) {
        self.serial += 1;
        self.queue.insert((self.clock + delay, self.serial), input);
    }

    fn now(&self) -> Now {
        Now {
            mono: Mono(self.clock),
            utc: Utc(1_790_000_000_000 + i64::try_from(self.clock).unwrap_or(0)),
            offset_min: 480,
        }
    }
}

impl Terminal {
    fn pay(&mut self, tender: TenderId, amount: Money, state: Captured) -> CardSlip {
        self.trace += 1;
        let slip = CardSlip {
            amount,
            trace: self.trace,
            receipt: self.trace,
            terminal: "52500038".into(),
            pan: None,
            scheme: "girocard".into(),
            reference: String::new(),
            text: Vec::new(),
        };
        self.payments.push(Payment { tender, slip: slip.clone(), state });
        slip
    }

    fn acknowledged(&mut self, tender: &TenderId) {
        for payment in
            self.payments.iter_mut().filter(|payment| payment.tender == *tender && payment.state == Captured::Pending)
        {
            payment.state = Captured::Yes;
        }
    }

    fn connection_lost(&mut self) {
        for payment in self.payments.iter_mut().filter(|payment| payment.state == Captured::Pending) {
            payment.state = Captured::TakenBack;
        }
    }

    fn last(&self) -> LastPayment {
        match self.payments.last() {
            Some(payment) if payment.state == Captured::Yes => LastPayment::Approved(payment.slip.clone()),
            Some(_) | None => LastPayment::Nothing,
        }
    }

    fn took(&self, tender: &TenderId) -> bool {
        self.payments.iter().any(|payment| payment.tender == *tender && payment.state == Captured::Yes)
    }
}

fn sale(record: &Record) -> Option<&Sale> {
    if let Event::Basket(BasketEvent::Completed(sale)) = &record.event { Some(sale) } else { None }
}

fn name_of(kind: TenderKind) -> &'static str {
    match kind {
        TenderKind::Card => "card",
        TenderKind::Cash => "cash",
        TenderKind::Wallet => "wallet",
        TenderKind::Points => "points",
    }
}

/// SplitMix64: one seed, one story.
pub struct Random(u64);

impl Random {
    /// Neighbouring seeds must not be neighbouring places of one sequence.
    pub fn new(seed: u64) -> Self {
        Self(Self(seed.wrapping_mul(0xD6E8_FEB8_6659_FD93)).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn pick(&mut self, n: u64) -> usize {
        usize::try_from(self.below(n)).expect("small")
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
