//! The box's own troubles: a full disk, a wrong clock, a journal that lost rows.

use crate::common::{COLA, NOODLES, Till, config, in_chunks, scan, sold};
use checkout::event::{Event, Record};
use checkout::facts::Facts;
use checkout::page::{PageRequest, Refused, StaffRequest};
use checkout::returns::Sold;
use checkout::store::{HqInput, PortStatus, StoreEvent};
use checkout::upkeep::{BoxEvent, BoxInput, NUMBERS_SPARED, Restored, Room, Source};
use checkout::words::{LaneId, Money, Mono, Now, ReceiptNo, RequestId, Role, Utc};
use checkout::{Input, Step};

const YEAR_MS: i64 = 365 * 24 * 3_600_000;

/// A cash sale at the staffed lane.
fn sell(till: &mut Till, code: &str) -> Sold {
    till.take(scan(2, code));
    let due = till.lane(2).due;
    till.staff(2, StaffRequest::TakeCash { given: due, amount: None }).unwrap();
    till.last.events.iter().find_map(sold).expect("it is paid")
}

fn box_says(till: &mut Till, input: BoxInput) {
    till.take(Input::Box(input));
}

#[test]
fn on_a_full_disk_a_basket_already_begun_is_finished_and_none_is_begun() {
    let mut till = Till::open();
    till.take(scan(2, COLA));
    box_says(&mut till, BoxInput::Disk(Room::Full));
    till.take(scan(2, NOODLES));
    assert_eq!(till.lane(2).lines.len(), 2, "a begun basket grows");
    till.take(scan(1, COLA));
    assert!(till.last.events.is_empty(), "a basket that is not begun costs no room: {:?}", till.last.events);
    let notice = till.lane(1).notice.expect("the shopper is told");
    assert_eq!(notice.text, Refused::DiskFull.text());
    assert_eq!(till.press(1, PageRequest::Recognise { consent: "1".into(), tail: None }), Err(Refused::DiskFull));
    till.staff(2, StaffRequest::TakeCash { given: Money(650), amount: None }).unwrap();
    assert!(till.last.events.iter().any(|record| sold(record).is_some()));
    till.take(scan(2, COLA));
    assert!(till.lane(2).lines.is_empty() && till.store.view(&till.shelf).upkeep.disk_full);
    box_says(&mut till, BoxInput::Disk(Room::Enough));
    till.take(scan(2, COLA));
    assert_eq!(till.lane(2).lines.len(), 1);
}

#[test]
fn on_a_full_disk_no_face_is_enrolled_and_none_begins_a_basket() {
    let mut till = Till::open();
    box_says(&mut till, BoxInput::Disk(Room::Full));
    let pay = || PageRequest::PayByFace { consent: "1".into(), tail: None };
    assert_eq!(till.press(1, pay()), Err(Refused::DiskFull));
    let enrol = || StaffRequest::EnrolFace {
        text_version: "1".into(),
        text_sha256: "0".repeat(64),
        age: checkout::face::Age::FourteenOrOver,
        guardian: None,
        until_utc_ms: None,
    };
    assert_eq!(till.staff(1, enrol()), Err(Refused::DiskFull));
    assert_eq!(till.press(1, PageRequest::Badged { request: enrol() }), Err(Refused::DiskFull));
    assert!(till.last.events.is_empty(), "{:?}", till.last.events);
    box_says(&mut till, BoxInput::Disk(Room::Enough));
    assert_ne!(till.press(1, pay()), Err(Refused::DiskFull));
    assert_ne!(till.staff(1, enrol()), Err(Refused::DiskFull));
}

#[test]
fn where_room_is_short_telemetry_stops_first_and_everything_sells() {
    for (short, over) in [
        (BoxInput::Disk(Room::Low), BoxInput::Disk(Room::Enough)),
        (BoxInput::Wal { held: Some(1 << 26) }, BoxInput::Wal { held: None }),
    ] {
        let mut till = Till::open();
        let down = |till: &mut Till| {
            let status = PortStatus::Down { reason: "unplugged".into() };
            till.take(Input::Port { device: "scale-2".into(), status });
            let told = till.said(|event| matches!(event, Event::Store(StoreEvent::DeviceDown { .. })));
            till.take(Input::Port { device: "scale-2".into(), status: PortStatus::Up });
            told
        };
        assert!(down(&mut till));
        box_says(&mut till, short);
        assert_eq!(till.last.events.len(), 1, "told once: {:?}", till.last.events);
        assert!(!down(&mut till) && till.last.events.is_empty(), "{:?}", till.last.events);
        till.take(scan(2, "6900000000000"));
        assert!(till.last.events.is_empty(), "a code nobody knows costs no room: {:?}", till.last.events);
        assert!(till.lane(2).notice.is_some(), "and the lane says so all the same");
        assert_eq!(sell(&mut till, COLA).sale.receipt, ReceiptNo(1));
        box_says(&mut till, over);
        assert!(down(&mut till));
    }
}

/// The journal came from a dead box's disk, the goods did not.
#[test]
fn a_box_whose_goods_are_not_there_yet_says_so_and_shows_no_price_book() {
    let mut till = Till::open();
    let name = String::from("pb-1");
    till.take(Input::Hq(HqInput::Dataset { dataset: "catalogue".into(), version: 7, name }));
    assert_eq!(till.store.view(&till.shelf).datasets["catalogue"].version, 7);
    let items = core::mem::take(&mut till.shelf.items);
    let book = core::mem::replace(&mut till.shelf.book, "".into());
    assert!(till.store.view(&till.shelf).datasets.is_empty(), "what is not there is not in force");
    till.take(scan(2, COLA));
    let notice = till.lane(2).notice.unwrap();
    assert!(notice.text.en.contains("no goods yet") && notice.text.zh.contains("还没有商品资料"), "{:?}", notice.text);
    (till.shelf.items, till.shelf.book) = (items, book);
    till.take(scan(2, COLA));
    assert_eq!(till.lane(2).lines.len(), 1);
}

#[test]
fn after_rows_were_lost_numbers_go_on_behind_headquarters_and_without_it_far_behind_our_own() {
    let mut till = Till::open();
    assert_eq!(sell(&mut till, COLA).sale.receipt, ReceiptNo(1));
    let epoch = |epoch| Input::Hq(HqInput::NewEpoch { epoch, reason: "restored".into() });
    till.take(epoch(2));
    box_says(&mut till, BoxInput::Settled([(LaneId(2), ReceiptNo(57))].into()));
    assert_eq!(sell(&mut till, COLA).sale.receipt, ReceiptNo(58), "headquarters has seen 57");
    till.take(epoch(3));
    assert_eq!(sell(&mut till, COLA).sale.receipt, ReceiptNo(59 + NUMBERS_SPARED), "nobody knows what was given out");
    assert_eq!(sell(&mut till, COLA).sale.receipt, ReceiptNo(60 + NUMBERS_SPARED), "once is enough");
    box_says(&mut till, BoxInput::Settled([(LaneId(2), ReceiptNo(70))].into()));
    assert_eq!(sell(&mut till, COLA).sale.receipt, ReceiptNo(61 + NUMBERS_SPARED), "ours is the higher one");
}

#[test]
fn a_sale_headquarters_gives_back_counts_once_and_ends_the_basket_it_was() {
    let mut till = Till::open();
    sell(&mut till, COLA);
    till.take(scan(2, NOODLES));
    let mut copy = till.clone();
    // The box goes on, its disk dies, and it gets its copy back.
    till.staff(2, StaffRequest::TakeCash { given: Money(300), amount: None }).unwrap();
    let lost = till.last.events.iter().find_map(sold).unwrap();
    let whole = till.store.facts().clone();
    let reason = "the disk died".into();
    let restored =
        Restored { from: Source::Backup, journal: "j".into(), rows: 1, lost: Vec::new(), since: Utc(0), reason };
    copy.store.apply(&Record { utc: Utc(0), lane: None, event: Event::Box(BoxEvent::Restored(restored)) });
    let refill = BoxInput::Refill(vec![copy.shelf.sales[0].clone(), lost.clone()]);
    box_says(&mut copy, refill.clone());
    assert_eq!(copy.last.events.len(), 1, "what is here is not taken again: {:?}", copy.last.events);
    copy.shelf.sales.push(lost);
    box_says(&mut copy, refill);
    assert!(copy.last.events.is_empty());
    let facts = copy.store.facts();
    assert!(copy.lane(2).lines.is_empty(), "the basket was paid and cannot be paid again");
    assert_eq!((facts.perpetual_total, &facts.day), (whole.perpetual_total, &whole.day));
    box_says(&mut copy, BoxInput::Settled([(LaneId(2), ReceiptNo(2))].into()));
    assert_eq!(sell(&mut copy, COLA).sale.receipt, ReceiptNo(3));
    let known = copy.shelf.sales[0].clone();
    box_says(&mut copy, BoxInput::Refill(vec![known]));
    assert!(copy.last.events.is_empty(), "nobody asked");
}

#[test]
fn a_clock_ten_years_off_is_written_down_as_doubted_and_leaves_no_trace_when_it_is_right_again() {
    let mut till = Till::open();
    let before = till.store.facts().latest;
    let wrong = before.0 + 10 * YEAR_MS;
    let at = |till: &mut Till, utc: i64, input: Input| {
        till.clock += 10;
        till.last = Step::default();
        let now = Now { mono: Mono(till.clock), utc: Utc(utc), offset_min: 480 };
        till.store.step(now, input, &till.shelf, &mut till.last);
    };
    let clock = |doubt: Option<&str>| Input::Box(BoxInput::Clock { doubt: doubt.map(Into::into) });
    at(&mut till, wrong, clock(Some("ten years ahead")));
    assert!(till.said(|event| matches!(event, Event::Box(BoxEvent::ClockDoubted { .. }))));
    at(&mut till, wrong, clock(Some("ten years ahead")));
    assert!(till.last.events.is_empty(), "told once");
    at(&mut till, wrong, scan(2, COLA));
    assert!(till.last.events.iter().all(|record| record.utc.0 == wrong), "what the clock says, under that flag");
    assert_eq!(till.store.facts().latest, before);
    at(&mut till, before.0 + 60_000, clock(None));
    at(&mut till, before.0 + 60_000, scan(2, NOODLES));
    assert!(till.last.events.iter().all(|record| record.utc.0 == before.0 + 60_000));
    // Back in 1970: the last good time is the floor.
    at(&mut till, 0, clock(Some("1970")));
    at(&mut till, 0, scan(2, NOODLES));
    assert!(till.last.events.iter().all(|record| record.utc.0 == before.0 + 60_000));
    // The journal says the same.
    let mut facts = Facts::default();
    facts.apply(&Record {
        utc: Utc(wrong),
        lane: None,
        event: Event::Box(BoxEvent::ClockDoubted { reason: "x".into() }),
    });
    assert_eq!(facts.latest, Utc(0));
}

#[test]
fn a_basket_sold_by_a_doubted_clock_leaves_no_time_behind_however_the_journal_is_read_back() {
    let mut till = Till::open();
    let mut journal = till.journal.clone();
    let mut at = |till: &mut Till, utc: i64, input: Input| {
        till.clock += 10;
        till.last = Step::default();
        let now = Now { mono: Mono(till.clock), utc: Utc(utc), offset_min: 480 };
        till.store.step(now, input, &till.shelf, &mut till.last);
        journal.extend(till.last.events.iter().cloned());
    };
    let before = till.store.facts().latest;
    let wrong = before.0 + 10 * YEAR_MS;
    at(&mut till, wrong, Input::Box(BoxInput::Clock { doubt: Some("ten years ahead".into()) }));
    at(&mut till, wrong, scan(2, COLA));
    let due = till.lane(2).due;
    let pay = StaffRequest::TakeCash { given: due, amount: None };
    let what = PageRequest::Staff { staff: "s-1".into(), role: Role::Cashier, request: pay };
    at(&mut till, wrong, Input::Page { lane: LaneId(2), request: RequestId(1), what });
    let (facts, passed) = in_chunks(config(), &journal, usize::MAX);
    assert!(passed > 0, "the line is passed over");
    assert_eq!((facts.latest, &facts), (before, till.store.facts()));
}
