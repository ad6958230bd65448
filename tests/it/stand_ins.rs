//! What a developer of tills uses without a shop: `aisled sim`, `aisled decode`.

use aisled::config::Device;
use aisled::core_loop::ToCore;
use aisled::device::port;
use aisled::device_board::Board;
use anyhow::{Context as _, Result, bail, ensure};
use checkout::Input;
use checkout::device::{
    CardOutcome, DeviceCommand, DeviceEvent, Document, LaneLight, PrintJob, PrinterEvent, Show, Shown, TerminalCommand,
    TerminalEvent, Weight,
};
use checkout::receipt::{Currency, Receipt};
use checkout::store::PortStatus;
use checkout::words::{Grams, Language, Money, Mono, Utc};
use drivers::decode::DECODERS;
use drivers::sim::SIMS;
use drivers::{DRIVERS, In, Kind, Out, Spec, zvt};
use e2e::program;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::mpsc as channel;

const SOON: Duration = Duration::from_secs(20);
const CODE: &str = "6901234567892";
const GRAMS: u32 = 450;
/// A line that is opened here must not become this process's terminal (fcntl.h).
const O_NOCTTY: i32 = 0o400;

#[test]
fn every_stand_in_runs_by_itself_and_its_driver_talks_to_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for (name, _) in SIMS {
        let spec = DRIVERS.iter().find(|spec| spec.name == *name).with_context(|| format!("{name} has no driver"))?;
        let stand_in = StandIn::start(spec, folder.path())?;
        let (link, _held) = stand_in.link()?;
        runtime.block_on(Till::talks(spec, link, &stand_in)).with_context(|| format!("aisled sim {name}"))?;
    }
    Ok(())
}

#[test]
fn each_frame_on_standard_input_is_told_as_one_line_whatever_the_device() -> Result<()> {
    let frames = frames();
    for (driver, _) in DECODERS {
        let rows: Vec<&Frame> = frames.iter().filter(|frame| frame.driver == *driver).collect();
        ensure!(!rows.is_empty(), "{driver} has no frame here");
        for Frame { context, hex, wanted, .. } in rows {
            let mut command = program("aisled");
            command.args(["decode", driver]);
            if let Some(context) = context {
                command.args(["--context", context]);
            }
            let told = answered(&mut command, &format!("{hex}\n\nnot hexadecimal\n"))?;
            let told: Vec<Value> = told.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
            ensure!(told.len() == 2 && told[0]["ok"] == true && told[1]["ok"] == false, "{driver} {hex}: {told:?}");
            for (name, value) in wanted.as_object().context("an object")? {
                ensure!(told[0][name] == *value, "{driver} {hex}: {name} in {}", told[0]);
            }
        }
    }
    let refused = program("aisled").args(["decode", "no-such-driver"]).stdin(Stdio::null()).output()?;
    ensure!(refused.status.code() == Some(64) && String::from_utf8_lossy(&refused.stderr).contains("scale-8217"));
    Ok(())
}

#[test]
fn the_bytes_of_a_receipt_are_drawn_with_every_row_in_its_place() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("receipt.svg");
    let mut printer = built(DRIVERS.iter().find(|spec| spec.name == "escpos").context("a printer")?)?;
    let mut out = Out::default();
    let job = PrintJob { document: Document::Receipt(receipt()?), drawer: true };
    printer.handle(Mono(0), In::Command(&DeviceCommand::Print(Box::new(job))), &mut out);
    // As somebody copies it from a trace: a line for each chunk, cut anywhere.
    let lines: Vec<String> = out.bytes.chunks(61).map(drivers::decode::hex).collect();
    answered(program("aisled").args(["decode", "escpos", "--svg"]).arg(&file), &lines.join("\n"))?;
    let svg = std::fs::read_to_string(&file)?;
    ensure!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg:.80}");
    for text in ["爱丽思便利店", "有机纯牛奶", "162.00"] {
        ensure!(svg.contains(text), "{text} is not drawn");
    }
    if let Some(kept) = std::env::var_os("AISLE_RECEIPT_SVG") {
        std::fs::copy(&file, kept)?;
    }
    let whole = lines.concat();
    let told: Value = serde_json::from_str(&answered(program("aisled").args(["decode", "escpos"]), &whole)?)?;
    let text = told["text"].as_str().context("no text")?;
    ensure!(told["cuts"] == 1 && told["drawer_kicks"] == 1, "{told}");
    // Amounts end where the paper ends, also behind Chinese names, whose letters are two columns wide.
    let ends: Vec<usize> = text.lines().filter(|row| row.ends_with(".00")).map(drivers::escpos::columns).collect();
    ensure!(ends.len() > 5 && ends.iter().all(|end| *end == 48), "{ends:?}\n{text}");
    Ok(())
}

/// `aisled sim` as a process; it ends with the test.
struct StandIn {
    child: Child,
    verbs: std::cell::RefCell<ChildStdin>,
    said: mpsc::Receiver<Value>,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl StandIn {
    fn start(spec: &Spec, folder: &Path) -> Result<Self> {
        let serial = spec.links.iter().all(|link| !link.is_per_command());
        let link = if serial && spec.kind != Kind::Printer {
            format!("pty:{}", folder.join(spec.name).display())
        } else {
            "tcp:127.0.0.1:0".to_owned()
        };
        let mut command = program("aisled");
        command.args(["sim", spec.name, "--link", &link]);
        if spec.kind == Kind::Terminal {
            command.args(["--options", r#"{"tap_ms": 20}"#]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("aisled sim")?;
        let verbs = child.stdin.take().context("no input")?.into();
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let (tell, said) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let Ok(told) = serde_json::from_str(&line) else { continue };
                if tell.send(told).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, verbs, said })
    }

    /// Where it says it is; the line itself where a daemon would be started with it.
    fn link(&self) -> Result<(String, Option<File>)> {
        let told = self.said.recv_timeout(SOON).context("it does not say where it is")?;
        let link = told["link"].as_str().with_context(|| format!("no link in {told}"))?;
        let Some((_, path)) = link.split_once("7<>") else { return Ok((link.to_owned(), None)) };
        let line = File::options().read(true).write(true).custom_flags(O_NOCTTY).open(path)?;
        Ok((format!("fd:{}", line.as_raw_fd()), Some(line)))
    }

    fn hand(&self, verb: &Value) -> Result<()> {
        Ok(writeln!(self.verbs.borrow_mut(), "{verb}")?)
    }

    /// What a person before it sees, once it is so.
    fn shows(&self, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let end = Instant::now() + SOON;
        while let Ok(state) = self.said.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if wanted(&state) {
                return Ok(state);
            }
        }
        bail!("it never showed that")
    }
}

/// The till's side of one device.
struct Till {
    inputs: channel::Receiver<ToCore>,
    commands: channel::Sender<DeviceCommand>,
}

impl Till {
    async fn talks(spec: &Spec, link: String, stand_in: &StandIn) -> Result<()> {
        let (core, inputs) = channel::channel(64);
        let (commands, asked) = channel::channel(8);
        let options = options(spec)?;
        let device = Device { name: "d-1".into(), driver: spec.name.into(), link, model: None, options };
        let port = tokio::spawn(port(device, core, asked, Arc::new(Board::default()), Arc::default()));
        let mut till = Self { inputs, commands };
        let talked = till.talk(spec.kind, stand_in).await;
        port.abort();
        talked
    }

    async fn talk(&mut self, kind: Kind, stand_in: &StandIn) -> Result<()> {
        let up = self.next().await?;
        ensure!(matches!(up, Input::Port { status: PortStatus::Up, .. }), "the device is not up: {up:?}");
        match kind {
            Kind::Scanner => {
                stand_in.shows(|state| state["connected"] == true)?;
                stand_in.hand(&json!({"scan": CODE}))?;
                self.hears(|event| matches!(event, DeviceEvent::Scan(scan) if scan.data == CODE.as_bytes())).await
            }
            Kind::Scale => {
                stand_in.hand(&json!({"put": GRAMS}))?;
                stand_in.shows(|state| state["grams"] == GRAMS)?;
                self.asks(DeviceCommand::ReadWeight { unit_price: Money(798), tare: Grams(0) }).await?;
                self.hears(|event| {
                    matches!(event, DeviceEvent::Weight(Weight::Stable(net) | Weight::Priced { net, .. }) if net.0 == GRAMS)
                })
                .await
            }
            Kind::Terminal => self.pays(stand_in).await,
            Kind::Printer => {
                let job = PrintJob { document: Document::Receipt(receipt()?), drawer: true };
                self.asks(DeviceCommand::Print(Box::new(job))).await?;
                self.hears(|event| matches!(event, DeviceEvent::Printer(PrinterEvent::Printed { .. }))).await?;
                stand_in.shows(|state| state["drawer_kicks"] == 1 && state["printed"] == 1).map(drop)
            }
            Kind::Display => {
                let currency = Currency { code: "CNY".into(), numeric: 156, sign: "￥".into(), digits: 2 };
                let what = Shown::Due { due: Money(1435) };
                self.asks(DeviceCommand::Show(Box::new(Show { language: Language::En, currency, what }))).await?;
                stand_in.shows(|state| state.to_string().contains("14.35")).map(drop)
            }
            Kind::Light => {
                self.asks(DeviceCommand::Light(LaneLight::Attention)).await?;
                stand_in.shows(|state| state["red"] == "blink").map(drop)
            }
            Kind::Vision | Kind::Camera => bail!("no stand-in of that kind is known"),
        }
    }

    async fn pays(&mut self, stand_in: &StandIn) -> Result<()> {
        let tender = || "tender-1".into();
        let ask = TerminalCommand::Authorise { tender: tender(), amount: Money(1_500), at: Utc(0) };
        self.asks(DeviceCommand::Terminal(ask)).await?;
        self.hears(|event| {
            matches!(event, DeviceEvent::Terminal(TerminalEvent::Answered { outcome: CardOutcome::Approved(slip), .. })
                if slip.amount == Money(1_500))
        })
        .await?;
        self.asks(DeviceCommand::Terminal(TerminalCommand::Acknowledge { tender: tender() })).await?;
        self.hears(|event| matches!(event, DeviceEvent::Terminal(TerminalEvent::Finished { .. }))).await?;
        stand_in.shows(|state| state["charges"][0]["state"] == "captured" && state["charges"][0]["amount"] == 1_500)?;
        Ok(())
    }

    async fn asks(&self, command: DeviceCommand) -> Result<()> {
        Ok(self.commands.send(command).await?)
    }

    async fn hears(&mut self, wanted: impl Fn(&DeviceEvent) -> bool) -> Result<()> {
        loop {
            let input = self.next().await?;
            if let Input::Port { status: PortStatus::Down { reason }, .. } = &input {
                bail!("the device is down: {reason}");
            }
            if matches!(&input, Input::Device { event, .. } if wanted(event)) {
                return Ok(());
            }
        }
    }

    async fn next(&mut self) -> Result<Input> {
        let told = tokio::time::timeout(SOON, self.inputs.recv()).await.context("the device says nothing")?;
        let ToCore::Input(input) = told.context("the port has ended")? else { bail!("no input of a device") };
        Ok(input)
    }
}

fn options(spec: &Spec) -> Result<Value> {
    let table: toml::Table = toml::from_str(spec.example)?;
    Ok(table.get("options").map_or(Value::Null, |options| json!(options)))
}

fn built(spec: &Spec) -> Result<Box<dyn drivers::Driver>> {
    (spec.build)(&options(spec)?).map_err(anyhow::Error::msg)
}

/// Gives a command its input; what it says.
fn answered(command: &mut std::process::Command, input: &str) -> Result<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().context("no input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{command:?} ends with {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

struct Frame {
    driver: &'static str,
    context: Option<&'static str>,
    hex: String,
    wanted: Value,
}

/// By the specifications, put together by hand.
fn frames() -> Vec<Frame> {
    let frame = |driver, hex: &str, wanted| Frame { driver, context: None, hex: hex.into(), wanted };
    let serial = drivers::decode::hex(&zvt::serial::wrap(&[0x06, 0x1E, 0x01, 0x6C]));
    let answer = json!({"SaleToPOIResponse": {
        "MessageHeader": {"MessageClass": "Service", "MessageCategory": "Payment", "MessageType": "Response",
                          "ServiceID": "1", "SaleID": "s", "POIID": "p"},
        "PaymentResponse": {"Response": {"Result": "Success"}, "PaymentResult": {
            "AmountsResp": {"AuthorizedAmount": 14.35, "Currency": "EUR"},
            "PaymentInstrumentData": {"CardData": {"MaskedPan": "4111111111111111", "PaymentBrand": "visa"}}}},
    }});
    let report = format!("020D5D4530{}{}", drivers::decode::hex(CODE.as_bytes()), "00".repeat(46));
    let keys: [(u16, i32); 6] = [(7, 1), (7, 0), (10, 1), (10, 0), (28, 1), (28, 0)];
    let typed: Vec<u8> = keys
        .iter()
        .flat_map(|(code, value)| {
            [&[0; 16][..], &1_u16.to_le_bytes(), &code.to_le_bytes(), &value.to_le_bytes()].concat()
        })
        .collect();
    vec![
        frame("zvt", "06 1E 01 6C", json!({"ctrl": "06 1E", "result_code": "6C"})),
        frame(
            "zvt",
            "040F0C270004000000001435490978",
            json!({"ctrl": "04 0F", "amount_minor": 1435, "result_code": 0}),
        ),
        Frame { context: Some("0501"), ..frame("zvt", "060F01DC", json!({"ctrl": "06 0F"})) },
        frame("zvt-serial", &serial, json!({"ctrl": "06 1E", "result_code": "6C"})),
        frame(
            "nexo",
            &drivers::decode::hex(answer.to_string().as_bytes()),
            json!({"amount_minor": 1435, "currency": "EUR", "pan_masked": "411111******1111", "approved": true}),
        ),
        frame("transbank", "02303230307C3132337C0331", json!({"ctrl": "0200", "amount_minor": 123, "lrc": "31"})),
        frame("codepay", "55AA010000000001CC33", json!({"ctrl": "HANDSHAKE"})),
        frame("scale-8217", "022030312E3233300D", json!({"weight_g": 1230, "stable": true})),
        frame("scale-nci", "0A30312E3235304B470D0A5330300D03", json!({"weight_g": 1250})),
        frame(
            "scale-dialog06",
            "040230331B3030303335301B3030303230 03",
            json!({"unit_price_minor": 350, "tare_g": 20}),
        ),
        frame("scale-cas", "53542C47532C2B2020312E3530306B670D0A", json!({"weight_g": 1500, "stable": true})),
        frame("scale-adam", "2020312E3530306B670D0A", json!({"weight_g": 1500})),
        frame("scale-sics", "532053202020203130302E303020670D0A", json!({"weight_g": 100, "stable": true})),
        frame("scanner-line", "5D4530363930313233343536373839320D0A", json!({"aim": "E0", "data": CODE})),
        frame("scanner-ssi", "12F300000B36393031323334353637383932FC42", json!({"ctrl": "F3", "data": CODE})),
        frame("scanner-hid", &report, json!({"aim": "E0", "data": CODE})),
        frame("scanner-keys", &drivers::decode::hex(&typed), json!({"data": "69"})),
        frame("escpos", "1B40546F74616C0A1D5600", json!({"cuts": 1, "drawer_kicks": 0})),
        frame("pole-cd5220", "1B5141544F54414C2020202020202020202031322E35300D", json!({"ctrl": "UPPER"})),
        frame("pole-led8n", "1B514131322E35300D", json!({"text": "12.50"})),
    ]
}

fn receipt() -> Result<Receipt> {
    let names = [
        ("有机纯牛奶 250ml×12", "Organic milk 250 ml x 12"),
        ("可乐", "Cola"),
        ("A4 复印纸（500张）", "Paper A4"),
        ("梨", "Pears"),
    ];
    let line = |(zh, en): &(&str, &str)| json!({"name": {"zh": zh, "en": en}, "quantity": 2, "weight_g": null, "unit_price": 2000, "total": 4000, "savings": []});
    Ok(serde_json::from_value(json!({
        "store": {"zh": "爱丽思便利店", "en": "Aisle Corner Store"}, "lane": 1, "number": 1042, "transaction": "t-1", "at": 0,
        "utc_offset_min": 480, "currency": {"code": "CNY", "numeric": 156, "sign": "￥", "digits": 2}, "language": "zh",
        "lines": names.iter().map(line).collect::<Vec<_>>(), "discount": 0, "total": 16_200,
        "taxes": [{"rate_bp": 1300, "net": 14_300, "tax": 1900}],
        "tenders": [{"kind": {"zh": "银行卡", "en": "Card"}, "amount": 16_200, "details": ["622588******6782"]}],
        "change": 0, "member": "**8811", "points": [], "copy": false, "kind": "sale", "training": false, "rounding": 200,
        "code": "R-20261121-02-004200", "coupons": [],
    }))?)
}
