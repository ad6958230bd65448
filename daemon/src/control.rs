//! Carries out what the core has decided to do for headquarters: a fixed list, no shell, and nothing that a person at the box
//! could not do.

use crate::config::{Backup, Config};
use crate::core_loop::{Picture, ToCore};
use crate::journal::Reader;
use crate::{backup, log_count};
use anyhow::{Context as _, Result};
use checkout::Input;
use checkout::control::{Act, ControlInput, Verb};
use checkout::upkeep::BoxInput;
use checkout::words::DeviceId;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, watch};

/// Acts waiting to be carried out.
pub const ACTS_MAX: usize = 32;

/// What commands are carried out with.
#[derive(Debug)]
pub struct Hands {
    pub own: PathBuf,
    pub journal: PathBuf,
    pub backup: Option<Backup>,
    /// Ends a device's line, so that it is opened again.
    pub devices: BTreeMap<DeviceId, Arc<Notify>>,
    pub picture: watch::Receiver<Arc<Picture>>,
    pub core: mpsc::Sender<ToCore>,
}

impl Hands {
    /// One act after the other, for as long as the process lives.
    pub async fn port(self, mut acts: mpsc::Receiver<Act>) {
        while let Some(act) = acts.recv().await {
            let told = match act {
                Act::Restart => Some(ToCore::Restart),
                Act::Do { rev, verb } => {
                    tracing::info!(rev, %verb, "headquarters has this done");
                    let done = tokio::task::block_in_place(|| self.carry_out(&verb));
                    let told = match done {
                        Ok(Done::Said(result)) => ControlInput::Done { rev, result },
                        Ok(Done::Restart) => {
                            // The start says that it is done.
                            if self.core.send(ToCore::Restart).await.is_err() {
                                return;
                            }
                            continue;
                        }
                        Err(error) => ControlInput::Failed { rev, reason: format!("{error:#}") },
                    };
                    Some(ToCore::Input(Input::Control(told)))
                }
            };
            if let Some(told) = told
                && self.core.send(told).await.is_err()
            {
                return;
            }
        }
    }

    fn carry_out(&self, verb: &Verb) -> Result<Done> {
        Ok(Done::Said(match verb {
            // The core's own: it shows it.
            Verb::Identify => String::new(),
            Verb::RestartDevice { device } => {
                let port = self.devices.get(device).with_context(|| format!("there is no device {device}"))?;
                port.notify_one();
                String::new()
            }
            Verb::Summary => self.summary(),
            Verb::BackupNow => {
                let config = self.backup.as_ref().context("the box has no [backup]")?;
                let (rows, bytes) = backup::now(config, &self.journal)?;
                let said = ToCore::Input(Input::Box(BoxInput::BackedUp { rows, bytes }));
                let _ = self.core.blocking_send(said);
                format!("{rows} rows, {bytes} bytes")
            }
            Verb::VerifyJournal => {
                let rows = Reader::open(&self.journal)?.verify()?;
                format!("{rows} rows, every one follows from the one before")
            }
            Verb::ReloadConfig => {
                Config::read(&self.own)?;
                return Ok(Done::Restart);
            }
            Verb::Restart => return Ok(Done::Restart),
        }))
    }

    fn summary(&self) -> String {
        let (warnings, errors) = log_count::since_start();
        let picture = self.picture.borrow();
        let devices = picture.view.lanes.iter().flat_map(|lane| &lane.devices);
        let down: std::collections::BTreeSet<&str> =
            devices.filter(|device| !device.up).map(|device| device.name.0.as_str()).collect();
        let down = if down.is_empty() { "none".into() } else { down.into_iter().collect::<Vec<_>>().join(" ") };
        let version = env!("CARGO_PKG_VERSION");
        format!(
            "aisled {version}; {} rows; log since the start: {warnings} warnings, {errors} errors; devices down: {down}",
            picture.head
        )
    }
}

enum Done {
    Said(String),
    /// The daemon ends and is started again.
    Restart,
}
