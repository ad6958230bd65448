//! ESC/POS: golden bytes of other encoders, what a receipt looks like on paper, and a printer that runs out of it.

mod vectors;

use checkout::device::{DeviceCommand, DeviceEvent, Document, PrintJob, PrinterEvent};
use checkout::line::LineKind;
use checkout::receipt::{Currency, Receipt, ReceiptCoupon, ReceiptKind, ReceiptLine, ReceiptTender, SlipRow, TaxLine};
use checkout::words::{LaneId, Language, Money, Mono, Name, ReceiptNo, Utc};
use drivers::escpos::render::{Paper, Row, svg};
use drivers::escpos::{self, Cut, Encoder, Weight, columns};
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
    let link = "https://example.com/01/06901234567892";
    let model = |hex: String| hex.replace("1d286b03003143061d286b03003145311d", "1d286b03003143031d286b03003145301d");
    assert!(encoded(|e| e.init()).starts_with(&golden("pye-hw-init")));
    assert_eq!(model(encoded(|e| e.qr(link, 6))), golden("pye-qr-native"));
    assert!(golden("rpe-qr").starts_with(&model(encoded(|e| e.qr(link, 6)))));
    assert!(golden("pye-cut").ends_with(&encoded(|e| e.cut(Cut::Full))));
    assert!(golden("pye-cut-part").ends_with(&encoded(|e| e.cut(Cut::Partial))));
    assert!(golden("rpe-cutp").starts_with(&encoded(|e| e.cut(Cut::Partial))));
    assert_eq!(encoded(|e| e.drawer(0)), golden("rpe-pulse0"));
    assert_eq!(encoded(|e| e.drawer(1)), golden("rpe-pulse1"));
    assert!(golden("pye-bold").starts_with(&encoded(|e| e.weight(Weight::Bold))));
    assert!(golden("pye-bold").ends_with(&encoded(|e| e.weight(Weight::Normal))));
    assert!(golden("pye-text").ends_with(&encoded(|e| e.line("TOTAL 12.50"))));
    assert_eq!(encoded(|e| e.confirm()), file["status"]["GS r 1"].as_str().expect("hex"));
    assert_eq!(encoded(|e| e.chinese()), file["agreed"]["kanji_on"].as_str().expect("hex"));
    assert!(golden("pye-ean13b").ends_with(&encoded(|e| e.ean13("6901234567892"))));
    assert!(golden("pye-code128").ends_with(&encoded(|e| e.code128("0123ABC"))));
    assert!(golden("rpe-code128").contains(&encoded(|e| e.code128("0123ABC"))));
    let diagonal = [0x88, 0x88, 0x44, 0x44, 0x22, 0x22, 0x11, 0x11];
    assert_eq!(encoded(|e| e.raster(16, &diagonal)), golden("pye-raster"));
    assert_eq!(encoded(|e| e.buzz(2, 3)), golden("pye-beep"));
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
    println!("17 encoder cases and {texts} GB18030 cases agree");
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
                let picture = state["last_svg"].as_str().expect("svg");
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
    desk.control(json!({"paper": "ok"}));
    assert_eq!(desk.events[2..], [PrinterEvent::Ready, printed()]);
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
