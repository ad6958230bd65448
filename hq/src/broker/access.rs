//! What a client may do, by its certificate: headquarters everything, a box its own topics, a claim the door to a pairing.

use crate::batch::hex;
use crate::ca::CLAIM;
use anyhow::Context as _;
use checkout::wire::parse_topic;
use rustls::pki_types::CertificateDer;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// What a box says.
pub(crate) const UP: [&str; 8] = ["hello", "journal", "head", "state", "telemetry", "reported", "ask", "renew"];
/// What a box hears.
pub(crate) const DOWN: [&str; 6] = ["welcome", "ack", "reply", "cmd", "desired", "certificate"];

/// Serials nobody gets in with.
pub type Revoked = watch::Receiver<Arc<BTreeSet<String>>>;

/// The rules of a broker that knows its clients.
#[derive(Clone, Debug)]
pub struct Access {
    pub tenant: String,
    pub revoked: Revoked,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// A broker without certificates, for trials on loopback.
    Anyone,
    Headquarters,
    Box(String),
    Claim,
}

/// One connection's client.
#[derive(Clone, Debug)]
pub(super) struct Guest {
    pub(super) who: Who,
    tenant: String,
    serial: String,
    revoked: Option<Revoked>,
}

impl Guest {
    pub(super) const fn anyone() -> Self {
        Self { who: Who::Anyone, tenant: String::new(), serial: String::new(), revoked: None }
    }

    /// # Errors
    /// The certificate names nobody, or was taken back.
    pub(super) fn of(peer: &CertificateDer<'_>, own: &CertificateDer<'_>, access: &Access) -> anyhow::Result<Self> {
        let (_, parsed) = X509Certificate::from_der(peer).context("a certificate that cannot be read")?;
        let name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let name = name.context("a certificate without a common name")?;
        let who = match name {
            _ if peer == own => Who::Headquarters,
            claim if claim.starts_with(CLAIM) => Who::Claim,
            id => Who::Box(id.to_owned()),
        };
        let (tenant, serial) = (access.tenant.clone(), hex(parsed.raw_serial()));
        let guest = Self { who, tenant, serial, revoked: Some(access.revoked.clone()) };
        anyhow::ensure!(!guest.is_revoked(), "the certificate of {name} was taken back");
        Ok(guest)
    }

    fn is_revoked(&self) -> bool {
        self.revoked.as_ref().is_some_and(|revoked| revoked.borrow().contains(&self.serial))
    }

    /// Until the certificate is taken back.
    pub(super) async fn shown_out(&mut self) {
        while let Some(revoked) = self.revoked.as_mut() {
            if revoked.changed().await.is_err() {
                break;
            }
            if self.is_revoked() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// A client's name ends another connection of that name: nobody takes a box's.
    pub(super) fn may_be(&self, client_id: &str) -> bool {
        match &self.who {
            Who::Anyone | Who::Headquarters => true,
            Who::Box(id) => client_id == id,
            Who::Claim => client_id.starts_with(CLAIM),
        }
    }

    pub(super) fn may_say(&self, topic: &str) -> bool {
        match &self.who {
            Who::Anyone | Who::Headquarters => true,
            Who::Box(id) => self.is_own(id, topic, &UP),
            Who::Claim => self.is_door(topic, "request"),
        }
    }

    pub(super) fn may_hear(&self, filter: &str) -> bool {
        match &self.who {
            Who::Anyone | Who::Headquarters => true,
            Who::Box(id) => self.is_own(id, filter, &DOWN) || self.is_common(filter),
            Who::Claim => self.is_door(filter, "certificate"),
        }
    }

    fn is_own(&self, id: &str, topic: &str, leaves: &[&str]) -> bool {
        parse_topic(topic).is_some_and(|(tenant, of, leaf)| tenant == self.tenant && of == id && leaves.contains(&leaf))
    }

    /// Manifests and chunks: `+` in the last place, or a name.
    fn is_common(&self, filter: &str) -> bool {
        let rest = filter.strip_prefix("aisle/v1/").and_then(|rest| rest.strip_prefix(&self.tenant));
        let name = rest.and_then(|rest| rest.strip_prefix("/data/").or_else(|| rest.strip_prefix("/chunk/")));
        name.is_some_and(|name| name == "+" || !name.contains(['/', '+', '#']))
    }

    fn is_door(&self, topic: &str, leaf: &str) -> bool {
        let rest = topic.strip_prefix("aisle/v1/").and_then(|rest| rest.strip_prefix(&self.tenant));
        let parts = rest.and_then(|rest| rest.strip_prefix("/claim/")).and_then(|rest| rest.split_once('/'));
        parts.is_some_and(|(id, last)| last == leaf && !id.is_empty() && !id.contains(['+', '#']))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use checkout::wire::Topics;

    fn guest(who: Who) -> Guest {
        Guest { who, tenant: "acme".into(), serial: String::new(), revoked: None }
    }

    #[test]
    fn a_box_says_and_hears_what_is_its_own_and_nothing_else() {
        let (one, own, other) =
            (guest(Who::Box("box-1".into())), Topics::new("acme", "box-1"), Topics::new("acme", "box-2"));
        for leaf in UP {
            assert!(one.may_say(&own.of(leaf)) && !one.may_say(&other.of(leaf)), "{leaf}");
            assert!(!one.may_hear(&own.of(leaf)), "{leaf} is for headquarters");
        }
        for leaf in DOWN {
            assert!(one.may_hear(&own.of(leaf)) && !one.may_hear(&other.of(leaf)), "{leaf}");
            assert!(!one.may_say(&own.of(leaf)), "{leaf} is headquarters' word");
        }
        assert!(one.may_hear("aisle/v1/acme/data/+") && one.may_hear(&own.chunk(&"0".repeat(64))));
        for wrong in
            ["#", "aisle/#", "aisle/v1/acme/#", "aisle/v1/acme/data/#", "aisle/v1/acme/+/box-1/welcome", "$SYS/#"]
        {
            assert!(!one.may_hear(wrong), "{wrong}");
        }
        assert!(
            !one.may_say("aisle/v1/acme/data/catalogue") && !one.may_say(&Topics::new("else", "box-1").of("hello"))
        );
        assert!(one.may_be("box-1") && !one.may_be("box-2"), "a name taken over ends the other's connection");
    }

    #[test]
    fn a_claim_opens_the_door_to_a_pairing_and_no_other() {
        let claim = guest(Who::Claim);
        assert!(claim.may_say(&Topics::claim("acme", "a1", "request")));
        assert!(claim.may_hear(&Topics::claim("acme", "a1", "certificate")));
        for wrong in ["aisle/v1/acme/claim/+/certificate", "aisle/v1/acme/data/+", "aisle/v1/acme/chunk/+", "#"] {
            assert!(!claim.may_hear(wrong), "{wrong}");
        }
        assert!(!claim.may_say(&Topics::claim("acme", "a1", "certificate")), "only headquarters grants one");
        assert!(!claim.may_say(&Topics::new("acme", "box-1").of("hello")) && !claim.may_be("box-1"));
    }
}
