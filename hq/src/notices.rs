//! Tells members what moved in their wallets. A notice is written down with the money ([`crate::member_wallet`]); from here it goes to
//! whatever reaches members, again until that has taken it: at least once, each told from the others by its number.

use crate::console::words::money;
use crate::db::params;
use crate::lease::Shards;
use crate::store::{Store, now_ms};
use anyhow::{Context as _, ensure};
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::watch;

const EVERY: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(300);
/// A program that has not taken a notice by then is ended and asked again later.
const PROGRAM_MAX: Duration = Duration::from_secs(20);
const AT_ONCE: u32 = 100;

/// One message to one member, as it is handed on: who that is in the world only the receiver knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    pub id: i64,
    pub member: String,
    pub kind: String,
    pub tender: String,
    pub amount: i64,
    pub currency: String,
    pub at: i64,
    pub zh: String,
    pub en: String,
}

/// What reaches members.
pub trait Delivery: Send {
    /// # Errors
    /// The notice was not taken: it comes again.
    fn deliver(&mut self, notice: &Notice) -> anyhow::Result<()>;
}

/// For trials: a line each at the end of a file.
#[derive(Debug)]
pub struct Sandbox(pub PathBuf);

impl Delivery for Sandbox {
    fn deliver(&mut self, notice: &Notice) -> anyhow::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.0)?;
        writeln!(file, "{}", serde_json::to_string(notice)?)?;
        Ok(file.sync_data()?)
    }
}

/// A program of the retailer's own. It reads one line of JSON and has taken the notice when it ends well.
#[derive(Debug)]
pub struct Program(pub PathBuf);

impl Delivery for Program {
    fn deliver(&mut self, notice: &Notice) -> anyhow::Result<()> {
        let name = self.0.display();
        let mut child = Command::new(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("{name} cannot be run"))?;
        let line = serde_json::to_string(notice)?;
        // Whoever does not read it says so by how it ends.
        let _ = child.stdin.take().map(|mut input| writeln!(input, "{line}"));
        let until = Instant::now() + PROGRAM_MAX;
        loop {
            if let Some(status) = child.try_wait()? {
                ensure!(status.success(), "{name} ended with {status}");
                return Ok(());
            }
            if Instant::now() >= until {
                child.kill()?;
                child.wait()?;
                anyhow::bail!("{name} did not end within {PROGRAM_MAX:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Of several headquarters over one database the one that holds the first shard tells.
pub(crate) async fn run(
    store: Store,
    mut delivery: Box<dyn Delivery>,
    shards: watch::Receiver<Shards>,
) -> anyhow::Result<()> {
    let mut wait = EVERY;
    loop {
        tokio::time::sleep(wait).await;
        if !shards.borrow().contains(&0) {
            continue;
        }
        let store = store.clone();
        let one = move || {
            let done = deliver(&store, delivery.as_mut());
            (delivery, done)
        };
        let (back, done) = tokio::task::spawn_blocking(one).await?;
        delivery = back;
        wait = match done {
            Ok(_) => EVERY,
            Err(error) => {
                let longer = (wait * 2).min(WAIT_MAX);
                tracing::warn!(error = format!("{error:#}"), "members' notices wait; tried again in {longer:?}");
                longer
            }
        };
    }
}

/// Hands on what is not told yet, oldest first; how many were taken.
fn deliver(store: &Store, delivery: &mut dyn Delivery) -> anyhow::Result<usize> {
    let waiting = waiting(store)?;
    if waiting.is_empty() {
        return Ok(0);
    }
    let db = store.writer()?;
    for notice in &waiting {
        delivery.deliver(notice)?;
        db.execute("UPDATE member_notice SET told = ?2 WHERE id = ?1", params![notice.id, now_ms()])?;
    }
    Ok(waiting.len())
}

fn waiting(store: &Store) -> anyhow::Result<Vec<Notice>> {
    let db = store.reader()?;
    let sql = "SELECT n.id, n.member, n.kind, n.tender, n.amount, n.at, coalesce(m.currency, ''), coalesce(nullif(b.store, ''), n.box)
        FROM member_notice AS n LEFT JOIN member_mandate AS m ON m.member = n.member LEFT JOIN box AS b ON b.id = n.box
        WHERE n.told = 0 ORDER BY n.id LIMIT ?1";
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map([AT_ONCE], |row| {
        let (kind, amount): (String, i64) = (row.get(2)?, row.get(4)?);
        let (currency, place): (String, String) = (row.get(6)?, row.get(7)?);
        let [zh, en] = texts(&kind, &money(amount, &currency), &place);
        let (id, member, tender, at) = (row.get(0)?, row.get(1)?, row.get(3)?, row.get(5)?);
        Ok(Notice { id, member, kind, tender, amount, currency, at, zh, en })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn texts(kind: &str, money: &str, place: &str) -> [String; 2] {
    match kind {
        "given_back" => [
            format!("{money} 已退回您的会员钱包（{place}）。"),
            format!("{money} went back to your member wallet ({place})."),
        ],
        "disputed" => [
            format!("您对 {place} 一笔付款的异议已登记，{money} 先行退回，随后核查。"),
            format!(
                "Your dispute about a payment at {place} is on file: {money} is given back first and looked into afterwards."
            ),
        ],
        _ => [
            format!("您的会员钱包在 {place} 支付了 {money}。不是您本人？请告诉店员，先退款，后核查。"),
            format!(
                "{money} was paid from your member wallet at {place}. Not you? Tell the shop: it is given back first and looked into afterwards."
            ),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member_wallet::notice;

    #[derive(Default)]
    struct Fails {
        times: usize,
        taken: Vec<Notice>,
    }

    impl Delivery for Fails {
        fn deliver(&mut self, notice: &Notice) -> anyhow::Result<()> {
            if self.times > 0 {
                self.times -= 1;
                anyhow::bail!("nobody there");
            }
            self.taken.push(notice.clone());
            Ok(())
        }
    }

    fn store() -> (Store, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut db = store.writer().unwrap();
        let txn = db.transaction().unwrap();
        for (tender, kind, amount) in [("t-1", "charged", 350), ("t-1", "disputed", 350), ("t-2", "given_back", 350)] {
            notice(&txn, "m-1", kind, ("b1", tender), amount, 5).unwrap();
        }
        txn.commit().unwrap();
        (store, dir)
    }

    #[test]
    fn b21_a_member_is_told_of_every_charge_once_it_can_be_delivered_and_then_no_more() {
        let (store, _dir) = store();
        let mut delivery = Fails { times: 2, ..Fails::default() };
        for _ in 0..2 {
            assert!(deliver(&store, &mut delivery).is_err());
        }
        assert_eq!(deliver(&store, &mut delivery).unwrap(), 3);
        assert_eq!(deliver(&store, &mut delivery).unwrap(), 0, "once it was taken it is told");
        let kinds: Vec<&str> = delivery.taken.iter().map(|notice| notice.kind.as_str()).collect();
        assert_eq!(kinds, ["charged", "disputed", "given_back"], "in the order it happened");
        assert!(delivery.taken[0].zh.contains("3.50") && delivery.taken[0].en.contains("Not you?"));
    }

    #[test]
    fn a_program_takes_a_notice_by_ending_well_and_the_sandbox_writes_it_down() {
        use std::os::unix::fs::PermissionsExt as _;
        let (store, dir) = store();
        let (script, out) = (dir.path().join("tell"), dir.path().join("out"));
        let write = |end: u8| {
            std::fs::write(&script, format!("#!/bin/sh\ncat >> {}\nexit {end}\n", out.display())).unwrap();
            std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
        };
        write(1);
        assert!(deliver(&store, &mut Program(script.clone())).unwrap_err().to_string().contains("ended with"));
        write(0);
        assert_eq!(deliver(&store, &mut Program(script.clone())).unwrap(), 3);
        let lines = std::fs::read_to_string(&out).unwrap();
        assert_eq!(lines.lines().count(), 4, "the one that failed came again");
        let db = store.writer().unwrap();
        db.execute("UPDATE member_notice SET told = 0 WHERE tender = 't-2'", []).unwrap();
        let file = dir.path().join("notices.ndjson");
        assert_eq!(deliver(&store, &mut Sandbox(file.clone())).unwrap(), 1);
        assert!(std::fs::read_to_string(file).unwrap().contains("given_back"));
    }
}
