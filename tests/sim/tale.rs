//! A failing seed told as a story: made as short as it can be and still fail, and said in the shop's words.

use crate::run::{self, Verdict};
use crate::script::{Act, Manner};
use crate::variant::Variant;
use checkout::basket::BasketEvent;
use checkout::device::TerminalCommand;
use checkout::event::{Event, Record};
use checkout::store::StoreEvent;
use checkout::tender::TenderEvent;
use checkout::words::DeviceId;

/// The fewest acts found that still fail, by leaving out ever smaller parts (delta debugging).
pub fn shrink(seed: u64, variant: Variant, script: &[Act]) -> Vec<Act> {
    let fails = |acts: &[Act]| matches!(run::run(seed, variant, acts), Ok(Verdict { wrong: Some(_), .. }));
    let mut acts = script.to_vec();
    let mut size = acts.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < acts.len() {
            let end = (at + size).min(acts.len());
            let mut fewer = acts.clone();
            fewer.drain(at..end);
            if fails(&fewer) {
                acts = fewer;
            } else {
                at = end;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    acts
}

/// The story of a seed that fails, as short as it gets, and how to hear it again.
pub fn story(seed: u64, variant: Variant, script: &[Act], wrong: &str) -> String {
    let acts = shrink(seed, variant, script);
    let lines = run::told(seed, variant, &acts).unwrap_or_else(|error| vec![format!("{error:#}")]);
    let (kept, all) = (acts.len(), script.len());
    format!(
        "seed {seed}: {wrong}\n\nIn short ({kept} of {all} acts):\n  {}\n\nAgain: make soak SEED={seed}\n",
        lines.join("\n  ")
    )
}

/// What a row of the journal says, where a shop would notice.
pub fn fact(record: &Record) -> Option<String> {
    let lane = record.lane.map_or(0, |lane| lane.0);
    if let Event::Tender(event) = &record.event {
        return tender(event).map(|said| format!("    lane {lane}: {said}"));
    }
    if let Event::Store(StoreEvent::Booted { boot, .. }) = &record.event {
        return Some(format!("the box starts, the {boot}. time"));
    }
    if let Event::Store(StoreEvent::EpochOpened { epoch, .. }) = &record.event {
        return Some(format!("epoch {epoch} is opened"));
    }
    if let Event::Basket(BasketEvent::Completed(sale)) = &record.event {
        let (sold, paid, receipt) = (&sale.transaction, money(sale.total.0), sale.receipt.0);
        return Some(format!("    lane {lane}: {sold} is sold for {paid}, receipt {receipt}"));
    }
    if let Event::Basket(BasketEvent::Voided { transaction, .. }) = &record.event {
        return Some(format!("    lane {lane}: {transaction} is given up"));
    }
    None
}

fn tender(event: &TenderEvent) -> Option<String> {
    Some(match event {
        TenderEvent::Started { tender, kind, amount, .. } => {
            format!("{tender} is on disk: {} by {}", money(amount.0), kind.code())
        }
        TenderEvent::Approved { tender, amount, .. } => format!("{tender} stands, {}", money(amount.0)),
        TenderEvent::Declined { tender, .. } => format!("{tender} is declined"),
        TenderEvent::InDoubt { tender, reason } => format!("{tender} is in doubt: {reason}"),
        TenderEvent::HandedToStaff { tender } => format!("{tender} is handed to staff"),
        TenderEvent::Resolved { tender, taken, .. } => format!("{tender}: staff say taken is {taken}"),
        TenderEvent::LateApproved { tender, amount, .. } => format!("{tender} was taken late, {}", money(amount.0)),
        TenderEvent::LateRefunded { tender, .. } => format!("{tender}, taken late, has gone back"),
        TenderEvent::LateSettled { tender, .. } => format!("{tender}, taken late, was given back by hand"),
        TenderEvent::LateToStaff { tender, .. } => format!("{tender}, taken late, is for staff to give back"),
        TenderEvent::CardAnswered { .. }
        | TenderEvent::Rounded { .. }
        | TenderEvent::GivingUp { .. }
        | TenderEvent::SlipPrinted { .. }
        | TenderEvent::TerminalUsed { .. }
        | TenderEvent::TerminalSeen { .. }
        | TenderEvent::TerminalChanged { .. }
        | TenderEvent::TerminalAccepted { .. }
        | TenderEvent::TerminalOnline { .. }
        | TenderEvent::TerminalClosed(_) => return None,
    })
}

/// What a terminal is told, and how it takes it.
pub fn told(device: &DeviceId, command: &TerminalCommand, manner: Option<Manner>) -> Option<String> {
    let what = match command {
        TerminalCommand::Authorise { amount, tender, .. } => format!("take {} for {tender}", money(amount.0)),
        TerminalCommand::Refund { amount, tender, .. } => format!("give {} back for {tender}", money(amount.0)),
        TerminalCommand::Reverse { of, tender, .. } => format!("cancel its receipt {} for {tender}", of.receipt),
        TerminalCommand::Acknowledge { tender } => format!("let {tender} stand"),
        TerminalCommand::Query { .. } | TerminalCommand::Abort { .. } | TerminalCommand::Service { .. } => return None,
    };
    let manner = manner.map(|manner| format!(" ({})", manner.name())).unwrap_or_default();
    Some(format!("    {device} is told to {what}{manner}"))
}

fn money(minor: i64) -> String {
    format!("{}{}.{:02}", if minor < 0 { "-" } else { "" }, minor.abs() / 100, minor.abs() % 100)
}
