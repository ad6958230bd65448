//! Commands about certificates: the authority, new boxes, what is taken back, what a broker is told.

use crate::desk::{By, each, say};
use aisle_hq::ca::{self, CLAIM, Ca, Files};
use aisle_hq::operators::{self, Role};
use aisle_hq::pairing;
use aisle_hq::store::Store;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum CaCommand {
    /// Make a certificate authority and headquarters' own certificate, once
    Init {
        /// What boxes call the broker by; repeat for more
        #[arg(long = "name", value_name = "HOST", default_value = "localhost")]
        names: Vec<String>,
        #[command(flatten)]
        by: By,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Make a claim certificate for the image of new boxes: all it opens is the door to a pairing
    Claim {
        /// Where claim.pem and claim.key.pem are written
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        #[command(flatten)]
        by: By,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Take back every certificate of a box, or of a claim; the embedded broker shows them out within seconds
    Revoke {
        name: String,
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        by: By,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Print what was taken back as a list other brokers read (PEM), good for a week
    Crl {
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Print every certificate that was given out, a line of JSON each
    List {
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

pub fn ca(what: CaCommand) -> anyhow::Result<()> {
    match what {
        CaCommand::Init { names, by, data } => {
            let store = Store::open(&data)?;
            let mut db = store.writer()?;
            let by = by.sign_in(&db)?;
            operators::may(&db, by.as_ref(), Role::Admin)?;
            let (_, own) = Ca::init(&store.ca_path(), &names)?;
            pairing::note(&mut db, by.as_ref(), "aisle-hq", &own)?;
            let Files { ca, cert, key } = Files::of(&store.ca_path());
            say(&serde_json::json!({ "ca": ca, "cert": cert, "key": key }))
        }
        CaCommand::Claim { out, by, data } => {
            let store = Store::open(&data)?;
            let mut db = store.writer()?;
            let by = by.sign_in(&db)?;
            let (name, issued, key) = Ca::open(&store.ca_path())?.claim()?;
            pairing::note(&mut db, by.as_ref(), &name, &issued)?;
            std::fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
            let (cert, key_file) = (out.join("claim.pem"), out.join("claim.key.pem"));
            ca::private(&key_file, &key)?;
            std::fs::write(&cert, &issued.pem)?;
            say(&serde_json::json!({ "name": name, "cert": cert, "key": key_file }))
        }
        CaCommand::Revoke { name, reason, by, data } => {
            let mut db = Store::open(&data)?.writer()?;
            let by = by.sign_in(&db)?;
            let revoked = pairing::revoke(&mut db, by.as_ref(), &name, &reason)?;
            say(&serde_json::json!({ "name": name, "revoked": revoked }))
        }
        CaCommand::Crl { data } => {
            let store = Store::open(&data)?;
            let revoked = pairing::taken_back(&store.reader()?)?;
            print(&Ca::open(&store.ca_path())?.crl(&revoked)?);
            Ok(())
        }
        CaCommand::List { data } => each(pairing::certificates(&Store::open(&data)?.reader()?)?),
    }
}

#[derive(Args)]
pub struct PairArgs {
    /// What the box shows
    code: String,
    #[arg(value_name = "BOX")]
    box_id: String,
    /// The box takes the place of a dead one: what that one had is taken back
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    by: By,
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

pub fn pair(what: &PairArgs) -> anyhow::Result<()> {
    let store = Store::open(&what.data)?;
    let mut db = store.writer()?;
    let by = what.by.sign_in(&db)?;
    let ca = Ca::open(&store.ca_path())?;
    let issued = pairing::pair(&mut db, &ca, by.as_ref(), &what.code, &what.box_id, what.replace)?;
    say(&serde_json::json!({ "box": what.box_id, "serial": issued.serial, "not_after": issued.not_after_ms }))
}

pub fn pairings(data: &std::path::Path) -> anyhow::Result<()> {
    each(pairing::waiting(&Store::open(data)?.reader()?)?)
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Software {
    Mosquitto,
}

/// Claims have lines of their own: print it again after `ca claim`.
pub fn acl(software: Software, tenant: &str, data: &std::path::Path) -> anyhow::Result<()> {
    let certificates = pairing::certificates(&Store::open(data)?.reader()?)?;
    let claims = certificates.into_iter().map(|known| known.name).filter(|name| name.starts_with(CLAIM));
    match software {
        Software::Mosquitto => print(&aisle_hq::acl::mosquitto(tenant, &claims.collect::<Vec<_>>())),
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the person at the terminal asked for")]
fn print(text: &str) {
    print!("{text}");
}
