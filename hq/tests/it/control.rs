use crate::operators::Desk;
use crate::support::{Journal, TestBox, becomes, config, count, db, hq};
use aisle_hq::Hq;
use aisle_hq::control::{Whom, command, desire, order, orders, ring, wanted};
use aisle_hq::sign::{Expected, verify};
use checkout::control::{Command, Desired, Verb};
use checkout::wire::Signed;
use serde::de::DeserializeOwned;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(1500);

fn opened<T: DeserializeOwned>(hq: &Hq, token: &[u8], box_id: &str, purpose: &str) -> Signed<T> {
    let expected = Expected { tenant: "demo", box_id, purpose, rev_seen: 0 };
    let signed = verify::<T>(std::str::from_utf8(token).unwrap(), &hq.public_key, expected).unwrap();
    assert_eq!(signed.box_id.as_deref(), Some(box_id), "it steers one box");
    signed
}

async fn heard(hq: &Hq, one: &mut TestBox) -> Signed<Command> {
    let token = one.hear("/cmd").await.expect("a command");
    opened(hq, &token, &one.id.clone(), "cmd")
}

fn said(journal: &mut Journal, event: &str) {
    journal.add(format!(r#"{{"utc":1790000000000,"event":{{"control":{event}}}}}"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_followed_to_its_end_and_what_was_missed_comes_with_the_welcome() {
    let desk = Desk::open();
    let hq = hq(&config(&desk.dir)).await;
    let (mut one, mut journal) = (TestBox::connect(&hq, "box-1").await, Journal::default());
    one.hello(&journal).await;
    let mut writer = desk.store().writer().unwrap();
    let li = desk.who("li");
    assert!(command(&mut writer, Some(&li), "box-9", Verb::Summary, 60).is_err(), "no such box");
    assert!(command(&mut writer, None, "box-1", Verb::Summary, 60).is_err(), "somebody asks");
    assert!(command(&mut writer, Some(&li), "box-1", Verb::Summary, 60 * 24 * 8).is_err(), "for ever");
    let first = command(&mut writer, Some(&li), "box-1", Verb::Summary, 60).unwrap();
    let signed = heard(&hq, &mut one).await;
    assert_eq!((signed.rev, &signed.doc.id, &signed.doc.verb), (1, &first.id, &Verb::Summary));

    // It was sent and nobody heard: it comes again with the next welcome, and a later one behind it.
    let second = command(&mut writer, Some(&li), "box-1", Verb::Identify, 60).unwrap();
    assert_eq!(heard(&hq, &mut one).await.rev, 2);
    one.hello(&journal).await;
    let again = [heard(&hq, &mut one).await, heard(&hq, &mut one).await];
    assert_eq!(again.map(|signed| (signed.rev, signed.doc.id)), [(1, first.id.clone()), (2, second.id.clone())]);

    said(
        &mut journal,
        &format!(r#"{{"command_received":{{"rev":1,"id":"{}","verb":"summary","expires":1}}}}"#, first.id),
    );
    said(&mut journal, r#"{"command_started":{"rev":1}}"#);
    said(&mut journal, r#"{"command_done":{"rev":1,"result":"all is well"}}"#);
    said(
        &mut journal,
        &format!(r#"{{"command_refused":{{"rev":1,"id":"{}","reason":"it was taken before"}}}}"#, first.id),
    );
    said(&mut journal, &format!(r#"{{"command_refused":{{"rev":2,"id":"{}","reason":"its clock"}}}}"#, second.id));
    said(&mut journal, r#"{"forged":{"reason":"on cmd: the signature is another's"}}"#);
    one.drain(&journal, 10).await;
    let state = |id: &str| order(&db(&desk.dir), id).map(|order| (order.state, order.said)).unwrap();
    assert_eq!(state(&first.id), ("done".into(), "all is well".into()), "what came first stands");
    assert_eq!(state(&second.id), ("refused".into(), "its clock".into()));
    let alarms = "SELECT count(*) FROM alarm WHERE kind IN ('forged', 'command_refused')";
    assert_eq!(count(&desk.dir, alarms), 1, "what headquarters said twice is no attack");
    said(&mut journal, r#"{"command_refused":{"rev":9,"id":"another","reason":"it was taken before"}}"#);
    one.drain(&journal, 10).await;
    assert_eq!(count(&desk.dir, alarms), 2);
    one.hello(&journal).await;
    assert!(one.hear_within("/cmd", SHORT).await.is_none(), "nothing is left to be sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dangerous_command_goes_out_with_two_signatures_or_not_at_all() {
    let desk = Desk::open();
    let hq = hq(&config(&desk.dir)).await;
    let (mut one, journal) = (TestBox::connect(&hq, "box-1").await, Journal::default());
    one.hello(&journal).await;
    let mut writer = desk.store().writer().unwrap();
    let asked = command(&mut writer, Some(&desk.who("li")), "box-1", Verb::Restart, 60).unwrap();
    assert_eq!(asked.state, "waiting");
    one.hello(&journal).await;
    assert!(one.hear_within("/cmd", SHORT).await.is_none(), "it waits for another");
    assert!(desk.approve("li", asked.approval.unwrap()).is_err());
    assert!(desk.approve("wang", asked.approval.unwrap()).unwrap());
    let signed = heard(&hq, &mut one).await;
    assert_eq!((signed.doc.id, signed.doc.approvals.len()), (asked.id, 2));
    let db = db(&desk.dir);
    db.execute("UPDATE command SET state = 'queued', expires = 1", []).unwrap();
    becomes(&desk.dir, "SELECT count(*) FROM command WHERE state = 'expired'", 1).await;
    assert!(orders(&db, Some("box-2")).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_s_boxes_find_their_configuration_retained_and_say_what_they_made_of_it() {
    let desk = Desk::open();
    let hq = hq(&config(&desk.dir)).await;
    let journal = Journal::default();
    let mut boxes = vec![TestBox::connect(&hq, "box-1").await, TestBox::connect(&hq, "box-2").await];
    for one in &mut boxes {
        one.hello(&journal).await;
        let topic = checkout::wire::Topics::new("demo", &one.id).of("desired");
        one.client.subscribe(topic, rumqttc::QoS::AtLeastOnce).await.unwrap();
    }
    let mut writer = desk.store().writer().unwrap();
    let li = desk.who("li");
    let first = Whom::Ring("first".into());
    assert!(desire(&mut writer, Some(&li), &first, "[till]\n").is_err(), "an empty ring");
    ring(&mut writer, Some(&li), "first", &["box-1".into(), "box-2".into()]).unwrap();
    assert!(desire(&mut writer, Some(&li), &first, "not toml").is_err());
    let rows = desire(&mut writer, Some(&li), &first, "[till]\nshifts = true\n").unwrap();
    assert_eq!(rows.iter().map(|row| (row.box_id.as_str(), row.rev)).collect::<Vec<_>>(), [("box-1", 1), ("box-2", 1)]);
    for one in &mut boxes {
        let token = one.hear("/desired").await.expect("a document");
        let signed = opened::<Desired>(&hq, &token, &one.id.clone(), "desired");
        assert_eq!((signed.rev, signed.doc.config.as_str()), (1, "[till]\nshifts = true\n"));
    }
    let told = serde_json::json!({"rev": 1, "hash": rows[0].hash, "state": "applied"});
    boxes[0].say("reported", told.to_string()).await;
    becomes(&desk.dir, "SELECT count(*) FROM box_config WHERE box = 'box-1'", 1).await;
    let rows = wanted(&db(&desk.dir)).unwrap();
    assert!(rows[0].reported.as_ref().is_some_and(|told| told.rev == 1) && rows[1].reported.is_none());

    desire(&mut writer, Some(&li), &Whom::Box("box-2".into()), "[till]\n").unwrap();
    let token = boxes[1].hear("/desired").await.expect("the next");
    assert_eq!(opened::<Desired>(&hq, &token, "box-2", "desired").rev, 2);
    assert!(boxes[0].hear_within("/desired", SHORT).await.is_none(), "the other box is left alone");
}
