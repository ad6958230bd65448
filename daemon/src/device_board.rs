//! How every device is, in the words of UnifiedPOS, for whoever looks: `aisled status`, `GET /api/devices`.

use checkout::device::DeviceEvent;
use checkout::words::{Attempt, DeviceId};
use drivers::vision::Preview;
use drivers::{Mirror, Spec};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
/// More than any device says that works.
const BYTES_A_SECOND: usize = 256 * 1024;
const EVENTS_A_SECOND: usize = 100;

/// One row a device. Ports write, pages read, nobody waits.
#[derive(Debug)]
pub struct Board {
    rows: watch::Sender<BTreeMap<DeviceId, PortHealth>>,
    /// The latest picture of each camera before which somebody enrols, and of which attempt; here and nowhere else.
    mirrors: watch::Sender<BTreeMap<DeviceId, (Attempt, Arc<Preview>)>>,
}

impl Default for Board {
    fn default() -> Self {
        Self { rows: watch::channel(BTreeMap::new()).0, mirrors: watch::channel(BTreeMap::new()).0 }
    }
}

impl Board {
    pub(crate) fn note(&self, device: &DeviceId, write: impl FnOnce(&mut PortHealth)) {
        self.rows.send_modify(|rows| match rows.get_mut(device) {
            Some(row) => write(row),
            None => write(rows.entry(device.clone()).or_default()),
        });
    }

    #[must_use]
    pub fn rows(&self) -> BTreeMap<DeviceId, PortHealth> {
        self.rows.borrow().clone()
    }

    pub(crate) fn mirror(&self, device: &DeviceId, mirror: Mirror) {
        self.mirrors.send_modify(|mirrors| match mirror {
            Mirror::Shows { attempt, preview } => drop(mirrors.insert(device.clone(), (attempt, Arc::new(preview)))),
            Mirror::Dark => drop(mirrors.remove(device)),
        });
    }

    /// What that camera sees of whoever enrols in that attempt.
    #[must_use]
    pub fn seen(&self, device: &DeviceId, attempt: Attempt) -> Option<Arc<Preview>> {
        let mirrors = self.mirrors.borrow();
        let (of, preview) = mirrors.get(device)?;
        (*of == attempt).then(|| Arc::clone(preview))
    }
}

/// UnifiedPOS 1.14, common properties: Claimed, DeviceEnabled, CheckHealthText, and the statistics of chapter 1.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PortHealth {
    pub driver: &'static str,
    pub link: String,
    pub model: Option<String>,
    /// What the driver can do.
    pub caps: Vec<String>,
    /// The line is ours.
    pub claimed: bool,
    /// It delivers: the line is open, and the device has not said that it cannot work.
    pub enabled: bool,
    pub health: String,
    /// When it last said something whole, in milliseconds since 1970.
    pub last_good: Option<u64>,
    pub statistics: Statistics,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Statistics {
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub frames: u64,
    pub errors: u64,
    pub restarts: u64,
}

impl PortHealth {
    pub(crate) fn opening(&mut self, spec: &Spec, link: &str, model: Option<String>) {
        self.driver = spec.name;
        link.clone_into(&mut self.link);
        self.model = model;
        self.caps = spec.caps.iter().map(|cap| format!("{cap:?}").to_lowercase()).collect();
        "opening".clone_into(&mut self.health);
    }

    pub(crate) fn opened(&mut self) {
        (self.claimed, self.enabled) = (true, true);
        "good".clone_into(&mut self.health);
    }

    pub(crate) fn failed(&mut self, reason: &str) {
        (self.claimed, self.enabled) = (false, false);
        reason.clone_into(&mut self.health);
        self.statistics.errors += 1;
        self.statistics.restarts += 1;
    }

    pub(crate) const fn heard(&mut self, count: usize) {
        self.statistics.bytes_in += count as u64;
    }

    pub(crate) const fn sent(&mut self, count: usize) {
        self.statistics.bytes_out += count as u64;
    }

    pub(crate) fn frames(&mut self, events: &[DeviceEvent]) {
        self.statistics.frames += events.len() as u64;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_good = u64::try_from(now.as_millis()).ok();
        for event in events {
            if let DeviceEvent::Health { ready, detail } = event {
                self.enabled = *ready;
                self.health = if *ready { "good".into() } else { detail.en.clone() };
            }
        }
    }
}

/// How fast a device talks.
#[derive(Debug)]
pub(crate) struct Pace {
    since: Instant,
    bytes: usize,
    events: usize,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), bytes: 0, events: 0 }
    }

    pub(crate) const fn bytes(&mut self, count: usize) {
        self.bytes += count;
    }

    pub(crate) const fn events(&mut self, count: usize) {
        self.events += count;
    }

    /// Until when nothing more is read of it.
    pub(crate) fn held_up(&mut self) -> Option<Instant> {
        if self.since.elapsed() >= SECOND {
            *self = Self::new();
        }
        let floods = self.bytes >= BYTES_A_SECOND || self.events >= EVENTS_A_SECOND;
        floods.then(|| self.since + SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flood_is_held_up_for_the_rest_of_its_second() {
        let mut pace = Pace::new();
        pace.events(EVENTS_A_SECOND - 1);
        assert_eq!(pace.held_up(), None);
        pace.bytes(BYTES_A_SECOND);
        let until = pace.held_up().expect("held up");
        tokio::time::sleep_until(until).await;
        assert_eq!(pace.held_up(), None);
    }
}
