//! What the contract asks of any broker, asked of ours.

use aisle_hq::Broker;
use rumqttc::{AsyncClient, Event, EventLoop, LastWill, MqttOptions, Packet, Publish, QoS};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);
const NEVER: Duration = Duration::from_millis(400);

async fn broker() -> Broker {
    Broker::start("127.0.0.1:0".parse().unwrap(), None).await.unwrap()
}

fn options(broker: &Broker, id: &str) -> MqttOptions {
    let mut options = MqttOptions::new(id, "127.0.0.1", broker.address.port());
    options.set_max_packet_size(140 * 1024, 140 * 1024);
    options
}

async fn connect(options: MqttOptions, filter: &str) -> (AsyncClient, EventLoop) {
    let (client, mut events) = AsyncClient::new(options, 100);
    client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
    until(&mut events, |packet| matches!(packet, Packet::SubAck(_))).await;
    (client, events)
}

async fn until(events: &mut EventLoop, wanted: impl Fn(&Packet) -> bool) {
    let found = async {
        loop {
            let event = events.poll().await.unwrap();
            if matches!(event, Event::Incoming(packet) if wanted(&packet)) {
                return;
            }
        }
    };
    timeout(SOON, found).await.unwrap();
}

async fn next(events: &mut EventLoop, patience: Duration) -> Option<Publish> {
    let found = async {
        loop {
            if let Event::Incoming(Packet::Publish(publish)) = events.poll().await.unwrap() {
                return publish;
            }
        }
    };
    timeout(patience, found).await.ok()
}

async fn say(client: &AsyncClient, events: &mut EventLoop, topic: &str, retain: bool, text: &str) {
    client.publish(topic, QoS::AtLeastOnce, retain, text).await.unwrap();
    until(events, |packet| matches!(packet, Packet::PubAck(_))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retained_messages_wait_are_replaced_and_are_cleared() {
    let broker = broker().await;
    let (speaker, mut events) = connect(options(&broker, "speaker"), "none").await;
    say(&speaker, &mut events, "r/店", true, "one").await;
    say(&speaker, &mut events, "r/店", true, "two").await;
    say(&speaker, &mut events, "r/not", false, "").await;
    let (_a, mut early) = connect(options(&broker, "a"), "r/+").await;
    let kept = next(&mut early, SOON).await.unwrap();
    assert_eq!((kept.retain, &kept.payload[..]), (true, &b"two"[..]));
    say(&speaker, &mut events, "r/店", true, "three").await;
    let live = next(&mut early, SOON).await.unwrap();
    assert_eq!((live.retain, &live.payload[..]), (false, &b"three"[..]));
    say(&speaker, &mut events, "r/店", true, "").await;
    let (_b, mut late) = connect(options(&broker, "b"), "r/#").await;
    assert!(next(&mut late, NEVER).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_will_speaks_for_the_lost_and_the_replaced_but_not_for_those_who_say_goodbye() {
    let broker = broker().await;
    let (_witness, mut heard) = connect(options(&broker, "witness"), "will/#").await;
    let with_will = |id: &str| {
        let mut with_will = options(&broker, id);
        with_will.set_last_will(LastWill::new(format!("will/{id}"), "gone", QoS::AtLeastOnce, true));
        with_will
    };
    drop(connect(with_will("lost"), "x").await);
    assert_eq!(next(&mut heard, SOON).await.unwrap().topic, "will/lost");

    let (polite, mut events) = connect(with_will("polite"), "x").await;
    polite.disconnect().await.unwrap();
    while events.poll().await.is_ok() {}
    assert!(next(&mut heard, NEVER).await.is_none());

    let (_old, mut old) = connect(with_will("twin"), "x").await;
    let (_new, mut new) = connect(with_will("twin"), "y").await;
    assert_eq!(next(&mut heard, SOON).await.unwrap().topic, "will/twin");
    let ended = timeout(SOON, async { while old.poll().await.is_ok() {} }).await;
    assert!(ended.is_ok(), "the old connection is closed");
    say(&_new, &mut new, "z", false, "still here").await;

    let (_late, mut late) = connect(options(&broker, "late"), "will/lost").await;
    assert!(next(&mut late, SOON).await.unwrap().retain);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_and_many_messages_arrive_in_order() {
    const SMALL: u32 = 50_000;
    let broker = broker().await;
    let (_reader, mut reader) = connect(options(&broker, "reader"), "m/#").await;
    let (speaker, mut events) = connect(options(&broker, "speaker"), "none").await;
    tokio::spawn(async move { while events.poll().await.is_ok() {} });
    tokio::spawn(async move {
        for number in 0..100_u8 {
            let payload = vec![number; 128 * 1024];
            speaker.publish("m/large", QoS::AtLeastOnce, false, payload).await.unwrap();
        }
        for number in 0..SMALL {
            speaker.publish("m/small", QoS::AtLeastOnce, false, number.to_le_bytes()).await.unwrap();
        }
        std::future::pending::<()>().await;
    });
    for number in 0..100_u8 {
        let large = next(&mut reader, SOON).await.unwrap();
        assert_eq!((large.payload.len(), large.payload[0]), (128 * 1024, number));
    }
    for number in 0..SMALL {
        let small = next(&mut reader, SOON).await.unwrap();
        assert_eq!(&small.payload[..], number.to_le_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rude_connections_end_and_others_do_not_notice() {
    let broker = broker().await;
    let mut rude = Vec::new();
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: a.browser.that.has.lost.its.way.example\r\nAccept: text/html\r\n\r\n"[..],
        &[0x10, 0xff, 0xff, 0xff, 0x7f],
        &[0x30, 0x03, 0x00, 0x01, b'a'],
        &[0xff; 64],
    ] {
        let mut stream = TcpStream::connect(broker.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        rude.push(stream);
    }
    let _silent = TcpStream::connect(broker.address).await.unwrap();
    let (speaker, mut events) = connect(options(&broker, "polite"), "p").await;
    say(&speaker, &mut events, "p", false, "x").await;
    for mut stream in rude {
        let mut rest = Vec::new();
        let closed = timeout(SOON, stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "closed by the broker");
    }
    let (big, mut ended) = connect(options(&broker, "big"), "p").await;
    let mut wide = options(&broker, "wide");
    wide.set_max_packet_size(1 << 20, 1 << 20);
    drop((big, ended));
    (_, ended) = {
        let (wide, events) = connect(wide, "q").await;
        wide.publish("p", QoS::AtLeastOnce, false, vec![0; 200 * 1024]).await.unwrap();
        (wide, events)
    };
    let closed = timeout(SOON, async { while ended.poll().await.is_ok() {} }).await;
    assert!(closed.is_ok(), "a packet above the limit ends the connection");
}
