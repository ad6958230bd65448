//! What time it is: in the world, since the start, and on the wall of the store.

use checkout::words::{Mono, Now, Utc};
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Deserializer};
use std::cell::Cell;
use std::time::{Instant, SystemTime};

/// Where the store's clock hangs.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    /// `Europe/Zurich`: the system's rules, which its updates keep; those built in where the system has none.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let found = jiff::tz::db().get(name).or_else(|_| TimeZoneDatabase::bundled().get(name));
        found.ok().map(Self)
    }

    /// The same distance from UTC all year.
    #[must_use]
    pub fn fixed(offset_min: i32) -> Option<Self> {
        let offset = jiff::tz::Offset::from_seconds(offset_min.checked_mul(60)?).ok()?;
        Some(Self(TimeZone::fixed(offset)))
    }

    /// Minutes east of UTC at `utc`, and until when.
    #[must_use]
    pub fn at(&self, utc: Utc) -> (i32, Utc) {
        let now = Timestamp::from_millisecond(utc.0).unwrap_or(Timestamp::MAX);
        let until = self.0.following(now).next().map_or(i64::MAX, |change| change.timestamp().as_millisecond());
        (self.0.to_offset(now).seconds().div_euclid(60), Utc(until))
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let unknown = || serde::de::Error::custom(format!("there is no time zone {name:?}; write it as Europe/Zurich"));
        Self::named(&name).ok_or_else(unknown)
    }
}

/// The clocks of one process.
#[derive(Debug)]
pub struct Clock {
    zone: Zone,
    started: Instant,
    /// The offset last worked out, and from when until when it holds.
    known: Cell<(i64, i64, i32)>,
    /// What time it was at headquarters, and when that was said.
    told: Option<(Utc, Instant)>,
}

impl Clock {
    #[must_use]
    pub fn new(zone: Zone) -> Self {
        Self { zone, started: Instant::now(), known: Cell::new((0, 0, 0)), told: None }
    }

    /// Headquarters says what time it is.
    pub fn told(&mut self, utc: Utc) {
        self.told = Some((utc, Instant::now()));
    }

    /// Why the wall clock is not to be believed; `latest`: of the events recorded while it was.
    #[must_use]
    pub fn doubt(&self, latest: Utc) -> Option<&'static str> {
        let at_hq = self
            .told
            .map(|(utc, heard)| utc.0.saturating_add(i64::try_from(heard.elapsed().as_millis()).unwrap_or(i64::MAX)));
        judge(wall(), latest, at_hq.map(Utc))
    }

    #[must_use]
    pub fn now(&self) -> Now {
        let mono = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let utc = utc();
        Now { mono: Mono(mono), utc, offset_min: self.offset_min(utc) }
    }

    /// Rules are asked once between two changes of the clock, and again when time falls back.
    fn offset_min(&self, utc: Utc) -> i32 {
        let (from, until, offset_min) = self.known.get();
        if (from..until).contains(&utc.0) {
            return offset_min;
        }
        let (offset_min, until) = self.zone.at(utc);
        self.known.set((utc.0, until.0, offset_min));
        offset_min
    }
}

/// What the wall clock says, and no less than when this program was built.
#[must_use]
pub fn utc() -> Utc {
    wall().max(BUILT)
}

fn wall() -> Utc {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Utc(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// When this program was built.
pub const BUILT: Utc = Utc(seconds(env!("AISLE_BUILT")).saturating_mul(1000));

const fn seconds(digits: &str) -> i64 {
    let (mut seconds, mut at) = (0_i64, 0);
    let digits = digits.as_bytes();
    while at < digits.len() {
        seconds = seconds * 10 + (digits[at] - b'0') as i64;
        at += 1;
    }
    seconds
}

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// A clock and headquarters' may differ by as much as messages wait, and some more.
const APART_MS: i64 = 5 * MINUTE_MS;
/// A shop may be closed for so long, and a box lie on a shelf before its first day.
const CLOSED_MS: i64 = 400 * DAY_MS;
const SHELF_MS: i64 = 5 * 365 * DAY_MS;

/// Headquarters' word, where there is one, settles it; else the time must be possible.
fn judge(wall: Utc, latest: Utc, at_hq: Option<Utc>) -> Option<&'static str> {
    if let Some(at_hq) = at_hq {
        return (wall.0.saturating_sub(at_hq.0).saturating_abs() > APART_MS)
            .then_some("headquarters' clock says another time");
    }
    let longest = if latest > Utc(0) { CLOSED_MS } else { SHELF_MS };
    if wall < BUILT {
        Some("the clock stands before the day this program was built")
    } else if wall.0 < latest.0.saturating_sub(MINUTE_MS) {
        Some("the clock stands before the last event")
    } else if wall.0 > latest.max(BUILT).0.saturating_add(longest) {
        Some("the clock stands more than a year after the last event")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    /// 2026-03-29 01:00 UTC and 2026-10-25 01:00 UTC: Europe changes its clocks.
    const SPRING: i64 = 1_774_746_000_000;
    const AUTUMN: i64 = 1_792_890_000_000;

    #[test]
    fn the_wall_clock_jumps_when_the_zone_says_so_and_not_a_millisecond_sooner() {
        let clock = Clock::new(Zone::named("Europe/Zurich").unwrap());
        for (utc, offset_min) in [
            (SPRING - 24 * HOUR, 60),
            (SPRING - 1, 60),
            (SPRING, 120),
            (SPRING + 1, 120),
            (AUTUMN - 1, 120),
            (AUTUMN, 60),
            (AUTUMN + 200 * 24 * HOUR, 120),
            // The box's clock falls back across both.
            (AUTUMN - 1, 120),
            (SPRING - 1, 60),
        ] {
            assert_eq!(clock.offset_min(Utc(utc)), offset_min, "{utc}");
        }
    }

    #[test]
    fn the_local_minute_skips_an_hour_in_spring_and_repeats_one_in_autumn() {
        let clock = Clock::new(Zone::named("Europe/Zurich").unwrap());
        let minute_of_day = |utc: i64| {
            let utc = Utc(utc);
            let now = Now { mono: Mono(0), utc, offset_min: clock.offset_min(utc) };
            now.local().0.rem_euclid(24 * 60)
        };
        assert_eq!((minute_of_day(SPRING - 60_000), minute_of_day(SPRING)), (119, 180));
        assert_eq!((minute_of_day(AUTUMN - 60_000), minute_of_day(AUTUMN)), (179, 120));
    }

    #[test]
    fn a_clock_in_1970_or_ten_years_off_is_doubted_until_it_is_possible_again_or_headquarters_says_so() {
        let year = 365 * DAY_MS;
        let now = BUILT.0 + 30 * DAY_MS;
        for (wall, latest, at_hq, doubted) in [
            (now, 0, None, false),
            (now, now - DAY_MS, None, false),
            (0, 0, None, true),
            (0, now, None, true),
            (BUILT.0 - 1, 0, None, true),
            (now - 10 * year, now, None, true),
            (now + 10 * year, now, None, true),
            (now + 10 * year, 0, None, true),
            // Summer holidays, and a clock set back by a second.
            (now + 40 * DAY_MS, now, None, false),
            (now - 1000, now, None, false),
            // An hour wrong is possible, and told by headquarters alone; what it says of a long rest counts, too.
            (now + 3_600_000, now, Some(now), true),
            (now + 3 * year, now, Some(now + 3 * year), false),
        ] {
            assert_eq!(judge(Utc(wall), Utc(latest), at_hq.map(Utc)).is_some(), doubted, "{wall} after {latest}");
        }
    }

    #[test]
    fn no_event_is_dated_before_the_program_was_built() {
        assert!(BUILT > Utc(1_790_000_000_000 - 20 * 365 * DAY_MS) && utc() >= BUILT);
    }

    #[test]
    fn a_fixed_offset_never_changes_and_names_are_told_from_mistakes() {
        let zone = Zone::fixed(480).unwrap();
        assert_eq!(zone.at(Utc(SPRING)), (480, Utc(i64::MAX)));
        assert_eq!(Zone::named("Asia/Shanghai").unwrap().at(Utc(SPRING)).0, 480);
        assert!(Zone::named("Europe/Zürich").is_none() && Zone::fixed(100_000).is_none());
        // A box without /usr/share/zoneinfo knows them all the same.
        assert!(TimeZoneDatabase::bundled().get("Europe/Zurich").is_ok());
    }
}
