//! A journal as lines of text that anybody can keep, and the check of it: of the file itself, of such a copy, and of both
//! against what the box has signed.

use crate::journal::{Hash, Reader, chain};
use crate::jws::{self, hex};
use anyhow::{Context, Result, bail, ensure};
use checkout::wire::Head;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _, Write};
use std::path::Path;

/// Rows read at once.
const ROWS: usize = 1000;
const LINE_MAX: usize = 16 * 1024 * 1024;
const SQLITE: &[u8] = b"SQLite format 3\0";

/// First line of a copy.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Title {
    aisle_journal: u32,
    journal: String,
    rows: u64,
}

/// Every other line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    seq: u64,
    /// As stored, to the byte.
    body: String,
    hash: String,
}

/// Writes the journal as a line that says what it is, then a line a row.
///
/// # Errors
/// It cannot be read, or `out` cannot be written.
pub fn export(reader: &Reader, out: &mut impl Write) -> Result<u64> {
    let rows = reader.last()?;
    line(out, &Title { aisle_journal: 1, journal: reader.id()?, rows })?;
    let mut next = 1;
    while next <= rows {
        let left = usize::try_from(rows - next + 1).unwrap_or(ROWS).min(ROWS);
        for row in reader.rows(next, usize::MAX, left)? {
            let hash = hex(&reader.hash_at(row.seq)?);
            next = row.seq + 1;
            line(out, &Line { seq: row.seq, body: row.body, hash })?;
        }
    }
    out.flush()?;
    Ok(rows)
}

fn line(out: &mut impl Write, what: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *out, what)?;
    Ok(out.write_all(b"\n")?)
}

/// What a box has signed, as `aisle-hq heads` prints it: its key, then a document a line.
#[derive(Debug, Default)]
pub struct Heads(Vec<Head>);

impl Heads {
    /// # Errors
    /// A document somebody else signed: says which line.
    pub fn read(text: &str) -> Result<Self> {
        let mut lines = text.lines();
        let key = lines.next().and_then(jws::public_key).context("the first line is not the key of a box")?;
        let read = |(nth, document): (usize, &str)| {
            let signed =
                jws::read::<Head>(document.as_bytes(), &key).with_context(|| format!("head in line {}", nth + 2))?;
            ensure!(signed.purpose == "head", "line {} is no head", nth + 2);
            Ok(signed.doc)
        };
        Ok(Self(lines.enumerate().map(read).collect::<Result<_>>()?))
    }

    fn of(&self, journal: &str) -> BTreeMap<u64, Vec<&str>> {
        let mut of: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
        for head in self.0.iter().filter(|head| head.journal == journal) {
            of.entry(head.seq).or_default().push(&head.hash);
        }
        of
    }
}

/// What a check came to where nothing is wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified {
    pub rows: u64,
    /// Signed heads of this journal that it was held against.
    pub heads: usize,
}

/// Checks a journal or a copy of one.
///
/// # Errors
/// The first row that is missing, changed or not what the box signed.
pub fn verify(path: &Path, heads: &Heads) -> Result<Verified> {
    let mut file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut magic = Vec::new();
    (&mut file).take(SQLITE.len() as u64).read_to_end(&mut magic)?;
    if magic == SQLITE {
        return verify_file(&Reader::open(path)?, heads);
    }
    let copy = std::fs::File::open(path)?;
    verify_copy(BufReader::new(copy), heads)
}

fn verify_file(reader: &Reader, heads: &Heads) -> Result<Verified> {
    let mut signed = Signed::of(heads, &reader.id()?);
    let rows = reader.walk(|seq, hash| signed.see(seq, hash))?;
    reader.inspect().context("the rows are whole, the file is not")?;
    signed.end(rows)
}

/// # Errors
/// As [`verify`].
pub fn verify_copy(mut copy: impl BufRead, heads: &Heads) -> Result<Verified> {
    let mut text = String::new();
    let title: Title = parsed(&mut copy, &mut text)?.context("the copy is empty")?;
    ensure!(title.aisle_journal == 1, "a copy of another version");
    let mut signed = Signed::of(heads, &title.journal);
    let (mut prev, mut last): (Hash, u64) = ([0; 32], 0);
    while let Some(line) = parsed::<Line>(&mut copy, &mut text).with_context(|| format!("row {}", last + 1))? {
        ensure!(line.seq == last + 1, "row {} is missing", last + 1);
        prev = chain(&prev, line.seq, line.body.as_bytes());
        last = line.seq;
        ensure!(line.hash == hex(&prev), "row {last} was changed: its hash does not follow from row {}", last - 1);
        signed.see(last, &prev);
    }
    ensure!(last == title.rows, "row {} is missing: the copy was made of {} rows", last + 1, title.rows);
    signed.end(last)
}

/// The next line; one that says the same in other bytes is not what was written.
fn parsed<T: Serialize + for<'de> Deserialize<'de>>(copy: &mut impl BufRead, text: &mut String) -> Result<Option<T>> {
    text.clear();
    copy.take(LINE_MAX as u64).read_line(text).context("the line cannot be read")?;
    if text.is_empty() {
        return Ok(None);
    }
    let line = text.strip_suffix('\n').context("the line is cut off")?;
    let read: T = serde_json::from_str(line).context("the line was changed: it cannot be read")?;
    ensure!(serde_json::to_string(&read)? == line, "the line was changed");
    Ok(Some(read))
}

/// Heads of one journal, and which of them the rows bear out.
struct Signed<'a> {
    due: BTreeMap<u64, Vec<&'a str>>,
    borne_out: usize,
    wrong: Option<u64>,
}

impl<'a> Signed<'a> {
    fn of(heads: &'a Heads, journal: &str) -> Self {
        Self { due: heads.of(journal), borne_out: 0, wrong: None }
    }

    fn see(&mut self, seq: u64, hash: &Hash) {
        let Some(said) = self.due.remove(&seq) else { return };
        let hash = hex(hash);
        if said.iter().all(|said| **said == hash) {
            self.borne_out += said.len();
        } else {
            self.wrong.get_or_insert(seq);
        }
    }

    fn end(self, rows: u64) -> Result<Verified> {
        if let Some(seq) = self.wrong {
            bail!("row {seq} is not what the box signed: from some row before on the journal was written anew");
        }
        if let Some((signed, _)) = self.due.last_key_value().filter(|(seq, _)| **seq > rows) {
            bail!("row {} is missing: the box signed {signed} rows", rows + 1);
        }
        Ok(Verified { rows, heads: self.borne_out })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Journal;
    use crate::seal::BoxKey;
    use checkout::event::{Event, Record};
    use checkout::store::StoreEvent;
    use checkout::words::Utc;
    use rusqlite::Connection;
    use std::path::PathBuf;

    const ROWS: u64 = 6;

    /// A small journal on small pages, closed; its copy; the box that made it.
    fn made(folder: &Path) -> (PathBuf, String, BoxKey) {
        let path = folder.join("journal.db");
        let db = Connection::open(&path).unwrap();
        db.pragma_update(None, "page_size", 512).unwrap();
        let mut journal = Journal::over(db, &path).unwrap();
        for boot in 1..=ROWS {
            let event = Event::Store(StoreEvent::Booted { boot, version: "test".into(), nonce: boot });
            journal.commit(&[Record { utc: Utc(1_790_000_000_000), lane: None, event }], None, None).unwrap();
        }
        drop(journal);
        let mut copy = Vec::new();
        assert_eq!(export(&Reader::open(&path).unwrap(), &mut copy).unwrap(), ROWS);
        Connection::open(&path).unwrap().pragma_update(None, "journal_mode", "DELETE").unwrap();
        (path, String::from_utf8(copy).unwrap(), BoxKey::open(folder).unwrap())
    }

    fn wrong(copy: &str) -> String {
        match verify_copy(copy.as_bytes(), &Heads::default()) {
            Ok(found) => format!("believed: {found:?}"),
            Err(error) => format!("{error:#}"),
        }
    }

    /// P10, of a copy: nothing of it can be another byte.
    #[test]
    fn a_copy_with_any_byte_changed_or_any_row_gone_doubled_or_moved_is_refused_at_that_row() {
        let folder = tempfile::tempdir().unwrap();
        let (_, copy, _) = made(folder.path());
        let whole = Verified { rows: ROWS, heads: 0 };
        assert_eq!(verify_copy(copy.as_bytes(), &Heads::default()).unwrap(), whole);
        for at in 0..copy.len() {
            for flip in [0x01, 0x20, 0x80] {
                let mut bytes = copy.clone().into_bytes();
                bytes[at] ^= flip;
                // The title names the journal by a random word: another word is another journal, and heads tell.
                let same = verify_copy(bytes.as_slice(), &Heads::default()).is_ok();
                assert!(!same || copy[..at].matches('"').count() < 6 && at < copy.find('\n').unwrap(), "byte {at}");
            }
        }
        let lines: Vec<&str> = copy.lines().collect();
        let joined = |lines: &[&str]| lines.iter().flat_map(|line| [*line, "\n"]).collect::<String>();
        for row in 1..=usize::try_from(ROWS).unwrap() {
            let mut dropped = lines.clone();
            dropped.remove(row);
            let told = wrong(&joined(&dropped));
            assert!(told.contains(&format!("row {row} is missing")), "{told}");
            let mut doubled = lines.clone();
            doubled.insert(row, lines[row]);
            assert!(wrong(&joined(&doubled)).contains("is missing"), "{}", wrong(&joined(&doubled)));
        }
        for row in 1..usize::try_from(ROWS).unwrap() {
            let mut moved = lines.clone();
            moved.swap(row, row + 1);
            assert!(wrong(&joined(&moved)).contains(&format!("row {row} is missing")));
        }
        let body = lines[3].replace("test", "tess");
        let changed = copy.replace(lines[3], &body);
        assert!(wrong(&changed).contains("row 3 was changed"), "{}", wrong(&changed));
    }

    /// P10, of the file: whatever byte of it is another, either that is told or every row is read as it was written.
    #[test]
    fn no_byte_of_the_file_can_change_a_row_unseen() {
        let folder = tempfile::tempdir().unwrap();
        let (path, ..) = made(folder.path());
        let rows = Reader::open(&path).unwrap().rows(1, usize::MAX, 100).unwrap();
        let good = std::fs::read(&path).unwrap();
        let (bad, mut told) = (folder.path().join("bad.db"), 0);
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x41;
            std::fs::write(&bad, &bytes).unwrap();
            match verify(&bad, &Heads::default()) {
                Err(_) => told += 1,
                Ok(_) => {
                    let read = Reader::open(&bad).and_then(|reader| reader.rows(1, usize::MAX, 100)).unwrap();
                    assert_eq!(read, rows, "byte {at} changed a row unseen");
                }
            }
        }
        assert!(told > good.len() / 8, "{told} of {} flips were told", good.len());
    }

    /// P11: rows missing at the end, and a past written anew with a chain that holds, are told by what the box signed.
    #[test]
    fn what_the_box_signed_tells_a_cut_journal_and_one_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy, key) = made(folder.path());
        let reader = Reader::open(&path).unwrap();
        let head = |seq: u64| {
            let hash = hex(&reader.hash_at(seq).unwrap());
            let head = Head { journal: reader.id().unwrap(), epoch: 1, seq, hash, utc: Utc(0) };
            key.head("demo", "box-1", head).unwrap()
        };
        let heads = Heads::read(&format!("{}\n{}\n{}\n", key.public(), head(4), head(ROWS))).unwrap();
        assert_eq!(verify(&path, &heads).unwrap(), Verified { rows: ROWS, heads: 2 });
        let cut: String =
            copy.lines().take(5).flat_map(|line| [line, "\n"]).collect::<String>().replace("\"rows\":6", "\"rows\":4");
        let told = format!("{:#}", verify_copy(cut.as_bytes(), &heads).unwrap_err());
        assert!(told.contains("row 5 is missing: the box signed 6 rows"), "{told}");
        // Somebody who knows how the chain is made, and has not the key.
        let other = tempfile::tempdir().unwrap();
        let (_, forged, _) = made(other.path());
        let id = |copy: &str| serde_json::from_str::<Title>(copy.lines().next().unwrap()).unwrap().journal;
        let forged = forged.replace(&id(&forged), &id(&copy));
        assert!(verify_copy(forged.as_bytes(), &heads).is_ok(), "the same rows are the same journal");
        let (mut prev, mut anew) = ([0; 32], format!("{}\n", copy.lines().next().unwrap()));
        for (nth, line) in copy.lines().skip(1).enumerate() {
            let mut line: Line = serde_json::from_str(line).unwrap();
            if nth == 2 {
                line.body = line.body.replace("test", "tess");
            }
            prev = chain(&prev, line.seq, line.body.as_bytes());
            line.hash = hex(&prev);
            anew += &format!("{}\n", serde_json::to_string(&line).unwrap());
        }
        assert!(verify_copy(anew.as_bytes(), &Heads::default()).is_ok(), "its chain holds");
        let told = format!("{:#}", verify_copy(anew.as_bytes(), &heads).unwrap_err());
        assert!(told.contains("row 4 is not what the box signed"), "{told}");
        let stranger = BoxKey::open(other.path()).unwrap().public();
        assert!(Heads::read(&format!("{stranger}\n{}\n", head(4))).is_err(), "another's signature");
    }
}
