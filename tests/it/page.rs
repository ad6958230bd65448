//! What a shopper's browser shows, and what the pages' guard refuses.

use anyhow::{Context as _, Result, ensure};
use e2e::{COLA, Plan, Shop};
use std::io::{Read as _, Write as _};
use std::process::Command;

#[test]
fn a_kiosk_page_in_a_real_browser_shows_the_scanned_line() -> Result<()> {
    let browser =
        ["chromium", "chromium-browser"].into_iter().find(|name| Command::new(name).arg("--version").output().is_ok());
    let Some(browser) = browser else {
        println!("skipped: chromium is not installed");
        return Ok(());
    };
    let shop = Shop::open(Plan::default())?;
    shop.basket(&[COLA])?;
    let profile = shop.path("profile");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--virtual-time-budget=5000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("http://{}/kiosk/1", shop.pages))
        .output()?;
    let page = String::from_utf8_lossy(&output.stdout);
    ensure!(page.contains("可乐") && page.contains("3.50"), "the page does not show the line:\n{page}");
    Ok(())
}

#[test]
fn a_foreign_page_a_rebound_name_and_a_silent_form_are_refused() -> Result<()> {
    let shop = Shop::open(Plan::default())?;
    let host = shop.pages.to_string();
    let ask = |head: &str| -> Result<String> {
        let mut stream = std::net::TcpStream::connect(shop.pages)?;
        write!(stream, "{head}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.lines().next().context("no answer")?.to_owned())
    };
    let good = format!("GET /healthz HTTP/1.1\r\nHost: {host}");
    ensure!(ask(&good)?.contains("200"));
    for bad in [
        "GET /healthz HTTP/1.1\r\nHost: evil.example".to_owned(),
        format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nOrigin: http://evil.example"),
        format!("POST /api/lane/1 HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0"),
    ] {
        ensure!(ask(&bad)?.contains("403"), "{bad} was let through");
    }
    Ok(())
}
