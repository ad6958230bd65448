//! The pure store: no I/O, no clock, only what happened and what follows from it. Read this file first.
//!
//! [`Store::step`] takes an [`Input`], records [`Record`]s (facts, applied at once) and asks for [`Effect`]s.
//! The caller commits the records before it performs the effects; replaying them with [`Store::apply`] gives the same store.
#![forbid(unsafe_code)]
#![no_std]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::float_arithmetic)
)]

extern crate alloc;

pub mod allowance;
mod attend;
pub mod audit;
pub mod bagging;
pub mod basket;
pub mod bounds;
pub mod calendar;
pub mod camera;
pub mod catalog;
mod cheaper;
pub mod config;
pub mod control;
pub mod coupon;
pub mod device;
pub mod event;
pub mod face;
pub mod face_pay;
pub mod facts;
pub mod handover;
mod idle;
pub mod intervention;
pub mod lane;
pub mod line;
pub mod member;
pub mod page;
mod paper;
pub mod passing;
pub mod phone;
mod picture;
pub mod points;
pub mod policy;
pub mod price;
pub mod receipt;
pub mod recent;
pub mod refusal;
pub mod rescan;
pub mod returns;
pub mod rules;
pub mod sale;
pub mod scan;
pub mod shift;
mod sign;
pub mod store;
pub mod tender;
pub mod totals;
mod turn;
pub mod upkeep;
pub mod view;
pub mod weigh;
pub mod wire;
pub mod words;

pub use turn::{Effect, Input, Step};

use catalog::Catalog;
use config::StoreConfig;
use event::Record;
use facts::Facts;
use passing::Replayed;
use turn::{Live, Turn};
use words::{Mono, Now};

/// A whole store: what survives a power cut (`facts`) and what does not (`live`).
#[derive(Clone, Debug)]
pub struct Store {
    config: StoreConfig,
    facts: Facts,
    live: Live,
}

impl Store {
    /// A store before its journal is replayed.
    #[must_use]
    pub fn new(config: StoreConfig) -> Self {
        Self::from_snapshot(config, Facts::default())
    }

    /// A store as a snapshot of the fold left it.
    #[must_use]
    pub fn from_snapshot(config: StoreConfig, mut facts: Facts) -> Self {
        for lane in &config.lanes {
            facts.lane(lane.lane);
        }
        Self { config, facts, live: Live::default() }
    }

    /// Takes one input: facts into `out.events`, wishes into `out.effects`.
    pub fn step(&mut self, now: Now, input: Input, catalog: &dyn Catalog, out: &mut Step) {
        let Self { config, facts, live } = self;
        Turn { now, config, catalog, facts, live, out }.take(input);
    }

    /// Replay: total, without clock, lookup or failure.
    pub fn apply(&mut self, record: &Record) {
        self.facts.apply(record);
    }

    /// The same of rows of which some pass without a trace, see [`passing`].
    pub fn replay(&mut self, row: Replayed) {
        self.facts.replay(row);
    }

    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    #[must_use]
    pub const fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// When to be woken with [`Input::Tick`], and why.
    #[must_use]
    pub fn deadline(&self) -> Option<(Mono, &'static str)> {
        let late = self.live.late_due.map(|due| (due, "a late payment to give back"));
        let command = self.live.control.due.map(|due| (due, "a command that waits for an empty lane"));
        self.live.lanes.values().flat_map(turn::LaneLive::deadlines).chain(late).chain(command).min()
    }
}
