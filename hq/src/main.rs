//! The command `aisle-hq`.

mod commands;
mod desk;
mod door;

use aisle_hq::Hq;
use aisle_hq::config::Options;
use aisle_hq::coupon::CouponKey;
use aisle_hq::dataset::{self, Kind, OnBad};
use aisle_hq::export::{self, Format};
use aisle_hq::parity::{self, Parity};
use aisle_hq::pay::gift::Gifts;
use aisle_hq::pay::sandbox::Sandbox;
use aisle_hq::pay::{reconcile, statement};
use aisle_hq::sign::Signer;
use aisle_hq::sim;
use aisle_hq::store::Store;
use anyhow::Context as _;
use checkout::scan::Printed;
use checkout::words::Money;
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// sysexits.h
const EX_DATAERR: u8 = 65;
const EX_IOERR: u8 = 74;
const EX_CONFIG: u8 = 78;

/// Headquarters of a fleet of Aisle boxes: takes in every store's journal, sends out prices and members, shows it all
/// on one page.
#[derive(Parser)]
#[command(version, after_help = "Start here:  aisle-hq serve --data ./hq   then open http://127.0.0.1:8081")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run headquarters until Ctrl-C
    Serve {
        #[command(flatten)]
        options: Box<Options>,
        /// The same options in a file; unknown words are refused with their line
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Print one line of JSON when everything listens
        #[arg(long)]
        ready_json: bool,
    },
    /// Check a file of goods or members and make it the next version of its dataset; a running HQ publishes it
    Import {
        dataset: Kind,
        /// Newline-delimited JSON, a JSON array, or CSV with a header line
        file: PathBuf,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// What people call this version [default: pb-N, members-N]
        #[arg(long)]
        name: Option<String>,
        /// Import the good lines although some are bad
        #[arg(long)]
        skip_bad: bool,
        #[command(flatten)]
        by: desk::By,
    },
    /// Operators: people with a key of their own
    Users {
        #[command(subcommand)]
        what: desk::UsersCommand,
    },
    /// What waits for a second operator
    Approvals {
        #[command(subcommand)]
        what: desk::ApprovalCommand,
    },
    /// Agree to what waits under this number; with the second operator's word it is done
    Approve {
        id: i64,
        #[command(flatten)]
        by: desk::By,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Print who did what, the newest first, a line of JSON each
    Audit {
        #[arg(long, default_value_t = 1000)]
        limit: u32,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// The certificate authority: who may speak on the broker, and as whom
    Ca {
        #[command(subcommand)]
        what: door::CaCommand,
    },
    /// Print new boxes that wait, by the code they show, a line of JSON each
    Pairings {
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Say which box it is that shows this code: it gets its certificate
    Pair(door::PairArgs),
    /// Print the access list of a broker of your own
    Acl {
        #[arg(value_enum)]
        software: door::Software,
        #[arg(long, default_value = "demo")]
        tenant: String,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Bounds of price books, and the way back to an earlier one
    Data {
        #[command(subcommand)]
        what: desk::DataCommand,
    },
    /// Coupons: their key, their codes, which were redeemed twice
    Coupon {
        #[command(subcommand)]
        what: CouponCommand,
    },
    /// Members' faces: what is on record
    Faces {
        #[command(subcommand)]
        what: commands::FacesCommand,
    },
    /// Members' wallets, charged by face and a second factor
    MemberWallet {
        #[command(subcommand)]
        what: commands::WalletCommand,
    },
    /// Price every sale again as its box did and list what differs; fails when anything does
    Parity {
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// List sales from this time on, such as 2026-11-21 or "2026-11-21 17:30" (UTC) [default: all]
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
    },
    /// Gift cards and providers' statements
    Pay {
        #[command(subcommand)]
        what: PayCommand,
    },
    /// Boxes and their alarms, as the console shows them
    Fleet {
        #[command(subcommand)]
        what: commands::FleetCommand,
    },
    /// Print sales for other programs: in the words of ARTS POSLog, a line of JSON each, or as CSV
    Export {
        #[arg(value_enum)]
        format: Format,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// From this time on, such as 2026-11-21 or "2026-11-21 17:30" (UTC) [default: all]
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Up to this time, not with it
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// Print what a box has signed its journal to be, a document a line, behind the key it signs with
    Heads {
        #[arg(value_name = "BOX")]
        box_id: String,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Simulate a fleet against a running headquarters, and hold its database against what the fleet sold; fails where they
    /// differ. For a database of its own: what these boxes sell stays in it
    Sim(Box<sim::Options>),
    /// Print the key boxes check HQ's signatures with
    Pubkey {
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

#[derive(Subcommand)]
enum CouponCommand {
    /// Make the key that signs coupons; every store and headquarters get the same
    Keygen { file: PathBuf },
    /// Print the signed code of each serial of a campaign, a line each
    Sign {
        campaign: String,
        #[arg(required = true)]
        serials: Vec<String>,
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// A last day of its own, such as 2026-12-31
        #[arg(long, value_name = "DAY")]
        last_day: Option<String>,
    },
    /// Say what a coupon's code is, as JSON; fails where it is forged
    Verify {
        code: String,
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Say also what it was redeemed with
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// List single-use coupons that were redeemed more than once, a line of JSON each
    Conflicts {
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

#[derive(Subcommand)]
enum PayCommand {
    /// Put money on a gift card, a new one or one there is; G-4242424242 gets its check digits added
    LoadGift {
        code: String,
        /// In minor units: 5000 is 50.00
        amount: i64,
        #[arg(long, default_value = "CNY")]
        currency: String,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Take a provider's statement in: the CSV of WeChat's or Alipay's bill, in UTF-8 or GBK, or of our own shape
    Statement {
        file: PathBuf,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Write the statement the sandbox provider would send for a day, such as 2026-11-27; of `gift`, what the gift cards say
    SandboxStatement {
        day: String,
        #[arg(long, default_value = "wechat")]
        provider: String,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// List what statements and journals say differently, a line of JSON each; fails where anything does
    Reconcile {
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("AISLE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr)
        .init();
    let (ended, code) = match cli.command {
        Command::Serve { options, config, ready_json } => serve(*options, config.as_deref(), ready_json),
        Command::Import { dataset, file, data, name, skip_bad, by } => {
            let on_bad = if skip_bad { OnBad::Skip } else { OnBad::Refuse };
            (import(dataset, &file, &data, name.as_deref(), on_bad, &by), EX_DATAERR)
        }
        Command::Users { what } => (desk::users(what), EX_DATAERR),
        Command::Approvals { what } => (desk::approvals(what), EX_DATAERR),
        Command::Approve { id, by, data } => (desk::approve(id, &by, &data), EX_DATAERR),
        Command::Audit { limit, data } => (desk::audit(&data, limit), EX_IOERR),
        Command::Ca { what } => (door::ca(what), EX_DATAERR),
        Command::Pairings { data } => (door::pairings(&data), EX_IOERR),
        Command::Pair(what) => (door::pair(&what), EX_DATAERR),
        Command::Acl { software, tenant, data } => (door::acl(software, &tenant, &data), EX_IOERR),
        Command::Data { what } => (desk::data(what), EX_DATAERR),
        Command::Coupon { what } => (coupon(what), EX_DATAERR),
        Command::Pay { what } => (pay(what), EX_DATAERR),
        Command::Faces { what } => (commands::faces(what), EX_DATAERR),
        Command::MemberWallet { what } => (commands::wallet(what), EX_DATAERR),
        Command::Parity { data, since } => (parity(&data, since.as_deref()), EX_DATAERR),
        Command::Fleet { what } => (commands::fleet(what), EX_DATAERR),
        Command::Export { format, data, since, until } => {
            (export(format, &data, since.as_deref(), until.as_deref()), EX_DATAERR)
        }
        Command::Heads { box_id, data } => (heads(&box_id, &data), EX_IOERR),
        Command::Sim(options) => (simulate(&options), EX_DATAERR),
        Command::Pubkey { data } => (pubkey(&data), EX_IOERR),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(code)
        }
    }
}

fn serve(options: Options, file: Option<&Path>, ready_json: bool) -> (anyhow::Result<()>, u8) {
    let options = match file {
        Some(file) => options.with_file(file),
        None => Ok(options),
    };
    let config = match options.and_then(Options::resolve) {
        Ok(config) => config,
        Err(error) => return (Err(error), EX_CONFIG),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return (Err(error.into()), EX_IOERR),
    };
    let ended = runtime.block_on(async {
        let mut hq = Hq::start(&config).await?;
        announce(&hq, ready_json);
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            error = hq.ended() => return Err(error),
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
        hq.stop().await;
        Ok(())
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    (ended, EX_IOERR)
}

#[expect(clippy::print_stdout, reason = "the one line another program waits for")]
fn announce(hq: &Hq, ready_json: bool) {
    let (host, port) = &hq.broker;
    tracing::info!(console = %format!("http://{}/", hq.http), broker = %format!("{host}:{port}"), "headquarters is open");
    if ready_json {
        let ready = serde_json::json!({
            "ready": "aisle-hq",
            "http": format!("http://{}", hq.http),
            "broker": { "host": host, "port": port },
            "public_key": hq.public_key,
        });
        println!("{ready}");
    }
}

#[expect(clippy::print_stdout, reason = "what the person at the terminal asked for")]
fn import(
    kind: Kind,
    file: &Path,
    data: &Path,
    name: Option<&str>,
    on_bad: OnBad,
    by: &desk::By,
) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let store = Store::open(data)?;
    let by = by.sign_in(&store.reader()?)?;
    match dataset::import_by(&store, by.as_ref(), kind, &text, name, on_bad)? {
        Ok(imported) => {
            for bad in &imported.bad {
                println!("skipped {bad}");
            }
            if let Some(held) = &imported.held {
                return desk::held_back(held);
            }
            let manifest = imported.manifest;
            println!("{}", serde_json::to_string(&manifest)?);
            Ok(())
        }
        Err(bad) => {
            for bad in &bad {
                println!("{bad}");
            }
            anyhow::bail!(
                "{} bad lines in {}: nothing imported (--skip-bad imports the rest)",
                bad.len(),
                file.display()
            )
        }
    }
}

#[expect(clippy::print_stdout, reason = "what the person at the terminal asked for")]
fn parity(data: &Path, since: Option<&str>) -> anyhow::Result<()> {
    let store = Store::open(data)?;
    let db = store.reader()?;
    let since = since.map_or(Ok(0), |since| moment("--since", since))?;
    let mut parity = Parity::new(&store)?;
    while parity.step()? {}
    let rows = parity::list(&db, since, u32::MAX)?;
    for row in &rows {
        println!("{}", serde_json::to_string(row)?);
    }
    anyhow::ensure!(rows.is_empty(), "{} differences in {} sales priced again", rows.len(), parity::checked(&db)?);
    println!("{} sales priced again, no difference", parity::checked(&db)?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the person at the terminal asked for")]
fn coupon(what: CouponCommand) -> anyhow::Result<()> {
    match what {
        CouponCommand::Keygen { file } => CouponKey::make(&file),
        CouponCommand::Sign { campaign, serials, key, last_day } => {
            let key = CouponKey::read(&key)?;
            for serial in serials {
                println!("{}", key.sign(&campaign, &serial, last_day.as_deref())?);
            }
            Ok(())
        }
        CouponCommand::Verify { code, key, data } => {
            let mut told = CouponKey::read(&key)?.verify(&code)?;
            if let Some(data) = data {
                told = told.with_uses(&Store::open(&data)?.reader()?)?;
            }
            println!("{}", serde_json::to_string(&told)?);
            anyhow::ensure!(told.genuine, "this coupon is not ours");
            Ok(())
        }
        CouponCommand::Conflicts { data } => {
            for conflict in aisle_hq::coupon::conflicts(&Store::open(&data)?.reader()?, u32::MAX)? {
                println!("{}", serde_json::to_string(&conflict)?);
            }
            Ok(())
        }
    }
}

#[expect(clippy::print_stdout, reason = "what the person at the terminal asked for")]
fn pay(what: PayCommand) -> anyhow::Result<()> {
    match what {
        PayCommand::LoadGift { code, amount, currency, data } => {
            let body = code.strip_prefix("G-").filter(|body| body.len() == 10);
            let code = body.and_then(|body| Printed::Gift.code(body)).unwrap_or(code);
            let card = Gifts::open(&data)?.load(&code, Money(amount), &currency)?;
            println!("{}", serde_json::json!({ "code": code, "card": card, "loaded": amount }));
            Ok(())
        }
        PayCommand::Statement { file, data } => {
            let bytes = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let lines = statement::read(&statement::text(&bytes)).with_context(|| file.display().to_string())?;
            let kept = statement::keep(&mut Store::open(&data)?.writer()?, &lines)?;
            println!("{}", serde_json::json!({ "lines": lines.len(), "new": kept }));
            Ok(())
        }
        PayCommand::SandboxStatement { day, provider, data } => {
            let gift = provider == "gift";
            let told = if gift {
                Gifts::open(&data)?.statement(&day)
            } else {
                Sandbox::open(&data)?.statement(&provider, &day)
            };
            print!("{}", told?);
            Ok(())
        }
        PayCommand::Reconcile { data } => {
            let found = reconcile::differences(&Store::open(&data)?.reader()?)?;
            for difference in &found {
                println!("{}", serde_json::to_string(difference)?);
            }
            anyhow::ensure!(found.is_empty(), "{} differences between statements and journals", found.len());
            Ok(())
        }
    }
}

fn export(format: Format, data: &Path, since: Option<&str>, until: Option<&str>) -> anyhow::Result<()> {
    let db = Store::open(data)?.reader()?;
    let since = since.map_or(Ok(i64::MIN), |since| moment("--since", since))?;
    let until = until.map_or(Ok(i64::MAX), |until| moment("--until", until))?;
    let mut out = std::io::BufWriter::new(std::io::stdout());
    let count = export::sales(&db, since, until, format, &mut out)?;
    tracing::info!(sales = count, "written");
    Ok(())
}

/// Milliseconds since 1970 of a time as SQLite reads it.
fn moment(option: &str, text: &str) -> anyhow::Result<i64> {
    let reader = rusqlite::Connection::open_in_memory()?;
    let sql = "SELECT CAST(strftime('%s', ?1) AS INTEGER)";
    let seconds: Option<i64> = reader.query_row(sql, [text], |row| row.get(0))?;
    Ok(seconds.with_context(|| format!("{option} {text:?}: write 2026-11-21 or \"2026-11-21 17:30\""))? * 1000)
}

#[expect(clippy::print_stdout, reason = "what the person at the terminal asked for")]
fn simulate(options: &sim::Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(sim::run(options))?;
    runtime.shutdown_background();
    println!("{}", serde_json::to_string(&report)?);
    anyhow::ensure!(
        report.proof.wrong == 0,
        "{} of {} boxes differ from the database",
        report.proof.wrong,
        report.boxes
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the person at the terminal asked for")]
fn heads(box_id: &str, data: &Path) -> anyhow::Result<()> {
    let db = Store::open(data)?.reader()?;
    println!("{}", aisle_hq::heads::public_key(&db, box_id)?);
    for document in aisle_hq::heads::list(&db, box_id)? {
        println!("{document}");
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the person at the terminal asked for")]
fn pubkey(data: &Path) -> anyhow::Result<()> {
    let store = Store::open(data)?;
    println!("{}", Signer::open(&store.key_path())?.public_key());
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn every_command_s_options_go_together() {
        super::Cli::command().debug_assert();
    }
}
