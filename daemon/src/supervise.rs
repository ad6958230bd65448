//! The one restart loop. Nothing else in the program retries; drivers never reconnect.

use anyhow::{Result, anyhow};
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(1);
/// A port that ran this long was well: its next restart is quick again.
const WELL: Duration = Duration::from_secs(30);

/// How long to wait before the next try: doubling, with full jitter so that a fleet does not return as one.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    most: Duration,
    jitter: bool,
    started: Instant,
}

impl Backoff {
    #[must_use]
    pub fn new(most: Duration, jitter: bool) -> Self {
        Self { next: FIRST, most, jitter, started: Instant::now() }
    }

    pub fn starting(&mut self) {
        self.started = Instant::now();
    }

    /// To be waited now.
    pub fn failed(&mut self) -> Duration {
        // Twice its longest wait is enough where that is short: a scanner that is pulled out now and then is back quickly.
        if self.started.elapsed() > WELL.min(self.most * 2) {
            self.next = FIRST;
        }
        let wait = self.next;
        self.next = (self.next * 2).min(self.most);
        if self.jitter { wait.mul_f64(0.1 + 0.9 * fraction()) } else { wait }
    }
}

/// Runs `port` once; a panic in it is an error like another, told without what it was holding.
///
/// # Errors
/// Whatever ended the port.
pub async fn guarded<T>(port: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(port).catch_unwind().await.unwrap_or_else(|_| Err(anyhow!("the port panicked")))
}

fn fraction() -> f64 {
    let mut byte = [0_u8];
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut byte);
    f64::from(byte[0]) / 255.0
}
