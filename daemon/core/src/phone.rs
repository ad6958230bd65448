//! A member found by the number of their telephone, typed at a page: looked up whole, in the members dataset on the box.
//!
//! The number is personal: it stays in the request and in `members.db`, and the journal says only who it found and that it was
//! by number. Others know it too, so it is the weakest way to be known: it gives a member's prices and earns their points, and
//! burns none. No part of a number finds anybody, and after a few that find nobody a lane looks none up for a while, so that a
//! page cannot be used to find out who shops here.

use crate::catalog::Member;
use crate::device::Beep;
use crate::member::IdentifiedBy;
use crate::page::Refused;
use crate::turn::Turn;
use crate::words::{LaneId, Mono};
use alloc::string::String;

/// Shortest and longest number there is, without prefixes a country dials itself by (ITU-T E.164, 6.1).
const DIGITS: core::ops::RangeInclusive<usize> = 7..=15;
/// What a number is looked up by: with or without its country's code it ends in them.
pub const TAIL: usize = 7;
/// Numbers that find nobody, and how long a lane then looks none up.
const MISSES: u8 = 5;
const PAUSE_MS: u64 = 60_000;

/// Why a number was not taken.
pub(crate) const fn words(refused: Refused) -> (&'static str, &'static str) {
    if matches!(refused, Refused::BadPhone) {
        return ("请输入完整的手机号", "Please type the whole telephone number");
    }
    if matches!(refused, Refused::UnknownPhone) {
        return ("没有会员使用这个号码", "No member has this number");
    }
    if matches!(refused, Refused::SharedPhone) {
        return (
            "这个号码对应多位会员，请扫会员码",
            "More than one member has this number, please scan your member code",
        );
    }
    (
        "多次没有找到，请稍后再试或扫会员码",
        "Too many numbers were not found: please wait a minute, or scan your member code",
    )
}

/// Of a lane; lives on after the basket.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lookups {
    misses: u8,
    until: Option<Mono>,
}

/// The digits of a number as people write it: `+49 (0)30 901820`, `138-1234-5678`; `None` for anything else.
#[must_use]
pub fn digits(text: &str) -> Option<String> {
    if !text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '/' | '.' | '(' | ')')) {
        return None;
    }
    // After a country's code the zero that is dialled inside it is left out.
    let text = text.replace("(0)", "");
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    DIGITS.contains(&digits.len()).then(|| digits.into())
}

/// Whether both are one number, where one of them may lack the country's code.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    one.ends_with(other) || other.ends_with(one)
}

/// The end a number is looked up by.
#[must_use]
pub fn tail(digits: &str) -> &str {
    digits.len().checked_sub(TAIL).and_then(|from| digits.get(from..)).unwrap_or(digits)
}

impl Turn<'_> {
    pub(crate) fn member_phone(&mut self, lane: LaneId, number: &str) -> Result<(), Refused> {
        if self.money_moves(lane) {
            return Err(Refused::Paying);
        }
        let now = self.now.mono;
        if self.live.lane(lane).lookups.until.is_some_and(|until| now < until) {
            return Err(Refused::PhoneTooOften);
        }
        let digits = digits(number).ok_or(Refused::BadPhone)?;
        let found = self.catalog.members_by_phone(&digits);
        let [member] = found.as_slice() else {
            self.missed(lane);
            return Err(if found.is_empty() { Refused::UnknownPhone } else { Refused::SharedPhone });
        };
        self.known_by_phone(lane, member);
        Ok(())
    }

    fn known_by_phone(&mut self, lane: LaneId, member: &Member) {
        self.live.lane(lane).lookups = Lookups::default();
        self.identify(lane, member, IdentifiedBy::Phone);
        self.beep(lane, Beep::Good);
    }

    fn missed(&mut self, lane: LaneId) {
        let until = self.now.mono.plus_ms(PAUSE_MS);
        let lookups = &mut self.live.lane(lane).lookups;
        lookups.misses = lookups.misses.saturating_add(1);
        if lookups.misses >= MISSES {
            *lookups = Lookups { misses: 0, until: Some(until) };
        }
        self.beep(lane, Beep::Bad);
    }
}
