//! Wires the parts together and runs the store until it is told to stop.

use crate::catalog::SqliteCatalog;
use crate::config::Config;
use crate::control::{self, Hands};
use crate::core_loop::{
    COMMANDS_MAX, CoreLoop, Ended, INPUTS_MAX, Outlets, Parts, Picture, ToCore, nonce, picture_of, replay,
};
use crate::desired::{self, Shelf};
use crate::device_board::Board;
use crate::http::{Pages, serve};
use crate::journal::{Journal, Reader, salvage};
use crate::seal::BoxKey;
use crate::space::Ballast;
use crate::sync::{Sync, SyncStatus};
use crate::uplink::Uplink;
use crate::watch::{self, Pulse};
use crate::{backup, catalog, device, restore};
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch as channel};

/// Commands waiting for headquarters.
const ASKS_MAX: usize = 64;

/// Runs the store of `own`, read from `file`, with what headquarters wants in it; `Ok` after an orderly stop.
///
/// # Errors
/// What kept it from starting, or a journal that cannot be written.
pub fn run(own: &Config, file: &Path) -> Result<Ended> {
    let _lock = restore::lock(&own.data)?;
    let mut shelf = Shelf::open(file, &own.data);
    let config = &if own.training { own.clone() } else { shelf.begin()? };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut ballast = Ballast::new(&config.data, config.disk.ballast_kb);
    let salvage::Opened { mut journal, seen: whole } = salvage::open(&config.journal(), &mut ballast)?;
    let store = replay(&mut journal, config.store()?)?;
    let catalog = SqliteCatalog::open(&config.data).with_sales(Reader::open(journal.path())?);
    let catalog = catalog.with_coupon_key(config.coupon_key()?);
    let (to_core, inputs) = mpsc::channel(INPUTS_MAX);
    let (picture, seen) = channel::channel(Arc::new(picture_of(&store, &catalog, journal.head())));
    let (status, sync_status) = channel::channel(SyncStatus::default());
    let mut outlets = Outlets::default();
    let nonce = nonce()?;
    let _context = runtime.enter();
    let board = Arc::new(Board::default());
    let mut anew = BTreeMap::new();
    for device in &config.devices {
        let (commands, port) = mpsc::channel(COMMANDS_MAX);
        outlets.devices.insert(device.name.clone(), commands);
        let restart = Arc::new(Notify::new());
        anew.insert(device.name.clone(), Arc::clone(&restart));
        runtime.spawn(device::port(device.clone(), to_core.clone(), port, Arc::clone(&board), restart));
    }
    let (acts, to_do) = mpsc::channel(control::ACTS_MAX);
    outlets.control = Some(acts);
    let hands = Hands {
        own: file.to_owned(),
        journal: journal.path().to_owned(),
        backup: config.backup.clone(),
        devices: anew,
        picture: seen.clone(),
        core: to_core.clone(),
    };
    runtime.spawn(hands.port(to_do));
    let (wanted, documents) = mpsc::channel(desired::QUEUE);
    if let Some(hq) = &config.hq {
        let settle = Duration::from_secs(u64::from(hq.settle_s));
        runtime.spawn(desired::port(shelf, settle, documents, to_core.clone()));
    }
    if let Some(sync) = sync(config, &journal, &catalog, &store, &to_core, &seen, status, &mut outlets, nonce, wanted)?
    {
        runtime.spawn(sync.port());
    }
    let pages = Pages::new(config, to_core.clone(), seen, sync_status, board)?;
    let listener = runtime.block_on(serve::bind(config.http.listen))?;
    runtime.spawn(serve::run(pages, listener));
    watch::inspect(journal.path().to_owned(), whole, to_core.clone());
    if let Some(backup) = config.backup.clone() {
        let (journal, zone, core) = (journal.path().to_owned(), config.zone()?, to_core.clone());
        std::thread::Builder::new()
            .name("backup".into())
            .spawn(move || backup::run(&backup, &journal, &zone, &core))?;
    }
    runtime.spawn(stop_on_signal(to_core));
    let (zone, pulse, wal_kb) = (config.zone()?, Pulse::start(&runtime), config.disk.wal_kb);
    let parts = Parts { store, journal, catalog, zone, outlets, inputs, picture, ballast, wal_kb, pulse, nonce };
    let core = CoreLoop::new(parts);
    let ended = runtime.block_on(core.run());
    runtime.shutdown_background();
    if ended.is_ok() && !config.training {
        Shelf::open(file, &config.data).stopped()?;
    }
    ended
}

#[expect(clippy::too_many_arguments, reason = "the one place where everything meets")]
fn sync(
    config: &Config,
    journal: &Journal,
    catalog: &SqliteCatalog,
    store: &checkout::Store,
    core: &mpsc::Sender<ToCore>,
    picture: &channel::Receiver<Arc<Picture>>,
    status: channel::Sender<SyncStatus>,
    outlets: &mut Outlets,
    nonce: u64,
    desired: mpsc::Sender<(u64, String)>,
) -> Result<Option<Sync>> {
    let Some(hq) = config.hq.clone() else { return Ok(None) };
    let (asks, asked) = mpsc::channel(ASKS_MAX);
    outlets.hq = Some(asks);
    let cursor = journal.cursor()?;
    status.send_modify(|status| status.acked = cursor.acked);
    let versions = catalog::DATASETS.iter().map(|dataset| ((*dataset).to_owned(), catalog.version(dataset)));
    Ok(Some(Sync {
        hq,
        tenant: config.tenant.clone(),
        box_id: config.box_id.clone(),
        data: config.data.clone(),
        journal: journal.path().to_owned(),
        journal_id: journal.id().to_owned(),
        boot: store.facts().boot + 1,
        nonce,
        core: core.clone(),
        asks: asked,
        picture: picture.clone(),
        status,
        uplink: Uplink::new(journal.id().to_owned(), cursor.epoch, cursor.acked, journal.head()),
        versions: versions.collect(),
        key: BoxKey::open(&config.data)
            .inspect_err(|error| tracing::error!(error = format!("{error:#}"), "the journal's heads are not signed"))
            .ok(),
        refused: BTreeMap::new(),
        desired,
    }))
}

async fn stop_on_signal(core: mpsc::Sender<ToCore>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!("stopping: what is recorded is on disk");
    let _ = core.send(ToCore::Stop).await;
}
