//! Headquarters: every store's journal in, every dataset out.
//!
//! ```text
//! broker ──▶ link (MQTT) ──▶ Work ──▶ writer (one thread, one transaction a turn) ──▶ hq.db ◀── console (read-only)
//!    ▲                                   │ committed
//!    └────────── Outgoing ◀──────────────┘                                        ▲
//!                                                     parity (prices every sale again)
//! ```
#![forbid(unsafe_code)]

pub mod acl;
mod batch;
mod broker;
pub mod ca;
pub mod config;
mod console;
pub mod control;
pub mod coupon;
pub mod dataset;
pub mod db;
pub mod export;
pub mod faces;
mod files;
pub mod fleet;
mod fold;
pub mod heads;
mod judge;
pub mod lease;
mod link;
pub mod member_data;
pub mod member_wallet;
pub mod notices;
pub mod operators;
pub mod pairing;
pub mod parity;
pub mod pay;
mod pin;
mod refill;
mod rows;
pub mod sign;
pub mod sim;
pub mod store;
mod tls;
mod work;
mod writer;

pub use batch::{hash_of_hex, hex};
pub use broker::{Access, Broker, Revoked};
pub use tls::{ClientTls, ServerTls};
pub use work::{Outgoing, Work, parse};
pub use writer::Writer;

use anyhow::Context as _;
use config::{BrokerChoice, Config};
use lease::{Leases, Shards};
use link::Target;
use notices::{Delivery, Program};
use parity::Parity;
use pay::gift::Gifts;
use pay::sandbox::Sandbox;
use pay::{Providers, desk};
use sign::Signer;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Messages read from the broker and not yet in a transaction; how much batches among them may weigh, [`link`] says.
const WORK_QUEUE: usize = 256;
const IMPORT_POLL: Duration = Duration::from_secs(1);

/// A running HQ. Dropping it ends it at once; [`Hq::stop`] lets the last turn finish.
#[derive(Debug)]
pub struct Hq {
    pub http: SocketAddr,
    /// Host and port boxes connect to.
    pub broker: (String, u16),
    pub public_key: String,
    /// True while HQ is connected to the broker and has subscribed.
    pub up: watch::Receiver<bool>,
    tasks: JoinSet<anyhow::Result<()>>,
    writer: std::thread::JoinHandle<()>,
    failed: watch::Receiver<Option<String>>,
    _broker: Option<Broker>,
}

impl Hq {
    /// # Errors
    /// When an address is taken, the data directory is unusable or a certificate is wrong.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        let store = config.store()?;
        let wallets = Arc::new(Sandbox::open(&config.data)?);
        let gifts = Arc::new(Gifts::open(&config.data)?);
        Self::start_with(config, store, Providers { wallets, gifts }).await
    }

    /// As [`Hq::start`], with other providers.
    ///
    /// # Errors
    /// As there.
    pub async fn start_with(config: &Config, store: Store, providers: Providers) -> anyhow::Result<Self> {
        tls::install_provider();
        let signer = Arc::new(Signer::open(&store.key_path())?);
        store::set_setting(&store.writer()?, "tenant", &config.tenant)?;
        let public_key = signer.public_key();
        let (first, shards) = watch::channel(lease::all());
        let leases = if store.is_shared() { Some(Leases::open(&store, &public_key)?) } else { None };
        if leases.is_some() {
            first.send_replace(Arc::default());
        }
        let worker = leases.as_ref().map_or(String::new(), |leases| format!("-{}", leases.name()));
        let (revoke, revoked) = watch::channel(Arc::new(pairing::revoked(&store.reader()?)?));
        let (broker, target) = broker_of(config, &public_key, revoked, shards.clone(), &worker).await?;
        let (jobs, to_call) = mpsc::channel(desk::JOBS);
        let writer = Writer::new(&store, signer, &config.tenant, jobs)?;

        let (work, queue) = mpsc::channel(WORK_QUEUE);
        // The writer waits for nobody: who reads from the broker waits for the writer, and is who sends what the writer says.
        let (answers, outgoing) = mpsc::unbounded_channel();
        let (changed, changes) = watch::channel(0);
        let (up_now, up) = watch::channel(false);
        let (fail, failed) = watch::channel(None);
        let thread = std::thread::Builder::new().name("writer".into()).spawn(move || {
            if let Err(error) = writer.run(queue, &answers, &changed) {
                fail.send_replace(Some(format!("{error:#}")));
            }
        })?;

        let (parity, seen) = (Parity::new(&store)?, changes.clone());
        std::thread::Builder::new().name("parity".into()).spawn(move || parity.run(&seen))?;

        let mut tasks = JoinSet::new();
        let listener = tokio::net::TcpListener::bind(config.http)
            .await
            .with_context(|| format!("console cannot listen on {}: choose another --http", config.http))?;
        let http = listener.local_addr()?;
        let console = console::router(store.clone(), changes, up.clone(), http);
        tasks.spawn(async move { Ok(axum::serve(listener, console).await?) });
        let named = (target.host.clone(), target.port);
        tasks.spawn(tick(work.clone()));
        tasks.spawn(taken_back(store.clone(), revoke));
        tasks.spawn(notices::run(store.clone(), delivery(config), shards));
        if let Some(leases) = leases {
            tasks.spawn_blocking(move || leases.run(&first));
        }
        tasks.spawn(desk::run(providers, to_call, work.clone()));
        tasks.spawn(link::run(target, work, outgoing, up_now));
        Ok(Self {
            http,
            broker: broker.as_ref().map_or(named, |broker| (broker.address.ip().to_string(), broker.address.port())),
            public_key,
            up,
            tasks,
            writer: thread,
            failed,
            _broker: broker,
        })
    }

    /// Waits until something fails for good.
    pub async fn ended(&mut self) -> anyhow::Error {
        let mut failed = self.failed.clone();
        let reason = tokio::select! {
            reason = failed.wait_for(Option::is_some) => reason.ok().and_then(|reason| reason.clone()),
            task = self.tasks.join_next() => task.map(|ended| format!("a part of HQ has ended: {ended:?}")),
        };
        anyhow::anyhow!(reason.unwrap_or_else(|| "the writer has ended".into()))
    }

    /// Takes in nothing more and lets the last transaction finish.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        let writer = self.writer;
        let _ = tokio::task::spawn_blocking(move || writer.join()).await;
    }
}

fn delivery(config: &Config) -> Box<dyn Delivery> {
    match &config.notices {
        Some(program) => Box::new(Program(program.clone())),
        None => Box::new(notices::Sandbox(config.data.join("notices.ndjson"))),
    }
}

/// Imports come from another process: the dataset table says when there is a new version.
async fn tick(work: mpsc::Sender<Work>) -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(IMPORT_POLL).await;
        if work.send(Work::Tick).await.is_err() {
            return Ok(());
        }
    }
}

/// Certificates are taken back by another process, too: who has one of them is shown out within seconds.
async fn taken_back(store: Store, told: watch::Sender<Arc<BTreeSet<String>>>) -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(IMPORT_POLL).await;
        let store = store.clone();
        let revoked = tokio::task::spawn_blocking(move || anyhow::Ok(pairing::revoked(&store.reader()?)?)).await??;
        told.send_if_modified(|known| {
            let news = **known != revoked;
            if news {
                *known = Arc::new(revoked);
            }
            news
        });
    }
}

async fn broker_of(
    config: &Config,
    public_key: &str,
    revoked: Revoked,
    shards: watch::Receiver<Shards>,
    worker: &str,
) -> anyhow::Result<(Option<Broker>, Target)> {
    // One HQ, one name: a second one over the same file, started by mistake, shows at once.
    let client_id = format!("hq-{}-{}{worker}", config.tenant, public_key.get(..8).unwrap_or_default());
    let target = |host: String, port, tls| Target { host, port, tls, tenant: config.tenant.clone(), client_id, shards };
    match &config.broker {
        BrokerChoice::Remote { host, port, tls } => Ok((None, target(host.clone(), *port, tls.clone()))),
        BrokerChoice::Embedded { listen, tls } => {
            let access = Access { tenant: config.tenant.clone(), revoked };
            let broker = Broker::start(*listen, tls.as_ref().map(|(server, _, _)| (server, access))).await?;
            let port = broker.address.port();
            let (host, client) = match tls {
                Some((_, client, name)) => (name.clone(), Some(client.clone())),
                None if listen.ip().is_unspecified() => ("127.0.0.1".into(), None),
                None => (listen.ip().to_string(), None),
            };
            Ok((Some(broker), target(host, port, client)))
        }
    }
}
