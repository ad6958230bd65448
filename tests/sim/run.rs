//! One seed, run and judged.

use crate::check::check;
use crate::hq::Template;
use crate::script::Act;
use crate::variant::Variant;
use crate::world::World;
use aisled::journal::Hash;
use anyhow::Result;
use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

static TEMPLATE: LazyLock<Mutex<Template>> =
    LazyLock::new(|| Mutex::new(Template::new().expect("tables can be made in memory")));

/// What one seed came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub wrong: Option<String>,
    pub counts: BTreeMap<&'static str, u64>,
    /// The chain over every row, and when the world ended: equal where everything was.
    pub trace: (Hash, u64),
}

pub fn run(seed: u64, variant: Variant, acts: &[Act]) -> Result<Verdict> {
    verdict(World::new(seed, variant, &TEMPLATE)?, acts)
}

/// With a broker that remembers what was said, and may say it again.
pub fn with_memory(seed: u64, acts: &[Act]) -> Result<Verdict> {
    let mut world = World::new(seed, Variant::AsBuilt, &TEMPLATE)?;
    world.out.overheard = Some(Vec::new());
    verdict(world, acts)
}

fn verdict(mut world: World, acts: &[Act]) -> Result<Verdict> {
    world.run(acts)?;
    if world.out.tampered {
        world.goes_on()?;
    }
    let wrong = check(&world)?.err();
    let out = &mut world.out;
    *out.counts.entry("events").or_default() += out.drive.book.head() + world.lost.len() as u64;
    for (what, count) in out.drive.figures() {
        *out.counts.entry(what).or_default() += count;
    }
    let sales = out.drive.book.records.iter().filter_map(crate::shop::sale);
    let (sales, split) =
        sales.fold((0, 0), |(sales, split), sale| (sales + 1, split + u64::from(sale.tenders.len() > 1)));
    *out.counts.entry("epochs opened").or_default() += out.drive.book.cursor.epoch - 1;
    *out.counts.entry("sales").or_default() += sales;
    *out.counts.entry("sales paid in parts").or_default() += split;
    *out.counts.entry("refunds and returns given by hand").or_default() += world.by_hand.len() as u64;
    let trace = (out.drive.book.hash(), out.clock);
    Ok(Verdict { wrong, counts: std::mem::take(&mut out.counts), trace })
}

/// What happened, line by line.
pub fn told(seed: u64, variant: Variant, acts: &[Act]) -> Result<Vec<String>> {
    tale(World::new(seed, variant, &TEMPLATE)?, acts)
}

pub fn told_with_memory(seed: u64, acts: &[Act]) -> Result<Vec<String>> {
    let mut world = World::new(seed, Variant::AsBuilt, &TEMPLATE)?;
    world.out.overheard = Some(Vec::new());
    tale(world, acts)
}

fn tale(mut world: World, acts: &[Act]) -> Result<Vec<String>> {
    world.out.tale = Some(Vec::new());
    world.run(acts)?;
    if world.out.tampered {
        world.goes_on()?;
    }
    let mut lines = world.out.tale.take().unwrap_or_default();
    lines.extend(check(&world)?.err().map(|wrong| format!("wrong: {wrong}")));
    Ok(lines)
}

/// Everything box and headquarters said.
pub fn overheard(seed: u64, acts: &[Act]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut world = World::new(seed, Variant::AsBuilt, &TEMPLATE)?;
    world.out.overheard = Some(Vec::new());
    world.run(acts)?;
    Ok(world.out.overheard.take().unwrap_or_default())
}
