//! PostgreSQL: what it says otherwise than SQLite, and a session with it.
//!
//! Statements differ in how parameters are written. The few functions of SQLite that they use are made on the server once, and
//! the tables are made from the same file as SQLite's.

use super::{Cell, Result};
use crate::tls::ClientTls;
use anyhow::{Context as _, bail};
use postgres::types::ToSql;
use postgres::{Client, Config, NoTls, Row, Statement};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Statements kept ready; those put together from filters are few.
const PREPARED_MAX: usize = 500;
/// The advisory lock of who writes: "aisle" as a number.
const WRITER: i64 = 0x61_6973_6c65;
const CONNECT: Duration = Duration::from_secs(10);

/// What of SQLite statements here use and the server does not have. Dates are shown in the time of the machine headquarters is on.
const FUNCTIONS: &str = r#"
CREATE OR REPLACE FUNCTION max(a bigint, b bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT greatest(a, b) $$;
CREATE OR REPLACE FUNCTION instr(within text, what text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT strpos(within, what)::bigint $$;
CREATE OR REPLACE FUNCTION json_extract(body text, path text) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT body::json #>> string_to_array(substr(path, 3), '.') $$;
CREATE OR REPLACE FUNCTION strftime(format text, seconds bigint, since text, zone text DEFAULT 'utc') RETURNS text
    LANGUAGE sql STABLE AS $$
    SELECT to_char(to_timestamp(seconds) AT TIME ZONE CASE zone WHEN 'localtime' THEN current_setting('TimeZone') ELSE 'UTC' END,
        replace(replace(replace(replace(replace(replace(replace(replace(format, 'T', '"T"'), 'Z', '"Z"'),
            '%Y', 'YYYY'), '%m', 'MM'), '%d', 'DD'), '%H', 'HH24'), '%M', 'MI'), '%S', 'SS')) $$;
"#;

/// Triggers have a language of their own on each side.
const TRIGGERS: &str = "
CREATE OR REPLACE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit is only added to'; END $$;
CREATE OR REPLACE TRIGGER audit_stays BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_stays();
";

/// Where the server is and as whom to come. Shown without its password.
#[derive(Clone)]
pub struct Address {
    config: Config,
    tls: Option<rustls::ClientConfig>,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {:?}", self.config.get_dbname(), self.config.get_hosts())
    }
}

impl Address {
    /// `url`: `postgres://user:password@host/database`. Beyond this machine nothing is sent in the clear.
    ///
    /// # Errors
    /// When it is not such an address, or names another machine and there is no certificate to know it by.
    pub fn parse(url: &str, tls: Option<ClientTls>) -> anyhow::Result<Self> {
        let mut config: Config = url
            .parse()
            .ok()
            .context("--database is not postgres://USER:PASSWORD@HOST/DATABASE (its password is not repeated here)")?;
        config.application_name("aisle-hq").connect_timeout(CONNECT);
        let near = config.get_hosts().iter().all(|host| match host {
            postgres::config::Host::Tcp(name) => ["localhost", "127.0.0.1", "::1"].contains(&name.as_str()),
            postgres::config::Host::Unix(_) => true,
        });
        if !near && tls.is_none() {
            bail!("--database is on another machine: name the certificate it is known by with --database-ca FILE");
        }
        let tls = tls.map(|tls| tls.config()).transpose()?;
        Ok(Self { config, tls })
    }
}

pub struct Session {
    /// There until it is dropped.
    client: RefCell<Option<Client>>,
    prepared: RefCell<HashMap<String, Statement>>,
}

impl Drop for Session {
    fn drop(&mut self) {
        aside(|| drop(self.client.take()));
    }
}

/// The client waits for the server by itself; a thread of the runtime that asks it is one less for the others meanwhile.
fn aside<T>(wait: impl FnOnce() -> T) -> T {
    if tokio::runtime::Handle::try_current().is_ok() { tokio::task::block_in_place(wait) } else { wait() }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a session with PostgreSQL")
    }
}

impl Session {
    pub(super) fn open(address: &Address) -> anyhow::Result<Self> {
        let client = aside(|| match &address.tls {
            None => address.config.connect(NoTls),
            Some(tls) => address.config.connect(MakeRustlsConnect::new(tls.clone())),
        });
        let client =
            client.map_err(super::Error::from).with_context(|| format!("cannot reach PostgreSQL: {address:?}"))?;
        let session = Self { client: RefCell::new(Some(client)), prepared: RefCell::default() };
        session.batch(&format!("SET lock_timeout = '30s'; SET TIME ZONE '{}'", zone()))?;
        Ok(session)
    }

    fn with<T>(&self, ask: impl FnOnce(&mut Client) -> std::result::Result<T, postgres::Error>) -> Result<T> {
        let mut client = self.client.borrow_mut();
        let client = client.as_mut().ok_or(super::Error::Closed)?;
        Ok(aside(|| ask(client))?)
    }

    pub(super) fn prepare(&self, sql: &str) -> Result<Statement> {
        let mut prepared = self.prepared.borrow_mut();
        if let Some(statement) = prepared.get(sql) {
            return Ok(statement.clone());
        }
        if prepared.len() >= PREPARED_MAX {
            prepared.clear();
        }
        let statement = self.with(|client| client.prepare(&numbered(sql)))?;
        prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    pub(super) fn execute(&self, statement: &Statement, cells: &[Cell<'_>]) -> Result<usize> {
        let changed = self.with(|client| client.execute(statement, &by(cells)))?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    pub(super) fn query(&self, statement: &Statement, cells: &[Cell<'_>]) -> Result<Vec<Row>> {
        self.with(|client| client.query(statement, &by(cells)))
    }

    pub(super) fn batch(&self, sql: &str) -> Result<()> {
        self.with(|client| client.batch_execute(sql))
    }

    /// One writer at a time, as with SQLite: what is read in a transaction is what is there when it writes.
    pub(super) fn begin(&self) -> Result<()> {
        self.batch(&format!("BEGIN; SELECT pg_advisory_xact_lock({WRITER})"))
    }

    /// The tables, where they are not there yet.
    pub(super) fn create(&self, schema: &str) -> Result<()> {
        self.begin()?;
        let made = self.batch(&format!("{FUNCTIONS}{}{TRIGGERS}", tables(schema)));
        self.batch(if made.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        made
    }
}

fn by<'a>(cells: &'a [Cell<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    cells.iter().map(|cell| cell as &(dyn ToSql + Sync)).collect()
}

/// `?1` is `$1` here, and each `?` alone the next number.
fn numbered(sql: &str) -> String {
    let mut written = String::with_capacity(sql.len());
    let (mut letters, mut alone, mut quoted) = (sql.chars().peekable(), 0, false);
    while let Some(letter) = letters.next() {
        quoted ^= letter == '\'';
        if letter != '?' || quoted {
            written.push(letter);
            continue;
        }
        written.push('$');
        if !letters.peek().is_some_and(char::is_ascii_digit) {
            alone += 1;
            written.push_str(&alone.to_string());
        }
    }
    written
}

/// Tables and views in SQLite's words as PostgreSQL wants them.
fn tables(schema: &str) -> String {
    let words = [
        (") STRICT, WITHOUT ROWID;", ");"),
        (") STRICT;", ");"),
        ("INTEGER PRIMARY KEY AUTOINCREMENT", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"),
        ("INTEGER PRIMARY KEY", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"),
        ("total(total)", "sum(total)"),
        (" INTEGER", " BIGINT"),
        (" BLOB", " BYTEA"),
        ("CREATE VIEW IF NOT EXISTS", "CREATE OR REPLACE VIEW"),
    ];
    let own = |line: &&str| !line.starts_with("CREATE TRIGGER");
    let tables: String = schema.lines().filter(own).flat_map(|line| [line, "\n"]).collect();
    words.iter().fold(tables, |tables, (lite, pg)| tables.replace(lite, pg))
}

/// What the server or the line to it said, in one line. What a statement was filled in with is not repeated.
pub(super) fn told(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("PostgreSQL: {} ({})", said.message(), said.code().code()),
        None => match std::error::Error::source(error) {
            Some(cause) => format!("PostgreSQL: {error}: {cause}"),
            None => format!("PostgreSQL: {error}"),
        },
    }
}

/// The time zone of this machine by its name, as the server knows it.
fn zone() -> String {
    let link = || {
        std::fs::read_link("/etc/localtime").ok()?.to_str()?.split_once("zoneinfo/").map(|(_, name)| name.to_owned())
    };
    let name = std::env::var("TZ").ok().or_else(link).unwrap_or_default();
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte));
    if plain && !name.is_empty() { name } else { "UTC".into() }
}

#[cfg(test)]
mod tests {
    use super::{Address, numbered, tables};

    #[test]
    fn a_statement_keeps_all_but_the_mark_of_its_parameters() {
        assert_eq!(numbered("a = ? AND b = ?"), "a = $1 AND b = $2");
        assert_eq!(
            numbered("SELECT a FROM b WHERE c = ?1 AND d = ?12 OR e = '?'"),
            "SELECT a FROM b WHERE c = $1 AND d = $12 OR e = '?'"
        );
    }

    #[test]
    fn tables_are_made_from_the_same_words() {
        let lite = "CREATE TABLE IF NOT EXISTS a (n INTEGER PRIMARY KEY, b BLOB, c INTEGER NOT NULL DEFAULT 0) STRICT;";
        let pg = "CREATE TABLE IF NOT EXISTS a (n BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, b BYTEA, c BIGINT NOT NULL DEFAULT 0);";
        assert_eq!(tables(lite).trim_end(), pg);
        let whole = tables(include_str!("../schema.sql"));
        assert!(!whole.contains("STRICT") && !whole.contains("ROWID") && !whole.contains("INTEGER PRIMARY"));
    }

    #[test]
    fn a_password_is_not_sent_in_the_clear_nor_shown() {
        let far = Address::parse("postgres://hq:secret@db.example.com/aisle", None).unwrap_err().to_string();
        assert!(far.contains("--database-ca") && !far.contains("secret"), "{far}");
        let near = Address::parse("postgres://hq:secret@127.0.0.1/aisle", None).unwrap();
        assert!(!format!("{near:?}").contains("secret"), "{near:?}");
        let wrong = Address::parse("postgres://hq:secret@[", None).unwrap_err();
        assert!(!format!("{wrong:?}").contains("secret"));
    }
}
