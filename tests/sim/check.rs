//! What must hold once everything has come to its end, worked out from the journal's rows and the memories of the machines.

use crate::outside::Outside;
use crate::shop::{BOX, CARD, LANES, POINTS, WALLETS, config, sale};
use crate::world::World;
use aisle_hq::pay::order_no;
use anyhow::Result;
use checkout::Store;
use checkout::basket::BasketEvent;
use checkout::event::{Event, Record};
use checkout::points::Points;
use checkout::sale::{Sale, SaleTender};
use checkout::store::StoreEvent;
use checkout::tender::{TenderEvent, TenderState, refund_of};
use checkout::upkeep::NUMBERS_SPARED;
use checkout::view::TenderKind;
use checkout::words::{LaneId, TenderId, TransactionId};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong, for a person.
type Checked = Result<(), String>;

pub fn check(world: &World) -> Result<Checked> {
    let out = &world.out;
    if let Some(wrong) = &out.wrong {
        return Ok(Err(wrong.clone()));
    }
    let Some(db) = out.hq.reader() else { return Ok(Err("headquarters does not come back".into())) };
    let all: Vec<&Record> = out.drive.book.records.iter().chain(&world.lost).collect();
    let machines = machines(out, &all);
    let checks = [
        folded(world),
        acknowledged(out, &all),
        money(world, &all, &machines),
        captured(world, &all, &machines),
        receipts(world),
        epochs(world, &all),
        once(&all),
        points(world),
        headquarters(world, db)?,
        private(world, db)?,
    ];
    Ok(checks.into_iter().collect())
}

/// By tender: what machines took, and gave back where negative.
type Machines = BTreeMap<TenderId, i64>;

fn machines(out: &Outside, all: &[&Record]) -> Machines {
    let mut moved: Machines = BTreeMap::new();
    for (tender, amount) in out.terminals.values().flat_map(|terminal| terminal.moved()) {
        *moved.entry(tender.clone()).or_default() += amount;
    }
    let mut names = BTreeMap::new();
    for record in all {
        if let Event::Tender(TenderEvent::Started { tender, .. }) = &record.event {
            for tender in [refund_of(tender), tender.clone()] {
                names.insert(order_no(BOX, &tender), tender);
            }
        }
    }
    for (order, amount) in out.hq.wallets.moved() {
        let tender = names.get(&order).cloned().unwrap_or_else(|| TenderId(format!("{order}, which no row names")));
        *moved.entry(tender).or_default() += amount;
    }
    moved
}

/// The store that runs is the one its rows fold to, read back as they were written.
fn folded(world: &World) -> Checked {
    let mut store = Store::new(config());
    for row in &world.out.drive.book.rows {
        let record = serde_json::from_str(&row.body).map_err(|error| format!("row {}: {error}", row.seq))?;
        store.apply(&record);
    }
    let facts = world.facts().ok_or("the box does not come back")?;
    if facts != store.facts() {
        return Err("the store that runs is not the one its journal folds to".into());
    }
    let sum: i64 = world.out.drive.book.records.iter().filter_map(sale).map(|sale| sale.total.0).sum();
    if facts.perpetual_total.0 != sum {
        return Err(format!("the perpetual total is {} and the sales come to {sum}", facts.perpetual_total.0));
    }
    let mut open = facts.lanes.values().filter_map(|lane| lane.open.as_ref()).flat_map(|open| &open.tenders);
    let flying = open.find(|tender| !matches!(tender.state, TenderState::Approved | TenderState::Declined));
    flying.map_or(Ok(()), |tender| Err(format!("{} never came to an end: {:?}", tender.id, tender.state)))
}

/// What was acknowledged to a terminal had been written down.
fn acknowledged(out: &Outside, all: &[&Record]) -> Checked {
    let mut answered = BTreeSet::new();
    for record in all {
        if let Event::Tender(TenderEvent::CardAnswered { tender, .. }) = &record.event {
            answered.insert(tender);
        }
    }
    let missing = out.acknowledged.iter().find(|tender| !answered.contains(tender));
    missing.map_or(Ok(()), |tender| Err(format!("{tender} was acknowledged to the terminal and is not in the journal")))
}

/// Every payment the journal says stands, and for how much.
fn stands(all: &[&Record]) -> BTreeMap<TenderId, (TenderKind, i64)> {
    let (mut asked, mut stands) = (BTreeMap::new(), BTreeMap::new());
    for record in all {
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
            TenderEvent::LateApproved { tender, kind, amount, .. } => {
                stands.insert(tender.clone(), (*kind, amount.0));
            }
            TenderEvent::LateRefunded { tender, amount, .. } => {
                let kind = stands.get(tender).map_or(TenderKind::Wallet, |(kind, _)| *kind);
                stands.insert(refund_of(tender), (kind, -amount.0));
            }
            TenderEvent::LateSettled { tender, .. } => {
                let (kind, amount) = stands.get(tender).copied().unwrap_or((TenderKind::Wallet, 0));
                stands.insert(refund_of(tender), (kind, -amount));
            }
            TenderEvent::CardAnswered { .. }
            | TenderEvent::Rounded { .. }
            | TenderEvent::Declined { .. }
            | TenderEvent::InDoubt { .. }
            | TenderEvent::GivingUp { .. }
            | TenderEvent::LateToStaff { .. }
            | TenderEvent::HandedToStaff { .. }
            | TenderEvent::Resolved { .. }
            | TenderEvent::SlipPrinted { .. }
            | TenderEvent::TerminalUsed { .. }
            | TenderEvent::TerminalSeen { .. }
            | TenderEvent::TerminalChanged { .. }
            | TenderEvent::TerminalAccepted { .. }
            | TenderEvent::TerminalOnline { .. }
            | TenderEvent::TerminalClosed(_) => {}
        }
    }
    stands
}

/// Tender by tender, machines moved what the journal says; and sales are paid, baskets given up are not.
fn money(world: &World, all: &[&Record], machines: &Machines) -> Checked {
    let stands = stands(all);
    let mut moved = machines.clone();
    for (tender, (_, amount)) in &world.by_hand {
        *moved.entry(tender.clone()).or_default() -= amount;
    }
    let booked = stands.iter().filter(|(_, (kind, _))| matches!(kind, TenderKind::Card | TenderKind::Wallet));
    let booked: BTreeMap<&TenderId, i64> = booked.map(|(tender, (_, amount))| (tender, *amount)).collect();
    for (tender, amount) in &moved {
        let said = booked.get(tender).copied().unwrap_or(0);
        if said != *amount {
            return Err(format!("{tender}: the machines moved {amount} and the journal says {said}"));
        }
    }
    if let Some((tender, said)) = booked.iter().find(|(tender, said)| **said != 0 && !moved.contains_key(**tender)) {
        return Err(format!("{tender}: the journal says {said} and no machine moved anything"));
    }
    for sale in all.iter().filter_map(|record| sale(record)) {
        let paid: i64 = sale.tenders.iter().map(|tender| tender.amount.0).sum();
        if paid != sale.total.0 + sale.rounding.0 {
            return Err(format!("{} sold for {} and paid with {paid}", sale.transaction, sale.total.0));
        }
    }
    for record in all {
        let Event::Basket(BasketEvent::Voided { transaction, .. }) = &record.event else { continue };
        let of_it = stands.iter().filter(|(tender, _)| tender.transaction() == *transaction);
        let kept: i64 = of_it.map(|(_, (_, amount))| amount).sum();
        if kept != 0 {
            return Err(format!("{transaction} was given up and kept {kept}"));
        }
    }
    Ok(())
}

/// P6: of no transaction more was captured and kept than it came to, with what the journal says of cash and points. A basket
/// that is given up after points went back for it is evened out by paying them.
fn captured(world: &World, all: &[&Record], machines: &Machines) -> Checked {
    let mut kept: BTreeMap<TransactionId, i64> = BTreeMap::new();
    for (tender, amount) in machines {
        *kept.entry(tender.transaction()).or_default() += amount;
    }
    for (tender, (_, amount)) in &world.by_hand {
        *kept.entry(tender.transaction()).or_default() -= amount;
    }
    for (tender, (kind, amount)) in stands(all) {
        if !matches!(kind, TenderKind::Card | TenderKind::Wallet) {
            *kept.entry(tender.transaction()).or_default() += amount;
        }
    }
    let sales = all.iter().filter_map(|record| sale(record));
    let due: BTreeMap<&TransactionId, i64> =
        sales.map(|sale| (&sale.transaction, sale.total.0 + sale.rounding.0)).collect();
    let open = world.facts().into_iter().flat_map(|facts| facts.lanes.values()).filter_map(|lane| lane.open.as_ref());
    let open: BTreeSet<&TransactionId> = open.map(|open| &open.id).collect();
    for (transaction, kept) in &kept {
        let most = due.get(transaction).copied().unwrap_or(0).max(0);
        if *kept > most && !open.contains(transaction) {
            return Err(format!("{transaction} comes to {most}, and {kept} was captured and kept"));
        }
    }
    Ok(())
}

/// Without a gap within an epoch. In a new one each lane leaves out the numbers that a lost disk may have given out, once: here
/// nobody asks headquarters which those were.
fn receipts(world: &World) -> Checked {
    for lane in LANES {
        let (mut last, mut spared) = (0, 0);
        for record in &world.out.drive.book.records {
            if matches!(&record.event, Event::Store(StoreEvent::EpochOpened { .. })) {
                spared = NUMBERS_SPARED;
            }
            let Some(sale) = sale(record).filter(|_| record.lane == Some(LaneId(lane))) else { continue };
            let number = sale.receipt.0;
            if number != last + spared + 1 {
                return Err(format!("receipt {number} of lane {lane} follows {last}, {spared} were to be left out"));
            }
            (last, spared) = (number, 0);
        }
    }
    Ok(())
}

/// A new epoch costs numbers and sends everything again: one for a disk that was put back. A later one may come from an epoch
/// that has been left: it is given the latest once more before headquarters sees that its past is another.
fn epochs(world: &World, all: &[&Record]) -> Checked {
    let opened = |record: &&&Record| matches!(&record.event, Event::Store(StoreEvent::EpochOpened { .. }));
    let (opened, restores) = (all.iter().filter(opened).count() as u64, world.restores);
    // Who rewrites or repeats what a box says can make headquarters see another past; that costs numbers, never rows.
    if opened > restores + restores.saturating_sub(1) && !world.out.tampered {
        return Err(format!("{opened} epochs were opened, and {restores} disks put back"));
    }
    Ok(())
}

/// One sale per transaction, and no coupon twice.
fn once(all: &[&Record]) -> Checked {
    let (mut sold, mut used) = (BTreeSet::new(), BTreeSet::new());
    for sale in all.iter().filter_map(|record| sale(record)) {
        if !sold.insert(&sale.transaction) {
            return Err(format!("{} was completed twice", sale.transaction));
        }
        for coupon in &sale.coupons {
            if !used.insert((&coupon.campaign, &coupon.serial)) {
                return Err(format!("coupon {} of {} was redeemed twice", coupon.serial, coupon.campaign));
            }
        }
    }
    Ok(())
}

/// Points move with sales only, each once, and nobody burns what is not there: neither what open baskets hold already, nor what
/// the own basket takes back. Goods that come back after what they earned was spent leave a debt.
fn points(world: &World) -> Checked {
    let before = i64::try_from(POINTS).unwrap_or(0);
    let (mut balance, mut held, mut left, mut of) = (before, Held::new(), Held::new(), BTreeMap::new());
    for record in &world.out.drive.book.records {
        if let Event::Tender(TenderEvent::Started { tender, of: Some(back), .. }) = &record.event {
            of.insert(tender, back);
        }
        if let Event::Tender(TenderEvent::Approved { tender, amount, points, .. }) = &record.event {
            let own = of.get(tender).is_none_or(|of| of.transaction() == tender.transaction());
            let points = i64::try_from(*points).unwrap_or(i64::MAX) * amount.0.signum();
            if points > 0 {
                let after = balance - held.values().sum::<i64>() - points;
                if after < 0 {
                    return Err(format!("{tender} burns {points} points, there are {balance} less {held:?}"));
                }
                left.insert(tender.transaction(), after);
            }
            *held.entry(tender.transaction()).or_default() += if own { points } else { 0 };
        }
        if let Event::Basket(BasketEvent::Voided { transaction, .. }) = &record.event {
            held.remove(transaction);
        }
        let Some(sale) = sale(record) else { continue };
        let taken: u64 = sale.points_back.iter().map(|back| back.taken).sum();
        if left.remove(&sale.transaction).is_some_and(|left| i64::try_from(taken).is_ok_and(|taken| taken > left)) {
            return Err(format!("{} burnt points that it took back itself", sale.transaction));
        }
        balance += settled(sale)?;
        held.remove(&sale.transaction);
    }
    let moved = world.facts().and_then(|facts| facts.points.0.get(&"m-1".into())).map_or(0, |moved| moved.change);
    if moved == balance - before { Ok(()) } else { Err(format!("the box moved {moved} points, its sales did not")) }
}

/// By transaction: points its open basket is paid with, or that were left then.
type Held = BTreeMap<TransactionId, i64>;

/// What a sale does to its member's points, having burnt what its tenders say and no more than goods that stay earned.
fn settled(sale: &Sale) -> Result<i64, String> {
    let signed = |tender: &SaleTender| i64::try_from(tender.points).unwrap_or(i64::MAX) * tender.amount.0.signum();
    let own = |of: &TenderId| of.transaction() == sale.transaction;
    let paid: i64 = sale.tenders.iter().filter(|tender| tender.of.as_ref().is_none_or(own)).map(signed).sum();
    let Points { earned, burnt, .. } = sale.points.unwrap_or_default();
    if i64::try_from(burnt) != Ok(paid) {
        return Err(format!("{} burnt {burnt} points and was paid with {paid}", sale.transaction));
    }
    Ok(i64::try_from(earned).unwrap_or(i64::MAX) + back(sale) - paid)
}

fn back(sale: &Sale) -> i64 {
    let signed = |points: u64| i64::try_from(points).unwrap_or(i64::MAX);
    sale.points_back.iter().map(|back| signed(back.given) - signed(back.taken)).sum()
}

/// Headquarters has the box's rows, each once, and the sales in them.
fn headquarters(world: &World, db: &Connection) -> Result<Checked> {
    let book = &world.out.drive.book;
    let (epoch, acked) = world.out.hq.committed;
    if (epoch, acked) != (book.cursor.epoch, book.head()) {
        let (ours, head) = (book.cursor.epoch, book.head());
        return Ok(Err(format!("headquarters has {acked} of epoch {epoch}, the box {head} of epoch {ours}")));
    }
    let mut rows = db.prepare("SELECT seq, body FROM journal_event WHERE box = ?1 AND epoch = ?2 ORDER BY seq")?;
    let mut rows = rows.query((BOX, epoch))?;
    let mut theirs: Vec<(u64, String)> = Vec::new();
    while let Some(row) = rows.next()? {
        theirs.push((row.get(0)?, row.get(1)?));
    }
    let alike =
        theirs.iter().zip(&book.rows).take_while(|(theirs, ours)| theirs.0 == ours.seq && theirs.1 == ours.body);
    let alike = alike.count();
    if (alike, theirs.len()) != (book.rows.len(), book.rows.len()) {
        let ours = book.rows.len();
        return Ok(Err(format!("headquarters has {} rows, the box {ours}, {alike} alike", theirs.len())));
    }
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    if count("SELECT count(*) FROM dead_letter")? != 0 {
        return Ok(Err("headquarters set a row aside".into()));
    }
    let total = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let sql = "SELECT count(*), coalesce(sum(total), 0) FROM sale WHERE transaction_id = ?1";
    let mut find = db.prepare(sql)?;
    for sale in book.records.iter().filter_map(sale) {
        if find.query_row([&sale.transaction.0], total)? != (1, sale.total.0) {
            return Ok(Err(format!("headquarters does not have {} once, for {}", sale.transaction, sale.total.0)));
        }
    }
    let (count, sum) = db.query_row("SELECT count(*), coalesce(sum(total), 0) FROM sale", [], total)?;
    let ours: Vec<i64> = book.records.iter().filter_map(sale).map(|sale| sale.total.0).collect();
    if world.restores == 0 && (usize::try_from(count)?, sum) != (ours.len(), ours.iter().sum()) {
        return Ok(Err(format!("headquarters counts {count} sales of {sum} that the box does not")));
    }
    Ok(Ok(()))
}

/// Nothing holds a card's number, or the code of a wallet.
fn private(world: &World, db: &Connection) -> Result<Checked> {
    for row in &world.out.drive.book.rows {
        if row.body.contains(CARD) || WALLETS.iter().any(|code| row.body.contains(code)) {
            return Ok(Err(format!("row {} holds the number of a card or a wallet's code", row.seq)));
        }
    }
    for (table, column) in [("alarm", "detail"), ("box", "devices"), ("payment", "reference")] {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE instr({column}, ?1) > 0)");
        if db.query_row(&sql, [CARD], |row| row.get(0))? {
            return Ok(Err(format!("headquarters holds the number of a card, in {table}")));
        }
    }
    Ok(Ok(()))
}
