//! R16: a box that is stuck or dead sells again within half a minute, as the service manager sees to it.

use anyhow::{Context as _, Result, ensure};
use e2e::{COLA, NOODLES, Plan, Shop, lines};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

const WITHIN: Duration = Duration::from_secs(30);

/// What the unit that ships says, such as `WatchdogSec`.
fn unit(key: &str) -> Result<Duration> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd/aisled.service");
    let text = std::fs::read_to_string(path)?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    Ok(Duration::from_secs(value.with_context(|| format!("no {key} in {path}"))?.trim().parse()?))
}

/// Starts it again as the unit says, and waits for a line more in the basket that was open.
fn sells_again(shop: &mut Shop, since: Instant) -> Result<()> {
    std::thread::sleep(unit("RestartSec")?);
    shop.start()?;
    shop.wait("the scanner", |view| view["view"]["devices"][0]["up"] == true)?;
    shop.scan(NOODLES)?;
    shop.wait("a line more in the basket that was open", |view| lines(view) == 2)?;
    eprintln!("{:.1?} to the first scan", since.elapsed());
    ensure!(since.elapsed() < WITHIN, "{:.1?} to the first scan", since.elapsed());
    Ok(())
}

#[test]
fn a_box_that_was_killed_takes_the_next_scan_within_half_a_minute() -> Result<()> {
    let mut shop = Shop::open(Plan::default())?;
    shop.basket(&[COLA])?;
    let since = Instant::now();
    shop.kill();
    sells_again(&mut shop, since)
}

/// Stopped in the middle of its work, it gives no sign of life; whoever watches kills it when the unit's time is over.
#[test]
fn a_box_that_is_stuck_is_killed_by_its_watchdog_and_takes_the_next_scan_within_half_a_minute() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("notify");
    let ear = UnixDatagram::bind(&socket)?;
    let watchdog = unit("WatchdogSec")?;
    ear.set_read_timeout(Some(watchdog))?;
    let environment = vec![
        ("NOTIFY_SOCKET".into(), socket.display().to_string()),
        ("WATCHDOG_USEC".into(), watchdog.as_micros().to_string()),
    ];
    let mut shop = Shop::open(Plan { environment, ..Plan::default() })?;
    shop.basket(&[COLA])?;
    let stopped = Command::new("kill").arg("-STOP").arg(shop.pid().to_string()).status()?;
    ensure!(stopped.success());
    let (since, mut words) = (Instant::now(), [0; 64]);
    // Each sign of life gives it the whole time again; without one the read ends.
    while ear.recv(&mut words).is_ok() {}
    ensure!(since.elapsed() >= watchdog, "given up too early");
    shop.kill();
    sells_again(&mut shop, since)
}
