//! People who work headquarters, each with a key of their own, and what takes two of them. A key is a file outside the database:
//! who can read the database can prove who agreed to what, and agree to nothing.

use crate::batch::hex;
use crate::db::{self, Connection, OptionalExtension as _, Transaction, params};
use crate::sign::{Expected, Signer, verify};
use crate::store::{begin, now_ms};
use anyhow::{Context as _, bail, ensure};
use checkout::control::{Approval, SIGNATURES};
use checkout::wire::Signed;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::path::Path;

/// What nobody has agreed to by then is asked for anew.
const APPROVAL_MS: i64 = 3 * 24 * 3_600_000;
const NAME_MAX: usize = 40;

/// Each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Imports, commands, approves what others ask for.
    Operator,
    /// Names operators, sets bounds, runs the certificate authority.
    Admin,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    fn read(text: &str) -> Self {
        match text {
            "admin" => Self::Admin,
            "operator" => Self::Operator,
            _ => Self::Viewer,
        }
    }
}

/// Somebody with their key in hand.
#[derive(Debug)]
pub struct Operator {
    pub name: String,
    role: Role,
    signer: Signer,
}

impl Operator {
    /// # Errors
    /// There is no such operator, or that is another's key.
    pub fn sign_in(db: &Connection, name: &str, key: &Path) -> anyhow::Result<Self> {
        let signer = Signer::read(key)?;
        let sql = "SELECT key, role FROM operator WHERE name = ?1 AND gone IS NULL";
        let known: Option<(String, String)> =
            db.query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let (public, role) = known.with_context(|| format!("there is no operator {name}: `users list` names them"))?;
        ensure!(public == signer.public_key(), "{} is not the key of {name}", key.display());
        Ok(Self { name: name.into(), role: Role::read(&role), signer })
    }

    /// # Errors
    /// Their role is a lower one.
    pub fn at_least(&self, role: Role) -> anyhow::Result<()> {
        ensure!(self.role >= role, "{} is a {}: this wants a {}", self.name, self.role.name(), role.name());
        Ok(())
    }

    fn word_for(&self, tenant: &str, id: i64, subject: &str) -> anyhow::Result<String> {
        let doc = Approval { operator: self.name.clone(), subject: subject.into() };
        let (tenant, rev) = (tenant.to_owned(), id.unsigned_abs());
        self.signer.sign(&Signed { tenant, box_id: None, purpose: "approval".into(), rev, doc })
    }
}

/// What `users list` shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    pub name: String,
    pub role: String,
    /// What boxes check this operator's approvals with.
    pub key: String,
}

/// Makes `name` an operator with the key in that file, which is made where there is none. The first is an admin and names the others.
///
/// # Errors
/// The name is taken or unusable, or `by` may not.
pub fn add(db: &mut Connection, by: Option<&Operator>, name: &str, role: Role, key: &Path) -> anyhow::Result<String> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    let usable = !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(plain);
    ensure!(usable, "an operator's name is up to {NAME_MAX} letters, digits, '-', '_' and '.'");
    let txn = begin(db)?;
    match by {
        Some(by) => by.at_least(Role::Admin)?,
        None if count(&txn, Role::Viewer)? > 0 => bail!("say who names {name}: --as ADMIN --key FILE"),
        None => ensure!(role == Role::Admin, "the first operator is an admin, who names the others: --role admin"),
    }
    let public = Signer::open(key)?.public_key();
    let sql = "INSERT INTO operator (name, role, key, at) VALUES (?1, ?2, ?3, ?4)";
    txn.execute(sql, params![name, role.name(), public, now_ms()])
        .with_context(|| format!("{name} or this key is taken, also by somebody who has gone"))?;
    audit(&txn, by.map_or("", |by| &by.name), "users add", name, role.name())?;
    txn.commit()?;
    Ok(public)
}

/// # Errors
/// There is no such operator, `by` may not, or nobody would be left who may.
pub fn remove(db: &mut Connection, by: &Operator, name: &str) -> anyhow::Result<()> {
    by.at_least(Role::Admin)?;
    let txn = begin(db)?;
    let sql = "UPDATE operator SET gone = ?2 WHERE name = ?1 AND gone IS NULL";
    ensure!(txn.execute(sql, params![name, now_ms()])? == 1, "there is no operator {name}");
    ensure!(count(&txn, Role::Admin)? > 0, "{name} is the last admin: name another first");
    audit(&txn, &by.name, "users remove", name, "")?;
    Ok(txn.commit()?)
}

/// # Errors
/// When the database cannot be read.
pub fn list(db: &Connection) -> db::Result<Vec<Listed>> {
    let mut rows = db.prepare_cached("SELECT name, role, key FROM operator WHERE gone IS NULL ORDER BY name")?;
    rows.query_map([], |row| Ok(Listed { name: row.get(0)?, role: row.get(1)?, key: row.get(2)? }))?.collect()
}

/// How many have this role or a higher one.
fn count(db: &Connection, role: Role) -> db::Result<usize> {
    Ok(list(db)?.iter().filter(|known| Role::read(&known.role) >= role).count())
}

/// The name of who does something; where there are operators it is one of them, with this role.
///
/// # Errors
/// Nobody says who, or their role is a lower one.
pub fn may(db: &Connection, by: Option<&Operator>, role: Role) -> anyhow::Result<String> {
    match by {
        Some(by) => by.at_least(role).map(|()| by.name.clone()),
        None => {
            ensure!(list(db)?.is_empty(), "say who does it: --as NAME --key FILE");
            Ok(String::new())
        }
    }
}

/// Whether there are two who could agree to something; with fewer nothing waits for them.
///
/// # Errors
/// When the database cannot be read.
pub fn are_two(db: &Connection) -> db::Result<bool> {
    Ok(count(db, Role::Operator)? >= SIGNATURES)
}

/// Something that waits for people, or did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pending {
    pub id: i64,
    /// In words, for whoever is to agree.
    pub what: String,
    pub at: i64,
    pub expires: i64,
    /// `pending`, `approved`, `refused` or `expired`.
    pub state: String,
    pub signed_by: Vec<String>,
}

/// Asks for two operators' word on what hashes to `subject`; who asks has said so already.
///
/// # Errors
/// When the database cannot be written.
pub fn ask(txn: &Transaction<'_>, by: Option<&Operator>, what: &str, subject: &str) -> anyhow::Result<i64> {
    let sql =
        "INSERT INTO approval (what, subject, at, expires, state) VALUES (?1, ?2, ?3, ?4, 'pending') RETURNING id";
    let id: i64 = txn.query_row(sql, params![what, subject, now_ms(), now_ms() + APPROVAL_MS], |row| row.get(0))?;
    audit(txn, by.map_or("", |by| &by.name), "approval asked", &id.to_string(), what)?;
    if let Some(by) = by {
        by.at_least(Role::Operator)?;
        put(txn, by, id, subject)?;
    }
    Ok(id)
}

fn put(txn: &Transaction<'_>, by: &Operator, id: i64, subject: &str) -> anyhow::Result<()> {
    let document = by.word_for(&tenant(txn)?, id, subject)?;
    let sql = "INSERT INTO approval_signature (approval, operator, document, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    ensure!(txn.execute(sql, params![id, by.name, document, now_ms()])? == 1, "{} has signed this already", by.name);
    Ok(())
}

/// One more operator's word. What hangs on it is done once there are two, by whoever calls this, in the same transaction.
///
/// # Errors
/// Nothing of this number waits, `by` may not, or has signed already.
pub fn approve(txn: &Transaction<'_>, by: &Operator, id: i64) -> anyhow::Result<bool> {
    by.at_least(Role::Operator)?;
    let subject = open(txn, id)?;
    put(txn, by, id, &subject)?;
    audit(txn, &by.name, "approved", &id.to_string(), &subject)?;
    let enough = signatures(txn, id)?.len() >= SIGNATURES;
    if enough {
        txn.execute("UPDATE approval SET state = 'approved' WHERE id = ?1", [id])?;
    }
    Ok(enough)
}

/// # Errors
/// Nothing of this number waits, or `by` may not.
pub fn refuse(txn: &Transaction<'_>, by: &Operator, id: i64, reason: &str) -> anyhow::Result<()> {
    by.at_least(Role::Operator)?;
    open(txn, id)?;
    txn.execute("UPDATE approval SET state = 'refused' WHERE id = ?1", [id])?;
    audit(txn, &by.name, "refused", &id.to_string(), reason)
}

fn open(txn: &Transaction<'_>, id: i64) -> anyhow::Result<String> {
    expire(txn)?;
    let sql = "SELECT subject, state FROM approval WHERE id = ?1";
    let known: Option<(String, String)> = txn.query_row(sql, [id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (subject, state) =
        known.with_context(|| format!("nothing waits under number {id}: `approvals` lists what does"))?;
    ensure!(state == "pending", "number {id} is {state} already");
    Ok(subject)
}

fn expire(txn: &Transaction<'_>) -> db::Result<usize> {
    txn.execute("UPDATE approval SET state = 'expired' WHERE state = 'pending' AND expires <= ?1", [now_ms()])
}

/// The signed words for `id`, of operators who still are, each checked against their key.
///
/// # Errors
/// When the database cannot be read.
pub fn signatures(db: &Connection, id: i64) -> anyhow::Result<Vec<String>> {
    let subject: String = db.query_row("SELECT subject FROM approval WHERE id = ?1", [id], |row| row.get(0))?;
    let mut rows = db.prepare_cached(
        "SELECT s.document, o.key, o.name FROM approval_signature AS s JOIN operator AS o ON o.name = s.operator AND o.gone IS NULL
         WHERE s.approval = ?1 ORDER BY s.at, s.operator",
    )?;
    let found: Vec<(String, String, String)> =
        rows.query_map([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<_, _>>()?;
    let tenant = tenant(db)?;
    let genuine = |(document, key, name): &(String, String, String)| {
        let expected = Expected { tenant: &tenant, box_id: "", purpose: "approval", rev_seen: 0 };
        verify::<Approval>(document, key, expected)
            .is_ok_and(|signed| signed.doc.subject == subject && signed.doc.operator == *name)
    };
    Ok(found.into_iter().filter(genuine).map(|(document, ..)| document).collect())
}

/// What waits, and with `all` also what did, the newest first.
///
/// # Errors
/// When the database cannot be read.
pub fn pending(db: &Connection, all: bool) -> db::Result<Vec<Pending>> {
    let mut rows = db.prepare_cached(
        "SELECT id, what, at, expires, CASE WHEN state = 'pending' AND expires <= ?1 THEN 'expired' ELSE state END,
            (SELECT group_concat(operator) FROM approval_signature WHERE approval = id) FROM approval ORDER BY id DESC",
    )?;
    let rows = rows.query_map([now_ms()], |row| {
        let signed: Option<String> = row.get(5)?;
        Ok(Pending {
            id: row.get(0)?,
            what: row.get(1)?,
            at: row.get(2)?,
            expires: row.get(3)?,
            state: row.get(4)?,
            signed_by: signed.map(|names| names.split(',').map(str::to_owned).collect()).unwrap_or_default(),
        })
    })?;
    rows.filter(|row| all || row.as_ref().map_or(true, |row| row.state == "pending")).collect()
}

/// One line of who did what; they are never changed.
///
/// # Errors
/// When the database cannot be written.
pub(crate) fn audit(db: &Connection, who: &str, did: &str, about: &str, detail: &str) -> anyhow::Result<()> {
    let sql = "INSERT INTO audit (at, who, did, about, detail) VALUES (?1, ?2, ?3, ?4, ?5)";
    db.execute(sql, params![now_ms(), who, did, about, detail])?;
    tracing::info!(who, did, about, detail, "audit");
    Ok(())
}

/// A row of the audit table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    pub at: i64,
    /// Empty: whoever stood at the machine.
    pub who: String,
    pub did: String,
    pub about: String,
    pub detail: String,
}

/// What was done, the newest first.
///
/// # Errors
/// When the database cannot be read.
pub fn audited(db: &Connection, limit: u32) -> db::Result<Vec<Done>> {
    let mut rows = db.prepare_cached("SELECT at, who, did, about, detail FROM audit ORDER BY id DESC LIMIT ?1")?;
    rows.query_map([limit], |row| {
        Ok(Done { at: row.get(0)?, who: row.get(1)?, did: row.get(2)?, about: row.get(3)?, detail: row.get(4)? })
    })?
    .collect()
}

/// SHA-256 of what is agreed to.
pub(crate) fn subject(preimage: &str) -> String {
    hex(&Sha256::digest(preimage.as_bytes()))
}

/// Whose stores these are, as `serve` was told last.
fn tenant(db: &Connection) -> db::Result<String> {
    Ok(crate::store::setting(db, "tenant")?.unwrap_or_else(|| "demo".into()))
}
