//! The one writer of `hq.db`: drains what is ready, commits it in one transaction, and only then lets answers leave.

use crate::batch::Batch;
use crate::ca::Ca;
use crate::control::{self, Pen};
use crate::coupon;
use crate::dataset;
use crate::db::{Connection, Transaction, params};
use crate::fold::{self, clip};
use crate::heads;
use crate::judge::{self, Judgement, Place};
use crate::lease::{self, Shards};
use crate::member_wallet;
use crate::pairing;
use crate::pay::desk::Flying;
use crate::pay::{About, Asked, Call, Charge, Job, Told, book};
use crate::refill;
use crate::sign::Signer;
use crate::store::{self, Known, alarm, int, known, mark, now_ms, set_known};
use crate::work::{Outgoing, Work};
use anyhow::Context as _;
use bytes::Bytes;
use checkout::scan::WalletProvider;
use checkout::wire::{
    Ack, Answer, Ask, BoxState, Granted, Hello, Question, Reply, Signed, Topics, Verdict, WalletOutcome, Welcome, shard,
};
use checkout::words::{TenderId, Utc};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Work committed together, whichever boxes it is of: a commit costs the same for one batch and for hundreds.
const TURN_MAX: usize = 256;
/// Bytes of journal a box may have unacknowledged.
const WINDOW: u64 = 8 * 1024 * 1024;
/// The same chunk is not published twice within this: one answer serves every box that waits.
const CHUNK_AGAIN: Duration = Duration::from_secs(1);
/// A box that keeps sending under an epoch it has lost is told so this often.
const TOLD_AGAIN: Duration = Duration::from_secs(1);

pub struct Writer {
    db: Connection,
    signer: Arc<Signer>,
    tenant: String,
    chunk_sent: BTreeMap<String, Instant>,
    told: BTreeMap<String, Instant>,
    /// Dataset → version whose manifest was published on this connection.
    published: BTreeMap<String, u64>,
    /// When the configurations boxes are to have were looked at last.
    looked: i64,
    flying: Flying,
    /// Of boxes that are taken in here.
    shards: Shards,
    /// To who calls the providers.
    jobs: mpsc::Sender<Job>,
    /// Where the certificate authority lies.
    ca: Option<PathBuf>,
}

impl Writer {
    /// # Errors
    /// When the database cannot be opened.
    pub fn new(
        store: &store::Store,
        signer: Arc<Signer>,
        tenant: &str,
        jobs: mpsc::Sender<Job>,
    ) -> anyhow::Result<Self> {
        let ca = Some(store.ca_path());
        Ok(Self { ca, ..Self::over(store.writer()?, signer, tenant, jobs) })
    }

    /// Over a connection that [`store::prepare`] has seen, such as one to a disk that fails.
    #[must_use]
    pub fn over(db: Connection, signer: Arc<Signer>, tenant: &str, jobs: mpsc::Sender<Job>) -> Self {
        let (chunk_sent, told, published) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let flying = Flying::default();
        let shards = lease::all();
        Self {
            db,
            signer,
            tenant: tenant.into(),
            chunk_sent,
            told,
            published,
            looked: 0,
            flying,
            shards,
            jobs,
            ca: None,
        }
    }

    /// Runs until nobody sends work.
    ///
    /// # Errors
    /// When the database cannot be written: HQ that cannot record must not acknowledge.
    pub fn run(
        mut self,
        mut work: mpsc::Receiver<Work>,
        outgoing: &mpsc::UnboundedSender<Vec<Outgoing>>,
        changed: &watch::Sender<u64>,
    ) -> anyhow::Result<()> {
        let mut turn = Vec::with_capacity(TURN_MAX);
        while work.blocking_recv_many(&mut turn, TURN_MAX) > 0 {
            let answers = self.turn(&turn).context("hq.db cannot be written")?;
            turn.clear();
            changed.send_modify(|version| *version += 1);
            if !answers.is_empty() && outgoing.send(answers).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// One transaction; what it returns may leave only because it is committed.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn turn(&mut self, turn: &[Work]) -> anyhow::Result<Vec<Outgoing>> {
        self.turn_at(store::Moment::now(), turn)
    }

    /// The same where somebody else keeps the clocks: all of a turn happens at one moment.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn turn_at(&mut self, moment: store::Moment, turn: &[Work]) -> anyhow::Result<Vec<Outgoing>> {
        let now = moment.mono;
        let _moment = moment.hold();
        let txn = self.db.transaction()?;
        let mut desk = Desk {
            now,
            txn: &txn,
            signer: &self.signer,
            tenant: &self.tenant,
            chunk_sent: &mut self.chunk_sent,
            told: &mut self.told,
            published: &mut self.published,
            looked: &mut self.looked,
            flying: &mut self.flying,
            shards: &mut self.shards,
            ca: self.ca.as_deref(),
            jobs: Vec::new(),
            acks: BTreeMap::new(),
            out: Vec::new(),
        };
        for work in turn {
            desk.handle(work)?;
        }
        let (answers, jobs) = desk.finish()?;
        txn.commit()?;
        self.call(jobs);
        Ok(answers)
    }

    /// Only what is committed is called for. Where too much waits already it is not: the next question about it calls again.
    fn call(&mut self, jobs: Vec<Job>) {
        for job in jobs {
            let apart = matches!(job.call, Call::Balance { .. } | Call::Heard { .. });
            if !apart && !self.flying.take_off(&job) {
                continue;
            }
            let (about, asked) = (job.about.clone(), job.call.asked());
            if self.jobs.try_send(job).is_err() && !apart {
                self.flying.landed(&about, asked);
                tracing::warn!(box_id = about.box_id, tender = %about.tender, "too many payments wait for their provider");
            }
        }
    }
}

/// One turn's work: what is read and written in its transaction, and what is said after it.
struct Desk<'a> {
    now: Instant,
    txn: &'a Transaction<'a>,
    signer: &'a Signer,
    tenant: &'a str,
    chunk_sent: &'a mut BTreeMap<String, Instant>,
    told: &'a mut BTreeMap<String, Instant>,
    published: &'a mut BTreeMap<String, u64>,
    looked: &'a mut i64,
    flying: &'a mut Flying,
    shards: &'a mut Shards,
    ca: Option<&'a Path>,
    jobs: Vec<Job>,
    /// The last ack of each box says it all.
    acks: BTreeMap<String, Ack>,
    out: Vec<Outgoing>,
}

impl Desk<'_> {
    fn handle(&mut self, work: &Work) -> anyhow::Result<()> {
        match work {
            Work::LinkUp { shards } => {
                *self.shards = Arc::clone(shards);
                self.published.clear();
                *self.looked = 0;
                self.manifests()?;
                self.desired()?;
                self.acks_again()
            }
            Work::Tick => {
                let jobs = book::sweep(self.txn)?;
                self.jobs.extend(jobs.into_iter().filter(|job| self.shards.contains(&shard(&job.about.box_id))));
                self.manifests()?;
                self.desired()?;
                self.commands(None)
            }
            Work::Hello { box_id, hello } => self.hello(box_id, hello),
            Work::Batch { box_id, batch } => self.batch(box_id, batch),
            Work::Refused { box_id, reason } => Ok(alarm(self.txn, box_id, "batch_refused", &reason.to_string())?),
            Work::State { box_id, state } => self.state(box_id, state),
            Work::Claim { id, claim } => {
                let certificate = pairing::request(self.txn, id, &claim.request)?;
                self.grant(Topics::claim(self.tenant, id, "certificate"), certificate)
            }
            Work::Renew { box_id, document } => self.renew(box_id, document),
            Work::Reported { box_id, reported } => control::reported(self.txn, box_id, reported),
            Work::Head { box_id, document } => heads::take(self.txn, self.tenant, box_id, document),
            Work::Ask { box_id, ask, heard } => self.ask(box_id, ask, *heard),
            Work::Paid { about, asked, told } => {
                self.flying.landed(about, *asked);
                self.paid(about, *asked, told)
            }
            Work::Noticed { order, told } => self.noticed(order, told),
            Work::Balance { about, lane, balance } => {
                let what = Answer::GiftBalance { lane: *lane, balance: *balance };
                self.say(&about.box_id, "reply", &Reply { id: about.ask, what })
            }
        }
    }

    fn finish(mut self) -> anyhow::Result<(Vec<Outgoing>, Vec<Job>)> {
        for (box_id, ack) in std::mem::take(&mut self.acks) {
            self.say(&box_id, "ack", &ack)?;
        }
        Ok((self.out, self.jobs))
    }

    fn hello(&mut self, box_id: &str, hello: &Hello) -> anyhow::Result<()> {
        if !store::heard_first(self.txn, box_id, hello)? {
            tracing::info!(box_id, said = hello.said, "a hello that was heard before, or is older than one that was");
            return Ok(());
        }
        let before = known(self.txn, box_id)?;
        let epoch = before.as_ref().map_or(hello.epoch, |known| known.epoch);
        let mark = mark(self.txn, box_id, epoch, hello.acked)?;
        heads::key(self.txn, box_id, &hello.key)?;
        heads::hello(self.txn, box_id, hello)?;
        let judgement = judge::hello(before, hello, mark);
        self.welcome(box_id, &judgement)?;
        self.commands(Some(box_id))?;
        for (tender, outcome) in book::late_of(self.txn, box_id)? {
            self.tell_of_payment(box_id, 0, &tender, outcome)?;
        }
        self.txn
            .prepare_cached("UPDATE box SET head = ?2, boot = ?3, online = 1, version = ?4 WHERE id = ?1")?
            .execute(params![box_id, int(hello.head), int(hello.boot), clip(&hello.version)])?;
        tracing::info!(box_id, version = clip(&hello.version), head = hello.head, verdict = ?judgement.verdict, "box says hello");
        Ok(())
    }

    fn welcome(&mut self, box_id: &str, judgement: &Judgement) -> anyhow::Result<()> {
        if let Some(detail) = judgement.alarm {
            let kind = match judgement.verdict {
                Verdict::Continue { .. } => "box_ahead",
                Verdict::NewEpoch { .. } => "new_epoch",
            };
            alarm(self.txn, box_id, kind, detail)?;
        }
        set_known(self.txn, box_id, &judgement.known)?;
        self.acks.remove(box_id);
        let rev: i64 = self
            .txn
            .prepare_cached("UPDATE box SET welcome_rev = welcome_rev + 1 WHERE id = ?1 RETURNING welcome_rev")?
            .query_row([box_id], |row| row.get(0))?;
        let (pending, desired) = control::pending(self.txn, box_id)?;
        let document = Signed {
            tenant: self.tenant.to_owned(),
            box_id: Some(box_id.to_owned()),
            purpose: "welcome".into(),
            rev: rev.unsigned_abs(),
            doc: Welcome {
                journal: judgement.known.journal.clone(),
                connection: judgement.known.connection,
                verdict: judgement.verdict.clone(),
                window: WINDOW,
                utc: Some(Utc(now_ms())),
                seal: Some(self.signer.seal_key()),
                pending,
                desired,
            },
        };
        let topic = Topics::new(self.tenant, box_id).of("welcome");
        self.push(topic, self.signer.sign(&document)?.into(), false);
        Ok(())
    }

    fn batch(&mut self, box_id: &str, batch: &Batch) -> anyhow::Result<()> {
        match judge::batch(known(self.txn, box_id)?, batch) {
            Place::Next(known) => self.store(box_id, known, batch),
            Place::Known(known) => {
                self.ack(box_id, &known, None);
                Ok(())
            }
            Place::Gap(known) => {
                set_known(self.txn, box_id, &known)?;
                self.ack(box_id, &known, Some(known.acked + 1));
                Ok(())
            }
            Place::Left => Ok(()),
            Place::Refused(judgement) => {
                let recently = self.told.get(box_id).is_some_and(|at| self.now.duration_since(*at) < TOLD_AGAIN);
                if recently && judgement.alarm.is_none() {
                    return Ok(());
                }
                self.told.insert(box_id.to_owned(), self.now);
                self.welcome(box_id, &judgement)
            }
        }
    }

    fn store(&mut self, box_id: &str, known: Known, batch: &Batch) -> anyhow::Result<()> {
        fold::record(self.txn, (box_id, known.epoch), batch.bodies_after(known.acked))?;
        // Unasked: no question has the number 0.
        for conflict in coupon::to_tell(self.txn, box_id)? {
            self.tell_of_coupon(box_id, 0, &conflict.campaign, &conflict.serial, Some(conflict.other_box))?;
        }
        let acked = batch.last();
        let hash = batch.hash_at(acked).unwrap_or(known.hash);
        let known = Known { acked, hash, ..known };
        set_known(self.txn, box_id, &known)?;
        heads::compare(self.txn, box_id, &known)?;
        self.txn
            .prepare_cached("UPDATE box SET head = max(head, ?2) WHERE id = ?1")?
            .execute(params![box_id, int(acked)])?;
        self.ack(box_id, &known, None);
        Ok(())
    }

    fn ack(&mut self, box_id: &str, known: &Known, expect: Option<u64>) {
        let ack =
            Ack { journal: known.journal.clone(), epoch: known.epoch, acked: known.acked, window: WINDOW, expect };
        self.acks.insert(box_id.to_owned(), ack);
    }

    /// Acks may have been lost with HQ's last connection, and batches sent into the void: every box goes on from what HQ has.
    fn acks_again(&mut self) -> anyhow::Result<()> {
        let mut statement = self.txn.prepare_cached("SELECT id FROM box WHERE online = 1")?;
        let ids: Result<Vec<String>, _> = statement.query_map([], |row| row.get(0))?.collect();
        let shards = Arc::clone(self.shards);
        for box_id in ids?.into_iter().filter(|box_id| shards.contains(&shard(box_id))) {
            if let Some(known) = known(self.txn, &box_id)? {
                self.ack(&box_id, &known, Some(known.acked + 1));
            }
        }
        Ok(())
    }

    /// An older connection's will never overrides a newer birth.
    fn state(&mut self, box_id: &str, state: &BoxState) -> anyhow::Result<()> {
        let devices = serde_json::to_string(&state.devices)?;
        self.txn
            .prepare_cached(
                "UPDATE box SET online = ?2, boot = ?3, connection = ?4, version = ?5,
                    head = CASE WHEN CAST(?2 AS BIGINT) <> 0 THEN max(acked, ?6) ELSE head END,
                    price_book = CASE WHEN CAST(?2 AS BIGINT) <> 0 OR price_book = '' THEN ?7 ELSE price_book END,
                    devices = CASE WHEN CAST(?2 AS BIGINT) <> 0 THEN ?8 ELSE devices END,
                    store = ?9, last_seen = ?10, exposure = ?11
                 WHERE id = ?1 AND (boot, connection) <= (?3, ?4)",
            )?
            .execute(params![
                box_id,
                state.online,
                int(state.boot),
                int(state.connection),
                clip(&state.version),
                int(state.head),
                clip(&state.price_book),
                devices,
                clip(&state.store),
                now_ms(),
                state.exposure.0
            ])?;
        Ok(())
    }

    fn ask(&mut self, box_id: &str, ask: &Ask, heard: Instant) -> anyhow::Result<()> {
        let late = self.now.duration_since(heard) > Duration::from_millis(u64::from(ask.wait_ms));
        if !late
            && let Some((tender, outcome)) = member_wallet::answer(self.txn, self.signer, box_id, &ask.what, now_ms())?
        {
            return self.tell_of_payment(box_id, ask.id, tender, outcome);
        }
        let about = |tender: &TenderId| About { box_id: box_id.into(), tender: tender.clone(), ask: ask.id };
        let (tender, said) = match &ask.what {
            Question::AuthoriseWallet { tender, .. }
            | Question::RefundWallet { tender, .. }
            | Question::ChargeMember { tender, .. }
                if late =>
            {
                tracing::info!(box_id, %tender, "the box waits no longer: no money is moved");
                return Ok(());
            }
            Question::AuthoriseWallet { tender, amount, currency, provider, code } => {
                let charge =
                    Charge { amount: *amount, currency: currency.clone(), provider: *provider, code: code.clone() };
                (tender, book::charge(self.txn, about(tender), &charge)?)
            }
            Question::RefundWallet { tender, of, amount, currency } => {
                (tender, book::refund(self.txn, about(tender), of, *amount, currency)?)
            }
            Question::QueryWallet { tender } => (tender, book::query(self.txn, about(tender))?),
            Question::ReverseWallet { tender } => (tender, book::reverse(self.txn, about(tender))?),
            Question::GiftBalance { lane, code } => {
                let call = Call::Balance { lane: *lane, code: code.clone() };
                let about = about(&TenderId(String::new()));
                self.jobs.push(Job { provider: WalletProvider::Gift, about, call });
                return Ok(());
            }
            Question::ClaimCoupon { campaign, serial } => {
                let used = coupon::claim(self.txn, box_id, campaign, serial)?;
                return self.tell_of_coupon(box_id, ask.id, campaign, serial, used);
            }
            Question::Chunk { hash } => return self.chunk(hash),
            Question::Refill { since, after } => return self.refill(box_id, ask.id, *since, after),
            // Answered above.
            Question::ChargeMember { .. } => return Ok(()),
        };
        self.jobs.extend(said.job);
        match said.tell {
            Some(outcome) => self.tell_of_payment(box_id, ask.id, tender, outcome),
            None => Ok(()),
        }
    }

    fn refill(&mut self, box_id: &str, id: u64, since: Utc, after: &str) -> anyhow::Result<()> {
        let doc = refill::page(self.txn, box_id, since, after)?;
        let signed = Signed {
            tenant: self.tenant.to_owned(),
            box_id: Some(box_id.to_owned()),
            purpose: "refill".into(),
            rev: id,
            doc,
        };
        let what = Answer::Refill { document: self.signer.sign(&signed)? };
        self.say(box_id, "reply", &Reply { id, what })
    }

    /// The provider is told that it was heard once this is committed, and tells it again until then.
    fn noticed(&mut self, order: &str, told: &Told) -> anyhow::Result<()> {
        let about = book::about_order(self.txn, order)?;
        if let Some(about) = &about {
            self.paid(about, Asked::Notice, told)?;
        }
        let nobody = || About { box_id: String::new(), tender: TenderId(String::new()), ask: 0 };
        let call = Call::Heard { order: order.to_owned() };
        self.jobs.push(Job { provider: WalletProvider::Wechat, about: about.unwrap_or_else(nobody), call });
        Ok(())
    }

    fn paid(&mut self, about: &About, asked: Asked, told: &Told) -> anyhow::Result<()> {
        match book::told(self.txn, about, asked, told)? {
            Some(outcome) => self.tell_of_payment(&about.box_id, about.ask, &about.tender, outcome),
            None => Ok(()),
        }
    }

    fn tell_of_payment(
        &mut self,
        box_id: &str,
        id: u64,
        tender: &TenderId,
        outcome: WalletOutcome,
    ) -> anyhow::Result<()> {
        let what = Answer::Wallet { tender: tender.clone(), outcome };
        self.say(box_id, "reply", &Reply { id, what })
    }

    fn tell_of_coupon(
        &mut self,
        box_id: &str,
        id: u64,
        campaign: &str,
        serial: &str,
        used: Option<String>,
    ) -> anyhow::Result<()> {
        let what = Answer::Coupon { campaign: campaign.into(), serial: serial.into(), used };
        self.say(box_id, "reply", &Reply { id, what })
    }

    fn chunk(&mut self, hash: &str) -> anyhow::Result<()> {
        let now = self.now;
        self.chunk_sent.retain(|_, at| now.duration_since(*at) < CHUNK_AGAIN);
        if self.chunk_sent.contains_key(hash) {
            return Ok(());
        }
        let Some(body) = dataset::chunk(self.txn, hash)? else {
            tracing::debug!("a chunk HQ does not have was asked for");
            return Ok(());
        };
        self.chunk_sent.insert(hash.to_owned(), now);
        let topic = Topics::new(self.tenant, "").chunk(hash);
        self.push(topic, body.into(), false);
        Ok(())
    }

    /// Publishes what is newer than what this connection has published.
    fn manifests(&mut self) -> anyhow::Result<()> {
        crate::faces::publish(self.txn)?;
        for manifest in dataset::newest(self.txn)? {
            if self.published.get(&manifest.dataset) == Some(&manifest.version) {
                continue;
            }
            self.published.insert(manifest.dataset.clone(), manifest.version);
            let topic = Topics::new(self.tenant, "").dataset(&manifest.dataset);
            tracing::info!(
                dataset = manifest.dataset,
                version = manifest.version,
                rows = manifest.rows,
                "manifest published"
            );
            let document = Signed {
                tenant: self.tenant.to_owned(),
                box_id: None,
                purpose: "manifest".into(),
                rev: manifest.version,
                doc: manifest,
            };
            self.push(topic, self.signer.sign(&document)?.into(), true);
        }
        Ok(())
    }

    fn renew(&mut self, box_id: &str, document: &str) -> anyhow::Result<()> {
        let Some(ca) = self.ca.and_then(|dir| Ca::open(dir).ok()) else {
            tracing::warn!(box_id, "a box asks for a certificate and there is no authority here");
            return Ok(());
        };
        let certificate = pairing::renew(self.txn, &ca, self.tenant, box_id, document)?;
        self.grant(Topics::new(self.tenant, box_id).of("certificate"), certificate)
    }

    fn grant(&mut self, topic: String, certificate: Option<String>) -> anyhow::Result<()> {
        if let Some(certificate) = certificate {
            self.push(topic, serde_json::to_vec(&Granted { certificate })?.into(), false);
        }
        Ok(())
    }

    const fn pen(&self) -> Pen<'_> {
        Pen { tenant: self.tenant, signer: self.signer }
    }

    /// `hello`: the box that has just come may have missed some.
    fn commands(&mut self, hello: Option<&str>) -> anyhow::Result<()> {
        for (topic, payload, retain) in control::due(self.txn, self.pen(), hello)? {
            self.push(topic, payload.into(), retain);
        }
        Ok(())
    }

    /// What boxes are to have, retained, where it is newer than what this connection has published.
    fn desired(&mut self) -> anyhow::Result<()> {
        let since = std::mem::replace(self.looked, now_ms());
        for (box_id, rev, (topic, payload, retain)) in control::documents(self.txn, self.pen(), since)? {
            if self.published.insert(format!("desired of {box_id}"), rev) != Some(rev) {
                self.push(topic, payload.into(), retain);
            }
        }
        Ok(())
    }

    fn say(&mut self, box_id: &str, leaf: &str, what: &impl Serialize) -> anyhow::Result<()> {
        let topic = Topics::new(self.tenant, box_id).of(leaf);
        self.push(topic, serde_json::to_vec(what)?.into(), false);
        Ok(())
    }

    fn push(&mut self, topic: String, payload: Bytes, retain: bool) {
        self.out.push(Outgoing { topic, payload, retain });
    }
}
