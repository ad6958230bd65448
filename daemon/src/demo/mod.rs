//! `aisled demo`: a whole store and its headquarters on one machine, every byte on the path it takes in a shop.
//!
//! The devices are stand-ins on real pseudo-terminals and TCP ports; the daemon, headquarters and the vision process are
//! the same programs a shop runs, started from the folder this one lies in.

mod desk;
mod once;
mod panel;
mod programs;

use anyhow::{Context, Result};
use desk::Desk;
use programs::Programs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) const CATALOGUE: &str = include_str!("../../demo/catalogue.ndjson");
pub(crate) const COUPONS: &str = include_str!("../../demo/coupons.ndjson");
pub(crate) const MEMBERS: &str = include_str!("../../demo/members.ndjson");
pub(crate) const PROMOTIONS: &str = include_str!("../../demo/promotions.ndjson");
pub(crate) const STAFF_PIN: &str = "2468";
pub(crate) const STAFF_NAME: &str = "李芳";
/// Of the wallet of the member whose face the demo knows.
pub(crate) const PAY_PIN: &str = "135790";
/// What the badge says behind `S-`.
pub(crate) const STAFF_BADGE: &str = "demo-s-01";

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// One sale without a person, a line of JSON, the end.
    pub once: bool,
    /// Debian's Mosquitto instead of the broker inside `aisle-hq`.
    pub mosquitto: bool,
    /// Emptied at start.
    pub folder: PathBuf,
    /// Photographs the camera shows.
    pub faces: Option<PathBuf>,
    pub trace_wire: bool,
}

/// Where everything listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) pages: SocketAddr,
    pub(crate) hq: SocketAddr,
    pub(crate) panel: SocketAddr,
}

/// Runs the demo until Ctrl-C, or one sale with `once`.
///
/// # Errors
/// What is missing, with the reason.
pub fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(demo(options))
}

async fn demo(options: &Options) -> Result<()> {
    programs::prepare(&options.folder)?;
    let desk = Arc::new(Desk::plug_in(options).await?);
    let mut programs = Programs::start(options, &desk).await?;
    let panel = panel::serve(Arc::clone(&desk), programs.addresses, &programs).await?;
    let ended = if options.once {
        once::sale(options, &desk, &programs).await
    } else {
        welcome(&programs.addresses);
        tokio::select! {
            signal = tokio::signal::ctrl_c() => signal.context("cannot wait for Ctrl-C"),
            ended = programs.ended() => ended,
        }
    };
    panel.abort();
    if ended.is_err() {
        programs.show_logs();
    }
    programs.stop().await;
    ended
}

#[expect(clippy::print_stdout, reason = "what the person at the terminal waits for")]
fn welcome(addresses: &Addresses) {
    let Addresses { pages, hq, panel } = addresses;
    println!(
        "\n  A store is open.\n\n\
         \x20   device panel   http://{panel}/          scan, weigh, tap a card, show a face: start here\n\
         \x20   kiosk          http://{pages}/kiosk/1   what the shopper sees\n\
         \x20   staff          http://{pages}/staff     PIN {STAFF_PIN}\n\
         \x20   headquarters   http://{hq}/\n\n\
         \x20 Ctrl-C closes it.\n"
    );
}
