//! What the shop has of a member, told to that member: who may ask for it, and its way to paper.
//!
//! The store only says yes or no and writes down that it did. What there is to tell stands in the journal and among the members,
//! so the page port gathers it.

use super::MemberEvent;
use crate::device::Document;
use crate::event::Event;
use crate::page::Refused;
use crate::receipt::SlipRow;
use crate::turn::Turn;
use crate::words::{LaneId, Name, StaffId};
use alloc::vec::Vec;

/// Rows that fit a paper nobody has to cut twice.
const ROWS_MAX: usize = 120;

impl Turn<'_> {
    /// Only to whoever showed the code: a face is no signature, and others know a telephone number, too.
    pub(crate) fn show_data(&mut self, lane: LaneId, staff: Option<StaffId>) -> Result<(), Refused> {
        let member = self.member_by_code(lane)?;
        self.record(Some(lane), Event::Member(MemberEvent::DataShown { member: member.clone(), staff }));
        self.live.lane(lane).shown_data = Some(member);
        Ok(())
    }

    /// The same on paper, as the page port has written it.
    pub(crate) fn print_data(&mut self, lane: LaneId, mut rows: Vec<SlipRow>) -> Result<(), Refused> {
        let member = self.member_by_code(lane)?;
        if self.live.lane(lane).shown_data.as_ref() != Some(&member) {
            return Err(Refused::NothingHere);
        }
        let printer = self.config.lane(lane).and_then(|lane| lane.printer.clone());
        if !printer.is_some_and(|printer| self.live.device(&printer).up) {
            return Err(Refused::NoPrinter);
        }
        rows.truncate(ROWS_MAX);
        let title = Name { zh: "我的数据".into(), en: "My data".into() };
        let slip = self.slip(lane, "my-data", title, rows, None);
        self.print(lane, Document::Slip(slip), false);
        Ok(())
    }
}
