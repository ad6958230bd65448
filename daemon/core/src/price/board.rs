//! The basket as promotions see it: goods from the dearest down, what of them is still free, and what is left to pay.

use super::rounding::share;
use crate::line::Line;
use crate::words::{ItemKey, LineNo, LocalMinute, Money};
use alloc::vec::Vec;

/// A line that promotions may touch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) line: &'a Line,
    pub(super) at: LocalMinute,
    /// Equal goods share a pool, so that nothing depends on how many lines they lie on.
    pub(super) pool: usize,
    /// Pieces; a weighing is one.
    pub(super) pieces: u32,
    /// Of one piece, or the whole weighing.
    pub(super) value: i64,
}

impl Row<'_> {
    pub(super) fn no(&self) -> LineNo {
        self.line.no
    }

    pub(super) fn key(&self) -> &ItemKey {
        &self.line.key
    }

    pub(super) fn weighed(&self) -> bool {
        self.line.weight_g.is_some()
    }

    pub(super) fn worth(&self, pieces: u32) -> i64 {
        self.value.saturating_mul(i64::from(pieces))
    }

    /// What `pieces` would cost at another price per piece or kilogram.
    pub(super) fn at_price(&self, price: Money, pieces: u32) -> i64 {
        super::extended(price, pieces, self.line.weight_g).0
    }
}

/// Goods of a basket, dearest first; deposits, returns, prices set by staff and voided lines are not here.
pub(super) fn rows<'a>(lines: &[&'a Line], at: LocalMinute) -> Vec<Row<'a>> {
    let touchable =
        |line: &&&Line| line.kind.is_goods() && !line.voided && line.overridden.is_none() && line.gross() > Money::ZERO;
    let row = |line: &&'a Line| {
        let (pieces, value) = match line.weight_g {
            Some(_) => (1, line.gross().0),
            None => (line.quantity, line.unit_price.0),
        };
        Row { line, at: line.priced_at.unwrap_or(at), pool: 0, pieces, value }
    };
    let mut rows: Vec<Row<'a>> = lines.iter().filter(touchable).map(row).collect();
    // Line numbers come last: what was scanned first must not matter.
    rows.sort_by(|a, b| {
        let dearest = b.value.cmp(&a.value).then_with(|| a.key().cmp(b.key()));
        dearest.then(b.pieces.cmp(&a.pieces)).then(a.no().cmp(&b.no()))
    });
    // Equal goods lie beside each other, but for weighings between them.
    let mut before: Option<Row<'a>> = None;
    for (index, row) in rows.iter_mut().enumerate() {
        row.pool = index;
        if row.weighed() {
            continue;
        }
        if let Some(same) = before.filter(|before| (before.value, before.key()) == (row.value, row.key())) {
            row.pool = same.pool;
        }
        before = Some(*row);
    }
    rows
}

/// What promotions have not taken yet, by row.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) free: Vec<u32>,
    pub(super) left: Vec<i64>,
}

impl State {
    pub(super) fn new(rows: &[Row<'_>]) -> Self {
        Self {
            free: rows.iter().map(|row| row.pieces).collect(),
            left: rows.iter().map(|row| row.worth(row.pieces)).collect(),
        }
    }

    pub(super) fn free(&self, row: usize) -> u32 {
        self.free.get(row).copied().unwrap_or(0)
    }

    pub(super) fn left(&self, row: usize) -> i64 {
        self.left.get(row).copied().unwrap_or(0)
    }

    pub(super) fn take(&mut self, applied: &Applied) {
        for share in &applied.shares {
            if let Some(free) = self.free.get_mut(share.row) {
                *free = free.saturating_sub(share.claimed);
            }
            if let Some(left) = self.left.get_mut(share.row) {
                *left = left.saturating_sub(share.off);
            }
        }
    }

    pub(super) fn give_back(&mut self, applied: &Applied) {
        for share in &applied.shares {
            if let Some(free) = self.free.get_mut(share.row) {
                *free = free.saturating_add(share.claimed);
            }
            if let Some(left) = self.left.get_mut(share.row) {
                *left = left.saturating_add(share.off);
            }
        }
    }
}

/// A deal as it was given: how often, and what came off which row.
#[derive(Clone, Debug, Default)]
pub(super) struct Applied {
    pub(super) deal: usize,
    pub(super) times: u32,
    pub(super) off: i64,
    pub(super) shares: Vec<Share>,
}

/// `base` is what the reduction is of, `claimed` the pieces no other deal may have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share {
    pub(super) row: usize,
    pub(super) claimed: u32,
    pub(super) base: i64,
    pub(super) off: i64,
}

/// Lays `off` on the shares in proportion to their bases: on pools first, then inside each, to the last unit.
pub(super) fn spread(rows: &[Row<'_>], shares: &mut [Share], off: i64) {
    let pool = |share: &Share| rows.get(share.row).map_or(usize::MAX, |row| row.pool);
    shares.sort_by_key(|share| (pool(share), share.row));
    let same = |a: &Share, b: &Share| pool(a) == pool(b);
    let bases = |shares: &[Share]| shares.iter().map(|share| share.base).fold(0, i64::saturating_add);
    let weights: Vec<i64> = shares.chunk_by(same).map(bases).collect();
    for (pooled, off) in shares.chunk_by_mut(same).zip(share(off, &weights)) {
        if let [alone] = pooled {
            alone.off = off;
            continue;
        }
        let inside: Vec<i64> = pooled.iter().map(|share| share.base).collect();
        for (share, part) in pooled.iter_mut().zip(share(off, &inside)) {
            share.off = part;
        }
    }
}
