//! Dates in codes, and the store's own date.

use crate::words::LocalMinute;

/// Minutes of a day.
const DAY: i64 = 1440;

pub(crate) const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar.
pub(crate) const fn day_number(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March, so that the leap day is the last; 400 of them have 146 097 days.
    let year = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The year in which day `number` lies, from 1970 on.
pub(crate) const fn year_of(number: i64) -> i64 {
    let mut year = 1970 + number.div_euclid(366);
    while day_number(year + 1, 1, 1) <= number {
        year += 1;
    }
    year
}

/// Day on which the store's clock stands; a clock far outside any shop's life counts as its end.
pub(crate) fn today(now: LocalMinute) -> i64 {
    now.0.div_euclid(DAY).clamp(0, 3_000_000)
}

/// The four-digit year that two digits mean (GS1 General Specifications 7.12): at most 49 years back, 50 ahead.
pub(crate) const fn full_year(two_digits: i64, this_year: i64) -> i64 {
    let century = this_year - this_year.rem_euclid(100);
    match two_digits - this_year.rem_euclid(100) {
        51.. => century - 100 + two_digits,
        ..=-50 => century + 100 + two_digits,
        _ => century + two_digits,
    }
}

/// Day number of `YYMMDD`; day 00 is the last of the month. `None`: no date.
pub(crate) fn day_of(yymmdd: &str, now: LocalMinute) -> Option<i64> {
    let part = |from: usize, to: usize| -> Option<i64> { yymmdd.get(from..to)?.parse().ok() };
    let (month, day) = (part(2, 4)?, part(4, 6)?);
    let year = full_year(part(0, 2)?, year_of(today(now)));
    let last = days_in_month(year, month);
    ((1..=12).contains(&month) && day <= last && yymmdd.len() == 6)
        .then(|| day_number(year, month, if day == 0 { last } else { day }))
}

/// The store's minute of `YYMMDDhhmm`, as AI 7003 has it.
pub(crate) fn minute_of(yymmddhhmm: &str, now: LocalMinute) -> Option<LocalMinute> {
    let (date, time) = yymmddhhmm.split_at_checked(6)?;
    let (hours, minutes) = time.split_at_checked(2)?;
    Some(LocalMinute(day_of(date, now)? * DAY + hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon(year: i64, month: i64, day: i64) -> LocalMinute {
        LocalMinute(day_number(year, month, day) * DAY + 720)
    }

    #[test]
    fn days_are_numbered_from_1970_through_leap_years() {
        assert_eq!(day_number(1970, 1, 1), 0);
        assert_eq!(day_number(2000, 3, 1), 11_017);
        assert_eq!(day_number(2024, 2, 29) + 1, day_number(2024, 3, 1));
        assert_eq!(day_number(1969, 12, 31), -1);
        let mut number = -1;
        for year in 1970..2400 {
            for month in 1..=12 {
                for day in 1..=days_in_month(year, month) {
                    number += 1;
                    assert_eq!((day_number(year, month, day), year_of(number)), (number, year));
                }
            }
        }
    }

    #[test]
    fn two_digits_of_a_year_mean_one_at_most_49_back_or_50_ahead() {
        for this in 1951..2300 {
            for two in 0..100 {
                let year = full_year(two, this);
                assert_eq!(year.rem_euclid(100), two);
                assert!((-49..=50).contains(&(year - this)), "{two} in {this}: {year}");
            }
        }
    }

    #[test]
    fn day_00_is_the_last_of_the_month() {
        let now = noon(2026, 11, 22);
        assert_eq!(day_of("280200", now), Some(day_number(2028, 2, 29)));
        assert_eq!(day_of("270200", now), Some(day_number(2027, 2, 28)));
        assert_eq!(day_of("261122", now), Some(today(now)));
        assert_eq!(day_of("261131", now), None);
        assert_eq!(day_of("261301", now), None);
        assert_eq!(minute_of("2611221200", now), Some(now));
    }
}
