//! Commands about members' faces and wallets, and about the fleet.

use crate::desk;
use aisle_hq::faces;
use aisle_hq::fleet::{self, Filter};
use aisle_hq::member_data;
use aisle_hq::member_wallet::{self, Mandate};
use aisle_hq::sign::Signer;
use aisle_hq::store::{Store, now_ms};
use anyhow::Context as _;
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum FacesCommand {
    /// Print all that is on record of one member's face, a line of JSON each; nothing biometric
    Log {
        member: String,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Print everything headquarters has of one member, to be handed to them, as JSON; nothing biometric, nobody else
    Export {
        member: String,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Print the numbers an assessment of impact asks for, as JSON
    Assessment {
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

#[derive(Subcommand)]
pub enum FleetCommand {
    /// List boxes, a line each
    Boxes {
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        #[command(flatten)]
        filter: Filter,
        /// A line of JSON each
        #[arg(long)]
        json: bool,
    },
    /// Print one box with its latest sales, alarms and refused rows, as JSON
    Show {
        #[arg(value_name = "BOX")]
        box_id: String,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Have a box do something from a fixed list; prints the command as JSON
    Command(desk::CommandArgs),
    /// Print commands and how far each is, the newest first, a line of JSON each
    Commands(desk::CommandsArgs),
    /// Put boxes into a ring, whose boxes get changes together
    Ring(desk::RingArgs),
    /// Want a configuration of a box or of a ring's boxes
    Desired(Box<desk::DesiredArgs>),
    /// Print alarms, the latest first, a line of JSON each
    Alarms {
        #[arg(long = "box", value_name = "BOX")]
        box_id: Option<String>,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

#[expect(clippy::print_stdout, reason = "what the person at the terminal asked for")]
pub fn fleet(what: FleetCommand) -> anyhow::Result<()> {
    match what {
        FleetCommand::Boxes { data, filter, json } => {
            let found = fleet::boxes(&Store::open(&data)?.reader()?, &filter)?;
            print!("{}", if json { found.json()? } else { found.table() });
        }
        FleetCommand::Show { box_id, data } => {
            println!("{:#}", fleet::show(&Store::open(&data)?.reader()?, &box_id)?);
        }
        FleetCommand::Command(what) => desk::command(&what)?,
        FleetCommand::Commands(what) => desk::commands(&what)?,
        FleetCommand::Ring(what) => desk::ring(&what)?,
        FleetCommand::Desired(what) => desk::desired(*what)?,
        FleetCommand::Alarms { box_id, data } => {
            print!("{}", fleet::alarms(&Store::open(&data)?.reader()?, box_id.as_deref())?);
        }
    }
    Ok(())
}

#[derive(Subcommand)]
pub enum WalletCommand {
    /// Write down what a member signed; a PIN is read from standard input, never from the command line
    Sign {
        member: String,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        #[arg(long, default_value = "CNY")]
        currency: String,
        /// What is in the wallet; this and every limit in minor units
        #[arg(long)]
        balance: i64,
        /// A tap on name and amount is enough up to here
        #[arg(long, default_value_t = 0)]
        tap_limit: i64,
        #[arg(long)]
        sale_limit: i64,
        #[arg(long)]
        day_limit: i64,
        /// The first line of standard input is the payment PIN
        #[arg(long)]
        pin_stdin: bool,
    },
    /// Say yes, or with --no no, for a member's phone to a charge that waits for it
    Confirm {
        tender: String,
        #[arg(long = "box")]
        box_id: String,
        #[arg(long)]
        no: bool,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

#[expect(clippy::print_stdout, reason = "what the person at the terminal asked for")]
pub fn faces(what: FacesCommand) -> anyhow::Result<()> {
    match what {
        FacesCommand::Log { member, data } => {
            for entry in faces::log(&Store::open(&data)?.reader()?, &member)? {
                println!("{}", serde_json::to_string(&entry)?);
            }
        }
        FacesCommand::Export { member, data } => {
            println!("{:#}", member_data::export(&Store::open(&data)?.reader()?, &member)?);
        }
        FacesCommand::Assessment { data } => {
            println!("{}", serde_json::to_string(&faces::assessment(&Store::open(&data)?.reader()?)?)?);
        }
    }
    Ok(())
}

pub fn wallet(what: WalletCommand) -> anyhow::Result<()> {
    match what {
        WalletCommand::Sign { member, data, currency, balance, tap_limit, sale_limit, day_limit, pin_stdin } => {
            let store = Store::open(&data)?;
            let signer = Signer::open(&store.key_path())?;
            let mut line = String::new();
            if pin_stdin {
                std::io::stdin().read_line(&mut line).context("no PIN on standard input")?;
            }
            let mandate = Mandate { member, currency, balance, tap_limit, sale_limit, day_limit, until: None };
            let pin = pin_stdin.then(|| line.trim());
            member_wallet::sign_mandate(&store.writer()?, &signer, &mandate, pin, now_ms())
        }
        WalletCommand::Confirm { tender, box_id, no, data } => {
            let store = Store::open(&data)?;
            member_wallet::confirm(&mut store.writer()?, &box_id, &tender, !no, now_ms())
        }
    }
}
