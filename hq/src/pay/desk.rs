//! Makes the calls: beside the writer, several at once, each answer brought back to it.

use super::{About, Asked, Call, Job, Providers, Told, order_no};
use crate::work::Work;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::interval;

/// Calls waiting for a provider. What does not fit is not made, and found again by the next question about it.
pub(crate) const JOBS: usize = 1024;
const CALLS_MAX: usize = 64;
const NOTICES_EVERY: Duration = Duration::from_millis(500);

pub(crate) async fn run(
    providers: Providers,
    mut jobs: mpsc::Receiver<Job>,
    work: mpsc::Sender<Work>,
) -> anyhow::Result<()> {
    let mut calls = JoinSet::new();
    let mut look = interval(NOTICES_EVERY);
    loop {
        tokio::select! {
            job = jobs.recv(), if calls.len() < CALLS_MAX => {
                let Some(job) = job else { return Ok(()) };
                calls.spawn(call(providers.clone(), job));
            }
            Some(done) = calls.join_next() => {
                if work.send(done?).await.is_err() {
                    return Ok(());
                }
            }
            _ = look.tick() => {
                for (order, told) in [&providers.wallets, &providers.gifts].into_iter().flat_map(|one| one.notices()) {
                    if work.send(Work::Noticed { order, told }).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

async fn call(providers: Providers, job: Job) -> Work {
    let Job { provider, about, call } = job;
    let (asked, of) = (call.asked(), about.clone());
    let provider = providers.of(provider).clone();
    if let Call::Balance { lane, code } = call {
        let balance = tokio::task::spawn_blocking(move || provider.balance(&code)).await.unwrap_or_default();
        return Work::Balance { about, lane, balance };
    }
    let told = tokio::task::spawn_blocking(move || {
        let About { box_id, tender, .. } = &of;
        let order = order_no(box_id, tender);
        match &call {
            Call::Charge(charge) => provider.charge(&order, charge),
            Call::Query | Call::Balance { .. } => provider.query(&order),
            Call::Reverse => provider.reverse(&order),
            Call::Refund { of, amount } => provider.refund(&order_no(box_id, of), &order, *amount),
        }
    })
    .await;
    let told = told.unwrap_or_else(|error| {
        tracing::error!(error = %error, "a payment provider's adapter broke off: the payment is asked about");
        Told::Silent
    });
    Work::Paid { about, asked, told }
}

/// Calls under way: nobody is asked twice at once, and no question overtakes the charge it is about.
#[derive(Debug, Default)]
pub(crate) struct Flying(std::collections::BTreeMap<(String, String), Vec<Asked>>);

impl Flying {
    /// `false`: the answer of a call under way serves.
    pub(crate) fn take_off(&mut self, job: &Job) -> bool {
        let under_way = self.0.entry(key(&job.about)).or_default();
        let asked = job.call.asked();
        let serves = under_way.contains(&asked) || (asked == Asked::Query && !under_way.is_empty());
        if !serves {
            under_way.push(asked);
        }
        !serves
    }

    pub(crate) fn landed(&mut self, about: &About, asked: Asked) {
        let key = key(about);
        if let Some(under_way) = self.0.get_mut(&key) {
            under_way.retain(|one| *one != asked);
            if under_way.is_empty() {
                self.0.remove(&key);
            }
        }
    }
}

fn key(about: &About) -> (String, String) {
    (about.box_id.clone(), about.tender.0.clone())
}
