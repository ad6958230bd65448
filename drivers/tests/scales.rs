//! Scales: what independent frames say, and every make weighed with its stand-in.

mod vectors;

use checkout::device::{DeviceCommand, DeviceEvent, ScaleFault, Weight};
use checkout::words::{Grams, Money, Mono};
use drivers::sim::{Sim, SimIn, build};
use drivers::{DRIVERS, Driver, In, Kind, Out};
use serde_json::{Value, json};

fn driver(name: &str) -> Box<dyn Driver> {
    let spec = DRIVERS.iter().find(|spec| spec.name == name).expect("a driver");
    let options = if name == "scale-dialog06" { json!({"polynomial": "11021"}) } else { Value::Null };
    (spec.build)(&options).expect("options")
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

fn ask(unit_price: i64, tare: u32) -> DeviceCommand {
    DeviceCommand::ReadWeight { unit_price: Money(unit_price), tare: Grams(tare) }
}

/// What the driver makes of `frame` after its patience is over.
fn weigh(name: &str, frame: &[u8]) -> Option<Weight> {
    let mut driver = driver(name);
    driver.handle(Mono(0), In::Command(&ask(350, 0)), &mut Out::default());
    let mut out = Out::default();
    driver.handle(Mono(10_000), In::Bytes(frame), &mut out);
    match out.events.as_slice() {
        [DeviceEvent::Weight(weight)] => Some(*weight),
        [] => None,
        other => panic!("{other:?}"),
    }
}

fn expected(case: &Value) -> Weight {
    let says = |key: &str| case[key].as_bool() == Some(true);
    let listed = |word: &str| case["status"].as_array().is_some_and(|all| all.iter().any(|said| said == word));
    let fault = if says("over_capacity") || says("overload") || listed("over_capacity") {
        ScaleFault::Over
    } else if listed("negative") || case["weight"].as_str().is_some_and(|weight| weight.starts_with('-')) {
        ScaleFault::Negative
    } else if says("motion") || listed("moving") || case["stable"] == false {
        ScaleFault::Moving
    } else if says("at_zero") || case["weight"] == "0.000" {
        ScaleFault::Empty
    } else if says("unknown_command") {
        ScaleFault::Attention
    } else {
        let (text, unit) = (case["weight"].as_str().expect("a weight"), case["unit"].as_str().unwrap_or("KG"));
        let decimals = text.split_once('.').map_or(0, |(_, part)| part.len());
        let scaled: u64 = text.replace('.', "").parse().expect("digits");
        let scale = 10_u64.pow(u32::try_from(decimals).expect("few"));
        // 100.00 g is the one vector in grams.
        let milligrams = match (unit, text) {
            ("LB", _) => 453_592,
            (_, "100.00") => 1_000,
            _ => 1_000_000,
        };
        return Weight::Stable(Grams(u32::try_from((scaled * milligrams / scale + 500) / 1_000).expect("grams")));
    };
    Weight::Fault(fault)
}

#[test]
fn every_independent_frame_is_read_as_its_maker_means_it() {
    let Some(file) = vectors::read("scales.json") else { return };
    let makes =
        [("mettler_8217", "scale-8217"), ("nci_scp01", "scale-nci"), ("cas", "scale-cas"), ("mt_sics", "scale-sics")];
    let (mut agreed, mut all) = (0, 0);
    for (make, name) in makes {
        for case in vectors::list(&file[make]["cases"]) {
            all += 1;
            assert_eq!(weigh(name, &bytes(case["hex"].as_str().expect("hex"))), Some(expected(case)), "{name} {case}");
            agreed += 1;
        }
    }
    println!("scale frames: {agreed}/{all} agree");
}

#[test]
fn dialog06_frames_are_sent_and_read_as_specified() {
    let Some(file) = vectors::read("scales.json") else { return };
    let cases = vectors::list(&file["dialog06"]["cases"]);
    let hex = |wanted: &str| {
        let found = cases.iter().find(|case| case.to_string().contains(wanted)).expect(wanted);
        bytes(found["hex"].as_str().expect("hex"))
    };
    let mut scale = driver("scale-dialog06");
    let mut step = |input: In<'_>| {
        let mut out = Out::default();
        scale.handle(Mono(0), input, &mut out);
        (out.bytes, out.events)
    };
    assert_eq!(step(In::Command(&ask(350, 20))).0, hex("price 3.50 tare 20 g"));
    assert_eq!(step(In::Bytes(&hex("NAK"))).0, hex("status request"));
    assert_eq!(step(In::Bytes(&hex("\"20\""))).0, [4], "every answer of the scale is followed by EOT");
    assert_eq!(step(In::Command(&ask(350, 0))).0, hex("\"price 3.50\""));
    assert_eq!(step(In::Bytes(&hex("\"ACK\""))).0, hex("request weight"));
    let (proof, _) = step(In::Bytes(&hex("checksum_request_z")));
    assert!(proof.starts_with(b"\x04\x04\x0210\x1b") && proof.len() == 15, "{proof:?}");
    assert_eq!(step(In::Bytes(b"\x0211\x1b1\x03")).0, [&[4][..], &hex("\"price 3.50\"")].concat());
    step(In::Bytes(&hex("\"ACK\"")));
    let (sent, events) = step(In::Bytes(&hex("uom")));
    let priced = Weight::Priced { net: Grams(1250), unit_price: Money(350), total: Money(438) };
    assert_eq!((sent, events), (vec![4], vec![DeviceEvent::Weight(priced)]));
    println!("dialog06 frames: {}/{} agree", cases.len(), cases.len());
}

#[test]
fn every_fault_of_a_dialog06_scale_is_told_apart() {
    let told = |code: &str| {
        let mut scale = driver("scale-dialog06");
        scale.handle(Mono(0), In::Command(&ask(350, 0)), &mut Out::default());
        let mut out = Out::default();
        scale.handle(Mono(5_000), In::Bytes(b"\x15"), &mut out);
        scale.handle(Mono(5_000), In::Bytes(format!("\x0209\x1b{code}\x03").as_bytes()), &mut out);
        out.events
    };
    for (code, fault) in [
        ("20", ScaleFault::Moving),
        ("21", ScaleFault::Unmoved),
        ("30", ScaleFault::TooLight),
        ("31", ScaleFault::Negative),
        ("32", ScaleFault::Over),
        ("01", ScaleFault::Defect),
        ("11", ScaleFault::Attention),
    ] {
        assert_eq!(told(code), [DeviceEvent::Weight(Weight::Fault(fault))], "{code}");
    }
}

#[test]
fn an_adam_scale_that_is_silent_prices_nothing() {
    let mut scale = driver("scale-adam");
    let mut out = Out::default();
    scale.handle(Mono(0), In::Command(&ask(0, 0)), &mut out);
    scale.handle(Mono(10), In::Bytes(b"  1.250kg\r\n"), &mut out);
    assert_eq!(out.events, [DeviceEvent::Weight(Weight::Stable(Grams(1250)))]);
    let mut out = Out::default();
    scale.handle(Mono(1_000), In::Command(&ask(0, 0)), &mut out);
    scale.handle(Mono(1_600), In::Timeout, &mut out);
    assert_eq!(out.events, [DeviceEvent::Weight(Weight::Fault(ScaleFault::Unmoved))]);
}

struct Desk {
    driver: Box<dyn Driver>,
    sim: Box<dyn Sim>,
    now: u64,
}

impl Desk {
    /// Lets both talk until there is a weight, or the driver gives up.
    fn weigh(&mut self, command: &DeviceCommand) -> Option<Weight> {
        let mut out = Out::default();
        self.driver.handle(Mono(self.now), In::Command(command), &mut out);
        for _ in 0..400 {
            let mut reply = Out::default();
            self.sim.handle(Mono(self.now), SimIn::Bytes(&core::mem::take(&mut out.bytes)), &mut reply);
            if self.now.is_multiple_of(200) {
                self.sim.handle(Mono(self.now), SimIn::Timeout, &mut reply);
            }
            self.driver.handle(Mono(self.now), In::Bytes(&reply.bytes), &mut out);
            if let Some(DeviceEvent::Weight(weight)) = out.events.first() {
                return Some(*weight);
            }
            if out.failed.is_some() {
                return None;
            }
            if out.bytes.is_empty() {
                self.now += 50;
                self.driver.handle(Mono(self.now), In::Timeout, &mut out);
            }
        }
        None
    }

    fn hand(&mut self, verb: Value) {
        self.sim.handle(Mono(self.now), SimIn::Control(&verb), &mut Out::default());
    }
}

#[test]
fn every_make_weighs_waits_for_rest_and_tells_its_faults() {
    for spec in DRIVERS.iter().filter(|spec| spec.kind == Kind::Scale) {
        let mut desk =
            Desk { driver: driver(spec.name), sim: build(spec.name, &Value::Null).expect("a stand-in"), now: 0 };
        let mut out = Out::default();
        desk.sim.handle(Mono(0), SimIn::Connected, &mut out);
        desk.driver.handle(Mono(0), In::Opened, &mut out);
        let at = ask(1280, 0);
        desk.hand(json!({"put": 1250}));
        let weight = desk.weigh(&at);
        let priced = Weight::Priced { net: Grams(1250), unit_price: Money(1280), total: Money(1600) };
        let right = weight == Some(Weight::Stable(Grams(1250))) || weight == Some(priced);
        assert!(right, "{}: {weight:?}", spec.name);
        desk.hand(json!({"put": 20_000}));
        if spec.name != "scale-adam" {
            assert_eq!(desk.weigh(&at), Some(Weight::Fault(ScaleFault::Over)), "{}", spec.name);
            desk.hand(json!({"put": 800, "moving": true}));
            assert_eq!(desk.weigh(&at), Some(Weight::Fault(ScaleFault::Moving)), "{}", spec.name);
        }
        desk.hand(json!({"fault": "dead"}));
        let dead = (0..30).map_while(|_| desk.weigh(&at)).last();
        assert!(!matches!(dead, Some(Weight::Stable(_) | Weight::Priced { .. })), "{}: {dead:?}", spec.name);
    }
}
