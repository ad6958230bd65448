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
                if let Some(done) = done?
                    && work.send(done).await.is_err()
                {
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

async fn call(providers: Providers, job: Job) -> Option<Work> {
    let (asked, about) = (job.call.asked(), job.about.clone());
    let broken = match job.call {
        Call::Balance { lane, .. } => Some(Work::Balance { about, lane, balance: None }),
        Call::Charge(_) | Call::Query | Call::Reverse | Call::Refund { .. } => {
            Some(Work::Paid { about, asked, told: Told::Silent })
        }
        Call::Heard { .. } => None,
    };
    let made = tokio::task::spawn_blocking(move || make(&providers, job)).await;
    made.unwrap_or_else(|error| {
        tracing::error!(error = %error, "a payment provider's adapter broke off: the payment is asked about");
        broken
    })
}

/// Makes the call and waits for its answer, where there is one.
#[must_use]
pub fn make(providers: &Providers, job: Job) -> Option<Work> {
    let Job { provider, about, call } = job;
    if let Call::Heard { order } = &call {
        [&providers.wallets, &providers.gifts].into_iter().for_each(|one| one.heard(order));
        return None;
    }
    let provider = providers.of(provider);
    let order = order_no(&about.box_id, &about.tender);
    let told = match &call {
        Call::Balance { lane, code } => {
            let (lane, balance) = (*lane, provider.balance(code));
            return Some(Work::Balance { about, lane, balance });
        }
        Call::Charge(charge) => provider.charge(&order, charge),
        Call::Query => provider.query(&order),
        Call::Reverse => provider.reverse(&order),
        Call::Refund { of, amount } => provider.refund(&order_no(&about.box_id, of), &order, *amount),
        Call::Heard { .. } => return None,
    };
    Some(Work::Paid { about, asked: call.asked(), told })
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
