//! The words everything else is said in: ids, money, weight, time, private values.

use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};

/// An amount in minor units of the store's currency (cents, 分). Never a float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(pub i64);

impl Money {
    pub const ZERO: Self = Self(0);

    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// Sum that stops at the end of the scale: no input a shop can produce reaches it, and a wrapped total would be a wrong price.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    #[must_use]
    pub const fn times(self, n: i64) -> Self {
        Self(self.0.saturating_mul(n))
    }

    /// `self · numerator / denominator`, rounded half away from zero; zero for a zero denominator.
    #[must_use]
    pub fn ratio(self, numerator: i64, denominator: i64) -> Self {
        if denominator == 0 {
            return Self::ZERO;
        }
        let product = i128::from(self.0).saturating_mul(i128::from(numerator));
        let half = i128::from(denominator.unsigned_abs()) / 2;
        let away = if (product < 0) == (denominator < 0) { half } else { -half };
        let signed = if denominator < 0 { -away } else { away };
        let rounded = product.saturating_add(signed) / i128::from(denominator);
        Self(i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX }))
    }
}

impl core::iter::Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

/// A weight in grams. Only a stable reading becomes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grams(pub u32);

/// Milliseconds since boot, never going back: deadlines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mono(pub u64);

impl Mono {
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// Milliseconds since 1970 as the box believes; may jump: what events are stamped with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Utc(pub i64);

/// Minutes since 1970-01-01 00:00 on the store's own wall clock: what price changes, time windows and opening hours are said in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LocalMinute(pub i64);

/// The clocks, read once per turn by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    pub mono: Mono,
    pub utc: Utc,
    /// Minutes east of UTC the store's clock shows at this moment: the caller knows the time zone's rules, the core does not.
    pub offset_min: i32,
}

impl Now {
    #[must_use]
    pub fn local(self) -> LocalMinute {
        LocalMinute(self.utc.0.div_euclid(60_000).saturating_add(i64::from(self.offset_min)))
    }
}

macro_rules! text_id {
    ($(#[$doc:meta] $name:ident;)*) => {$(
        #[$doc]
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }
    )*};
}

text_id! {
    /// What the configuration calls a device, unique in the store.
    DeviceId;
    /// Born at the first scan, kept for ever, unique across the fleet.
    TransactionId;
    /// One payment attempt; never used for another amount.
    TenderId;
    /// Opaque: says nothing about a person.
    MemberId;
    /// Who answered at the till, by staff number.
    StaffId;
    /// Which price book priced a line.
    PriceBook;
    /// What an item is priced by: a GTIN-14 without its leading zeros, or a PLU.
    ItemKey;
}

macro_rules! number_id {
    ($(#[$doc:meta] $name:ident($of:ty);)*) => {$(
        #[$doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $of);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}

number_id! {
    /// A point of service.
    LaneId(u16);
    /// A line of a transaction, counted from 1, never reused.
    LineNo(u32);
    /// Gapless per lane.
    ReceiptNo(u64);
    /// One try of the camera to recognise a shopper; late answers of older tries are ignored by it.
    Attempt(u64);
    /// A page's question; its answer carries the same number.
    RequestId(u64);
}

/// A value that must not be seen in logs: prints as `***`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Private<T>(pub T);

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<T> fmt::Display for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// At most the first six and last four digits of a card number (PCI DSS 3.4), the rest stars. Cannot hold more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TruncatedPan(String);

impl TruncatedPan {
    /// Keeps what may be kept of `digits`; anything that is not a digit counts as already masked.
    #[must_use]
    pub fn of(digits: &str) -> Self {
        let length = digits.chars().count();
        let shown = |index: usize| index + 4 >= length || (index < 6 && length >= 13);
        Self(
            digits
                .chars()
                .enumerate()
                .map(|(index, c)| if c.is_ascii_digit() && shown(index) { c } else { '*' })
                .collect(),
        )
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text in the two languages every page and receipt speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    pub zh: String,
    pub en: String,
}

/// What a person of the staff may do; each may do what those before may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    #[default]
    Cashier,
    Supervisor,
    Manager,
}

impl Role {
    #[must_use]
    pub fn is_cashier(&self) -> bool {
        *self == Self::Cashier
    }
}

/// What a page or receipt is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    #[default]
    Zh,
    En,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn ratio_rounds_half_away_from_zero() {
        assert_eq!(Money(5).ratio(1, 2), Money(3));
        assert_eq!(Money(-5).ratio(1, 2), Money(-3));
        assert_eq!(Money(4).ratio(1, 3), Money(1));
        assert_eq!(Money(-4).ratio(1, -3), Money(1));
        assert_eq!(Money(7).ratio(1, 0), Money::ZERO);
    }

    #[test]
    fn a_card_number_is_truncated_and_private_values_do_not_print() {
        assert_eq!(TruncatedPan::of("4111111111111111").as_str(), "411111******1111");
        assert_eq!(TruncatedPan::of("123456789").as_str(), "*****6789");
        assert_eq!(format!("{:?} {}", Private(42), Private("x")), "*** ***");
    }
}
