//! Every operation of a short story fails once, one after the other, and then each again for want of space.

use crate::disk::Fault;
use crate::store::{Store, Variant, Wrong};

/// WAL pages between checkpoints: the story has several.
const PAGES: u32 = 8;
const STORY: u64 = 7;

#[test]
fn whichever_operation_fails_no_commit_is_told_done_that_is_not() {
    for fault in [Fault::Error, Fault::Full, Fault::FullFrom] {
        for kill in [false, true] {
            let (mut nth, mut errors) = (1, 0);
            loop {
                let told = run(fault, nth, kill);
                let Some(error) = told.unwrap_or_else(|wrong| panic!("{fault:?} at {nth}, killed {kill}: {wrong}"))
                else {
                    break;
                };
                errors += u64::from(error);
                nth += 1;
            }
            println!("{fault:?}, killed {kill}: {} operations failed, {errors} of them told", nth - 1);
            assert!(nth > 50 && errors > 20, "{fault:?}: a story of {nth} operations, {errors} errors");
        }
    }
}

/// Whether the fault was told as an error; nothing when the story has fewer operations than `nth`.
fn run(fault: Fault, nth: u64, kill: bool) -> Result<Option<bool>, Wrong> {
    let mut store = Store::new(STORY, Variant::AsBuilt);
    store.mount.arm(fault, nth);
    let (mut error, mut struck) = (false, false);
    for turns in [6, 4, 4] {
        let done = process(&mut store, turns, kill)?;
        struck |= store.mount.struck();
        if done.is_err() && !struck {
            return Err(format!("refuses on a healthy disk: {done:?}"));
        }
        error |= done.is_err();
        if struck {
            // The disk is mended, or somebody made room.
            store.mount.disarm();
        }
        // The process ends at an error (exit 74), and is started again on what the system has in memory.
        store.end(Fault::Kill)?;
    }
    let done = process(&mut store, 3, true)?;
    if struck && let Err(error) = done {
        return Err(format!("refuses on a disk that is mended: {error:#}"));
    }
    store.end(Fault::Cut)?;
    Ok(struck.then_some(error))
}

/// A process of so many turns, which ends at an error; `kill`: without closing anything.
fn process(store: &mut Store, turns: u32, kill: bool) -> Result<anyhow::Result<()>, Wrong> {
    let mut process = match store.start(PAGES) {
        Ok(process) => process?,
        Err(error) => return Ok(Err(error)),
    };
    for _ in 0..turns {
        let turn = store.turn(process.journal());
        if let Err(error) = store.commit(&mut process, &turn) {
            if kill {
                store.mount.stop();
            }
            return Ok(Err(error));
        }
    }
    if kill {
        store.mount.stop();
    }
    Ok(Ok(()))
}
