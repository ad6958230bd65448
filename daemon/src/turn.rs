//! The order of a turn, apart from threads, sockets and clocks: step each input, commit everything in one transaction, and
//! only then act and show. The core loop runs it over the box's journal and ports; tests run it over a whole store in
//! virtual time.

use crate::journal::Cursor;
use anyhow::Result;
use checkout::catalog::Catalog;
use checkout::event::{Event, Record};
use checkout::facts::Facts;
use checkout::store::StoreEvent;
use checkout::words::{Mono, Now};
use checkout::{Effect, Input, Step, Store};

/// The cursor is written with the next events, or alone at most this often: an ack costs no commit of its own.
pub const CURSOR_EVERY_MS: u64 = 1_000;

/// What a turn ends in: a journal, and those who are told.
pub trait World {
    /// Commits all of it in one FULL transaction.
    ///
    /// # Errors
    /// The journal cannot be written: the process must end, a lane that cannot record must not sell.
    fn commit(&mut self, records: &[Record], cursor: Option<Cursor>, fold: Option<&Facts>) -> Result<()>;

    /// Whether the commit of `rows` more is to carry the fold.
    fn snapshot_due(&self, rows: usize) -> bool;

    fn perform(&mut self, effect: Effect);

    fn show(&mut self, store: &Store);
}

/// The store, and what of the turn under way is not committed yet.
#[derive(Debug)]
pub struct Core {
    store: Store,
    step: Step,
    cursor: Option<Cursor>,
    cursor_written: Mono,
    taken: bool,
}

impl Core {
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, step: Step::default(), cursor: None, cursor_written: Mono(0), taken: false }
    }

    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// A cursor waits for the next commit.
    #[must_use]
    pub const fn has_cursor(&self) -> bool {
        self.cursor.is_some()
    }

    pub fn take(&mut self, now: Now, input: Input, catalog: &dyn Catalog) {
        self.taken = true;
        self.store.step(now, input, catalog, &mut self.step);
    }

    /// Headquarters committed this far.
    pub const fn acked(&mut self, cursor: Cursor) {
        self.taken = true;
        self.cursor = Some(cursor);
    }

    /// Durable before visible: nothing of the turn leaves unless its commit has returned.
    ///
    /// # Errors
    /// The journal cannot be written; nothing was performed.
    pub fn finish(&mut self, now: Mono, world: &mut impl World) -> Result<()> {
        let Step { events, effects } = std::mem::take(&mut self.step);
        self.commit(now, &events, world)?;
        // Whoever pressed is answered last: looking then, they see what came of it.
        let is_reply = |effect: &Effect| matches!(effect, Effect::Reply { .. });
        let (replies, acts): (Vec<Effect>, Vec<Effect>) = effects.into_iter().partition(is_reply);
        for effect in acts {
            world.perform(effect);
        }
        if std::mem::take(&mut self.taken) {
            world.show(&self.store);
        }
        for reply in replies {
            world.perform(reply);
        }
        Ok(())
    }

    /// The end: what was taken and the cursor that waited are written, and nothing is done about them.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn stop(&mut self, world: &mut impl World) -> Result<()> {
        let Step { events, .. } = std::mem::take(&mut self.step);
        world.commit(&events, self.cursor.take(), None)
    }

    fn commit(&mut self, now: Mono, events: &[Record], world: &mut impl World) -> Result<()> {
        // Where room is short the cursor goes with the next sale, and a start has more to read.
        let spares = self.store.facts().upkeep.spares();
        let due = !spares && now.0 >= self.cursor_written.0 + CURSOR_EVERY_MS;
        if events.is_empty() && !(due && self.cursor.is_some()) {
            return Ok(());
        }
        let closed = |record: &Record| matches!(record.event, Event::Store(StoreEvent::DayClosed { .. }));
        let keep = !spares && (world.snapshot_due(events.len()) || events.iter().any(closed));
        world.commit(events, self.cursor.take(), keep.then(|| self.store.facts()))?;
        self.cursor_written = now;
        Ok(())
    }
}
