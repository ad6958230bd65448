//! Which past HQ and a box share: pure decisions over numbers and hashes.

use crate::batch::{Batch, hash_of_hex, hex};
use crate::store::Known;
use checkout::wire::{Hello, Verdict};

/// Before the first event.
pub(crate) const NO_HASH: [u8; 32] = [0; 32];

/// What HQ does with a box's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// What HQ holds of the box from here on.
    pub(crate) known: Known,
    pub(crate) verdict: Verdict,
    /// For the alarm list, where the pasts differ and somebody should know.
    pub(crate) alarm: Option<&'static str>,
}

/// `mark`: the hash HQ has at the box's acked number, where it has one.
#[must_use]
pub(crate) fn hello(known: Option<Known>, hello: &Hello, mark: Option<[u8; 32]>) -> Judgement {
    let fresh = Known {
        journal: hello.journal.clone(),
        epoch: hello.epoch,
        acked: 0,
        hash: NO_HASH,
        connection: hello.connection,
    };
    let Some(mut known) = known else {
        let behind = (hello.acked > 0).then_some("HQ has nothing of this box, which says it has sent events before");
        return go_on(fresh, behind);
    };
    known.connection = hello.connection;
    if known.journal != hello.journal {
        if known.acked == 0 && known.epoch <= hello.epoch {
            return go_on(fresh, None);
        }
        let epoch = known.epoch.max(hello.epoch);
        let reason = "another journal than the one HQ knows";
        return new_epoch(Known { epoch, ..fresh }, reason);
    }
    if hello.epoch > known.epoch {
        return go_on(fresh, Some("the box is in a later epoch than HQ knows"));
    }
    if known.acked > hello.head {
        return new_epoch(known, "HQ has more of this journal than the box: its disk was restored");
    }
    if hello.epoch < known.epoch {
        // It died before it had written down the epoch it was given, whatever it sent under it. What HQ has of that epoch is
        // held against what it sends again.
        return granted_again(known);
    }
    let theirs = hash_of_hex(&hello.hash);
    let ours = if hello.acked == known.acked { Some(known.hash) } else { mark };
    let differs = ours.is_some_and(|ours| theirs != Some(ours));
    if differs {
        return new_epoch(known, "another chain hash at the acked number: the box's disk was cloned or restored");
    }
    let behind = (hello.acked > known.acked).then_some("the box says HQ has acknowledged more than HQ has");
    go_on(known, behind)
}

/// Where a batch goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Store what follows `known.acked`.
    Next(Known),
    /// HQ has all of it.
    Known(Known),
    Gap(Known),
    /// Of an epoch the box has left.
    Left,
    /// The pasts differ: say so, store nothing.
    Refused(Judgement),
}

#[must_use]
pub(crate) fn batch(known: Option<Known>, batch: &Batch) -> Place {
    let header = &batch.header;
    let fresh = |connection| Known {
        journal: header.journal.clone(),
        epoch: header.epoch,
        acked: 0,
        hash: NO_HASH,
        connection,
    };
    let known = match known {
        None => fresh(0),
        Some(known) if known.journal == header.journal && header.epoch == known.epoch => known,
        Some(known) if known.journal == header.journal && header.epoch > known.epoch => fresh(known.connection),
        // Sent before the box heard of its new epoch; once it has sent something under that one, it has heard.
        Some(known) if known.journal == header.journal && known.acked > 0 => return Place::Left,
        Some(known) if known.journal == header.journal => return Place::Refused(granted_again(known)),
        Some(known) => {
            let epoch = known.epoch.max(header.epoch);
            let known = Known { epoch, ..fresh(known.connection) };
            return Place::Refused(new_epoch(known, "events of another journal than the one HQ knows"));
        }
    };
    if header.first > known.acked + 1 {
        return Place::Gap(known);
    }
    if batch.last() <= known.acked {
        return Place::Known(known);
    }
    if batch.hash_at(known.acked) != Some(known.hash) {
        return Place::Refused(new_epoch(known, "the hash chain does not continue what HQ has"));
    }
    Place::Next(known)
}

fn go_on(known: Known, alarm: Option<&'static str>) -> Judgement {
    let verdict = Verdict::Continue { acked: known.acked, hash: hex(&known.hash) };
    Judgement { verdict, known, alarm }
}

fn new_epoch(known: Known, reason: &'static str) -> Judgement {
    let epoch = known.epoch.saturating_add(1);
    Judgement {
        known: Known { epoch, acked: 0, hash: NO_HASH, ..known },
        verdict: Verdict::NewEpoch { epoch, reason: reason.into() },
        alarm: Some(reason),
    }
}

fn granted_again(known: Known) -> Judgement {
    let reason = "the box has not taken up the epoch it was given".into();
    Judgement { verdict: Verdict::NewEpoch { epoch: known.epoch, reason }, known, alarm: None }
}
