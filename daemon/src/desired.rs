//! The configuration headquarters wants: tables that take the place of those in the box's own file. A document is checked before
//! it is taken, comes into force with a start, and is dropped when the box twice did not get going with it. What leads to
//! headquarters, to the devices and to people stays in the box's own file: no document can cut a box off.

use crate::config::Config;
use crate::core_loop::ToCore;
use crate::jws::hex;
use crate::space::sync_folder;
use anyhow::{Context as _, Result, bail, ensure};
use checkout::Input;
use checkout::control::{ConfigState, ControlInput, Reported};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Whatever headquarters may say; everything else is the box's own.
const TABLES: [&str; 5] = ["store", "floor", "till", "lane", "disk"];
const DOCUMENT_MAX: usize = 48 * 1024;
/// Starts that a document may spoil.
const TRIES: u32 = 2;

/// Documents waiting to be looked at.
pub const QUEUE: usize = 4;

/// What is kept of documents, in `desired.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// The newest revision heard of, good or bad.
    newest: u64,
    /// What the box last got going with.
    good: Option<Document>,
    /// What comes into force with the next start, and how many starts have tried.
    next: Option<Document>,
    tries: u32,
    /// What was reported last.
    told: Option<Reported>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    rev: u64,
    hash: String,
    text: String,
}

impl Document {
    fn reported(&self, state: ConfigState, reason: Option<String>) -> Reported {
        Reported { rev: self.rev, hash: self.hash.clone(), state, reason }
    }
}

/// Where documents are kept, and the file they change.
#[derive(Debug)]
pub struct Shelf {
    own: PathBuf,
    file: PathBuf,
    kept: Kept,
}

impl Shelf {
    /// What is damaged is put aside: the box starts with its own file.
    #[must_use]
    pub fn open(own: &Path, data: &Path) -> Self {
        let file = data.join("desired.json");
        let kept = match std::fs::read(&file) {
            Ok(stored) => serde_json::from_slice(&stored).unwrap_or_else(|error| {
                tracing::error!(file = %file.display(), %error, "what headquarters wanted is damaged and put aside");
                let _ = std::fs::rename(&file, file.with_extension("damaged"));
                Kept::default()
            }),
            Err(_) => Kept::default(),
        };
        Self { own: own.into(), file, kept }
    }

    /// The configuration of this start. A document that is tried is counted before it is: whatever it does, the third start is
    /// without it.
    ///
    /// # Errors
    /// The box's own file is wrong, or the disk refuses.
    pub fn begin(&mut self) -> Result<Config> {
        if let Some(next) = self.kept.next.clone() {
            if self.kept.tries >= TRIES {
                self.drop_next(&next, format!("{TRIES} starts did not get going with it"))?;
            } else {
                match self.merged(&next.text) {
                    Ok(config) => {
                        self.kept.tries += 1;
                        self.keep()?;
                        tracing::info!(rev = next.rev, "starting with what headquarters wants");
                        return Ok(config);
                    }
                    Err(error) => self.drop_next(&next, format!("{error:#}"))?,
                }
            }
        }
        if let Some(good) = &self.kept.good {
            match self.merged(&good.text) {
                Ok(config) => return Ok(config),
                Err(error) => {
                    tracing::warn!(
                        rev = good.rev,
                        error = format!("{error:#}"),
                        "the box's own file goes without what headquarters wants"
                    );
                }
            }
        }
        Config::read(&self.own)
    }

    fn drop_next(&mut self, next: &Document, reason: String) -> Result<()> {
        tracing::error!(rev = next.rev, %reason, "what headquarters wanted is dropped; the configuration before is in force");
        self.kept.next = None;
        self.kept.told = Some(next.reported(ConfigState::Dropped, Some(reason)));
        self.keep()
    }

    /// A document whose signature was checked; what is to be said of it, if anything.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn take(&mut self, rev: u64, text: String) -> Result<Option<Reported>> {
        let document = Document { rev, hash: hex(&Sha256::digest(text.as_bytes())), text };
        if rev == self.kept.newest {
            return Ok(None);
        }
        if rev < self.kept.newest {
            return Ok(Some(
                document.reported(ConfigState::Refused, Some("it is older than one that came before".into())),
            ));
        }
        self.kept.newest = rev;
        let reported = match self.merged(&document.text) {
            Ok(_) => {
                let reported = document.reported(ConfigState::Taken, None);
                (self.kept.next, self.kept.tries) = (Some(document), 0);
                reported
            }
            Err(error) => document.reported(ConfigState::Refused, Some(format!("{error:#}"))),
        };
        self.kept.told = Some(reported.clone());
        self.keep()?;
        Ok(Some(reported))
    }

    /// The box has got going with what it tries.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn settled(&mut self) -> Result<Option<Reported>> {
        // What came since was not tried yet.
        let Some(next) = self.kept.next.take_if(|_| self.kept.tries > 0) else { return Ok(None) };
        let reported = next.reported(ConfigState::Applied, None);
        self.kept.tries = 0;
        self.kept.good = Some(next);
        self.kept.told = Some(reported.clone());
        self.keep()?;
        Ok(Some(reported))
    }

    /// An end in good order spoils no start.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn stopped(mut self) -> Result<()> {
        if self.kept.tries == 0 {
            return Ok(());
        }
        self.kept.tries = 0;
        self.keep()
    }

    /// Past the end of a start what was reported last, unless it is still to be seen what comes of it.
    fn outcome(&self) -> Option<Reported> {
        self.kept.told.clone().filter(|told| told.state != ConfigState::Taken)
    }

    /// The box's own file with the document's tables in it.
    fn merged(&self, text: &str) -> Result<Config> {
        ensure!(text.len() <= DOCUMENT_MAX, "it is longer than {DOCUMENT_MAX} bytes");
        let own = std::fs::read_to_string(&self.own)
            .with_context(|| format!("cannot read the configuration {}", self.own.display()))?;
        let mut whole: toml::Table =
            toml::from_str(&own).map_err(|error| anyhow::anyhow!("the box's own file: {error}"))?;
        let wanted: toml::Table = toml::from_str(text).map_err(|error| anyhow::anyhow!("{error}"))?;
        for (name, table) in wanted {
            if !TABLES.contains(&name.as_str()) {
                bail!("{name} is the box's own: headquarters may say {}", TABLES.join(", "));
            }
            whole.insert(name, table);
        }
        let config = Config::of(whole)?;
        config.store()?;
        Ok(config)
    }

    /// Durable before anything follows from it.
    fn keep(&self) -> Result<()> {
        let part = self.file.with_extension("part");
        let mut file = std::fs::File::create(&part).with_context(|| format!("cannot write {}", part.display()))?;
        file.write_all(&serde_json::to_vec(&self.kept)?)?;
        file.sync_all()?;
        std::fs::rename(&part, &self.file)?;
        Ok(sync_folder(self.file.parent().unwrap_or(Path::new(".")))?)
    }
}

/// Takes documents and says when the box has got going, for as long as the process lives.
pub async fn port(
    mut shelf: Shelf,
    settle: Duration,
    mut said: mpsc::Receiver<(u64, String)>,
    core: mpsc::Sender<ToCore>,
) {
    let settled = Instant::now() + settle;
    let mut waits = true;
    let tell =
        async |reported: Reported| core.send(ToCore::Input(Input::Control(ControlInput::Config(reported)))).await;
    if let Some(outcome) = shelf.outcome()
        && tell(outcome).await.is_err()
    {
        return;
    }
    loop {
        let done = tokio::select! {
            () = tokio::time::sleep_until(settled), if waits => {
                waits = false;
                tokio::task::block_in_place(|| shelf.settled())
            }
            document = said.recv() => match document {
                Some((rev, text)) => tokio::task::block_in_place(|| shelf.take(rev, text)),
                None if waits => { tokio::time::sleep_until(settled).await; continue }
                None => return,
            },
        };
        match done {
            Ok(Some(reported)) if tell(reported.clone()).await.is_err() => return,
            Ok(_) => {}
            Err(error) => tracing::error!(error = format!("{error:#}"), "what headquarters wants cannot be kept"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = r#"
box = "b1"
tenant = "demo"
data = "data"
store = { name = { zh = "店", en = "Store" }, currency = "CNY", utc_offset_min = 480 }
http = { listen = "127.0.0.1:0" }
[[lane]]
number = 1
kind = "kiosk"
"#;
    const WANTED: &str = "[till]\nshifts = true\n";

    fn shelf(folder: &Path) -> Shelf {
        let own = folder.join("aisled.toml");
        if !own.exists() {
            std::fs::write(&own, OWN).unwrap();
        }
        Shelf::open(&own, folder)
    }

    fn state(reported: Option<Reported>) -> ConfigState {
        reported.unwrap().state
    }

    #[test]
    fn a_document_is_in_force_from_the_next_start_and_good_once_the_box_got_going() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(state(shelf(folder.path()).take(3, WANTED.into()).unwrap()), ConfigState::Taken);
        let mut start = shelf(folder.path());
        assert!(start.begin().unwrap().till.shifts);
        assert_eq!(state(start.settled().unwrap()), ConfigState::Applied);
        assert_eq!(start.settled().unwrap(), None);
        assert!(start.take(3, WANTED.into()).unwrap().is_none(), "retained, it comes with every connection");
        assert_eq!(state(start.take(2, "[till]\n".into()).unwrap()), ConfigState::Refused, "older");
        assert!(shelf(folder.path()).begin().unwrap().till.shifts);
    }

    #[test]
    fn the_third_start_is_without_a_document_the_box_does_not_get_going_with() {
        let folder = tempfile::tempdir().unwrap();
        shelf(folder.path()).take(1, "[till]\nidle_reset_s = 60\n".into()).unwrap();
        let mut good = shelf(folder.path());
        good.begin().unwrap();
        good.settled().unwrap();
        good.take(2, WANTED.into()).unwrap();
        for _ in 0..2 {
            assert!(shelf(folder.path()).begin().unwrap().till.shifts, "killed before it settled");
        }
        let mut third = shelf(folder.path());
        let till = third.begin().unwrap().till;
        assert_eq!((till.shifts, till.idle_reset_s), (false, Some(60)), "the last good one");
        assert_eq!(third.outcome().map(|told| (told.rev, told.state)), Some((2, ConfigState::Dropped)));
        assert!(third.take(2, WANTED.into()).unwrap().is_none(), "dropped for good");
        assert_eq!(state(third.take(4, WANTED.into()).unwrap()), ConfigState::Taken);
    }

    #[test]
    fn a_box_that_is_switched_off_in_good_order_does_not_count_against_it() {
        let folder = tempfile::tempdir().unwrap();
        shelf(folder.path()).take(1, WANTED.into()).unwrap();
        for _ in 0..5 {
            let mut start = shelf(folder.path());
            assert!(start.begin().unwrap().till.shifts);
            start.stopped().unwrap();
        }
    }

    #[test]
    fn what_is_wrong_or_the_box_s_own_is_refused_with_its_reason_and_damage_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf_ = shelf(folder.path());
        for (rev, wrong, told) in [
            (1, "[hq]\nbroker = \"mqtt://evil:1883\"\n", "box's own"),
            (2, "box = \"another\"", "box's own"),
            (3, "[[device]]\nname = \"x\"", "box's own"),
            (4, "[till]\nshift = true", "unknown field"),
            (5, "[[lane]]\nnumber = 1\nkind = \"kiosk\"\nscanners = [\"none\"]", "no device none"),
            (6, "not toml", ""),
            (7, &"#".repeat(DOCUMENT_MAX + 1), "longer"),
        ] {
            let reported = shelf_.take(rev, wrong.into()).unwrap().unwrap();
            assert_eq!(reported.state, ConfigState::Refused, "{wrong:.40}");
            assert!(reported.reason.unwrap().contains(told), "{wrong:.40}");
        }
        assert!(!shelf(folder.path()).begin().unwrap().till.shifts);
        std::fs::write(folder.path().join("desired.json"), "garbage").unwrap();
        shelf(folder.path()).begin().unwrap();
        assert!(folder.path().join("desired.damaged").exists());
    }
}
