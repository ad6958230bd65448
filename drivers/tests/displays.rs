//! Customer displays against the commands their manuals list.

mod vectors;

use checkout::device::{DeviceCommand, Show, Shown};
use checkout::receipt::Currency;
use checkout::words::{Language, Money, Mono, Name};
use drivers::decode::{decoder, frame};
use drivers::sim::{SIMS, Sim, SimIn};
use drivers::{Driver, In, Out, Spec, display};
use serde_json::{Value, json};

fn sim(name: &str) -> Box<dyn Sim> {
    let (_, build) = SIMS.iter().find(|(known, _)| *known == name).expect("a stand-in");
    build(&Value::Null).expect("options")
}

fn sent(driver: &mut dyn Driver, input: In<'_>) -> Vec<u8> {
    let mut out = Out::default();
    driver.handle(Mono(0), input, &mut out);
    out.bytes
}

fn show(spec: &Spec, what: Shown) -> Vec<u8> {
    let mut driver = (spec.build)(&Value::Null).expect("options");
    let currency = Currency { code: "CNY".into(), numeric: 156, sign: "¥".into(), digits: 2 };
    let show = Show { language: Language::En, currency, what };
    sent(&mut *driver, In::Command(&DeviceCommand::Show(Box::new(show))))
}

/// What the driver sends that must hold this command, and what a reader makes of it; nothing where no driver has a use for it.
fn meant(spec: &Spec, meaning: &str) -> Option<Vec<u8>> {
    let total = Name { zh: "TOTAL".into(), en: "TOTAL".into() };
    Some(match meaning.split(' ').next().expect("a word") {
        "init" | "clear" => {
            let mut driver = (spec.build)(&Value::Null).expect("options");
            sent(&mut *driver, In::Opened)
        }
        "upper" => show(spec, Shown::Line { name: total, price: Money(1250), total: Money(1250) }),
        "lower" => show(spec, Shown::Paid { change: Money(750) }),
        "show" | "lamps" => show(spec, Shown::Due { due: Money(1250) }),
        "cursor" | "baud" => return None,
        _ => panic!("{meaning}"),
    })
}

#[test]
fn every_command_of_the_manuals_is_sent_or_at_least_understood() {
    let Some(file) = vectors::read("pole_display.json") else {
        return;
    };
    let (mut all, mut ours) = (0, 0);
    for (group, spec) in [("cd5220_vfd20x2", &display::cd5220::SPEC), ("led8n_china", &display::led8n::SPEC)] {
        for case in vectors::list(&file[group]["cases"]) {
            let (hex, meaning) = (case["hex"].as_str().expect("hex"), case["meaning"].as_str().expect("text"));
            let bytes = frame(hex).expect("hex");
            let told = decoder(spec.name).expect("a decoder")(&bytes, None);
            assert_eq!(told["ok"], true, "{case} {told}");
            if let Some(sent) = meant(spec, meaning) {
                assert!(sent.windows(bytes.len()).any(|part| part == bytes), "{case} in {sent:02x?}");
                ours += 1;
            }
            all += 1;
            // The stand-in is none the worse for it, and shows what follows.
            let mut pole = sim(spec.name);
            pole.handle(Mono(0), SimIn::Bytes(&bytes), &mut Out::default());
            pole.handle(Mono(0), SimIn::Bytes(b"\x1bQA7.50\r"), &mut Out::default());
            assert_eq!(pole.state()["upper"], "7.50", "{case}");
        }
    }
    println!("poles: {ours}/{all} commands are ours byte for byte, {all}/{all} are understood");
    assert_eq!((all, ours), (10, 8));
}

#[test]
fn commands_are_told_by_their_names() {
    let told = |name: &str, hex: &str| decoder(name).expect("a decoder")(&frame(hex).expect("hex"), None);
    let upper = told("pole-cd5220", "1b5141544f54414c2020202020202020202031322e35300d");
    assert_eq!((&upper["ctrl"], &upper["text"]), (&json!("UPPER"), &json!("TOTAL          12.50")));
    assert_eq!(told("pole-cd5220", "1b6c0102")["row"], 2);
    assert_eq!(told("pole-led8n", "024c30313030")["lamps"], json!(["total"]));
    for bad in ["", "024c3031", "1b51", "ffff"] {
        assert_eq!(told("pole-led8n", bad)["ok"], false, "{bad}");
    }
}
