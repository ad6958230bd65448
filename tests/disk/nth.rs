//! Every operation of a short story fails once, one after the other, and then each again for want of space.

use crate::disk::Fault;
use crate::store::{Store, Variant, Wrong};

/// WAL pages between checkpoints, so that the story has several; and as many as production has, so that it has none.
const OFTEN: u32 = 8;
const SELDOM: u32 = 1_000;
const STORY: u64 = 7;

/// What fails; and how the process ends then, closing its file or not.
#[derive(Clone, Copy, Debug)]
struct Case {
    fault: Fault,
    kill: bool,
    pages: u32,
}

#[test]
fn whichever_operation_fails_no_commit_is_told_done_that_is_not() {
    for (fault, kill, pages) in [
        (Fault::Error, false, OFTEN),
        (Fault::Error, true, OFTEN),
        (Fault::Error, true, SELDOM),
        (Fault::Full, false, OFTEN),
        (Fault::Full, true, SELDOM),
        (Fault::FullFrom, false, SELDOM),
        (Fault::FullFrom, true, OFTEN),
    ] {
        let case = Case { fault, kill, pages };
        let (mut nth, mut errors) = (1, 0);
        while let Some(error) = run(case, nth).unwrap_or_else(|wrong| panic!("{case:?} at {nth}: {wrong}")) {
            errors += u64::from(error);
            nth += 1;
        }
        println!("{case:?}: {} operations failed, {errors} of them told", nth - 1);
        assert!(nth > 50 && errors > 20, "{case:?}: a story of {nth} operations, {errors} errors");
    }
}

/// Whether the fault was told as an error; nothing when the story has fewer operations than `nth`.
fn run(case: Case, nth: u64) -> Result<Option<bool>, Wrong> {
    let mut store = Store::new(STORY, nth, Variant::AsBuilt);
    store.mount.arm(case.fault, nth);
    let (mut error, mut struck) = (false, false);
    for turns in [6, 4, 4] {
        let done = process(&mut store, turns, case)?;
        struck |= store.mount.struck();
        if let Err(refused) = done {
            if !struck || error {
                return Err(format!("refuses on a healthy disk: {refused:#}"));
            }
            error = true;
        }
        if struck {
            // The disk is mended, or somebody made room.
            store.mount.disarm();
        }
        // The process ends at an error (exit 74), and is started again on what the system has in memory.
        store.end(Fault::Kill)?;
    }
    let done = process(&mut store, 3, Case { kill: true, ..case })?;
    if struck && let Err(refused) = done {
        return Err(format!("refuses on a disk that is mended: {refused:#}"));
    }
    store.end(Fault::Cut)?;
    Ok(struck.then_some(error))
}

/// A process of so many turns, which ends at an error.
fn process(store: &mut Store, turns: u32, case: Case) -> Result<anyhow::Result<()>, Wrong> {
    let mut process = match store.start(case.pages) {
        Ok(process) => process?,
        Err(error) => return Ok(Err(error)),
    };
    for _ in 0..turns {
        let turn = store.turn(process.journal());
        if let Err(error) = store.commit(&mut process, &turn) {
            if case.kill {
                store.mount.stop();
            }
            return Ok(Err(error));
        }
    }
    if case.kill {
        store.mount.stop();
    }
    Ok(Ok(()))
}
