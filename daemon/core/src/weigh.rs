//! Goods sold by weight: only a stable weight prices them, less its packing.

use crate::catalog::Item;
use crate::device::{DeviceCommand, ScaleFault, Weight};
use crate::line::Piece;
use crate::page::Refused;
use crate::refusal::LineRefusal;
use crate::turn::{Effect, Turn};
use crate::words::{DeviceId, Grams, LaneId, Money, Mono};

/// An item by weight waits this long for a stable weight.
pub const WEIGH_MS: u64 = 30_000;
/// An empty or moving plate is looked at again after this long.
pub const WEIGH_AGAIN_MS: u64 = 300;
/// Heavier packing than this is a mistake at the keys.
pub const TARE_MAX_G: u32 = 5_000;

/// What waits for its weight on a lane.
#[derive(Clone, Debug)]
pub(crate) struct Weighing {
    pub(crate) item: Item,
    /// By the catalogue, or as staff entered it.
    pub(crate) tare_g: u32,
    pub(crate) until: Mono,
}

impl Weighing {
    const fn ask(&self) -> DeviceCommand {
        DeviceCommand::ReadWeight { unit_price: self.item.price, tare: Grams(self.tare_g) }
    }
}

impl Turn<'_> {
    pub(crate) fn weigh(&mut self, lane: LaneId, item: Item) {
        let Some(scale) = self.config.lane(lane).and_then(|lane| lane.scale.clone()) else {
            return self.refuse_line(lane, LineRefusal::NoScale, Some(item.key));
        };
        if !self.live.device(&scale).up {
            return self.refuse_line(lane, LineRefusal::NoScale, Some(item.key));
        }
        self.begin(lane);
        let tare_g = item.tare_g;
        let until = self.now.mono.plus_ms(WEIGH_MS);
        let weighing = Weighing { item, tare_g, until };
        self.out.effects.push(Effect::Device { device: scale, command: weighing.ask() });
        self.live.lane(lane).weighing = Some(weighing);
    }

    /// Staff says what the packing on the scale weighs.
    pub(crate) fn set_tare(&mut self, lane: LaneId, tare_g: u32) -> Result<(), Refused> {
        let weighing = self.live.lane(lane).weighing.as_mut().ok_or(Refused::NothingHere)?;
        if tare_g > TARE_MAX_G {
            return Err(Refused::BadWeight);
        }
        weighing.tare_g = tare_g;
        // A scale that computes prices has to know it, too.
        let command = weighing.ask();
        if let Some(device) = self.config.lane(lane).and_then(|lane| lane.scale.clone()) {
            self.out.effects.push(Effect::Device { device, command });
        }
        Ok(())
    }

    pub(crate) fn weight(&mut self, scale: &DeviceId, weight: Weight) {
        if let Some(lane) = self.bagging_lane(scale) {
            return self.bag_weight(lane, weight);
        }
        let Some(lane) = self.config.lanes_of(scale).into_iter().find(|lane| self.live.lane(*lane).weighing.is_some())
        else {
            return;
        };
        match weight {
            Weight::Stable(gross) if gross.0 > 0 => self.net(lane, scale, gross),
            Weight::Priced { net, unit_price, total } if net.0 > 0 => self.priced(lane, net, unit_price, total),
            // The weighing screen says what to do; a notice would only repeat it.
            Weight::Stable(_)
            | Weight::Priced { .. }
            | Weight::Fault(ScaleFault::Empty | ScaleFault::Moving | ScaleFault::TooLight) => {
                self.weigh_later(lane, scale);
            }
            Weight::Fault(ScaleFault::Over) => {
                self.weigh_again(lane, scale, ("超过秤的称量", "Too heavy for this scale"))
            }
            Weight::Fault(ScaleFault::Unmoved) => {
                self.weigh_again(
                    lane,
                    scale,
                    ("请先取下商品再重新放上", "Please lift the goods off and put them back"),
                );
            }
            Weight::Fault(ScaleFault::Negative | ScaleFault::Attention | ScaleFault::Defect) => {
                self.weigh_again(lane, scale, ("秤需要店员处理", "The scale needs an assistant"));
            }
        }
    }

    fn net(&mut self, lane: LaneId, scale: &DeviceId, gross: Grams) {
        let Some(weighing) = self.live.lane(lane).weighing.take() else { return };
        let tare_g = weighing.tare_g;
        // Nothing but its packing, or less: there is nothing to sell yet.
        let Some(net_g) = gross.0.checked_sub(tare_g).filter(|net_g| *net_g > 0) else {
            self.live.lane(lane).weighing = Some(weighing);
            return self.weigh_again(
                lane,
                scale,
                ("秤上只有包装的重量，请放上商品", "Only the packing is on the scale: please put the goods on it"),
            );
        };
        let piece = Piece { weight_g: Some(net_g), tare_g, ..Piece::at(weighing.item.price) };
        self.add_line(lane, weighing.item, piece);
    }

    /// The scale computed the amount itself: it is the legal one, where it was computed with our price.
    fn priced(&mut self, lane: LaneId, net: Grams, unit_price: Money, total: Money) {
        let Some(weighing) = self.live.lane(lane).weighing.take() else { return };
        if unit_price != weighing.item.price {
            return self.refuse_line(lane, LineRefusal::ScalePrice, Some(weighing.item.key));
        }
        let piece =
            Piece { weight_g: Some(net.0), tare_g: weighing.tare_g, scale_total: Some(total), ..Piece::at(unit_price) };
        self.add_line(lane, weighing.item, piece);
    }

    fn weigh_again(&mut self, lane: LaneId, scale: &DeviceId, text: (&str, &str)) {
        self.notice_once(lane, false, text);
        self.weigh_later(lane, scale);
    }

    fn weigh_later(&mut self, lane: LaneId, scale: &DeviceId) {
        let due = self.now.mono.plus_ms(WEIGH_AGAIN_MS);
        self.live.lane(lane).weigh_again = Some((scale.clone(), due));
    }

    pub(crate) fn scale_down(&mut self, lane: LaneId, device: &DeviceId) {
        let is_scale = self.config.lane(lane).is_some_and(|lane| lane.scale.as_ref() == Some(device));
        if is_scale {
            self.give_up_weighing(lane);
        }
    }

    pub(crate) fn weigh_tick(&mut self, lane: LaneId) {
        let now = self.now.mono;
        let live = self.live.lane(lane);
        if let Some((device, _)) = live.weigh_again.take_if(|(_, due)| *due <= now)
            && let Some(weighing) = &live.weighing
        {
            self.out.effects.push(Effect::Device { device, command: weighing.ask() });
        }
        if self.live.lane(lane).weighing.as_ref().is_some_and(|weighing| weighing.until <= self.now.mono) {
            self.give_up_weighing(lane);
        }
    }

    fn give_up_weighing(&mut self, lane: LaneId) {
        if let Some(weighing) = self.live.lane(lane).weighing.take() {
            self.refuse_line(lane, LineRefusal::NoWeight, Some(weighing.item.key));
        }
    }
}
