//! What every row of the registry promises, whatever it speaks.
//!
//! A story (`testdata/<driver>/<story>.log`) is bytes from the device (`>`), commands (`!`), bytes we must send (`<`), time
//! that passes (`@ ms`) and, at the end, the events it yields (`=`). Bytes are hexadecimal pairs or quoted text.

use checkout::device::{
    Beep, CardOutcome, CardSlip, DeviceCommand, DeviceEvent, Document, FaceCommand, LaneLight, LastPayment, PrintJob,
    Show, Shown, TerminalCommand, TerminalEvent, TerminalService, Trigger, Weight,
};
use checkout::receipt::{Currency, Slip};
use checkout::words::{Attempt, Grams, LaneId, Language, Money, Mono, Name, Utc};
use drivers::sim::{SIMS, SimIn};
use drivers::story::Step as Told;
use drivers::{DRIVERS, Driver, In, Out, Spec};
use serde_json::{Value, json};
use std::path::PathBuf;

fn options(spec: &Spec) -> Value {
    let table: toml::Table = toml::from_str(spec.example).expect("an example that parses");
    assert_eq!(table["driver"].as_str(), Some(spec.name));
    assert!(table["name"].is_str() && table["link"].is_str());
    let options = table.get("options").cloned();
    serde_json::to_value(options.unwrap_or_else(|| toml::Table::new().into())).expect("JSON")
}

fn build(spec: &Spec) -> Box<dyn Driver> {
    (spec.build)(&options(spec)).expect("an example that builds")
}

#[test]
fn every_example_builds_and_no_unknown_option_is_swallowed() {
    for spec in DRIVERS {
        drop(build(spec));
        let same_name = DRIVERS.iter().filter(|other| other.name == spec.name);
        assert_eq!(same_name.count(), 1);
        let mut wrong = options(spec);
        wrong["no_such_option"] = json!(1);
        let refused = (spec.build)(&wrong).err().expect("a refusal");
        assert!(refused.contains("no_such_option"), "{}: {refused}", spec.name);
    }
}

#[test]
fn models_of_the_quirk_table_are_known_and_the_shops_own_options_go_before() {
    for spec in DRIVERS {
        for quirk in spec.quirks {
            let model = format!("{}0B6A", quirk.model.to_ascii_uppercase());
            let known = spec.options_for(Some(&model), &json!({}));
            assert!(known.as_object().is_some_and(|known| !known.is_empty()), "{}: {known}", quirk.model);
            assert!((spec.build)(&known).is_ok() && !quirk.why.is_empty(), "{}: {known}", quirk.model);
            for name in known.as_object().expect("options").keys() {
                let own = json!({ name: "of the shop" });
                assert_eq!(spec.options_for(Some(&model), &own)[name], "of the shop");
            }
            assert_eq!(spec.options_for(Some("ffff:0001"), &json!({})), json!({}), "another model has none of it");
        }
    }
}

#[test]
fn every_driver_stands_in_the_documents_with_a_link_to_copy() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/DRIVERS.md")).expect("text");
    for spec in DRIVERS.iter().filter(|spec| spec.name != "blueprint") {
        let name = format!("`{}`", spec.name);
        let rows = document.lines().filter(|line| line.starts_with("| ") && line.contains(&name));
        let rows: Vec<&str> = rows.collect();
        // What it is, how its line of configuration looks, and its stand-in's verbs.
        assert!(rows.len() >= 2, "{name} has {} rows", rows.len());
        let table: toml::Table = toml::from_str(spec.example).expect("an example that parses");
        let link = table["link"].as_str().expect("a link");
        assert!(rows.iter().any(|row| row.contains(&format!("`{link}`"))), "{name}: {link}");
    }
}

enum Step {
    Bytes(Vec<u8>),
    Command(Box<DeviceCommand>),
    Sends(Vec<u8>),
    Wait(u64),
}

struct Story {
    name: String,
    steps: Vec<Step>,
    events: Vec<String>,
    /// Other options than the example's, for stories whose bytes must not be sealed.
    options: Option<Value>,
}

impl Story {
    fn driver(&self, spec: &Spec) -> Box<dyn Driver> {
        let options = self.options.clone().unwrap_or_else(|| options(spec));
        (spec.build)(&options).expect("options that build")
    }
}

fn stories(spec: &Spec) -> Vec<Story> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(spec.name);
    let Ok(files) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    paths
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .map(|path| story(&path.display().to_string(), &std::fs::read_to_string(path).expect("text")))
        .collect()
}

fn story(name: &str, text: &str) -> Story {
    let told = drivers::story::parse(text).expect(name);
    let step = |step| match step {
        Told::Bytes(bytes) => Step::Bytes(bytes),
        Told::Sends(bytes) => Step::Sends(bytes),
        Told::Wait(ms) => Step::Wait(ms),
        Told::Command(words) => Step::Command(Box::new(command(&words))),
    };
    let options = text.lines().find_map(|line| line.strip_prefix("# options: "));
    Story {
        name: name.into(),
        steps: told.steps.into_iter().map(step).collect(),
        events: told.events,
        options: options.map(|options| serde_json::from_str(options).expect(name)),
    }
}

fn recognise(deadline_ms: u32) -> DeviceCommand {
    DeviceCommand::Face(FaceCommand::Recognise { attempt: Attempt(1), deadline_ms, among: None })
}

fn command(text: &str) -> DeviceCommand {
    let words: Vec<&str> = text.split(' ').collect();
    let tender = || words[1].into();
    match words[0] {
        "weigh" => DeviceCommand::ReadWeight { unit_price: Money::ZERO, tare: Grams(0) },
        "beep" if words[1] == "good" => DeviceCommand::Beep(Beep::Good),
        "beep" => DeviceCommand::Beep(Beep::Bad),
        "trigger" => DeviceCommand::Trigger(if words[1] == "on" { Trigger::On } else { Trigger::Off }),
        "recognise" => recognise(8_000),
        "authorise" => DeviceCommand::Terminal(TerminalCommand::Authorise {
            tender: tender(),
            amount: Money(words[2].parse().expect("an amount")),
            at: UTC,
        }),
        "acknowledge" => DeviceCommand::Terminal(TerminalCommand::Acknowledge { tender: tender() }),
        "refund" => DeviceCommand::Terminal(TerminalCommand::Refund {
            tender: tender(),
            amount: Money(words[2].parse().expect("an amount")),
            at: UTC,
        }),
        "reverse" => DeviceCommand::Terminal(TerminalCommand::Reverse {
            tender: tender(),
            of: Box::new(CardSlip {
                amount: Money(words[2].parse().expect("an amount")),
                trace: words[3].parse().expect("a trace number"),
                receipt: words[3].parse().expect("a receipt number"),
                terminal: String::new(),
                pan: None,
                scheme: String::new(),
                reference: words.get(4).copied().unwrap_or_default().into(),
                text: Vec::new(),
                offline: false,
            }),
            at: UTC,
        }),
        "service" => DeviceCommand::Terminal(TerminalCommand::Service { tender: tender(), service: service(words[2]) }),
        "query" => DeviceCommand::Terminal(TerminalCommand::Query { tender: tender() }),
        "abort" => DeviceCommand::Terminal(TerminalCommand::Abort { tender: tender() }),
        "show" => show(&words),
        "light" => DeviceCommand::Light(match words[1] {
            "free" => LaneLight::Free,
            "busy" => LaneLight::Busy,
            "attention" => LaneLight::Attention,
            _ => panic!("{text}"),
        }),
        _ => panic!("{text}"),
    }
}

fn show(words: &[&str]) -> DeviceCommand {
    let money = |at: usize| Money(words[at].parse().expect("an amount"));
    let name = |at: usize| Name { zh: words[at].into(), en: words[at].into() };
    let what = match words[1] {
        "welcome" => Shown::Welcome { store: name(2) },
        "line" => Shown::Line { name: name(2), price: money(3), total: money(4) },
        "due" => Shown::Due { due: money(2) },
        "paid" => Shown::Paid { change: money(2) },
        _ => panic!("{words:?}"),
    };
    let currency = Currency { code: "CNY".into(), numeric: 156, sign: "¥".into(), digits: 2 };
    DeviceCommand::Show(Box::new(Show { language: Language::Zh, currency, what }))
}

/// 2026-01-02 03:04:05.
const UTC: Utc = Utc(1_767_323_045_000);

fn service(name: &str) -> TerminalService {
    match name {
        "status" => TerminalService::Status,
        "diagnosis" => TerminalService::Diagnosis,
        "end-of-day" => TerminalService::EndOfDay,
        "reprint" => TerminalService::Reprint,
        "log-off" => TerminalService::LogOff,
        _ => panic!("{name}"),
    }
}

fn told(event: &DeviceEvent) -> String {
    match event {
        DeviceEvent::Scan(scan) => {
            let aim = scan.aim.map(|id| format!("]{} ", id.escape_ascii()));
            format!("scan {}{}", aim.unwrap_or_default(), scan.data.escape_ascii())
        }
        DeviceEvent::Weight(Weight::Stable(grams)) => format!("weight {} g", grams.0),
        DeviceEvent::Weight(Weight::Priced { net, unit_price, total }) => {
            format!("weight {} g at {} is {}", net.0, unit_price.0, total.0)
        }
        DeviceEvent::Weight(Weight::Fault(fault)) => format!("weight fault {fault:?}"),
        DeviceEvent::Terminal(event) => format!("terminal {}", terminal(event)),
        DeviceEvent::Printer(event) => format!("printer {event:?}"),
        DeviceEvent::Health { ready, detail } => format!("health {ready} {}", detail.en),
        DeviceEvent::Face { event, .. } => format!("face {event:?}"),
        DeviceEvent::FaceErased { member, receipt } => format!("erased {member} {}", receipt.is_some()),
        DeviceEvent::Gallery { members, whole } => format!("gallery {members} {whole}"),
    }
}

fn terminal(event: &TerminalEvent) -> String {
    match event {
        TerminalEvent::Progress { tender, text } => format!("progress {tender} {}", text.en),
        TerminalEvent::Answered { tender, outcome } => match outcome {
            CardOutcome::Approved(slip) => format!("approved {tender} {}", card(slip)),
            CardOutcome::Declined { code } => format!("declined {tender} {code}"),
        },
        TerminalEvent::Printed { tender, lines } => format!("printed {tender} {}", lines.join(" / ")),
        TerminalEvent::Serviced { tender, service, code } => format!("serviced {tender} {service:?} {code}"),
        TerminalEvent::Totals { tender, total, count } => format!("totals {tender} {} {count:?}", total.0),
        TerminalEvent::Finished { tender } => format!("finished {tender}"),
        TerminalEvent::Last { tender, last } => match last {
            LastPayment::Approved(slip) => format!("last {tender} approved {}", card(slip)),
            LastPayment::Nothing => format!("last {tender} nothing"),
            LastPayment::Unknown => format!("last {tender} unknown"),
        },
    }
}

fn card(slip: &CardSlip) -> String {
    let pan = slip.pan.as_ref().map_or("none", |pan| pan.as_str());
    format!(
        "{} trace {} receipt {} terminal {} card {pan} {}",
        slip.amount.0, slip.trace, slip.receipt, slip.terminal, slip.scheme
    )
}

/// Splits the device's bytes as the reader of a line might.
#[derive(Clone, Copy, Debug)]
enum Chunks {
    Whole,
    Single,
    Random(u64),
}

/// What came of a story: events in words, bytes sent.
fn play(driver: &mut dyn Driver, story: &Story, chunks: Chunks) -> (Vec<String>, Vec<u8>) {
    let (mut told_events, mut sent, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    let mut now = 1_000_000;
    let mut dice = Dice(match chunks {
        Chunks::Random(seed) => seed,
        Chunks::Whole | Chunks::Single => 1,
    });
    let mut take = |out: Out| {
        let logged = format!("{:?} {:?}", out.events, out.failed);
        assert!(!tells_card(&logged), "{}: {logged}", story.name);
        told_events.extend(out.events.iter().map(told));
        sent.extend(out.bytes);
        if out.failed.is_some() {
            told_events.push("failed".into());
        }
    };
    driver.handle(Mono(now), In::Opened, &mut Out::default());
    for step in &story.steps {
        let mut out = Out::default();
        match step {
            Step::Bytes(bytes) => {
                let mut rest = bytes.as_slice();
                while !rest.is_empty() {
                    let size = match chunks {
                        Chunks::Whole => rest.len(),
                        Chunks::Single => 1,
                        Chunks::Random(_) => dice.below(rest.len()) + 1,
                    };
                    driver.handle(Mono(now), In::Bytes(&rest[..size]), &mut out);
                    rest = &rest[size..];
                }
            }
            Step::Command(command) => driver.handle(Mono(now), In::Command(command), &mut out),
            Step::Wait(ms) => {
                now += ms;
                driver.handle(Mono(now), In::Timeout, &mut out);
            }
            Step::Sends(bytes) => expected.extend_from_slice(bytes),
        }
        take(out);
    }
    if !expected.is_empty() {
        assert_eq!(sent, expected, "{}", story.name);
    }
    (told_events, sent)
}

/// Whether a whole card number stands in `text` (ISO/IEC 7812-1).
fn tells_card(text: &str) -> bool {
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    text.split(|letter: char| !letter.is_ascii_digit()).any(|run| {
        let digits: Vec<u32> = run.chars().filter_map(|digit| digit.to_digit(10)).collect();
        let weighed =
            digits.iter().rev().enumerate().map(|(at, digit)| if at % 2 == 1 { doubled(*digit) } else { *digit });
        (15..=19).contains(&digits.len()) && (3..=6).contains(&digits[0]) && weighed.sum::<u32>() % 10 == 0
    })
}

#[test]
fn a_card_number_would_be_noticed() {
    assert!(tells_card("PAN 4111111111111111") && !tells_card("4111111111111112 6901234567892 411111****1111"));
}

#[test]
fn stories_yield_their_events_however_the_bytes_arrive() {
    for spec in DRIVERS {
        assert!(!stories(spec).is_empty(), "testdata/{} has no story", spec.name);
        for story in stories(spec) {
            let (events, sent) = play(&mut *story.driver(spec), &story, Chunks::Whole);
            assert_eq!(events, story.events, "{}", story.name);
            for chunks in (1..50).map(Chunks::Random).chain([Chunks::Single]) {
                let again = play(&mut *story.driver(spec), &story, chunks);
                assert_eq!(again, (events.clone(), sent.clone()), "{} {chunks:?}", story.name);
            }
        }
    }
}

#[test]
fn after_garbage_the_next_good_story_counts() {
    for spec in DRIVERS {
        for story in stories(spec) {
            for seed in 1..40 {
                let mut driver = story.driver(spec);
                let mut dice = Dice(seed);
                let garbage: Vec<u8> = (0..300).map(|_| dice.byte()).collect();
                let mut out = Out::default();
                driver.handle(Mono(1), In::Bytes(&garbage), &mut out);
                if out.failed.is_some() {
                    // The port is restarted with a fresh driver.
                    driver = story.driver(spec);
                }
                driver.handle(Mono(10_000), In::Timeout, &mut Out::default());
                let (events, _) = play(&mut *driver, &story, Chunks::Whole);
                assert_eq!(events.last(), story.events.last(), "{} seed {seed}", story.name);
            }
        }
    }
}

fn commands() -> Vec<DeviceCommand> {
    let mut commands: Vec<DeviceCommand> = [
        "weigh",
        "beep good",
        "authorise tender-1 100",
        "acknowledge tender-1",
        "query tender-1",
        "abort tender-1",
        "authorise tender-2 9223372036854775807",
        "authorise tender-3 -5",
        "refund tender-4 700",
        "reverse tender-5 100 7 abc@2026-01-02T03:04:05Z",
        "service tender-6 end-of-day",
        "service tender-7 reprint",
        "trigger on",
        "light attention",
        "show due 1435",
    ]
    .map(command)
    .into();
    commands.push(print());
    commands.push(recognise(10));
    commands.push(DeviceCommand::Face(FaceCommand::Cancel { attempt: Attempt(1) }));
    commands.push(DeviceCommand::Face(FaceCommand::Erase { member: "m-001".into(), before: UTC }));
    commands
}

fn print() -> DeviceCommand {
    let word = || Name { zh: "小票".into(), en: "Slip".into() };
    let slip = Slip {
        store: word(),
        lane: LaneId(1),
        id: "slip-1".into(),
        at: Utc(0),
        utc_offset_min: 0,
        language: Language::Zh,
        title: word(),
        rows: Vec::new(),
        code: None,
        training: false,
        copy: false,
    };
    DeviceCommand::Print(Box::new(PrintJob { document: Document::Slip(slip), drawer: true }))
}

/// A card number and a wallet code as they may come over any wire.
const PAN: &str = "4929123412345678";
const WALLET: &str = "134912341234567890";

fn private_bytes(dice: &mut Dice) -> Vec<u8> {
    let bcd: Vec<u8> =
        (0..PAN.len()).step_by(2).map(|at| u8::from_str_radix(&PAN[at..at + 2], 16).expect("digits")).collect();
    let status =
        [b"\x80\x00\x00\x06\x0f\x00\x04\x0f\x16\x27\x00\x04\x00\x00\x00\x00\x01\x00\x22\xf0\xf8".as_slice(), &bcd]
            .concat();
    match dice.below(4) {
        0 => format!("{WALLET}\r\n").into_bytes(),
        1 => format!("\x02{PAN}\r").into_bytes(),
        2 => status,
        _ => [b"\x06\xd1\x11\x00".as_slice(), PAN.as_bytes()].concat(),
    }
}

#[test]
fn noise_does_no_harm_and_nothing_private_is_told() {
    for spec in DRIVERS {
        for seed in 1..30 {
            let mut driver = build(spec);
            let mut dice = Dice(seed);
            let mut now = 0;
            let commands = commands();
            for _ in 0..500 {
                let mut out = Out::default();
                now += dice.below(3_000) as u64;
                match dice.below(8) {
                    0 => driver.handle(Mono(now), In::Timeout, &mut out),
                    1 => driver.handle(Mono(now), In::Opened, &mut out),
                    2 => {
                        let command = &commands[dice.below(commands.len())];
                        driver.handle(Mono(now), In::Command(command), &mut out);
                    }
                    3 | 4 => driver.handle(Mono(now), In::Bytes(&private_bytes(&mut dice)), &mut out),
                    _ => {
                        let noise: Vec<u8> = (0..dice.below(400)).map(|_| dice.byte()).collect();
                        driver.handle(Mono(now), In::Bytes(&noise), &mut out);
                    }
                }
                let logged = format!("{out:?} {:?}", out.failed);
                assert!(!logged.contains(PAN) && !logged.contains(WALLET), "{}: {logged}", spec.name);
                if out.failed.is_some() {
                    driver = build(spec);
                }
            }
        }
    }
}

#[test]
fn stand_ins_survive_noise_and_odd_hands() {
    let verbs = [
        json!({"scan": "1", "put": -5, "paper": "out", "tap": "4929123412345678", "decline": 700}),
        json!({"put": i64::MAX, "paper": "ok", "cover": "open", "behaviour": "garbage", "slow": 1}),
        json!({"remove": true, "moving": true, "cover": "closed", "behaviour": "approve", "tap": "\u{e9}"}),
        json!([1, {"scan": 2}]),
    ];
    for (name, build) in SIMS {
        for seed in 1..30 {
            let mut sim = build(&Value::Null).expect("default options");
            let mut dice = Dice(seed);
            let mut now = 0;
            for _ in 0..300 {
                let mut out = Out::default();
                now += dice.below(3_000) as u64;
                let noise: Vec<u8> = (0..dice.below(200)).map(|_| dice.byte()).collect();
                let till: &[u8] = b"W\x06\x00\x06\0\0\0\xbe\x01\x56\x06\x01\x07\x04\0\0\0\0\x19\x90\x80\0\0\x06\x20\x05\0\0\0\x03\x03\x06\xb0\0\x1b@";
                let input = match dice.below(7) {
                    0 => SimIn::Connected,
                    1 => SimIn::Disconnected,
                    2 => SimIn::Timeout,
                    3 => SimIn::Control(&verbs[dice.below(verbs.len())]),
                    4 | 5 => SimIn::Bytes(till),
                    _ => SimIn::Bytes(&noise),
                };
                sim.handle(Mono(now), input, &mut out);
                let state = sim.state().to_string();
                assert!(!state.contains(PAN) && out.events.is_empty(), "{name}: {state}");
            }
        }
    }
}

/// Resident memory of this process in KiB, where the system tells.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn endless_beginnings_do_not_fill_the_memory() {
    let mut dice = Dice(7);
    let noise: Vec<u8> = (0..64 * 1024).map(|_| dice.byte()).collect();
    let beginnings: [&[u8]; 10] = [
        b"1",
        b"\x02",
        b"\x02?",
        b"\x04\x0f\xff\xff\xff",
        b"\x06\xd1\x02\x00A",
        b"\x10\x00",
        b"\x55\xaa\x03",
        b"HTTP/1.1 200 OK\r\nX: y\r\n",
        b"{\"",
        &noise,
    ];
    for spec in DRIVERS {
        for beginning in beginnings {
            let mut driver = build(spec);
            let chunk = beginning.repeat(64 * 1024 / beginning.len());
            let before = resident_kib();
            let authorise = command("authorise tender-1 100");
            driver.handle(Mono(0), In::Command(&authorise), &mut Out::default());
            for _ in 0..128 {
                let mut out = Out::default();
                driver.handle(Mono(0), In::Bytes(&chunk), &mut out);
                if out.failed.is_some() {
                    driver = build(spec);
                }
            }
            if let (Some(before), Some(after)) = (before, resident_kib()) {
                let grown = after.saturating_sub(before);
                assert!(grown < 6 * 1024, "{} grew by {grown} KiB", spec.name);
            }
        }
    }
}

/// xorshift64*: the same throws on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits") % end.max(1)
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.next() >> 56).expect("8 bits")
    }
}
