//! Everything fails at once, and the shop sells.

use anyhow::Result;
use e2e::chaos::{Plan, run};
use std::time::Duration;

/// A few seconds here, beside other tests, where times are told and not judged; `AISLE_CHAOS_MINUTES` gives it longer (`make chaos MINUTES=10`), `AISLE_CHAOS_SEED` repeats another run.
#[test]
fn a_shop_whose_devices_all_fail_sells_on_and_every_sum_agrees() -> Result<()> {
    let asked = |name: &str| std::env::var(name).ok();
    let minutes: Option<f64> = asked("AISLE_CHAOS_MINUTES").and_then(|minutes| minutes.parse().ok());
    let seed = asked("AISLE_CHAOS_SEED").and_then(|seed| seed.parse().ok()).unwrap_or(4);
    let quiet = Duration::from_secs(if minutes.is_some() { 30 } else { 5 });
    run(Plan { minutes: minutes.unwrap_or(0.4), quiet, seed, timed: minutes.is_some() })
}
