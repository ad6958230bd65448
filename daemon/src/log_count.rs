//! How often the log warned and failed since the start: what headquarters may know of it. Its lines stay on the box.

use std::sync::atomic::{AtomicU64, Ordering};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

static WARNED: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);

/// Counts what passes by.
#[derive(Clone, Copy, Debug)]
pub struct Counts;

impl<S: Subscriber> Layer<S> for Counts {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let counter = match *event.metadata().level() {
            Level::ERROR => &FAILED,
            Level::WARN => &WARNED,
            _ => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Warnings and errors.
#[must_use]
pub fn since_start() -> (u64, u64) {
    (WARNED.load(Ordering::Relaxed), FAILED.load(Ordering::Relaxed))
}
