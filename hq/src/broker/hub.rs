//! Who is connected, who wants what, what is retained: one task owns it all.

use bytes::Bytes;
use rumqttc::{LastWill, Publish, QoS};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Above this many queued bytes for a client, publishers feel it: their PUBACK waits until the client was written to.
const QUEUE_SOFT: usize = 1024 * 1024;
/// Above this, messages for that client are dropped, as Mosquitto does above `max_queued_messages`.
const QUEUE_HARD: usize = 64 * 1024 * 1024;
const RETAINED_MAX: usize = 100_000;
const RETAINED_BYTES_MAX: usize = 64 * 1024 * 1024;

pub(super) enum Event {
    Connect {
        id: String,
        serial: u64,
        will: Option<LastWill>,
        outbox: Outbox,
    },
    Publish {
        publish: Publish,
        hold: Option<Arc<Hold>>,
    },
    Subscribe {
        id: String,
        serial: u64,
        filters: Vec<(String, QoS)>,
        /// The SUBACK, sent before the retained messages.
        pkid: u16,
    },
    Unsubscribe {
        id: String,
        serial: u64,
        filters: Vec<String>,
    },
    Gone {
        id: String,
        serial: u64,
        clean: bool,
    },
}

/// What a session writes to its client.
pub(super) enum Delivery {
    Publish {
        publish: Publish,
        /// Dropped once written.
        _hold: Option<Arc<Hold>>,
    },
    PubAck(u16),
    SubAck(u16, Vec<QoS>),
    UnsubAck(u16),
    PingResp,
    /// Another connection has taken this client's name.
    Close,
}

/// Sends the publisher its PUBACK when the last subscriber has been served, or at once when nobody is behind.
pub(super) struct Hold {
    pub(super) pkid: u16,
    pub(super) publisher: Outbox,
    pub(super) _permit: OwnedSemaphorePermit,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.publisher.send(Delivery::PubAck(self.pkid));
    }
}

/// A session's queue, bounded in bytes.
#[derive(Clone)]
pub(super) struct Outbox {
    queue: mpsc::UnboundedSender<Delivery>,
    bytes: Arc<AtomicUsize>,
}

impl Outbox {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Delivery>) {
        let (queue, deliveries) = mpsc::unbounded_channel();
        let bytes = Arc::new(AtomicUsize::new(0));
        (Self { queue, bytes }, deliveries)
    }

    pub(super) fn send(&self, delivery: Delivery) {
        let size = delivery.size();
        if self.bytes.load(Ordering::Relaxed) + size > QUEUE_HARD {
            tracing::debug!(size, "a client does not keep up: message dropped");
            return;
        }
        self.bytes.fetch_add(size, Ordering::Relaxed);
        // A closed queue is a session that is ending: the hub hears of it by `Gone`.
        let _ = self.queue.send(delivery);
    }

    pub(super) fn written(&self, delivery: &Delivery) {
        self.bytes.fetch_sub(delivery.size(), Ordering::Relaxed);
    }

    fn close(&self) {
        let _ = self.queue.send(Delivery::Close);
    }

    fn is_behind(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > QUEUE_SOFT
    }
}

impl Delivery {
    fn size(&self) -> usize {
        match self {
            Self::Publish { publish, .. } => 64 + publish.topic.len() + publish.payload.len(),
            Self::PubAck(_) | Self::SubAck(..) | Self::UnsubAck(_) | Self::PingResp | Self::Close => 16,
        }
    }
}

pub(super) async fn run(mut events: mpsc::Receiver<Event>) {
    let mut hub = Hub::default();
    while let Some(event) = events.recv().await {
        hub.handle(event);
    }
}

#[derive(Default)]
struct Hub {
    clients: BTreeMap<String, Client>,
    /// Filters without wildcards, to whom: nearly all of a fleet's.
    exact: BTreeMap<String, BTreeMap<String, QoS>>,
    retained: BTreeMap<String, (Bytes, QoS)>,
    retained_bytes: usize,
}

struct Client {
    serial: u64,
    will: Option<LastWill>,
    outbox: Outbox,
    exact: Vec<String>,
    wild: Vec<(String, QoS)>,
}

impl Hub {
    fn handle(&mut self, event: Event) {
        match event {
            Event::Connect { id, serial, will, outbox } => {
                // A second connection of the same client ends the first, whose will speaks before the newer birth.
                self.remove(&id, true);
                let client = Client { serial, will, outbox, exact: Vec::new(), wild: Vec::new() };
                self.clients.insert(id, client);
            }
            Event::Publish { publish, hold } => self.publish(publish, hold),
            Event::Subscribe { id, serial, filters, pkid } => self.subscribe(&id, serial, filters, pkid),
            Event::Unsubscribe { id, serial, filters } => self.unsubscribe(&id, serial, &filters),
            Event::Gone { id, serial, clean } => {
                if self.clients.get(&id).is_some_and(|client| client.serial == serial) {
                    self.remove(&id, !clean);
                }
            }
        }
    }

    fn remove(&mut self, id: &str, speak_will: bool) {
        let Some(client) = self.clients.remove(id) else {
            return;
        };
        client.outbox.close();
        for filter in &client.exact {
            self.drop_exact(filter, id);
        }
        let Some(will) = client.will.filter(|_| speak_will) else {
            return;
        };
        let mut publish = Publish::from_bytes(will.topic, will.qos, will.message);
        publish.retain = will.retain;
        self.publish(publish, None);
    }

    fn drop_exact(&mut self, filter: &str, id: &str) {
        if let Some(wanted_by) = self.exact.get_mut(filter) {
            wanted_by.remove(id);
            if wanted_by.is_empty() {
                self.exact.remove(filter);
            }
        }
    }

    fn publish(&mut self, publish: Publish, hold: Option<Arc<Hold>>) {
        if publish.retain {
            self.retain(&publish);
        }
        let exact = self.exact.get(&publish.topic).into_iter().flatten();
        let wild = self.clients.iter().filter_map(|(id, client)| {
            let granted = client.wild.iter().filter(|(filter, _)| matches(filter, &publish.topic));
            granted.map(|(_, qos)| *qos).reduce(higher).map(|qos| (id, qos))
        });
        let mut wanted_by: BTreeMap<&String, QoS> = wild.collect();
        for (id, qos) in exact {
            let best = wanted_by.get(id).map_or(*qos, |other| higher(*other, *qos));
            wanted_by.insert(id, best);
        }
        for (id, granted) in wanted_by {
            let Some(client) = self.clients.get(id) else {
                continue;
            };
            let mut copy = publish.clone();
            copy.retain = false;
            copy.dup = false;
            copy.qos = lower(publish.qos, granted);
            let hold = hold.clone().filter(|_| client.outbox.is_behind());
            client.outbox.send(Delivery::Publish { publish: copy, _hold: hold });
        }
    }

    fn retain(&mut self, publish: &Publish) {
        if let Some((old, _)) = self.retained.remove(&publish.topic) {
            self.retained_bytes -= old.len();
        }
        if publish.payload.is_empty() {
            return;
        }
        if self.retained.len() >= RETAINED_MAX || self.retained_bytes + publish.payload.len() > RETAINED_BYTES_MAX {
            tracing::warn!(topic = publish.topic, "no room for another retained message");
            return;
        }
        self.retained_bytes += publish.payload.len();
        // A copy: the payload is a slice of a read buffer that must not live as long.
        let payload = Bytes::copy_from_slice(&publish.payload);
        self.retained.insert(publish.topic.clone(), (payload, publish.qos));
    }

    fn subscribe(&mut self, id: &str, serial: u64, filters: Vec<(String, QoS)>, pkid: u16) {
        let Some(client) = self.clients.get_mut(id).filter(|client| client.serial == serial) else {
            return;
        };
        let granted = filters.iter().map(|(_, qos)| *qos).collect();
        client.outbox.send(Delivery::SubAck(pkid, granted));
        for (filter, qos) in filters {
            let is_wild = filter.contains(['+', '#']);
            if is_wild {
                client.wild.retain(|(known, _)| *known != filter);
                client.wild.push((filter.clone(), qos));
            } else {
                if !client.exact.contains(&filter) {
                    client.exact.push(filter.clone());
                }
                let wanted_by = self.exact.entry(filter.clone()).or_default();
                wanted_by.insert(id.to_owned(), qos);
            }
            let kept = self.retained.iter().filter(|(topic, _)| matches(&filter, topic));
            for (topic, (payload, kept_qos)) in kept {
                let mut publish = Publish::from_bytes(topic, lower(qos, *kept_qos), payload.clone());
                publish.retain = true;
                client.outbox.send(Delivery::Publish { publish, _hold: None });
            }
        }
    }

    fn unsubscribe(&mut self, id: &str, serial: u64, filters: &[String]) {
        let Some(client) = self.clients.get_mut(id).filter(|client| client.serial == serial) else {
            return;
        };
        client.wild.retain(|(known, _)| !filters.contains(known));
        client.exact.retain(|known| !filters.contains(known));
        for filter in filters {
            self.drop_exact(filter, id);
        }
    }
}

fn higher(a: QoS, b: QoS) -> QoS {
    if a > b { a } else { b }
}

fn lower(a: QoS, b: QoS) -> QoS {
    if a < b { a } else { b }
}

/// MQTT 3.1.1, 4.7: `+` one level, `#` the rest; topics that begin with `$` match no leading wildcard.
fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for part in filter.split('/') {
        match (part, levels.next()) {
            ("#", _) => return true,
            (_, None) => return false,
            ("+", Some(_)) => {}
            (part, Some(level)) if part == level => {}
            (_, Some(_)) => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn filters_match_as_the_standard_says() {
        assert!(matches("a/+/c", "a/b/c"));
        assert!(matches("a/#", "a"));
        assert!(matches("a/#", "a/b/c"));
        assert!(matches("#", "a/b"));
        assert!(matches("+/b", "店/b"));
        assert!(!matches("a/+", "a/b/c"));
        assert!(!matches("a/+", "a"));
        assert!(!matches("#", "$SYS/x"));
        assert!(!matches("a/b", "a"));
    }
}
