//! Commands of operators: who they are, what they agree to, what they have boxes do.

use aisle_hq::control::{self, Whom};
use aisle_hq::dataset::quarantine::{self, Held};
use aisle_hq::db::Connection;
use aisle_hq::operators::{self, Operator, Role};
use aisle_hq::store::Store;
use anyhow::Context as _;
use checkout::control::Verb;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::PathBuf;

/// Who does it; needed as soon as there are operators.
#[derive(Args, Clone, Debug)]
pub struct By {
    /// The operator who does it
    #[arg(long = "as", value_name = "NAME", requires = "by_key")]
    by_name: Option<String>,
    /// The file of their key
    #[arg(long = "key", value_name = "FILE", requires = "by_name")]
    by_key: Option<PathBuf>,
}

impl By {
    pub fn sign_in(&self, db: &Connection) -> anyhow::Result<Option<Operator>> {
        match (&self.by_name, &self.by_key) {
            (Some(name), Some(key)) => Operator::sign_in(db, name, key).map(Some),
            _ => Ok(None),
        }
    }

    fn needed(&self, db: &Connection) -> anyhow::Result<Operator> {
        self.sign_in(db)?.context("say who does it: --as NAME --key FILE")
    }
}

#[derive(Subcommand)]
pub enum UsersCommand {
    /// Name an operator; the first is an admin, and admins name the others
    Add {
        operator: String,
        #[arg(long)]
        role: Role,
        /// The file of the new operator's key, made where there is none; it stays with them, and is never sent anywhere
        #[arg(long, value_name = "FILE")]
        new_key: PathBuf,
        #[command(flatten)]
        by: By,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// What they have signed stands; nothing more is taken from them
    Remove {
        operator: String,
        #[command(flatten)]
        by: By,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Print operators, a line of JSON each; `key` is what a box's [hq] approvers names
    List {
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

pub fn users(what: UsersCommand) -> anyhow::Result<()> {
    match what {
        UsersCommand::Add { operator, role, new_key, by, data } => {
            let mut db = Store::open(&data)?.writer()?;
            let by = by.sign_in(&db)?;
            let key = operators::add(&mut db, by.as_ref(), &operator, role, &new_key)?;
            say(&serde_json::json!({ "name": operator, "role": role, "key": key }))
        }
        UsersCommand::Remove { operator, by, data } => {
            let mut db = Store::open(&data)?.writer()?;
            let by = by.needed(&db)?;
            operators::remove(&mut db, &by, &operator)
        }
        UsersCommand::List { data } => each(operators::list(&Store::open(&data)?.reader()?)?),
    }
}

#[derive(Subcommand)]
pub enum ApprovalCommand {
    /// Print what waits for people, a line of JSON each
    List {
        /// Also what was approved, refused or has expired
        #[arg(long)]
        all: bool,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Refuse what waits, for everybody
    Refuse {
        id: i64,
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        by: By,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

pub fn approvals(what: ApprovalCommand) -> anyhow::Result<()> {
    match what {
        ApprovalCommand::List { all, data } => each(operators::pending(&Store::open(&data)?.reader()?, all)?),
        ApprovalCommand::Refuse { id, reason, by, data } => {
            let mut db = Store::open(&data)?.writer()?;
            let by = by.needed(&db)?;
            let txn = db.transaction()?;
            operators::refuse(&txn, &by, id, &reason)?;
            Ok(txn.commit()?)
        }
    }
}

/// One operator's word; with the second what hangs on it is done.
pub fn approve(id: i64, by: &By, data: &std::path::Path) -> anyhow::Result<()> {
    let mut db = Store::open(data)?.writer()?;
    let by = by.needed(&db)?;
    let txn = db.transaction()?;
    let enough = operators::approve(&txn, &by, id)?;
    let (mut published, mut command) = (None, None);
    if enough {
        published = quarantine::release(&txn, id)?;
        command = control::release(&txn, id)?;
    }
    txn.commit()?;
    say(&serde_json::json!({ "approval": id, "approved": enough, "published": published, "command": command }))
}

#[derive(Subcommand)]
pub enum DataCommand {
    /// Print how far a price book may be from the one before without a second signature; with options, set it
    Bounds {
        /// No price moves by more than so many percent
        #[arg(long, value_name = "PERCENT")]
        price: Option<u32>,
        /// No more than so many percent of the goods change a price
        #[arg(long, value_name = "PERCENT")]
        lines: Option<u32>,
        /// No more than so many percent of the goods are missing
        #[arg(long, value_name = "PERCENT")]
        missing: Option<u32>,
        #[command(flatten)]
        by: By,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Make an earlier content the next version: the one before the newest, or that of --to
    Rollback {
        dataset: String,
        #[arg(long, value_name = "VERSION")]
        to: Option<u64>,
        #[command(flatten)]
        by: By,
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

pub fn data(what: DataCommand) -> anyhow::Result<()> {
    match what {
        DataCommand::Bounds { price, lines, missing, by, data } => {
            let mut db = Store::open(&data)?.writer()?;
            let by = by.sign_in(&db)?;
            let mut bounds = quarantine::bounds(&db)?;
            if price.is_some() || lines.is_some() || missing.is_some() {
                bounds.price_percent = price.unwrap_or(bounds.price_percent);
                bounds.lines_percent = lines.unwrap_or(bounds.lines_percent);
                bounds.missing_percent = missing.unwrap_or(bounds.missing_percent);
                quarantine::set_bounds(&mut db, by.as_ref(), bounds)?;
            }
            say(&bounds)
        }
        DataCommand::Rollback { dataset, to, by, data } => {
            let store = Store::open(&data)?;
            let by = by.sign_in(&store.reader()?)?;
            let (manifest, held) = quarantine::roll_back(&store, by.as_ref(), &dataset, to)?;
            match held {
                Some(held) => held_back(&held),
                None => say(&manifest),
            }
        }
    }
}

/// Says what is outside the bounds, and fails: it is not published.
pub fn held_back(held: &Held) -> anyhow::Result<()> {
    say(held)?;
    anyhow::bail!(
        "not published: {}. A second operator looks at it and says: aisle-hq approve {}",
        held.outside.join("; "),
        held.approval
    )
}

#[derive(Args)]
pub struct CommandArgs {
    #[arg(value_name = "BOX")]
    box_id: String,
    /// identify, restart_device DEVICE, summary, backup_now, verify_journal, reload_config, restart
    verb: String,
    /// What the verb is about
    about: Option<String>,
    /// How long it may be begun
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    within: u32,
    #[command(flatten)]
    by: By,
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

pub fn command(what: &CommandArgs) -> anyhow::Result<()> {
    let verb = Verb::read(&what.verb, what.about.as_deref()).with_context(|| {
        format!(
            "{} is none of identify, restart_device DEVICE, summary, backup_now, verify_journal, reload_config, restart",
            what.verb
        )
    })?;
    let mut db = Store::open(&what.data)?.writer()?;
    let by = what.by.sign_in(&db)?;
    say(&control::command(&mut db, by.as_ref(), &what.box_id, verb, what.within)?)
}

#[derive(Args)]
pub struct CommandsArgs {
    #[arg(long = "box", value_name = "BOX")]
    box_id: Option<String>,
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

pub fn commands(what: &CommandsArgs) -> anyhow::Result<()> {
    each(control::orders(&Store::open(&what.data)?.reader()?, what.box_id.as_deref())?)
}

#[derive(Args)]
pub struct RingArgs {
    ring: String,
    #[arg(required = true, value_name = "BOX")]
    boxes: Vec<String>,
    #[command(flatten)]
    by: By,
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

pub fn ring(what: &RingArgs) -> anyhow::Result<()> {
    let mut db = Store::open(&what.data)?.writer()?;
    let by = what.by.sign_in(&db)?;
    control::ring(&mut db, by.as_ref(), &what.ring, &what.boxes)
}

#[derive(Args)]
pub struct DesiredArgs {
    /// A box; without one, --ring
    #[arg(value_name = "BOX", required_unless_present_any = ["ring", "list"], conflicts_with = "ring")]
    box_id: Option<String>,
    /// All boxes of this ring
    #[arg(long, value_name = "NAME")]
    ring: Option<String>,
    /// TOML: tables [store], [floor], [till], [[lane]] and [disk] that take the place of the box's own
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    file: Option<PathBuf>,
    /// Print what boxes are to have and what they say of it
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    by: By,
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

pub fn desired(what: DesiredArgs) -> anyhow::Result<()> {
    let mut db = Store::open(&what.data)?.writer()?;
    let whom = match (what.box_id, what.ring) {
        (Some(id), _) => Whom::Box(id),
        (None, Some(ring)) => Whom::Ring(ring),
        (None, None) => return each(control::wanted(&db)?),
    };
    let file = what.file.context("which document? --file FILE")?;
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let by = what.by.sign_in(&db)?;
    each(control::desire(&mut db, by.as_ref(), &whom, &text)?)
}

/// What was done, the newest first.
pub fn audit(data: &std::path::Path, limit: u32) -> anyhow::Result<()> {
    each(operators::audited(&Store::open(data)?.reader()?, limit)?)
}

pub fn each(rows: Vec<impl Serialize>) -> anyhow::Result<()> {
    rows.iter().try_for_each(say)
}

#[expect(clippy::print_stdout, reason = "what the person at the terminal asked for")]
pub fn say(what: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(what)?);
    Ok(())
}
