//! What holds for every device, whatever comes over its line. The fuzz targets and the test suite call these same functions.
//!
//! An input begins with the name of a row of the table and a line feed, so that new rows are met as soon as they are there;
//! a name nobody has picks a row by its letters.
#![allow(dead_code, reason = "a fuzz target calls one of them")]

use checkout::device::{
    DeviceCommand, DeviceEvent, Document, LaneLight, PrintJob, PrinterEvent, Show, Shown, TerminalCommand,
    TerminalEvent, Weight,
};
use checkout::receipt::{Currency, Slip};
use checkout::words::{Grams, LaneId, Language, Money, Mono, Name, Utc};
use drivers::decode::DECODERS;
use drivers::escpos::render;
use drivers::sim::{Sim, SimIn, build as stand_in};
use drivers::vision::{self, LINE_CAP, Lines, Reply, Request};
use drivers::{DRIVERS, Driver, In, Kind, Out, Spec};
use serde_json::{Value, json};

/// More than any driver has to say to one chunk.
const ANSWER_MAX: usize = 256 * 1024;
const GRAMS: u32 = 450;
const CODE: &str = "6901234567892";

/// The name in front of the first line feed, and what follows.
fn named(data: &[u8]) -> (&str, &[u8]) {
    let end = data.iter().take(24).position(|byte| *byte == b'\n');
    let (name, rest) = end.map_or((&[][..], data), |end| (&data[..end], &data[end + 1..]));
    (core::str::from_utf8(name).unwrap_or(""), rest)
}

fn by_letters(name: &str, rows: usize) -> usize {
    name.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % rows
}

/// One row of `DRIVERS` gets its bytes: no panic, no flood of answers, and the next good exchange counts.
pub fn device(data: &[u8]) {
    let (name, data) = named(data);
    let known = DRIVERS.iter().position(|spec| spec.name == name);
    let spec = &DRIVERS[known.unwrap_or_else(|| by_letters(name, DRIVERS.len()))];
    let [pick, data @ ..] = data else { return };
    let mut driver = built(spec);
    let mut now = 1_000;
    let commands = commands(spec.kind);
    answered(spec, &mut *driver, now, In::Opened);
    if let Some(command) = commands.get(usize::from(pick % 4)) {
        answered(spec, &mut *driver, now, In::Command(command));
    }
    let chunk = usize::from(pick / 4).max(1);
    for bytes in data.chunks(chunk) {
        now += 1;
        if !answered(spec, &mut *driver, now, In::Bytes(bytes)) {
            driver = built(spec);
            answered(spec, &mut *driver, now, In::Opened);
        }
    }
    recovers(spec, driver, now);
}

/// Whether it goes on; the port restarts one that gives up.
fn answered(spec: &Spec, driver: &mut dyn Driver, now: u64, input: In<'_>) -> bool {
    let mut out = Out::default();
    driver.handle(Mono(now), input, &mut out);
    assert!(out.bytes.len() <= ANSWER_MAX, "{} floods its device", spec.name);
    assert!(out.failed.as_ref().is_none_or(|reason| reason.len() < 400), "{} rambles", spec.name);
    out.failed.is_none()
}

fn built(spec: &Spec) -> Box<dyn Driver> {
    let table: toml::Table = toml::from_str(spec.example).expect("an example that parses");
    let options = table.get("options").map_or(Value::Null, |options| serde_json::to_value(options).expect("JSON"));
    (spec.build)(&options).expect("an example that builds")
}

/// What a device of this kind is asked; the first is answered by every one of them.
fn commands(kind: Kind) -> Vec<DeviceCommand> {
    let tender = || "tender-1".into();
    let terminal = DeviceCommand::Terminal;
    match kind {
        Kind::Scanner | Kind::Vision | Kind::Camera => Vec::new(),
        Kind::Scale => vec![DeviceCommand::ReadWeight { unit_price: Money(798), tare: Grams(0) }],
        Kind::Terminal => vec![
            terminal(TerminalCommand::Query { tender: tender() }),
            terminal(TerminalCommand::Authorise { tender: tender(), amount: Money(1435), at: Utc(0) }),
            terminal(TerminalCommand::Refund { tender: tender(), amount: Money(1435), at: Utc(0) }),
        ],
        Kind::Printer => {
            vec![DeviceCommand::Print(Box::new(PrintJob { document: Document::Slip(slip()), drawer: true }))]
        }
        Kind::Display => {
            let currency = Currency { code: "CNY".into(), numeric: 156, sign: "￥".into(), digits: 2 };
            let what = Shown::Due { due: Money(1435) };
            vec![DeviceCommand::Show(Box::new(Show { language: Language::En, currency, what }))]
        }
        Kind::Light => vec![DeviceCommand::Light(LaneLight::Busy)],
    }
}

fn slip() -> Slip {
    let word = || Name { zh: "小票".into(), en: "Slip".into() };
    Slip {
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
    }
}

fn is_wanted(event: &DeviceEvent) -> bool {
    match event {
        DeviceEvent::Scan(scan) => scan.data == CODE.as_bytes(),
        DeviceEvent::Weight(Weight::Stable(grams)) => grams.0 == GRAMS,
        DeviceEvent::Weight(Weight::Priced { net, .. }) => net.0 == GRAMS,
        DeviceEvent::Terminal(TerminalEvent::Last { .. }) => true,
        DeviceEvent::Printer(PrinterEvent::Printed { transaction }) => transaction.0 == "slip-1",
        DeviceEvent::Weight(Weight::Fault(_))
        | DeviceEvent::Terminal(_)
        | DeviceEvent::Printer(_)
        | DeviceEvent::Face { .. }
        | DeviceEvent::FaceErased { .. }
        | DeviceEvent::Gallery { .. }
        | DeviceEvent::Health { .. } => false,
    }
}

/// Minutes later a healthy device is asked, three times at most: what was half heard may cost the first answers.
fn recovers(spec: &'static Spec, driver: Box<dyn Driver>, now: u64) {
    let sim = if spec.name == "blueprint" { "scanner-line" } else { spec.name };
    let Ok(mut sim) = stand_in(sim, &Value::Null) else { return };
    let verb = if spec.kind == Kind::Scale { json!({"put": GRAMS}) } else { json!({}) };
    sim.handle(Mono(now), SimIn::Control(&verb), &mut Out::default());
    let mut line =
        Line { spec, driver, sim, now, till: None, device: None, heard: false, sent: Vec::new(), tape: Vec::new() };
    line.connect();
    // Whatever it waited for comes or is given up.
    line.tell(In::Timeout);
    line.run(200_000);
    line.tell(In::Timeout);
    for _ in 0..3 {
        line.asks(0);
        if line.heard {
            return;
        }
    }
    panic!("{} does not recover", spec.name);
}

/// A driver and its stand-in on one line; time passes only here.
struct Line {
    spec: &'static Spec,
    driver: Box<dyn Driver>,
    sim: Box<dyn Sim>,
    now: u64,
    till: Option<Mono>,
    device: Option<Mono>,
    heard: bool,
    /// What went to the device, and what came from it.
    sent: Vec<u8>,
    tape: Vec<u8>,
}

/// What a row's stand-in says when it is asked the `ask`th thing, and what it was sent: for a corpus of our own.
pub fn exchange(spec: &'static Spec, ask: usize) -> Option<(Vec<u8>, Vec<u8>)> {
    if ask > 0 && ask >= commands(spec.kind).len() {
        return None;
    }
    let mut sim = stand_in(spec.name, &Value::Null).ok()?;
    sim.handle(Mono(0), SimIn::Control(&json!({"put": GRAMS})), &mut Out::default());
    let (driver, tape) = (built(spec), Vec::new());
    let mut line = Line { spec, driver, sim, now: 0, till: None, device: None, heard: false, sent: Vec::new(), tape };
    line.connect();
    line.tell(In::Opened);
    line.asks(ask);
    Some((line.tape, line.sent))
}

impl Line {
    fn asks(&mut self, ask: usize) {
        if self.spec.links.iter().any(|link| link.is_per_command()) {
            self.call();
        }
        if self.spec.kind == Kind::Scanner {
            let mut out = Out::default();
            self.sim.handle(Mono(self.now), SimIn::Control(&json!({"scan": CODE})), &mut out);
            self.hear(out);
        } else if let Some(command) = commands(self.spec.kind).get(ask) {
            self.tell(In::Command(command));
        }
        self.run(40_000);
        // Nobody answers for a pole or a lamp.
        self.heard |= matches!(self.spec.kind, Kind::Display | Kind::Light) && !self.sent.is_empty();
    }

    fn call(&mut self) {
        self.sim.handle(Mono(self.now), SimIn::Disconnected, &mut Out::default());
        self.connect();
        self.tell(In::Opened);
    }

    fn connect(&mut self) {
        let mut out = Out::default();
        self.sim.handle(Mono(self.now), SimIn::Connected, &mut out);
        self.hear(out);
    }

    fn tell(&mut self, input: In<'_>) {
        let mut out = Out::default();
        self.driver.handle(Mono(self.now), input, &mut out);
        self.till = out.wake_at.or(self.till);
        self.heard |= out.events.iter().any(is_wanted);
        self.sent.extend_from_slice(&out.bytes);
        if out.failed.is_some() {
            (self.driver, self.till) = (built(self.spec), None);
            return self.call();
        }
        if !out.bytes.is_empty() {
            let mut reply = Out::default();
            self.sim.handle(Mono(self.now), SimIn::Bytes(&out.bytes), &mut reply);
            self.hear(reply);
        }
        if out.reopen {
            self.call();
        }
        let answered = |event: &DeviceEvent| {
            let DeviceEvent::Terminal(TerminalEvent::Answered { tender, .. }) = event else { return None };
            Some(tender.clone())
        };
        if let Some(tender) = out.events.iter().find_map(answered) {
            self.tell(In::Command(&DeviceCommand::Terminal(TerminalCommand::Acknowledge { tender })));
        }
    }

    fn hear(&mut self, out: Out) {
        self.device = out.wake_at.or(self.device);
        self.tape.extend_from_slice(&out.bytes);
        if !out.bytes.is_empty() {
            self.tell(In::Bytes(&out.bytes));
        }
    }

    /// Lets `ms` pass, or as much as it takes to hear what was wanted.
    fn run(&mut self, ms: u64) {
        let end = self.now + ms;
        for _ in 0..3_000 {
            let Some(next) = [self.till, self.device].into_iter().flatten().min().filter(|next| next.0 <= end) else {
                break;
            };
            if self.heard {
                return;
            }
            self.now = self.now.max(next.0);
            if self.device == Some(next) {
                self.device = None;
                let mut out = Out::default();
                self.sim.handle(Mono(self.now), SimIn::Timeout, &mut out);
                self.hear(out);
            } else {
                self.till = None;
                self.tell(In::Timeout);
            }
        }
        self.now = self.now.max(end);
    }
}

/// What `aisled decode` prints of any frame: an object, the same each time, not much longer than the frame.
pub fn decode(data: &[u8]) {
    let (name, data) = named(data);
    let known = DECODERS.iter().position(|(known, _)| *known == name);
    let (name, decode) = DECODERS[known.unwrap_or_else(|| by_letters(name, DECODERS.len()))];
    for context in [None, Some("0501"), Some("32")] {
        let told = decode(data, context);
        assert!(told["ok"].is_boolean(), "{name}: {told}");
        assert_eq!(told["ok"] == true, told.get("error").is_none(), "{name}: {told}");
        assert_eq!(told, decode(data, context), "{name}");
        assert!(told.to_string().len() < 64 * data.len() + 4096, "{name} makes much of little");
    }
}

/// Paper as text and as a picture.
pub fn paper(data: &[u8]) {
    for columns in [32, 48] {
        let text = render::Paper::of(data).text(columns);
        let svg = render::svg(data, columns);
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(!svg.contains("<script"), "what is printed is drawn, never obeyed");
        assert!(text.len() + svg.len() < 4_000 * data.len() + 16 * 1024, "{} bytes of paper", text.len() + svg.len());
    }
}

/// The lines of the vision process, both ways.
pub fn vision_lines(data: &[u8]) {
    let [chunk, data @ ..] = data else { return };
    let mut lines = Lines::default();
    for bytes in data.chunks(usize::from(*chunk).max(1)) {
        for line in lines.feed(bytes).into_iter().flatten() {
            assert!(line.len() <= LINE_CAP);
            if let Ok(request) = vision::decode::<Request>(&line) {
                let again = vision::encode(&request).expect("what was short enough");
                assert_eq!(vision::decode::<Request>(again.trim_ascii_end()), Ok(request));
            }
            if let Ok(reply) = vision::decode::<Reply>(&line) {
                let again = vision::encode(&reply).expect("what was short enough");
                assert_eq!(vision::decode::<Reply>(again.trim_ascii_end()), Ok(reply));
            }
        }
    }
    // Whatever it was, the next line is read.
    let after = lines.feed(b"\n{\"status\":{}}\n");
    let last = after.into_iter().next_back().expect("a line").expect("a good one");
    assert_eq!(vision::decode::<Request>(&last), Ok(Request::Status {}));
}
