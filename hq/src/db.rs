//! One door to the database, whichever it is: SQLite in the data directory, or PostgreSQL when one file is too small.
//!
//! Every statement is written once, in the SQL both understand, with `?1`, `?2` for what is filled in. [`pg`] says what it
//! does about the rest.

mod cell;
mod pg;

pub use cell::{Cell, FromCell, Params, ToCell, Value};
pub use pg::Address;

use std::ops::Deref;

pub type Result<T> = std::result::Result<T, Error>;

/// A statement that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Lite(#[from] rusqlite::Error),
    #[error("{}", pg::told(.0))]
    Pg(#[from] postgres::Error),
    #[error("the session with the database is over")]
    Closed,
    #[error("no row where one was expected")]
    NoRow,
    #[error("column {at} is not of the type that is wanted")]
    Column { at: usize },
}

/// Rows of one insertion: few sizes, for each is a statement kept ready.
const AT_ONCE: [usize; 4] = [256, 32, 4, 1];

/// What a statement is filled in with, whatever the types.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::db::ToCell),*] as &[&dyn $crate::db::ToCell]
    };
}
pub use params;

/// `None` where there is no row.
pub trait OptionalExtension<T> {
    /// # Errors
    /// Every error but that there is no row.
    fn optional(self) -> Result<Option<T>>;
}

impl<T> OptionalExtension<T> for Result<T> {
    fn optional(self) -> Result<Option<T>> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(Error::NoRow | Error::Lite(rusqlite::Error::QueryReturnedNoRows)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[derive(Debug)]
pub struct Connection(Which);

#[derive(Debug)]
enum Which {
    Lite(rusqlite::Connection),
    Pg(Box<pg::Session>),
}

impl From<rusqlite::Connection> for Connection {
    fn from(db: rusqlite::Connection) -> Self {
        Self(Which::Lite(db))
    }
}

impl Connection {
    /// # Errors
    /// When the server cannot be reached or does not let us in.
    pub fn to(address: &Address) -> anyhow::Result<Self> {
        Ok(Self(Which::Pg(Box::new(pg::Session::open(address)?))))
    }

    /// A statement used again and again.
    ///
    /// # Errors
    /// When the database does not understand it.
    pub fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>> {
        Ok(match &self.0 {
            Which::Lite(db) => Statement::Lite(db.prepare_cached(sql)?),
            Which::Pg(session) => Statement::Pg(session, session.prepare(sql)?),
        })
    }

    /// # Errors
    /// When the database does not do it.
    pub fn execute(&self, sql: &str, by: impl Params) -> Result<usize> {
        self.prepare_cached(sql)?.execute(by)
    }

    /// Rows that are not there yet, many at a time where that saves ways to the server.
    ///
    /// # Errors
    /// When the database does not take them.
    pub fn insert_new<'a, const N: usize>(
        &self,
        table: &str,
        columns: &[&str; N],
        rows: impl Iterator<Item = [Cell<'a>; N]>,
    ) -> Result<()> {
        match &self.0 {
            Which::Lite(db) => {
                let mut statement = db.prepare_cached(&insertion(table, columns, 1))?;
                for row in rows {
                    statement.execute(rusqlite::params_from_iter(row))?;
                }
                Ok(())
            }
            Which::Pg(session) => {
                let cells: Vec<Cell<'a>> = rows.flatten().collect();
                let mut rest = cells.as_slice();
                for many in AT_ONCE {
                    while let Some((now, later)) = rest.split_at_checked(many * N).filter(|(now, _)| !now.is_empty()) {
                        session.execute(&session.prepare(&insertion(table, columns, many))?, now)?;
                        rest = later;
                    }
                }
                Ok(())
            }
        }
    }

    /// The first row.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub fn query_row<T>(&self, sql: &str, by: impl Params, read: impl FnOnce(&Row<'_>) -> Result<T>) -> Result<T> {
        self.prepare_cached(sql)?.query_row(by, read)
    }

    /// Makes the tables that are not there yet; their types are SQLite's.
    ///
    /// # Errors
    /// When the database does not do it.
    pub fn create(&self, tables: &str) -> Result<()> {
        match &self.0 {
            Which::Lite(db) => Ok(db.execute_batch(tables)?),
            Which::Pg(session) => session.create(tables),
        }
    }

    /// Milliseconds since 1970 by the clock of the database, one for all who use it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn now_ms(&self) -> Result<i64> {
        match &self.0 {
            Which::Lite(_) => Ok(crate::store::now_ms()),
            Which::Pg(_) => {
                let sql = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)";
                self.query_row(sql, [], |row| row.get(0))
            }
        }
    }

    /// When this day began on this machine, in milliseconds since 1970.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn today_ms(&self) -> Result<i64> {
        self.day_ms(0)
    }

    /// The same of the day so many days `back`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn day_ms(&self, back: i64) -> Result<i64> {
        let sql = match &self.0 {
            Which::Lite(_) => {
                "SELECT CAST(strftime('%s', 'now', 'localtime', 'start of day', (-?1) || ' days', 'utc') AS INTEGER) * 1000"
            }
            Which::Pg(_) => {
                "SELECT CAST(extract(epoch FROM date_trunc('day', now()) - make_interval(days => CAST(?1 AS INTEGER))) AS BIGINT) * 1000"
            }
        };
        self.query_row(sql, [back], |row| row.get(0))
    }

    /// Nobody else writes what this one reads until it ends; not committed, it has not been.
    ///
    /// # Errors
    /// When another writer does not end.
    pub fn transaction(&mut self) -> Result<Transaction<'_>> {
        self.begin()?;
        Ok(Transaction { db: self, open: true })
    }

    fn begin(&self) -> Result<()> {
        match &self.0 {
            Which::Lite(db) => Ok(db.execute_batch("BEGIN IMMEDIATE")?),
            Which::Pg(session) => session.begin(),
        }
    }

    fn end(&self, how: &str) -> Result<()> {
        match &self.0 {
            Which::Lite(db) => Ok(db.execute_batch(how)?),
            Which::Pg(session) => session.batch(how),
        }
    }

    /// The wish of one who writes what can be worked out again: a power cut may cost the last of it.
    ///
    /// # Errors
    /// When the database does not take it.
    pub fn relaxed(&self) -> Result<()> {
        match &self.0 {
            Which::Lite(db) => Ok(db.pragma_update(None, "synchronous", "normal")?),
            Which::Pg(session) => session.batch("SET synchronous_commit = off"),
        }
    }
}

fn insertion<const N: usize>(table: &str, columns: &[&str; N], rows: usize) -> String {
    let row = |row: usize| {
        let cells: Vec<String> = (1..=N).map(|at| format!("?{}", row * N + at)).collect();
        format!("({})", cells.join(", "))
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    format!("INSERT INTO {table} ({}) VALUES {} ON CONFLICT DO NOTHING", columns.join(", "), rows.join(", "))
}

/// Taken back when it is dropped.
#[derive(Debug)]
pub struct Transaction<'c> {
    db: &'c Connection,
    open: bool,
}

impl Transaction<'_> {
    /// # Errors
    /// When the database cannot make it durable.
    pub fn commit(mut self) -> Result<()> {
        self.open = false;
        let committed = self.db.end("COMMIT");
        if committed.is_err() {
            let _ = self.db.end("ROLLBACK");
        }
        committed
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.open {
            // A connection that is gone has taken it back already.
            let _ = self.db.end("ROLLBACK");
        }
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.db
    }
}

pub enum Statement<'c> {
    Lite(rusqlite::CachedStatement<'c>),
    Pg(&'c pg::Session, postgres::Statement),
}

impl Statement<'_> {
    /// Names of the columns of an answer.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        match self {
            Self::Lite(statement) => statement.column_names().map(str::to_owned).collect(),
            Self::Pg(_, statement) => statement.columns().iter().map(|column| column.name().to_owned()).collect(),
        }
    }

    /// How many rows it changed.
    ///
    /// # Errors
    /// When the database does not do it.
    pub fn execute(&mut self, by: impl Params) -> Result<usize> {
        by.with(|cells| match self {
            Self::Lite(statement) => Ok(statement.execute(rusqlite::params_from_iter(cells))?),
            Self::Pg(session, statement) => session.execute(statement, cells),
        })
    }

    /// # Errors
    /// When there is no row, or the database does not answer.
    pub fn query_row<T>(&mut self, by: impl Params, read: impl FnOnce(&Row<'_>) -> Result<T>) -> Result<T> {
        by.with(|cells| match self {
            Self::Lite(statement) => {
                let mut rows = statement.query(rusqlite::params_from_iter(cells))?;
                read(&Row(Of::Lite(rows.next()?.ok_or(Error::NoRow)?)))
            }
            Self::Pg(session, statement) => {
                read(&Row(Of::Pg(session.query(statement, cells)?.first().ok_or(Error::NoRow)?)))
            }
        })
    }

    /// Row after row until `read` says no.
    ///
    /// # Errors
    /// When the database does not answer, and what `read` says.
    pub fn each<E: From<Error>>(
        &mut self,
        by: impl Params,
        mut read: impl FnMut(&Row<'_>) -> std::result::Result<bool, E>,
    ) -> std::result::Result<(), E> {
        by.with(|cells| {
            match self {
                Self::Lite(statement) => {
                    let mut rows = statement.query(rusqlite::params_from_iter(cells)).map_err(Error::from)?;
                    while let Some(row) = rows.next().map_err(Error::from)? {
                        if !read(&Row(Of::Lite(row)))? {
                            break;
                        }
                    }
                }
                Self::Pg(session, statement) => {
                    for row in session.query(statement, cells)? {
                        if !read(&Row(Of::Pg(&row)))? {
                            break;
                        }
                    }
                }
            }
            Ok(())
        })
    }

    /// All rows, read before this returns.
    ///
    /// # Errors
    /// When the database does not answer; that a row cannot be read is said where it is.
    pub fn query_map<T>(
        &mut self,
        by: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<std::vec::IntoIter<Result<T>>> {
        by.with(|cells| {
            let mut all = Vec::new();
            match self {
                Self::Lite(statement) => {
                    let mut rows = statement.query(rusqlite::params_from_iter(cells))?;
                    while let Some(row) = rows.next()? {
                        all.push(read(&Row(Of::Lite(row))));
                    }
                }
                Self::Pg(session, statement) => {
                    all.extend(session.query(statement, cells)?.iter().map(|row| read(&Row(Of::Pg(row)))));
                }
            }
            Ok(all.into_iter())
        })
    }
}

/// One row of an answer.
pub struct Row<'a>(Of<'a>);

enum Of<'a> {
    Lite(&'a rusqlite::Row<'a>),
    Pg(&'a postgres::Row),
}

impl Row<'_> {
    /// # Errors
    /// When there is no such column, or it is of another type.
    pub fn get<I: At, T: FromCell>(&self, at: I) -> Result<T> {
        let at = at.at();
        T::from_cell(self.cell(at)?).ok_or(Error::Column { at })
    }

    /// As it is kept.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn cell(&self, at: usize) -> Result<Cell<'_>> {
        Ok(match self.0 {
            Of::Lite(row) => Cell::of(row.get_ref(at)?),
            Of::Pg(row) => row.try_get(at)?,
        })
    }
}

/// Number of a column, counted from 0.
pub trait At {
    fn at(self) -> usize;
}

impl At for usize {
    fn at(self) -> usize {
        self
    }
}
