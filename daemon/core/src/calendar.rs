//! Dates on the store's wall clock, as people write them: `2026-11-21T17:30`. The core has no clock; it only reads and compares.

use crate::words::LocalMinute;
use alloc::string::String;
use serde::{Deserialize, Serialize};

const DAY_MIN: i64 = 24 * 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// `17:00-19:00`: the first minute it holds and the first it does not. `22:00-02:00` runs over midnight and belongs to the day it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    from_min: u16,
    to_min: u16,
}

impl Hours {
    /// The day the window that holds at `at` began, as days since 1970.
    #[must_use]
    pub fn day(self, at: LocalMinute) -> Option<i64> {
        let (day, minute) = (at.0.div_euclid(DAY_MIN), at.0.rem_euclid(DAY_MIN));
        let (from, to) = (i64::from(self.from_min), i64::from(self.to_min));
        if from < to {
            return (from <= minute && minute < to).then_some(day);
        }
        if minute >= from {
            return Some(day);
        }
        (minute < to).then(|| day.saturating_sub(1))
    }
}

impl TryFrom<String> for Hours {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "hours are written like 17:00-19:00";
        let (from, to) = text.split_once('-').ok_or(WRONG)?;
        let (from_min, to_min) = (clock(from).ok_or(WRONG)?, clock(to).ok_or(WRONG)?);
        Ok(Self { from_min, to_min })
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> Self {
        let (from, to) = (hours.from_min, hours.to_min);
        alloc::format!("{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

#[must_use]
pub fn day_of(at: LocalMinute) -> i64 {
    at.0.div_euclid(DAY_MIN)
}

/// 1970-01-01 was a Thursday.
#[must_use]
pub fn weekday(day: i64) -> Weekday {
    use Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
    match day.rem_euclid(7) {
        0 => Thu,
        1 => Fri,
        2 => Sat,
        3 => Sun,
        4 => Mon,
        5 => Tue,
        _ => Wed,
    }
}

/// Reads `2026-11-21T17:30`; a date alone is its first minute.
#[must_use]
pub fn read(text: &str) -> Option<LocalMinute> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let mut parts = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let days = days(year, month, day);
    let whole = parts.next().is_none() && civil(days) == (year, month, day);
    let minute = clock(time).filter(|minute| i64::from(*minute) < DAY_MIN)?;
    whole.then(|| LocalMinute(days.saturating_mul(DAY_MIN).saturating_add(i64::from(minute))))
}

#[must_use]
pub fn write(at: LocalMinute) -> String {
    let (year, month, day) = civil(day_of(at));
    let minute = at.0.rem_euclid(DAY_MIN);
    alloc::format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}", minute / 60, minute % 60)
}

/// `17:30`, up to `24:00`, as minutes.
fn clock(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
    (minute < 60 && (hour < 24 || (hour == 24 && minute == 0))).then(|| hour.saturating_mul(60).saturating_add(minute))
}

/// Days since 1970 of a date of the Gregorian calendar, counted in eras of 400 years that start in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    if !(-9999..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return i64::MIN;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(719_468);
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year.saturating_add(era.saturating_mul(400)) + i64::from(month <= 2), month, day)
}

/// A minute as text in rows people write.
pub mod minute {
    use super::{LocalMinute, read, write};
    use alloc::string::String;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    /// # Errors
    /// Where the serializer fails.
    pub fn serialize<S: Serializer>(at: &LocalMinute, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write(*at))
    }

    /// # Errors
    /// What is no date and time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LocalMinute, D::Error> {
        let text = String::deserialize(deserializer)?;
        read(&text).ok_or_else(|| D::Error::custom("a time is written like 2026-11-21T17:30"))
    }
}

/// The same where there may be none.
pub mod minute_if {
    use super::{LocalMinute, minute};
    use serde::{Deserializer, Serializer};

    /// # Errors
    /// Where the serializer fails.
    pub fn serialize<S: Serializer>(at: &Option<LocalMinute>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => minute::serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// # Errors
    /// What is no date and time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LocalMinute>, D::Error> {
        minute::deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_read_and_written_as_people_write_it() {
        for text in ["1970-01-01T00:00", "2000-02-29T23:59", "2026-11-21T17:30", "1969-12-31T23:59"] {
            assert_eq!(write(read(text).unwrap()), text);
        }
        assert_eq!(read("2026-11-21"), read("2026-11-21T00:00"));
        for wrong in ["2026-02-29", "2026-13-01", "2026-1-1T24:00", "soon", "2026-11-21T7", "1-2-3-4"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(weekday(day_of(read("2026-11-21").unwrap())), Weekday::Sat);
        assert_eq!(weekday(day_of(read("1969-12-31").unwrap())), Weekday::Wed);
    }

    #[test]
    fn hours_over_midnight_belong_to_the_day_they_began() {
        let late = Hours::try_from(String::from("22:00-02:00")).unwrap();
        let saturday = day_of(read("2026-11-21").unwrap());
        assert_eq!(late.day(read("2026-11-22T01:59").unwrap()), Some(saturday));
        assert_eq!(late.day(read("2026-11-22T02:00").unwrap()), None);
        assert_eq!(late.day(read("2026-11-22T22:00").unwrap()), Some(saturday + 1));
        assert_eq!(String::from(late), "22:00-02:00");
    }
}
