//! A whole store and its headquarters in virtual time: the turn, the uplink and the ingest are the program's own, everything
//! else is a world that fails as one seed says. Afterwards money, receipts, points and rows must agree everywhere.

mod acts;
mod check;
#[path = "../disk/disk.rs"]
mod disk;
mod drive;
mod evil;
mod hq;
#[path = "../disk/inode.rs"]
mod inode;
#[path = "../disk/locks.rs"]
mod locks;
mod outside;
mod provider;
#[path = "../disk/random.rs"]
mod random;
mod run;
mod script;
mod shop;
mod sync;
mod tale;
mod terminal;
mod variant;
#[path = "../disk/vfs.rs"]
mod vfs;
mod world;

use e2e::document::Document;
use run::{Verdict, run};
use script::{network, script};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::scope;
use variant::Variant;

/// Stores of the suite; `AISLE_SEEDS` asks for others.
const SEEDS: u64 = 150;
/// Stores of the suite whose broker is evil.
const NETWORKS: u64 = 40;
/// Within so many each mistake must be caught.
const CAUGHT_WITHIN: u64 = 1_000;

#[test]
fn whatever_fails_money_receipts_points_and_rows_agree_everywhere() {
    if let Ok(seed) = std::env::var("AISLE_SEED") {
        let seed = seed.parse().expect("the number of a seed");
        println!("{}", story(seed));
        judged(seed);
        return;
    }
    let seeds = std::env::var("AISLE_SEEDS").map_or(SEEDS, |seeds| seeds.parse().expect("a number of seeds"));
    let next = AtomicU64::new(1);
    let worker = || {
        let mut counts = BTreeMap::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > seeds {
                return counts;
            }
            sum(&mut counts, judged(seed).counts);
        }
    };
    let counts = scope(|scope| {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(worker)).collect();
        let mut all = BTreeMap::new();
        workers.into_iter().for_each(|worker| sum(&mut all, worker.join().expect("told above")));
        all
    });
    println!("{seeds} stores\n{}", table(&counts));
    let count = |what: &str| counts.get(what).copied().unwrap_or(0);
    assert!(count("power cuts") > 8 * seeds && count("events") > 300 * seeds && count("sales") > 5 * seeds);
    for what in ["disks full", "messages dropped by the broker", "headquarters crashed before its commit"] {
        assert!(count(what) > 0, "{what}: never");
    }
}

fn judged(seed: u64) -> Verdict {
    let acts = script(seed);
    let verdict = run(seed, Variant::AsBuilt, &acts).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
    if let Some(wrong) = &verdict.wrong {
        panic!("{}", tale::story(seed, Variant::AsBuilt, &acts, wrong));
    }
    verdict
}

/// One seed, told line by line.
fn story(seed: u64) -> String {
    let told = run::told(seed, Variant::AsBuilt, &script(seed));
    told.unwrap_or_else(|error| panic!("seed {seed}: {error:#}")).join("\n")
}

#[test]
fn seven_mistakes_are_caught_and_told_in_short() {
    for variant in Variant::BROKEN {
        let caught = (1..=CAUGHT_WITHIN).find_map(|seed| {
            let verdict =
                run(seed, variant, &script(seed)).unwrap_or_else(|error| panic!("{variant:?}, {seed}: {error:#}"));
            Some((seed, verdict.wrong?))
        });
        let (seed, wrong) = caught.unwrap_or_else(|| panic!("{CAUGHT_WITHIN} seeds did not catch {variant:?}"));
        println!("{variant:?}: seed {seed}: {wrong}");
    }
}

#[test]
fn a_story_is_short_and_still_fails() {
    let variant = Variant::ChargesAgainAtBoot;
    let fails = |seed: &u64| run(*seed, variant, &script(*seed)).is_ok_and(|verdict| verdict.wrong.is_some());
    let seed = (1..=CAUGHT_WITHIN).find(fails).expect("caught, as the test above says");
    let acts = script(seed);
    let fewer = tale::shrink(seed, variant, &acts);
    let lines = run::told(seed, variant, &fewer).expect("a world runs");
    println!("{}", lines.join("\n"));
    assert!(fewer.len() <= 12 && acts.len() > 100, "{} of {} acts", fewer.len(), acts.len());
    assert!(run(seed, variant, &fewer).expect("a world runs").wrong.is_some());
    assert_eq!(run(seed, Variant::AsBuilt, &fewer).expect("a world runs").wrong, None, "the mistake is what fails");
}

#[test]
fn the_same_seed_is_the_same_story() {
    for seed in 1..=20 {
        let both = [(); 2].map(|()| run(seed, Variant::AsBuilt, &script(seed)).expect("a world runs"));
        let tales = [(); 2].map(|()| run::told(seed, Variant::AsBuilt, &script(seed)).expect("a world runs"));
        let parted = tales[0].iter().zip(&tales[1]).position(|(one, other)| one != other);
        assert_eq!(parted.map(|at| (&tales[0][at], &tales[1][at])), None, "seed {seed}");
        assert_eq!(both[0], both[1], "seed {seed}");
    }
}

/// `AISLE_NETWORKS` asks for others than the suite's; `AISLE_NETWORK` tells one.
#[test]
fn whatever_the_broker_does_to_messages_headquarters_ends_with_the_rows_of_the_box() {
    let asked = |name: &str| std::env::var(name).ok().map(|seed| seed.parse::<u64>().expect("a number"));
    let one = asked("AISLE_NETWORK");
    let seeds = one.map_or_else(|| 1..=asked("AISLE_NETWORKS").unwrap_or(NETWORKS), |seed| seed..=seed);
    let mut counts = BTreeMap::new();
    for seed in seeds.clone() {
        let verdict =
            run::with_memory(seed, &network(seed)).unwrap_or_else(|error| panic!("network {seed}: {error:#}"));
        if let Some(wrong) = verdict.wrong {
            let tale = run::told_with_memory(seed, &network(seed)).expect("a world runs");
            panic!("network {seed}: {wrong}\n{}", tale[tale.len().saturating_sub(60)..].join("\n"));
        }
        sum(&mut counts, verdict.counts);
    }
    println!("{} stores\n{}", seeds.clone().count(), table(&counts));
    for what in [
        "messages dropped by the broker",
        "messages doubled, the copy out of order",
        "messages held back while later ones passed",
        "messages rewritten by the broker",
        "old messages repeated by the broker",
        "garbage",
        "connections broken",
        "brokers restarted, with loss",
        "headquarters crashed before its commit",
    ] {
        assert!(one.is_some() || counts.get(what).is_some_and(|count| *count > 0), "{what}: never");
    }
}

/// Faults bring out what no quiet day does: gaps, new epochs, charges given up.
#[test]
fn what_a_box_and_headquarters_say_when_things_fail_is_in_the_document_too() {
    let mut document = Document::read().expect("the document");
    let mut count = 0;
    for (seed, acts) in (1..=8).flat_map(|seed| [(seed, script(seed)), (seed, network(seed))]) {
        for (topic, payload) in run::overheard(seed, &acts).expect("a world runs") {
            let judged = document.judge(&topic, &payload).map(str::to_owned);
            judged.unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
            count += 1;
        }
    }
    let unseen = document.unseen();
    println!("{count} messages; nothing was heard on {:?}, nobody said {unseen:?}", document.silent());
    for said in ["welcome.doc.verdict.new_epoch", "ack.expect", "ask.what.refund_wallet", "ask.what.reverse_wallet"] {
        assert!(!unseen.iter().any(|place| place == said), "nobody said {said}");
    }
}

fn sum(all: &mut BTreeMap<&'static str, u64>, part: BTreeMap<&'static str, u64>) {
    part.into_iter().for_each(|(what, count)| *all.entry(what).or_default() += count);
}

fn table(counts: &BTreeMap<&'static str, u64>) -> String {
    let rows: Vec<String> = counts.iter().map(|(what, count)| format!("{count:>12}  {what}")).collect();
    rows.join("\n")
}
