//! Who is connected, who wants what, what is retained: one task owns it all.

use bytes::Bytes;
use rumqttc::{LastWill, Publish, QoS};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
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
    /// Filters without wildcards, to whom: nearly all of a fleet's, found by their topic.
    exact: Wanted,
    /// Filters with wildcards: a handful, each of them of one client or of all.
    wild: Wanted,
    retained: Retained,
    retained_bytes: usize,
}

/// Who wants what a filter lets through.
type Wanted = BTreeMap<String, BTreeMap<String, QoS>>;

struct Client {
    serial: u64,
    will: Option<LastWill>,
    outbox: Outbox,
    filters: BTreeSet<String>,
}

impl Hub {
    fn handle(&mut self, event: Event) {
        match event {
            Event::Connect { id, serial, will, outbox } => {
                // A second connection of the same client ends the first, whose will speaks before the newer birth.
                self.remove(&id, true);
                let client = Client { serial, will, outbox, filters: BTreeSet::new() };
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
        for filter in &client.filters {
            self.drop_filter(filter, id);
        }
        let Some(will) = client.will.filter(|_| speak_will) else {
            return;
        };
        let mut publish = Publish::from_bytes(will.topic, will.qos, will.message);
        publish.retain = will.retain;
        self.publish(publish, None);
    }

    fn of(&mut self, filter: &str) -> &mut Wanted {
        if is_wild(filter) { &mut self.wild } else { &mut self.exact }
    }

    fn drop_filter(&mut self, filter: &str, id: &str) {
        let wanted = self.of(filter);
        if let Some(wanted_by) = wanted.get_mut(filter) {
            wanted_by.remove(id);
            if wanted_by.is_empty() {
                wanted.remove(filter);
            }
        }
    }

    fn publish(&mut self, publish: Publish, hold: Option<Arc<Hold>>) {
        if publish.retain {
            self.retain(&publish);
        }
        let exact = self.exact.get(&publish.topic).into_iter();
        let wild = self.wild.iter().filter(|(filter, _)| matches(filter, &publish.topic)).map(|(_, by)| by);
        let mut wanted_by: BTreeMap<&String, QoS> = BTreeMap::new();
        for (id, qos) in exact.chain(wild).flatten() {
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
            client.filters.insert(filter.clone());
            for (topic, (payload, kept_qos)) in kept(&self.retained, &filter) {
                let mut publish = Publish::from_bytes(topic, lower(qos, *kept_qos), payload.clone());
                publish.retain = true;
                client.outbox.send(Delivery::Publish { publish, _hold: None });
            }
            let wanted = if is_wild(&filter) { &mut self.wild } else { &mut self.exact };
            wanted.entry(filter).or_default().insert(id.to_owned(), qos);
        }
    }

    fn unsubscribe(&mut self, id: &str, serial: u64, filters: &[String]) {
        let Some(client) = self.clients.get_mut(id).filter(|client| client.serial == serial) else {
            return;
        };
        client.filters.retain(|known| !filters.contains(known));
        for filter in filters {
            self.drop_filter(filter, id);
        }
    }
}

fn is_wild(filter: &str) -> bool {
    filter.contains(['+', '#'])
}

type Retained = BTreeMap<String, (Bytes, QoS)>;

/// Of a fleet's retained messages a subscriber wants a few: only those are looked at that begin as the filter does.
fn kept<'a>(retained: &'a Retained, filter: &'a str) -> impl Iterator<Item = (&'a String, &'a (Bytes, QoS))> {
    let begins = filter.split(['+', '#']).next().unwrap_or_default();
    // `a/#` takes `a` as well.
    let begins = if filter.ends_with("/#") { begins.trim_end_matches('/') } else { begins };
    let from = retained
        .range::<str, _>((Bound::Included(begins), Bound::Unbounded))
        .take_while(move |(topic, _)| topic.starts_with(begins));
    from.filter(move |(topic, _)| matches(filter, topic))
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
    use super::{QoS, kept, matches};
    use std::collections::BTreeMap;

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

    #[test]
    fn of_what_is_retained_a_filter_finds_all_it_matches_and_nothing_else() {
        let topics = ["a", "a/b", "a/b/c", "ab", "b/x", "$SYS/x"];
        let retained = topics.map(|topic| (topic.to_owned(), (bytes::Bytes::new(), QoS::AtMostOnce)));
        let retained: BTreeMap<_, _> = retained.into();
        for filter in ["a", "a/#", "a/+", "+/b", "#", "+", "a/b/c", "a/+/c", "$SYS/#", "c"] {
            let found: Vec<&str> = kept(&retained, filter).map(|(topic, _)| topic.as_str()).collect();
            let wanted: Vec<&str> =
                retained.keys().map(String::as_str).filter(|topic| matches(filter, topic)).collect();
            assert_eq!(found, wanted, "{filter}");
        }
    }
}
