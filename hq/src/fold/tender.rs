//! What the journals say of every tender: asked for, and what stands.

use crate::db::{self, OptionalExtension as _, Transaction, params};
use crate::pay::order_no;
use crate::store::alarm;
use checkout::event::Event;
use checkout::tender::{Difference, TenderEvent, refund_of};
use checkout::words::{Money, TenderId};

/// An event this code does not know says nothing here; the event itself is kept.
///
/// # Errors
/// When the database cannot be written.
pub(super) fn fold(txn: &Transaction<'_>, box_id: &str, utc: i64, event: &str) -> db::Result<()> {
    let Ok(Event::Tender(event)) = serde_json::from_str(event) else { return Ok(()) };
    match event {
        TenderEvent::Started { tender, kind, amount, .. } => begun(txn, box_id, utc, &tender, kind.code(), amount),
        TenderEvent::Approved { tender, amount, .. } => stands(txn, box_id, utc, &tender, Some(amount)),
        TenderEvent::Resolved { tender, taken: true, amount, .. } => stands(txn, box_id, utc, &tender, amount),
        TenderEvent::LateApproved { tender, kind, amount, .. } => {
            begun(txn, box_id, utc, &tender, kind.code(), amount)?;
            stands(txn, box_id, utc, &tender, Some(amount))
        }
        TenderEvent::LateRefunded { tender, amount, .. } => {
            let (refund, amount) = (refund_of(&tender), Money::ZERO.minus(amount));
            let kind = "SELECT kind FROM tender_money WHERE box = ?1 AND tender = ?2";
            let kind: Option<String> =
                txn.prepare_cached(kind)?.query_row([box_id, &tender.0], |row| row.get(0)).optional()?;
            begun(txn, box_id, utc, &refund, kind.as_deref().unwrap_or("wallet"), amount)?;
            stands(txn, box_id, utc, &refund, Some(amount))
        }
        TenderEvent::TerminalChanged { device, terminal } => {
            alarm(txn, box_id, "terminal_changed", &format!("{device} answers as {terminal}"))
        }
        TenderEvent::TerminalClosed(closing) => {
            for difference in &closing.differences {
                let Difference { kind, tender, here, there } = difference;
                let tender = tender.as_ref().map(|tender| format!(", {tender}")).unwrap_or_default();
                let (device, kind) = (&closing.device, kind.name().en);
                let detail = format!("{device}: {kind}: journal {}, terminal {}{tender}", here.0, there.0);
                alarm(txn, box_id, "terminal_difference", &detail)?;
            }
            Ok(())
        }
        TenderEvent::CardAnswered { .. }
        | TenderEvent::Rounded { .. }
        | TenderEvent::SlipPrinted { .. }
        | TenderEvent::Declined { .. }
        | TenderEvent::InDoubt { .. }
        | TenderEvent::GivingUp { .. }
        | TenderEvent::HandedToStaff { .. }
        | TenderEvent::Resolved { .. }
        | TenderEvent::LateToStaff { .. }
        | TenderEvent::LateSettled { .. }
        | TenderEvent::TerminalAccepted { .. }
        | TenderEvent::TerminalOnline { .. }
        | TenderEvent::TerminalUsed { .. }
        | TenderEvent::TerminalSeen { .. } => Ok(()),
    }
}

fn begun(
    txn: &Transaction<'_>,
    box_id: &str,
    utc: i64,
    tender: &TenderId,
    kind: &str,
    amount: Money,
) -> db::Result<()> {
    txn.prepare_cached(
        "INSERT INTO tender_money (box, tender, order_no, kind, asked, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
    )?
    .execute(params![box_id, tender.0, order_no(box_id, tender), kind, amount.0, utc])?;
    Ok(())
}

/// `None`: all that was asked for.
fn stands(txn: &Transaction<'_>, box_id: &str, utc: i64, tender: &TenderId, amount: Option<Money>) -> db::Result<()> {
    txn.prepare_cached("UPDATE tender_money SET taken = coalesce(?3, asked), at = ?4 WHERE box = ?1 AND tender = ?2")?
        .execute(params![box_id, tender.0, amount.map(|amount| amount.0), utc])?;
    Ok(())
}
