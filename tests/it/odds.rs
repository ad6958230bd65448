//! Whatever is missing, stuck or wrong around a box, it starts and sells, and says what is the matter.

use aisled::client;
use aisled::journal::Reader;
use anyhow::{Context as _, Result, ensure};
use e2e::mount::Mount;
use e2e::{COLA, NOODLES, PIN, Plan, Shop, lines, until};
use serde_json::{Value, json};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

/// R21: every combination of no network, no terminal, no camera.
#[test]
fn a_box_starts_and_sells_without_network_terminal_or_camera_and_shows_it() -> Result<()> {
    let mut shop = Shop::open(Plan::default())?;
    let good = std::fs::read_to_string(shop.config())?;
    let (terminal, hq) = (shop.terminal.link.clone(), shop.path("hq.log"));
    ensure!(good.contains(&terminal) && hq.exists());
    for number in 1..=8_u64 {
        let (no_network, no_terminal, no_camera) = (number & 1 == 0, number & 2 == 0, number & 4 == 0);
        shop.stop()?;
        let mut text = good.clone();
        if no_terminal {
            text = text.replace(&terminal, "tcp:127.0.0.1:9");
        }
        if no_camera {
            text = text.replace(
                "[[lane]]",
                "[[device]]\nname = \"eye\"\ndriver = \"vision\"\nlink = \"unix:/nowhere/vision.sock\"\n[[lane]]",
            );
            text = text.replace("printer = \"printer\"", "printer = \"printer\"\nvision = \"eye\"");
        }
        std::fs::write(shop.config(), text)?;
        shop.kill_hq();
        if !no_network {
            shop.start_hq()?;
        }
        shop.start()?;
        let view = shop.wait("what is there, and what is not", |view| {
            let up = |kind: &str| {
                let devices = view["view"]["devices"].as_array().into_iter().flatten();
                devices.filter(|device| device["kind"] == kind).all(|device| device["up"] == true)
            };
            up("scanner")
                && view["store"]["online"] == !no_network
                && up("terminal") != no_terminal
                && up("vision") != no_camera
                && view["view"]["cash_only"] == (no_network && no_terminal)
        });
        let view =
            view.with_context(|| format!("network {}, terminal {}, camera {}", !no_network, !no_terminal, !no_camera))?;
        ensure!(view["store"]["vision"] == if no_camera { "missing" } else { "off" }, "{view}");
        shop.basket(&[COLA, NOODLES])?;
        shop.staff(json!({"pay": {"method": {"cash": {"given": 650}}}}))?;
        let done = shop.wait("the sale", |view| view["view"]["phase"] == "done")?;
        ensure!(done["view"]["receipt"]["receipt"]["number"] == number, "{done}");
    }
    shop.kill_hq();
    shop.start_hq()?;
    ensure!(shop.sales_at_hq()?.len() == 8);
    Ok(())
}

/// Where Debian keeps it.
fn faketime() -> Option<PathBuf> {
    let library = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .map(|system| Path::new("/usr/lib").join(system).join("faketime/libfaketime.so.1"))
        .into_iter()
        .find(|path| path.exists());
    if library.is_none() {
        eprintln!("skipped: libfaketime is not installed (scripts/setup.sh test)");
    }
    library
}

/// R15: the box's clock jumps ten years ahead in the middle of a sale, back ten, and starts in 1970.
#[test]
fn a_clock_that_jumps_ten_years_or_starts_in_1970_is_written_down_and_disturbs_no_sale() -> Result<()> {
    let Some(library) = faketime() else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("time");
    let set = |time: &str| std::fs::write(&file, format!("{time}\n"));
    set("+0")?;
    let environment = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ("DONT_FAKE_MONOTONIC", "1".into()),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
    let mut shop = Shop::open(Plan { environment, ..Plan::default() })?;
    shop.sell(&[COLA])?;
    let doubted = |view: &Value| !view["store"]["upkeep"]["clock_doubt"].is_null();
    for jump in ["+10y", "-10y"] {
        shop.basket(&[COLA])?;
        set(jump)?;
        shop.scan(NOODLES)?;
        shop.wait("a line after the jump", |view| lines(view) == 2 && doubted(view))?;
        shop.pressed(json!({"pay": {"method": "card"}}))?;
        shop.wait("the sale", |view| view["view"]["phase"] == "done")?;
        set("+0")?;
        shop.scan(COLA)?;
        shop.wait("the clock to be believed again", |view| lines(view) == 1 && !doubted(view))?;
        shop.pressed(json!({"void_transaction": {}}))?;
    }
    shop.kill_hq();
    shop.stop()?;
    set("@1970-01-01 00:00:30")?;
    shop.start()?;
    shop.wait("the devices, in 1970", |view| view["view"]["devices"][2]["up"] == true && doubted(view))?;
    shop.sell(&[NOODLES])?;
    set("+0")?;
    shop.start_hq()?;
    ensure!(shop.sales_at_hq()?.len() == 4);
    shop.stop()?;
    times_are_told_apart(&shop)
}

/// Outside the marks times are right and never fall back; sales are numbered in the order of the rows.
fn times_are_told_apart(shop: &Shop) -> Result<()> {
    let now = i64::try_from(SystemTime::UNIX_EPOCH.elapsed()?.as_millis())?;
    let (mut doubted, mut last, mut numbers, mut marks) = (false, 0, Vec::new(), 0);
    for row in Reader::open(&shop.journal())?.rows(1, usize::MAX, usize::MAX)? {
        let row: Value = serde_json::from_str(&row.body)?;
        let (event, utc) = (&row["event"], row["utc"].as_i64().context("a row without a time")?);
        if event["box"]["clock_doubted"].is_object() {
            (doubted, marks) = (true, marks + 1);
        } else if event["box"] == "clock_trusted" {
            doubted = false;
        } else if !doubted {
            ensure!(utc >= last && (now - utc).abs() < 600_000, "{row} after {last}");
            last = utc;
        }
        numbers.extend(event["basket"]["completed"]["receipt"].as_u64());
    }
    ensure!(marks >= 3 && !doubted && numbers == [1, 2, 3, 4], "{marks} marks, receipts {numbers:?}");
    Ok(())
}

/// Thaws whatever happens.
struct Frozen<'a>(&'a Path);

impl<'a> Frozen<'a> {
    fn new(at: &'a Path) -> Option<Self> {
        let frozen = Command::new("/usr/sbin/fsfreeze").arg("-f").arg(at).status();
        frozen.is_ok_and(|status| status.success()).then_some(Self(at))
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let _ = Command::new("/usr/sbin/fsfreeze").arg("-u").arg(self.0).status();
    }
}

/// R16: a disk that hangs stops the signs of life, and nothing is told as done; when it goes on, so does the shop.
#[test]
fn the_watchdog_hears_nothing_while_the_disk_hangs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(mount) = Mount::card(&folder.path().join("box"), 64)? else { return Ok(()) };
    let socket = folder.path().join("notify");
    let ear = UnixDatagram::bind(&socket)?;
    ear.set_read_timeout(Some(Duration::from_millis(200)))?;
    let environment =
        vec![("NOTIFY_SOCKET".into(), socket.display().to_string()), ("WATCHDOG_USEC".into(), "2000000".into())];
    let shop = Shop::open(Plan { data: Some(mount.at.clone()), environment, ..Plan::default() })?;
    let heard = |lasts: Duration| {
        let (end, mut signs, mut words) = (Instant::now() + lasts, 0, [0; 64]);
        while Instant::now() < end {
            if let Ok(length) = ear.recv(&mut words) {
                signs += usize::from(words.get(..length) == Some(b"WATCHDOG=1".as_slice()));
            }
        }
        signs
    };
    shop.basket(&[COLA])?;
    ensure!(heard(Duration::from_secs(3)) > 0, "no sign of life of a shop that is well");
    let (_, login) = client::post(shop.pages, "/api/staff/login", None, &json!({"pin": PIN}))?;
    ensure!(login["ok"] == true);
    let Some(frozen) = Frozen::new(&mount.at) else {
        eprintln!("skipped: this file system cannot be frozen here");
        return Ok(());
    };
    let pages = shop.pages;
    let pressed = std::thread::spawn(move || {
        client::post(pages, "/api/lane/1", None, &json!({"set_quantity": {"line": 1, "quantity": 2}}))
    });
    std::thread::sleep(Duration::from_millis(500));
    heard(Duration::from_millis(300));
    let signs = heard(Duration::from_secs(4));
    ensure!(!pressed.is_finished(), "a press was answered that is on no disk");
    drop(frozen);
    ensure!(signs == 0, "{signs} signs of life while nothing could be written");
    let answer = pressed.join().ok().context("the press")?;
    ensure!(matches!(answer, Ok((200, _))), "{answer:?}");
    ensure!(heard(Duration::from_secs(3)) > 0, "no sign of life after the disk went on");
    until("the shop to go on", || Ok(client::get(shop.pages, "/api/view/1")?.1["view"]["pieces"] == 2))
}
