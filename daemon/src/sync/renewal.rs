//! The box's next certificate: asked for at two thirds of the life of the one it has, under the key it signs its journal with.

use super::{Link, RENEW_AGAIN, address, ca_of};
use crate::clock::utc;
use crate::identity::{self, Identity};
use anyhow::{Context as _, Result};
use checkout::wire::Granted;
use rumqttc::QoS;
use tokio::time::Instant;

impl Link<'_> {
    pub(super) fn renew(&mut self) -> Result<()> {
        let asked = self.renewal.is_some_and(|at| at.elapsed() < RENEW_AGAIN);
        if asked || !address(&self.sync.hq.broker)?.0 {
            return Ok(());
        }
        self.renewal = Some(Instant::now());
        // Whatever is wrong with it, the line that is there goes on.
        if let Err(error) = self.ask_for_certificate() {
            tracing::warn!(error = format!("{error:#}"), "the certificate of the box cannot be renewed");
        }
        Ok(())
    }

    fn ask_for_certificate(&self) -> Result<()> {
        let identity = Identity::of(&self.sync.hq, &self.sync.data, utc())?;
        let Some(key) = self.sync.key.as_ref().filter(|_| identity.validity().is_ok_and(|life| life.is_due(utc())))
        else {
            return Ok(());
        };
        let request = identity::request(&self.sync.data, &self.sync.box_id)?;
        let document = key.renewal(&self.sync.tenant, &self.sync.box_id, request)?;
        tracing::info!("the certificate of the box has lived two thirds of its life: the next is asked for");
        let topic = self.topics.of("renew");
        self.client.try_publish(topic, QoS::AtLeastOnce, false, document).context("the line to the broker is full")
    }

    pub(super) fn certificate(&mut self, payload: &[u8]) -> Result<()> {
        let granted: Granted = serde_json::from_slice(payload)?;
        let (data, id) = (self.sync.data.clone(), self.sync.box_id.clone());
        identity::take(&data, &granted.certificate, &id, ca_of(&self.sync.hq)?, utc())?;
        tracing::info!("the box has its next certificate; the next connection shows it");
        Ok(())
    }
}
