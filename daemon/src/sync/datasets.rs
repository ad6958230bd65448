//! Datasets on their way to the box: manifests, chunks, the switch.

use super::{CHUNK_EVERY, Link};
use crate::approval;
use crate::config::Hq;
use crate::core_loop::ToCore;
use crate::dataset::Fetch;
use anyhow::{Result, ensure};
use checkout::bounds::Bounds;
use checkout::control::{ControlInput, SIGNATURES};
use checkout::wire::{Manifest, Question};
use rumqttc::QoS;
use tokio::time::Instant;

impl Link<'_> {
    pub(super) fn manifest(&mut self, payload: &[u8]) -> Result<()> {
        let signed = self.verifier.open::<Manifest>(payload, "manifest")?;
        let manifest = signed.doc;
        ensure!(signed.rev == manifest.version, "its revision is not its version");
        let have = self.sync.versions.get(&manifest.dataset).copied().unwrap_or(0);
        if self.sync.picture.borrow().view.upkeep.spares() {
            // Room is for sales; the manifest is retained and is asked for again.
            self.passed_over = true;
            return Ok(());
        }
        if manifest.version <= have || self.fetching.as_ref().is_some_and(|fetch| fetch.manifest == manifest) {
            return Ok(());
        }
        if self.sync.refused.get(&manifest.dataset) == Some(&manifest) {
            return Ok(());
        }
        if self.fetching.is_some() {
            // One at a time; the retained manifest is asked for again when this one is done.
            return Ok(());
        }
        tracing::info!(dataset = %manifest.dataset, version = manifest.version, rows = manifest.rows, "a new dataset is on its way");
        self.fetching = Some(Fetch::begin(&self.sync.data, manifest)?);
        self.next_chunk()
    }

    /// What was passed over for want of room.
    pub(super) fn manifests_again(&mut self) -> Result<()> {
        if self.passed_over && !self.sync.picture.borrow().view.upkeep.spares() {
            self.passed_over = false;
            self.hear_manifests()?;
        }
        Ok(())
    }

    pub(super) fn next_chunk(&mut self) -> Result<()> {
        self.chunk_due = None;
        if self.sync.picture.borrow().view.upkeep.spares() {
            self.passed_over |= self.fetching.take().is_some();
        }
        let Some(fetch) = &self.fetching else { return Ok(()) };
        if let Some(hash) = fetch.missing().map(str::to_owned) {
            self.client.try_subscribe(self.topics.chunk(&hash), QoS::AtLeastOnce)?;
            self.chunk_due = Some(Instant::now() + CHUNK_EVERY);
            return self.ask(2_000, Question::Chunk { hash });
        }
        let manifest = fetch.manifest.clone();
        let built = tokio::task::block_in_place(|| fetch.build(&self.sync.data, self.limits(&manifest).as_ref()));
        // What a chunk went bad for on the disk is fetched again; what is wrong in itself is not.
        let wrong = built.is_err() && fetch.missing().is_none();
        self.fetching = None;
        match built {
            Ok(()) => {
                tracing::info!(dataset = %manifest.dataset, version = manifest.version, name = %manifest.name, "dataset in force");
                self.sync.versions.insert(manifest.dataset.clone(), manifest.version);
                let (dataset, version, name) = (manifest.dataset, manifest.version, manifest.name);
                self.tell(ToCore::Dataset { dataset, version, name })?;
                self.publish_state()?;
            }
            Err(error) => {
                let reason = format!("{error:#}");
                tracing::warn!(dataset = %manifest.dataset, %reason, "a dataset is refused; the last good one stays");
                if wrong {
                    self.sync.refused.insert(manifest.dataset.clone(), manifest.clone());
                    let (dataset, version, name) = (manifest.dataset, manifest.version, manifest.name);
                    self.control(ControlInput::Dataset { dataset, version, name, reason })?;
                }
            }
        }
        // Retained manifests come again with a subscription: the next dataset gets its turn.
        self.hear_manifests()
    }

    pub(super) fn chunk(&mut self, hash: &str, payload: &[u8]) -> Result<()> {
        let Some(fetch) = &self.fetching else { return Ok(()) };
        if fetch.take(hash, payload)? {
            self.client.try_unsubscribe(self.topics.chunk(hash))?;
            self.next_chunk()?;
        }
        Ok(())
    }

    /// What a price book is held against, unless two operators agreed to it.
    fn limits(&self, manifest: &Manifest) -> Option<Bounds> {
        let Hq { bounds, approvers, .. } = &self.sync.hq;
        let agreed = approval::agreed(&manifest.approvals, &manifest.preimage(), &self.sync.tenant, approvers);
        bounds.filter(|_| agreed < SIGNATURES)
    }
}
