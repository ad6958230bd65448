//! Programs of others read what we write, and we read what they write. `scripts/setup.sh test` installs them.

use anyhow::{Context as _, Result, ensure};
use checkout::device::{CardOutcome, DeviceCommand, DeviceEvent, TerminalCommand, TerminalEvent};
use checkout::words::{Money, Mono, Utc};
use drivers::escpos::{Cut, Encoder, Weight, render};
use drivers::{In, Out};
use e2e::finished;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const LINK: &str = "https://example.com/01/06901234567892";
const EAN: &str = "6901234567892";

/// The folder the peers were installed in, if `what` is there; says so where it is not.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn peer(what: &str) -> Option<PathBuf> {
    let here = std::env::current_exe().ok()?;
    let folder = here
        .ancestors()
        .map(|folder| folder.join("peers"))
        .find(|folder| folder.join("js").exists() || folder.join("py").exists());
    let found = folder.filter(|folder| folder.join(what).exists());
    if found.is_none() {
        println!("skipped: {what} is not installed (scripts/setup.sh test)");
    }
    found
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
}

/// Runs a script of `tests/peers` and gives it `input`.
fn asked(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("no input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn node(peers: &Path, name: &str) -> Command {
    let mut node = Command::new("node");
    node.arg(script(name)).env("NODE_PATH", peers.join("js/node_modules"));
    node
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn encoded(write: impl FnOnce(&mut Encoder) -> &mut Encoder) -> Vec<u8> {
    let mut encoder = Encoder::default();
    write(&mut encoder);
    encoder.finish()
}

#[test]
fn the_terminal_makers_library_opens_our_messages_and_we_open_its() -> Result<()> {
    let Some(peers) = peer("js/node_modules/@adyen/api-library") else { return Ok(()) };
    let options = json!({"sale": "lane-1", "poi": "P400Plus-123456789", "currency": "EUR",
                         "passphrase": "change me", "key": "lane", "key_version": 1});
    let mut terminal = (drivers::nexo::SPEC.build)(&options).map_err(anyhow::Error::msg)?;
    let mut out = Out::default();
    terminal.handle(Mono(0), In::Opened, &mut out);
    let authorise = TerminalCommand::Authorise { tender: "tender-1".into(), amount: Money(1435), at: Utc(0) };
    terminal.handle(Mono(0), In::Command(&DeviceCommand::Terminal(authorise)), &mut out);
    let sent = String::from_utf8(out.bytes)?;
    let (_, body) = sent.split_once("\r\n\r\n").context("no request over HTTP")?;
    ensure!(!sent.contains("14.35"), "the amount travels unsealed");
    let request: Value = serde_json::from_str(body)?;
    let answer = json!({"PaymentResponse": {
        "Response": {"Result": "Success"},
        "SaleData": {"SaleTransactionID": {"TransactionID": "tender-1", "TimeStamp": "2026-01-02T03:04:05Z"}},
        "POIData": {"POITransactionID": {"TransactionID": "abc.123", "TimeStamp": "2026-01-02T03:04:06Z"}},
        "PaymentResult": {"AmountsResp": {"AuthorizedAmount": 14.35, "Currency": "EUR"}},
    }});
    let input = json!({"request": request["SaleToPOIRequest"], "answer": answer}).to_string();
    let told: Value = serde_json::from_str(&asked(&mut node(&peers, "adyen.js"), &input)?)?;
    let amounts = find(&told["opened"], "AmountsReq").context("no amount in what it opened")?;
    ensure!(*amounts == json!({"Currency": "EUR", "RequestedAmount": 14.35}), "it reads {amounts}");
    let body = told["sealed"].to_string();
    let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut out = Out::default();
    terminal.handle(Mono(1), In::Bytes(reply.as_bytes()), &mut out);
    let Some(DeviceEvent::Terminal(TerminalEvent::Answered { outcome: CardOutcome::Approved(slip), .. })) =
        out.events.first()
    else {
        anyhow::bail!("{:?} {:?}", out.events, out.failed);
    };
    ensure!(slip.amount == Money(1435), "we read {:?}", slip.amount);
    Ok(())
}

fn find<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => fields.get(key).or_else(|| fields.values().find_map(|inner| find(inner, key))),
        Value::Array(items) => items.iter().find_map(|inner| find(inner, key)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[test]
fn python_escpos_writes_the_same_bytes_for_the_common_commands() -> Result<()> {
    let Some(peers) = peer("py/bin/python") else { return Ok(()) };
    let said = finished(Command::new(peers.join("py/bin/python")).arg(script("commands.py")))?;
    // Above it the library says how it draws bars.
    let said: Value = serde_json::from_str(said.lines().last().unwrap_or_default())?;
    let theirs = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
    let ours = [
        ("bold", encoded(|e| e.weight(Weight::Bold))),
        ("cut", encoded(|e| e.cut(Cut::Full))),
        // How long the pulse pauses is a matter of taste.
        ("drawer_2", encoded(|e| e.drawer(0))[..4].to_vec()),
        ("drawer_5", encoded(|e| e.drawer(1))[..4].to_vec()),
        ("ean13", encoded(|e| e.ean13(EAN))),
        ("text", encoded(|e| e.line("TOTAL 14.35"))),
    ];
    for (name, bytes) in ours {
        ensure!(theirs(name).contains(&hex(&bytes)), "{name}: theirs {}, ours {}", theirs(name), hex(&bytes));
    }
    // Its initialisation is the beginning of ours, and of a QR code the size is ours to choose: the data are the same.
    ensure!(hex(&encoded(|e| e.init())).starts_with(&theirs("init")));
    ensure!(
        theirs("qr").contains(&hex(&stored(LINK))) && hex(&encoded(|e| e.qr(LINK, 6))).contains(&hex(&stored(LINK)))
    );
    // And its whole paper is read by the renderer.
    let theirs: Vec<u8> = ["text", "ean13", "qr"].iter().flat_map(|name| unhex(&theirs(name))).collect();
    let text = render::Paper::of(&theirs).text(48);
    ensure!(text.contains("TOTAL 14.35") && text.contains(EAN) && text.contains(LINK), "{text}");
    Ok(())
}

/// GS ( k, function 180: the data of a QR code.
fn stored(data: &str) -> Vec<u8> {
    let length = u16::try_from(data.len() + 3).unwrap_or(0);
    [b"\x1d(k".as_slice(), &length.to_le_bytes(), b"1P0", data.as_bytes()].concat()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).filter_map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[test]
fn receiptline_writes_chinese_as_we_do_and_its_paper_is_read() -> Result<()> {
    let Some(peers) = peer("js/node_modules/receiptline") else { return Ok(()) };
    let theirs = asked(&mut node(&peers, "receiptline.js"), "店铺 合计\n14.35\n=\n")?;
    let ours = hex(&encoded(|e| e.text("店铺")));
    ensure!(theirs.contains(&ours), "{ours} is not in {theirs}");
    let paper = render::Paper::of(&unhex(&theirs));
    let text = paper.text(48);
    ensure!(text.contains("店铺 合计") && text.contains("14.35"), "{text}");
    ensure!(paper.rows.iter().any(|row| matches!(row, render::Row::Cut)), "its cut is not seen");
    Ok(())
}

#[test]
fn a_reader_of_others_reads_the_codes_in_the_picture_of_a_receipt() -> Result<()> {
    let Some(peers) = peer("py/bin/python") else { return Ok(()) };
    let browser =
        ["chromium", "chromium-browser"].into_iter().find(|name| Command::new(name).arg("--version").output().is_ok());
    let Some(browser) = browser else {
        println!("skipped: chromium is not installed");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let bytes = encoded(|e| e.init().line("Aisle").qr(LINK, 6).line("").ean13(EAN).line("").code128("R-1-000042"));
    let svg = render::svg(&bytes, 48);
    let picture = folder.path().join("receipt.png");
    let page = format!("<body style=\"margin:0;background:#fff\">{svg}</body>");
    std::fs::write(folder.path().join("receipt.html"), page)?;
    finished(
        Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync", "--hide-scrollbars", "--window-size=1200,1400"])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .arg(format!("--screenshot={}", picture.display()))
            .arg(folder.path().join("receipt.html")),
    )?;
    let read = finished(Command::new(peers.join("py/bin/python")).arg(script("codes.py")).arg(picture))?;
    let read: Vec<(String, String)> = serde_json::from_str(&read)?;
    for code in [LINK, EAN, "R-1-000042"] {
        ensure!(read.iter().any(|(_, text)| text == code), "{code} is not among {read:?}");
    }
    Ok(())
}
