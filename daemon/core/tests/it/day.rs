//! The scripted day: its reports are, to the cent, what independent books say (`tests/day`).

#[path = "../day/mod.rs"]
mod script;

use crate::common::in_chunks;
use checkout::Store;
use script::Day;

/// Kinds of things that must have been done, and how often at least: no change may silently lose one.
const KINDS: [(&str, usize); 47] = [
    ("sale", 1_700),
    ("member", 400),
    ("wallet", 200),
    ("split", 100),
    ("rounded", 100),
    ("refund", 50),
    ("refund rounded", 10),
    ("refund by hand", 20),
    ("refund in cash", 10),
    ("return", 100),
    ("return without receipt", 20),
    ("exchange", 50),
    ("void", 60),
    ("void after cash", 10),
    ("void after card", 10),
    ("void after points", 3),
    ("line void", 50),
    ("handed over", 300),
    ("suspended across a change", 3),
    ("left behind", 5),
    ("coupon redeemed", 100),
    ("coupon claimed", 100),
    ("coupon handed out", 50),
    ("coupon for the next visit redeemed", 30),
    ("coupon used", 5),
    ("coupon used elsewhere", 5),
    ("coupon over", 5),
    ("coupon under a lease", 8),
    ("lease exhausted", 5),
    ("forged coupon", 5),
    ("points earned", 300),
    ("points burnt", 50),
    ("points burnt offline", 5),
    ("points taken back", 20),
    ("points given back", 5),
    ("limited per member", 20),
    ("deposit", 200),
    ("bottle return", 50),
    ("serialised", 30),
    ("serial sold already", 5),
    ("recalled lot", 30),
    ("tare by staff", 50),
    ("tare by the catalogue", 50),
    ("priced by the scale", 50),
    ("labelled price", 50),
    ("price by hand", 50),
    ("X report", 10),
];
const QUESTIONS: [(&str, usize); 10] = [
    ("age yes", 50),
    ("age no", 10),
    ("limit yes", 3),
    ("limit no", 2),
    ("rescan", 50),
    ("paid in", 10),
    ("paid out", 10),
    ("drop", 10),
    ("no sale", 10),
    ("shift closed", 12),
];

#[test]
fn the_reports_of_two_thousand_baskets_are_what_independent_books_say() {
    let day = Day::whole(20_260_922);
    println!("{:#?}", day.did);
    for (kind, least) in KINDS.into_iter().chain(QUESTIONS) {
        let times = day.did.get(kind).copied().unwrap_or(0);
        assert!(times >= least, "{kind}: {times} times, {least} are wanted");
    }
    let mut replayed = Store::new(day.store.config().clone());
    day.journal.iter().for_each(|record| replayed.apply(record));
    assert_eq!(replayed.facts(), day.store.facts(), "the journal gives the same facts");
    for rows in [1, 7, 100, 2_048, usize::MAX] {
        let (facts, passed) = in_chunks(day.store.config().clone(), &day.journal, rows);
        assert_eq!(facts, *replayed.facts(), "chunks of {rows} rows");
        assert!(rows < 2_000 || passed > day.journal.len() / 10, "{passed} of {} rows passed over", day.journal.len());
    }
}

#[test]
fn a_day_is_the_same_for_the_same_seed() {
    let journal = || {
        let mut day = Day::open(7);
        (0..60).for_each(|_| day.next());
        (day.journal, day.published)
    };
    assert_eq!(journal(), journal());
}
