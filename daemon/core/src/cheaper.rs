//! Prices lock at the scan. Where goods of an open basket cost less by now, the shopper hears of it: taken out and scanned again
//! they cost the new price. Dearer ones stay what they were.

use crate::line::Line;
use crate::turn::Turn;
use crate::words::{LaneId, Money, Name};

impl Turn<'_> {
    /// After the price book changed, or the basket waited.
    pub(crate) fn tell_cheaper(&mut self, lane: LaneId) {
        if self.money_moves(lane) {
            return;
        }
        let now = self.now.local();
        let cheaper = |line: &&Line| {
            let item = self.catalog.item(&line.key).map(|item| item.priced(now));
            is_locked(line) && item.is_some_and(|item| item.price < line.unit_price)
        };
        let name = self.open(lane).and_then(|open| open.live_lines().find(cheaper)).map(|line| line.name.clone());
        self.say_cheaper(lane, name);
    }

    /// After a scan of the same goods at `price`.
    pub(crate) fn tell_cheaper_than(&mut self, lane: LaneId, scanned: &Line) {
        let dearer = |line: &&Line| is_locked(line) && line.key == scanned.key && line.unit_price > scanned.unit_price;
        let name = self.open(lane).and_then(|open| open.live_lines().find(dearer)).map(|line| line.name.clone());
        self.say_cheaper(lane, name.filter(|_| is_locked(scanned) && scanned.unit_price > Money::ZERO));
    }

    fn say_cheaper(&mut self, lane: LaneId, name: Option<Name>) {
        let Some(Name { zh, en }) = name else { return };
        let zh = alloc::format!("{zh} 现在更便宜：删除后重新扫描，按新价计算");
        let en = alloc::format!("{en} costs less by now: take it out and scan it again to pay the new price");
        self.notice(lane, true, (&zh, &en));
    }
}

/// By the price book, at the minute it was scanned.
fn is_locked(line: &Line) -> bool {
    line.kind.is_goods() && !line.labelled && line.overridden.is_none() && line.parent.is_none()
}
