//! ESC/POS: golden bytes of other encoders, what a receipt looks like on paper, and a printer that runs out of it.

mod vectors;

use checkout::device::{DeviceCommand, DeviceEvent, Document, PrintJob, PrinterEvent};
use checkout::line::LineKind;
use checkout::receipt::{Currency, Receipt, ReceiptCoupon, ReceiptKind, ReceiptLine, ReceiptTender, SlipRow, TaxLine};
use checkout::words::{LaneId, Language, Money, Mono, Name, ReceiptNo, Utc};
use drivers::escpos::render::{Paper, Row, svg};
use drivers::escpos::{self, Align, Correction, Cut, Encoder, Weight, columns};
use drivers::sim::{SIMS, Sim, SimIn};
use drivers::{Driver, In, Out};
use serde_json::{Value, json};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn encoded(write: impl FnOnce(&mut Encoder) -> &mut Encoder) -> String {
    let mut encoder = Encoder::default();
    write(&mut encoder);
    hex(&encoder.finish())
}

#[test]
fn bytes_agree_with_other_encoders() {
    let Some(file) = vectors::read("escpos.json") else {
        return;
    };
    let golden = |id: &str| {
        let cases = vectors::list(&file["cases"]);
        let case = cases.iter().find(|case| case["id"] == id).expect("case");
        case["hex"].as_str().expect("hex").to_owned()
    };
    let (mut whole, mut read) = (0, Vec::new());
    for case in vectors::list(&file["cases"]) {
        let id = case["id"].as_str().expect("an id");
        match ours(id) {
            Golden::Whole(hex) => {
                assert_eq!(hex, golden(id), "{id}");
                whole += 1;
            }
            Golden::Other(why) => read.push(format!("{id}: {why}")),
        }
    }
    println!("{whole}/33 golden cases agree byte for byte; {read:#?}");
    assert_eq!((whole, read.len()), (24, 9));
    assert_eq!(encoded(|e| e.confirm()), file["status"]["GS r 1"].as_str().expect("hex"));
    assert_eq!(encoded(|e| e.chinese()), file["agreed"]["kanji_on"].as_str().expect("hex"));
    let bars = encoded(|e| e.ean13("6901234567892"));
    assert!(bars.starts_with(&file["agreed"]["ean13_B"].as_str().expect("hex")[..6]));
    let cases = vectors::list(&file["cases"]);
    for case in cases {
        let bytes: Vec<u8> = (0..case["hex"].as_str().expect("hex").len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&case["hex"].as_str().expect("hex")[at..at + 2], 16).expect("hex"))
            .collect();
        let told = escpos::to_json(&bytes, None);
        assert_eq!(told["ok"], true, "{case} {told}");
        if case["meaning"].as_str().is_some_and(|meaning| meaning.starts_with("TOTAL")) {
            assert!(told["text"].as_str().is_some_and(|text| text.contains("TOTAL")), "{told}");
        }
    }
    println!("{}/{} golden cases are read whole", cases.len(), cases.len());
    let mut texts = 0;
    for case in vectors::list(&file["gb18030"]["cases"]) {
        let text = case["text"].as_str().expect("text");
        let expected = match (&case["class"], &case["expected_after_mapping"], &case["hex"]) {
            (Value::String(_), _, _) => "3f",
            (_, Value::String(mapped), _) | (_, _, Value::String(mapped)) => mapped,
            _ => panic!("{case}"),
        };
        assert_eq!(encoded(|e| e.text(text)), expected, "{case}");
        texts += 1;
    }
    println!("{texts} GB18030 cases agree");
}

/// What another encoder's bytes are in ours.
enum Golden {
    /// All of them; what only the other encoder sends (code page, defaults of its own) stands here as bytes.
    Whole(String),
    /// Read by our renderer, but not what we send, and why.
    Other(&'static str),
}

const LINK: &str = "https://example.com/01/06901234567892";
/// `ESC t 0`: a code page, which Chinese printing does without.
const PAGE: &str = "1b7400";
const LAYOUT: &str = "places columns by dots and sets every style anew for each; we fill with spaces";

fn ours(id: &str) -> Golden {
    let line = |text: &str| encoded(|e| e.line(text));
    let text = |text: &str| encoded(|e| e.text(text));
    let bold = |weight| encoded(|e| e.weight(weight));
    let qr = || encoded(|e| e.qr_with(LINK, 3, Correction::L));
    let code128 = |bars: bool| encoded(|e| if bars { e.bars(64, 2, false) } else { e }.code128("0123ABC"));
    let diagonal = [0x88, 0x88, 0x44, 0x44, 0x22, 0x22, 0x11, 0x11];
    Golden::Whole(match id {
        // Ours goes on with FS &.
        "pye-hw-init" => encoded(|e| e.init()).strip_suffix(&encoded(|e| e.chinese())).expect("FS &").to_owned(),
        "pye-text" => format!("{PAGE}{}", line("TOTAL 12.50")),
        "pye-bold" => format!("{}{PAGE}{}{}", bold(Weight::Bold), line("A"), bold(Weight::Normal)),
        // ESC ! sizes Latin letters only; ours, GS ! and FS W, are in a test of their own.
        "pye-center-double" => {
            format!("1b21001b21001b2130{}{PAGE}{}", encoded(|e| e.align(Align::Centre)), line("A"))
        }
        "pye-drawer2" => encoded(|e| e.pulse(0, 0x32, 0x32)),
        "pye-drawer5" => encoded(|e| e.pulse(1, 0x32, 0x32)),
        "pye-cut" => encoded(|e| e.feed(6).cut(Cut::Full)),
        "pye-cut-part" => encoded(|e| e.feed(6).cut(Cut::Partial)),
        "pye-qr-native" => qr(),
        "pye-ean13b" => encoded(|e| e.bars(64, 2, true).ean13("6901234567892")),
        "pye-code128" => code128(true),
        "pye-lf" => format!("{PAGE}{}", encoded(|e| e.line("").line("").line(""))),
        "pye-beep" => encoded(|e| e.buzz(2, 3)),
        "pye-raster" => encoded(|e| e.raster(16, &diagonal)),
        "rpe-init" => format!("{}1c2e1b4d00", &encoded(|e| e.init())[..4]),
        "rpe-text" => format!("{}1c2e1b4d00{PAGE}{}", &encoded(|e| e.init())[..4], line("TOTAL 12.50")),
        "rpe-bold" => format!("{}{PAGE}{}{}0a", bold(Weight::Bold), text("A"), bold(Weight::Normal)),
        "rpe-pulse0" => encoded(|e| e.drawer(0)),
        "rpe-pulse1" => encoded(|e| e.drawer(1)),
        "rpe-cut" => format!("{}0a", encoded(|e| e.cut(Cut::Full))),
        "rpe-cutp" => format!("{}0a", encoded(|e| e.cut(Cut::Partial))),
        "rpe-qr" => format!("{}0a", qr()),
        // Its bars are three dots wide, and it leaves the font of their digits alone.
        "rpe-code128" => format!("1d68401d77031d4800{}0a", code128(false)),
        "rpe-pdf417" => format!("{}0a", encoded(|e| e.pdf417("HELLO"))),
        "pye-ean13" | "rpe-ean13" => return Golden::Other("GS k function A, which ends at a zero; ours is function B"),
        "rl-qr" => return Golden::Other("draws the symbol itself, as a picture"),
        "rl-ean13" => return Golden::Other("leaves the check digit to the printer; ours sends all thirteen"),
        "rl-gb18030-rare" => return Golden::Other("sends four-byte characters, which most printers show as rubbish"),
        "rl-plain" | "rl-gb18030" | "rl-bold" | "rl-table-cn" => return Golden::Other(LAYOUT),
        _ => panic!("{id} is new"),
    })
}

#[test]
fn symbols_of_eight_digits_and_two_dimensions_are_printed_and_drawn() {
    assert_eq!(encoded(|e| e.ean8("96385074")), "1d6b44083936333835303734");
    assert_eq!(encoded(|e| e.ean8("9638507")), "");
    assert_eq!(encoded(|e| e.pdf417("")), "");
    let mut encoder = Encoder::default();
    encoder.init().ean8("96385074").pdf417("R-1 <2>");
    let bytes = encoder.finish();
    let paper = Paper::of(&bytes);
    assert!(
        matches!(paper.rows.as_slice(), [Row::Bars(68, digits), Row::Pdf417(text)] if digits == "96385074" && text == "R-1 <2>")
    );
    // Three dots a module: 67 modules, 3 of guard, 4 digits of 7, 5 of middle, 4 digits of 7, 3 of guard.
    let picture = svg(&bytes, 48);
    let bars = picture.lines().find(|line| line.contains("crispEdges")).expect("bars");
    let dark = bars.matches("h3v90").count();
    assert_eq!(dark, 2 + 2 + 2 + ean8_dark("96385074"), "{bars}");
    assert!(picture.contains("PDF417 R-1 &lt;2>"), "{picture}");
}

/// Dark modules of the eight digits, by the specification's table of left-hand and right-hand patterns.
fn ean8_dark(digits: &str) -> usize {
    let left =
        ["0001101", "0011001", "0010011", "0111101", "0100011", "0110001", "0101111", "0111011", "0110111", "0001011"];
    digits
        .chars()
        .enumerate()
        .map(|(at, digit)| {
            let pattern = left[digit.to_digit(10).expect("a digit") as usize];
            pattern.matches(if at < 4 { '1' } else { '0' }).count()
        })
        .sum()
}

#[test]
fn a_logo_stands_above_receipts_and_only_there() {
    // P4, 16 by 2 dots.
    let mut desk = Desk::new(json!({"columns": 48, "logo": "UDQKMTYgMgqAAf//"}));
    desk.print(receipt(Language::En));
    let state = desk.sim.state();
    let text = state["receipts"][0].as_str().expect("text");
    assert!(text.starts_with("[PICTURE 16 dots wide]"), "{text}");
    assert_eq!(desk.events.last(), Some(&printed()));
    for wrong in ["UDQ", "UDUKMTYgMgqAAf//", "UDQKMTYgMgqA"] {
        let refused = (escpos::SPEC.build)(&json!({"logo": wrong})).err().expect("a refusal");
        assert!(refused.contains("P4"), "{refused}");
    }
}

#[test]
fn a_line_tells_what_is_special_about_it() {
    let pears = ReceiptLine {
        tare_g: 20,
        serial: Some("SN-77".into()),
        list_price: Some(Money(900)),
        savings: vec![(name("会员价", "Member price"), Money(50))],
        ..line(name("梨", "Pears"), 1, Some(500), 800, 350)
    };
    let back = ReceiptLine { kind: LineKind::Returned, ..line(name("牛奶", "Milk"), 1, None, 500, -500) };
    let empty = ReceiptLine { kind: LineKind::BottleReturn, ..line(name("空瓶", "Bottle"), 1, None, 15, -15) };
    let text = |language| {
        let lines = vec![pears.clone(), back.clone(), empty.clone()];
        let mut desk = Desk::new(json!({"columns": 48}));
        desk.print(Receipt { lines, ..receipt(language) });
        desk.sim.state()["receipts"][0].as_str().expect("text").to_owned()
    };
    let (zh, en) = (text(Language::Zh), text(Language::En));
    for row in ["已去皮 20 g", "序列号 SN-77", "改价，原价 ￥9.00", "会员价", "退货 牛奶", "退押金 空瓶"]
    {
        assert!(zh.contains(row), "{row}: {zh}");
    }
    for row in [
        "Tare taken off 20 g",
        "Serial no. SN-77",
        "Price changed from",
        "Member price",
        "Return: Milk",
        "Deposit back: Bottle",
    ] {
        assert!(en.contains(row), "{row}: {en}");
    }
}

fn name(zh: &str, en: &str) -> Name {
    Name { zh: zh.into(), en: en.into() }
}

fn line(name: Name, quantity: u32, weight_g: Option<u32>, unit: i64, total: i64) -> ReceiptLine {
    ReceiptLine {
        name,
        quantity,
        weight_g,
        unit_price: Money(unit),
        total: Money(total),
        savings: Vec::new(),
        kind: LineKind::Goods,
        tare_g: 0,
        serial: None,
        list_price: None,
    }
}

fn receipt(language: Language) -> Receipt {
    let mut cola = line(name("可口可乐 330ml", "Cola 330 ml"), 3, None, 350, 1050);
    cola.savings = vec![(name("第二件半价", "Second half price"), Money(175))];
    Receipt {
        store: name("爱丽思便利店", "Aisle Corner Store"),
        lane: LaneId(2),
        number: ReceiptNo(1042),
        transaction: "20261121-02-0042".into(),
        at: Utc(1_795_293_845_000),
        utc_offset_min: 480,
        currency: Currency { code: "CNY".into(), numeric: 156, sign: "¥".into(), digits: 2 },
        language,
        lines: vec![
            cola,
            line(name("红富士苹果", "Fuji apples"), 1, Some(1250), 1280, 1600),
            line(name("超长名称的有机全脂纯牛奶礼盒装十二盒整箱促销装", ""), 1, None, 5990, 5990),
            line(name("购物袋", "Bag"), 1, None, 30, 30),
        ],
        discount: Money(175),
        total: Money(8495),
        taxes: vec![TaxLine { rate_bp: 1300, net: Money(7518), tax: Money(977), added: false }],
        tenders: vec![ReceiptTender {
            kind: name("银联卡", "UnionPay"),
            amount: Money(8495),
            details: vec!["622588******6782 终端 52500042 流水 000101".into()],
        }],
        change: Money::ZERO,
        member: Some("**8811".into()),
        points: vec![SlipRow::of(("本次积分", "Points earned"), "12".into())],
        copy: false,
        kind: ReceiptKind::Sale,
        training: false,
        rounding: Money::ZERO,
        code: "R-20261121-02-004200".into(),
        coupons: Vec::new(),
    }
}

struct Desk {
    now: u64,
    driver: Box<dyn Driver>,
    sim: Box<dyn Sim>,
    events: Vec<PrinterEvent>,
}

impl Desk {
    fn new(options: Value) -> Self {
        let (_, build) = SIMS.iter().find(|(name, _)| *name == "escpos").expect("escpos");
        let columns = json!({"columns": options["columns"].as_u64().unwrap_or(48)});
        let mut desk = Self {
            now: 0,
            driver: (escpos::SPEC.build)(&options).expect("options"),
            sim: build(&columns).expect("options"),
            events: Vec::new(),
        };
        desk.sim.handle(Mono(0), SimIn::Connected, &mut Out::default());
        desk.tell(In::Opened);
        desk
    }

    fn tell(&mut self, input: In<'_>) {
        let mut out = Out::default();
        self.driver.handle(Mono(self.now), input, &mut out);
        self.deliver(out);
    }

    fn deliver(&mut self, out: Out) {
        assert_eq!(out.failed, None);
        for event in out.events {
            if let DeviceEvent::Printer(event) = event {
                self.events.push(event);
            }
        }
        if !out.bytes.is_empty() {
            let mut answer = Out::default();
            self.sim.handle(Mono(self.now), SimIn::Bytes(&out.bytes), &mut answer);
            self.answer(answer);
        }
    }

    fn answer(&mut self, answer: Out) {
        if !answer.bytes.is_empty() {
            self.tell(In::Bytes(&answer.bytes));
        }
    }

    fn control(&mut self, verb: Value) {
        let mut answer = Out::default();
        self.sim.handle(Mono(self.now), SimIn::Control(&verb), &mut answer);
        self.answer(answer);
    }

    fn print(&mut self, receipt: Receipt) {
        let job = PrintJob { document: Document::Receipt(receipt), drawer: true };
        self.tell(In::Command(&DeviceCommand::Print(Box::new(job))));
    }

    fn wait(&mut self) {
        self.now += 2_000;
        self.tell(In::Timeout);
    }
}

fn printed() -> PrinterEvent {
    let transaction = "20261121-02-0042".into();
    PrinterEvent::Printed { transaction }
}

#[test]
fn a_receipt_is_printed_confirmed_and_readable() {
    for width in [32, 42, 48] {
        for language in [Language::Zh, Language::En] {
            let mut desk = Desk::new(json!({"columns": width}));
            desk.print(receipt(language));
            assert_eq!(desk.events, [PrinterEvent::Ready, printed()]);
            let state = desk.sim.state();
            assert_eq!(state["drawer_kicks"], 1);
            let text = state["receipts"][0].as_str().expect("text");
            for row in text.lines().filter(|row| !row.starts_with("[QR")) {
                assert!(columns(row) <= width, "{row:?} is wider than {width}");
            }
            let total = match language {
                Language::Zh => "合计",
                Language::En => "Total",
            };
            let row = text.lines().find(|row| row.starts_with(total)).expect("a total");
            assert!(row.ends_with("￥84.95") && columns(row) == width, "{row}");
            assert!(text.contains("1.250 kg x ￥12.80/kg"), "{text}");
            assert!(text.contains("2026-11-2"), "{text}");
            assert!(text.contains("[QR R-20261121-02-0042"), "{text}");
            if let Some(folder) = std::env::var_os("AISLE_RECEIPTS") {
                let stem = std::path::Path::new(&folder).join(format!("receipt-{width}-{language:?}"));
                std::fs::write(stem.with_extension("txt"), text).expect("written");
                let picture = state["svgs"][0].as_str().expect("svg");
                std::fs::write(stem.with_extension("svg"), picture).expect("written");
            }
        }
    }
}

#[test]
fn coupons_stand_under_the_receipt_each_with_its_code_and_last_day() {
    for width in [32, 48] {
        let mut desk = Desk::new(json!({"columns": width}));
        let code = "K-tea.b1-2-x-17.2026-12-31.zhszjzrhy33yu2mf38";
        let tea = ReceiptCoupon {
            name: name("下次满30减5", "5.00 off your next 30.00"),
            last_day: "2026-12-31".into(),
            code: code.into(),
        };
        desk.print(Receipt { coupons: vec![tea], ..receipt(Language::En) });
        let state = desk.sim.state();
        let text = state["receipts"][0].as_str().expect("text");
        let (sale, coupon) = text.split_once("A coupon for you").expect("a coupon");
        assert!(sale.contains("[QR R-20261121"), "{text}");
        assert!(coupon.contains("5.00 off your next 30.00") && coupon.contains("Good until 2026-12-31"), "{text}");
        assert!(coupon.contains(&format!("[QR {code}]")), "{text}");
    }
}

#[test]
fn amounts_end_at_the_last_column_and_copies_say_so() {
    let mut desk = Desk::new(json!({"columns": 48}));
    let mut copy = receipt(Language::Zh);
    copy.copy = true;
    copy.change = Money(505);
    desk.print(copy);
    let state = desk.sim.state();
    let text = state["receipts"][0].as_str().expect("text");
    assert!(text.contains("*** 补打 ***"));
    for ending in ["￥10.50", "￥16.00", "￥59.90", "￥0.30", "-￥1.75", "￥5.05"] {
        let row = text.lines().find(|row| row.ends_with(ending)).expect(ending);
        assert_eq!(columns(row), 48, "{row}");
    }
}

#[test]
fn without_paper_a_job_waits_and_is_printed_once() {
    let mut desk = Desk::new(json!({}));
    desk.control(json!({"paper": "low"}));
    desk.control(json!({"paper": "out"}));
    assert_eq!(desk.events, [PrinterEvent::Ready, PrinterEvent::PaperLow, PrinterEvent::PaperOut]);
    desk.events.clear();
    desk.print(receipt(Language::Zh));
    (0..20).for_each(|_| desk.wait());
    assert_eq!(desk.events, []);
    desk.control(json!({"paper": "ok"}));
    assert_eq!(desk.events, [PrinterEvent::Ready, printed()]);
    assert_eq!(desk.sim.state()["printed"], 1);
    desk.control(json!({"cover": "open"}));
    assert_eq!(desk.events.last(), Some(&PrinterEvent::CoverOpen));
}

#[test]
fn paper_that_ends_inside_a_job_is_told_and_the_job_ends_later() {
    let mut desk = Desk::new(json!({}));
    let mut silent = Out::default();
    let out_of_paper = json!({"paper": "out"});
    desk.sim.handle(Mono(0), SimIn::Control(&out_of_paper), &mut silent);
    desk.print(receipt(Language::En));
    desk.wait();
    assert_eq!(desk.events, [PrinterEvent::Ready, PrinterEvent::PaperOut]);
    let half = desk.sim.state();
    assert_eq!(half["printed"], 0, "nothing is confirmed while it is half printed");
    desk.control(json!({"paper": "ok"}));
    assert_eq!(desk.events[2..], [PrinterEvent::Ready, printed()]);
    // It went on where it stopped: one original, whole, and the drawer opened once.
    let state = desk.sim.state();
    assert_eq!((&state["printed"], &state["drawer_kicks"]), (&json!(1), &json!(1)), "{state}");
    let receipts = vectors::list(&state["receipts"]);
    assert!(receipts.len() == 1 && receipts[0].as_str().is_some_and(|text| text.matches("Total").count() == 1));
    (0..20).for_each(|_| desk.wait());
    assert_eq!(desk.sim.state()["printed"], 1);
    assert_eq!(desk.events.iter().filter(|event| **event == printed()).count(), 1);
}

#[test]
fn a_silent_printer_is_given_up_and_a_blind_link_counts_sent_as_printed() {
    let job =
        DeviceCommand::Print(Box::new(PrintJob { document: Document::Receipt(receipt(Language::Zh)), drawer: false }));
    let mut deaf = (escpos::SPEC.build)(&json!({})).expect("options");
    let mut out = Out::default();
    deaf.handle(Mono(0), In::Command(&job), &mut out);
    (1..=10).for_each(|at| deaf.handle(Mono(at * 2_000), In::Timeout, &mut out));
    assert!(out.failed.is_some() && out.events.is_empty());
    let mut blind = (escpos::SPEC.build)(&json!({"confirm": "none"})).expect("options");
    let mut out = Out::default();
    blind.handle(Mono(0), In::Command(&job), &mut out);
    assert_eq!(out.events, [DeviceEvent::Printer(printed())]);
    assert!(!hex(&out.bytes).contains("1d7201"));
}

#[test]
fn the_picture_shows_what_the_paper_shows() {
    let mut encoder = Encoder::default();
    encoder.init().line("a < b & 合计").qr("x", 6).cut(Cut::Full);
    let bytes = encoder.finish();
    let picture = svg(&bytes, 48);
    assert!(picture.contains("a&lt;b&amp;合计"), "{picture}");
    assert!(matches!(Paper::of(&bytes).rows.as_slice(), [Row::Text(_), Row::Qr(_), Row::Cut]));
}

/// A printer with a receipt in it, and whoever speaks to it.
fn printing() -> Box<dyn Driver> {
    let mut driver = (escpos::SPEC.build)(&json!({})).expect("options");
    driver.handle(Mono(0), In::Opened, &mut Out::default());
    let job = PrintJob { document: Document::Receipt(receipt(Language::En)), drawer: false };
    driver.handle(Mono(0), In::Command(&DeviceCommand::Print(Box::new(job))), &mut Out::default());
    driver
}

fn failed(driver: &mut dyn Driver, now: u64, input: In<'_>) -> Option<String> {
    let mut out = Out::default();
    driver.handle(Mono(now), input, &mut out);
    out.failed
}

/// What says that paper and cover are well.
const WELL: In<'_> = In::Bytes(&[0x12]);

#[test]
fn a_confirmation_that_is_lost_is_asked_for_again_and_counts_for_one_receipt() {
    let mut driver = printing();
    let mut tell = |now, input: In<'_>| {
        let mut out = Out::default();
        driver.handle(Mono(now), input, &mut out);
        out
    };
    let asks = |out: &Out| out.bytes.windows(3).any(|three| three == [0x1D, b'r', 1]);
    let asked = (1..6).find(|turn| {
        let out = tell(turn * 2_000, In::Timeout);
        tell(turn * 2_000 + 10, WELL);
        asks(&out)
    });
    let now = asked.expect("it is asked again") * 2_000 + 20;
    let mut two = receipt(Language::En);
    two.transaction = "two".into();
    let job = PrintJob { document: Document::Receipt(two), drawer: false };
    tell(now, In::Command(&DeviceCommand::Print(Box::new(job))));
    // Both answers come: the second is not the next receipt's.
    let events = tell(now + 10, In::Bytes(&[0, 0])).events;
    let printed = |events: &[DeviceEvent]| {
        let is = |event: &&DeviceEvent| matches!(event, DeviceEvent::Printer(PrinterEvent::Printed { .. }));
        events.iter().filter(is).count()
    };
    assert_eq!(printed(&events), 1);
    assert_eq!(printed(&tell(now + 20, In::Bytes(&[0])).events), 1);
}

#[test]
fn a_confirmation_that_never_comes_holds_up_the_receipts_right_behind_it_for_a_moment() {
    let mut driver = printing();
    let mut tell = |now, input: In<'_>| {
        let mut out = Out::default();
        driver.handle(Mono(now), input, &mut out);
        out
    };
    for name in ["two", "three"] {
        let mut next = receipt(Language::En);
        next.transaction = name.into();
        let job = PrintJob { document: Document::Receipt(next), drawer: false };
        tell(1, In::Command(&DeviceCommand::Print(Box::new(job))));
    }
    let printed = |out: &Out| {
        let is = |event: &&DeviceEvent| matches!(event, DeviceEvent::Printer(PrinterEvent::Printed { .. }));
        out.events.iter().filter(is).count()
    };
    let asks = |out: &Out| out.bytes.windows(3).any(|three| three == [0x1D, b'r', 1]);
    let mut turn = 0;
    let mut asked = |tell: &mut dyn FnMut(u64, In<'_>) -> Out| {
        loop {
            turn += 1;
            assert!(turn < 20, "it is asked again");
            let out = tell(turn * 2_000, In::Timeout);
            tell(turn * 2_000 + 10, WELL);
            if asks(&out) {
                return turn * 2_000 + 20;
            }
        }
    };
    // The first one's answer was lost, and only the second question is answered.
    let now = asked(&mut tell);
    assert_eq!(printed(&tell(now, In::Bytes(&[0]))), 1);
    // The second receipt's own answer may be the first one's, late: it is asked again soon. So with the third's.
    let mut now = now;
    for _ in ["two", "three"] {
        let doubtful = tell(now + 20, In::Bytes(&[0]));
        assert_eq!(printed(&doubtful), 0);
        let at = doubtful.wake_at.expect("it is not left at that").0;
        assert!(at <= now + 500, "{at} is long after {now}");
        assert!(asks(&tell(at, In::Timeout)));
        assert_eq!(printed(&tell(at + 20, In::Bytes(&[0]))), 1);
        now = at + 20;
    }
    // One that is printed by itself is told by its own answer.
    let mut four = receipt(Language::En);
    four.transaction = "four".into();
    let job = PrintJob { document: Document::Receipt(four), drawer: false };
    tell(now + 1_000, In::Command(&DeviceCommand::Print(Box::new(job))));
    assert_eq!(printed(&tell(now + 1_010, In::Bytes(&[0]))), 1);
}

#[test]
fn a_printer_that_was_away_with_a_receipt_in_it_is_not_believed() {
    let mut driver = printing();
    assert_eq!(failed(&mut *driver, 2_000, In::Timeout), None);
    assert_eq!(failed(&mut *driver, 4_000, In::Timeout), None, "one silence may be a long line");
    let reason = failed(&mut *driver, 4_500, WELL).expect("nobody knows what became of the receipt");
    assert!(reason.contains("was away"), "{reason}");
}
