//! What holds for the documents headquarters signs, whatever their bytes: the bytes are JSON, as a signature opens it. The fuzz
//! target and the test suite call this same function.

use checkout::control::{Approval, Command, Desired, Reported, Verb};
use checkout::event::Record;
use checkout::facts::Facts;
use checkout::wire::{Ack, BatchHeader, Granted, Hello, Manifest, Renewal, Signed, Topics, Welcome, parse_topic};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub fn document(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    if let Some(header) = again::<BatchHeader>(text) {
        let line = serde_json::to_string(&header).expect("it is written");
        assert!(!line.contains('\n'), "a header is a line");
    }
    again::<Hello>(text);
    again::<Ack>(text);
    again::<Granted>(text);
    again::<Reported>(text);
    again::<Signed<Welcome>>(text);
    again::<Signed<Approval>>(text);
    again::<Signed<Desired>>(text);
    again::<Signed<Renewal>>(text);
    if let Some(signed) = again::<Signed<Manifest>>(text) {
        manifest(&signed.doc);
    }
    if let Some(signed) = again::<Signed<Command>>(text) {
        command(&signed.doc);
    }
    if let Ok(record) = serde_json::from_str::<Record>(text) {
        folded(&record);
    }
    if let Some((tenant, box_id, leaf)) = parse_topic(text) {
        assert_eq!(Topics::new(tenant, box_id).of(leaf), text, "a topic says one thing");
    }
}

/// What is read is written so that it is read as the same.
fn again<T: Serialize + DeserializeOwned + PartialEq + core::fmt::Debug>(text: &str) -> Option<T> {
    let read: T = serde_json::from_str(text).ok()?;
    let written = serde_json::to_string(&read).expect("it is written");
    assert_eq!(serde_json::from_str::<T>(&written).as_ref().ok(), Some(&read), "{written}");
    Some(read)
}

/// What two operators agree to is these rows: neither the name nor the version of them, nor who agreed before.
fn manifest(manifest: &Manifest) {
    let other = Manifest { name: "other".into(), version: 1, approvals: Vec::new(), ..manifest.clone() };
    assert_eq!(other.preimage(), manifest.preimage());
    let more = Manifest { rows: manifest.rows.wrapping_add(1), ..manifest.clone() };
    assert_ne!(more.preimage(), manifest.preimage());
}

/// What two operators agree to is this command of this box: no text in it passes for another line of it.
fn command(command: &Command) {
    let preimage = command.preimage("box-1");
    assert_eq!(preimage.lines().count(), 6, "{preimage}");
    assert_ne!(preimage, command.preimage("box-2"));
    let restart = Command { verb: Verb::Restart, ..command.clone() };
    assert_eq!(restart.preimage("box-1") == preimage, command.verb == Verb::Restart);
    assert!(command.verb.waits_for_idle() || !command.verb.wants_two(), "nothing dangerous in the middle of a sale");
}

/// A fact changes what it changes, whatever it says, and says it again when the journal is read back.
fn folded(record: &Record) {
    let (mut once, mut twice) = (Facts::default(), Facts::default());
    once.apply(record);
    twice.apply(record);
    assert_eq!(once, twice);
    assert!(once.control.open.len() <= 1 && once.control.ended.len() <= 1);
}
