//! What goes into a statement and comes out of a row: numbers, text, bytes or nothing, as both databases have them.

use bytes::BytesMut;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use rusqlite::types::{ToSqlOutput, ValueRef};
use std::error::Error;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
    /// Of no type that is kept here.
    Other,
}

impl<'a> Cell<'a> {
    pub(super) fn of(value: ValueRef<'a>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Int(number),
            ValueRef::Text(text) => std::str::from_utf8(text).map_or(Self::Other, Self::Text),
            ValueRef::Blob(bytes) => Self::Blob(bytes),
            ValueRef::Real(_) => Self::Other,
        }
    }
}

pub trait ToCell {
    fn cell(&self) -> Cell<'_>;
}

pub trait FromCell: Sized {
    /// `None`: it is of another type.
    fn from_cell(cell: Cell<'_>) -> Option<Self>;
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl ToCell for $number {
            fn cell(&self) -> Cell<'_> {
                // Both count in `i64`; what does not fit stops at the end of the scale.
                Cell::Int(i64::try_from(*self).unwrap_or(i64::MAX))
            }
        }

        impl FromCell for $number {
            fn from_cell(cell: Cell<'_>) -> Option<Self> {
                let Cell::Int(number) = cell else { return None };
                Self::try_from(number).ok()
            }
        }
    )*};
}
numbers!(i64, i32, usize, u64, u32, u16, u8);

impl ToCell for bool {
    fn cell(&self) -> Cell<'_> {
        Cell::Int(i64::from(*self))
    }
}

impl FromCell for bool {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        let Cell::Int(number) = cell else { return None };
        Some(number != 0)
    }
}

impl ToCell for str {
    fn cell(&self) -> Cell<'_> {
        Cell::Text(self)
    }
}

impl ToCell for String {
    fn cell(&self) -> Cell<'_> {
        Cell::Text(self)
    }
}

impl FromCell for String {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        let Cell::Text(text) = cell else { return None };
        Some(text.to_owned())
    }
}

impl ToCell for [u8] {
    fn cell(&self) -> Cell<'_> {
        Cell::Blob(self)
    }
}

impl ToCell for Vec<u8> {
    fn cell(&self) -> Cell<'_> {
        Cell::Blob(self)
    }
}

impl FromCell for Vec<u8> {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        let Cell::Blob(bytes) = cell else { return None };
        Some(bytes.to_owned())
    }
}

impl<const N: usize> ToCell for [u8; N] {
    fn cell(&self) -> Cell<'_> {
        Cell::Blob(self)
    }
}

impl<const N: usize> FromCell for [u8; N] {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        let Cell::Blob(bytes) = cell else { return None };
        bytes.try_into().ok()
    }
}

impl<T: ToCell + ?Sized> ToCell for &T {
    fn cell(&self) -> Cell<'_> {
        (**self).cell()
    }
}

impl<T: ToCell> ToCell for Option<T> {
    fn cell(&self) -> Cell<'_> {
        self.as_ref().map_or(Cell::Null, ToCell::cell)
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        if cell == Cell::Null { Some(None) } else { T::from_cell(cell).map(Some) }
    }
}

/// One that is kept until the statement is put together.
#[derive(Clone, Debug)]
pub enum Value {
    Int(i64),
    Text(String),
}

impl ToCell for Value {
    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Int(number) => Cell::Int(*number),
            Self::Text(text) => Cell::Text(text),
        }
    }
}

/// What a statement is filled in with.
pub trait Params {
    fn with<R>(&self, then: impl FnOnce(&[Cell<'_>]) -> R) -> R;
}

impl<T: ToCell> Params for &[T] {
    fn with<R>(&self, then: impl FnOnce(&[Cell<'_>]) -> R) -> R {
        then(&self.iter().map(ToCell::cell).collect::<Vec<_>>())
    }
}

impl Params for [&dyn ToCell; 0] {
    fn with<R>(&self, then: impl FnOnce(&[Cell<'_>]) -> R) -> R {
        then(&[])
    }
}

macro_rules! of_one_type {
    ($($count:literal),*) => {$(
        impl<T: ToCell> Params for [T; $count] {
            fn with<R>(&self, then: impl FnOnce(&[Cell<'_>]) -> R) -> R {
                then(&self.each_ref().map(ToCell::cell))
            }
        }
    )*};
}
of_one_type!(1, 2, 3, 4);

impl rusqlite::ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null | Self::Other => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match *self {
            Self::Null | Self::Other => Ok(IsNull::Yes),
            Self::Int(number) => match *ty {
                Type::INT8 => number.to_sql(ty, out),
                Type::INT4 => i32::try_from(number)?.to_sql(ty, out),
                Type::BOOL => (number != 0).to_sql(ty, out),
                _ => Err(format!("a number where the server wants {ty}").into()),
            },
            // PostgreSQL keeps no NUL in text. What a box says must not stop headquarters.
            Self::Text(text) if text.contains('\0') => text.replace('\0', "\u{fffd}").to_sql(ty, out),
            Self::Text(text) if <&str as ToSql>::accepts(ty) => text.to_sql(ty, out),
            Self::Blob(bytes) if *ty == Type::BYTEA => bytes.to_sql(ty, out),
            Self::Text(_) | Self::Blob(_) => Err(format!("text or bytes where the server wants {ty}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(match *ty {
            Type::INT8 => Self::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Self::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT2 => Self::Int(i16::from_sql(ty, raw)?.into()),
            Type::BOOL => Self::Int(bool::from_sql(ty, raw)?.into()),
            Type::NUMERIC => Self::Int(whole(raw).ok_or("a sum that no number here can hold")?),
            Type::BYTEA => Self::Blob(raw),
            _ if <&str as FromSql<'_>>::accepts(ty) => Self::Text(<&str as FromSql<'_>>::from_sql(ty, raw)?),
            _ => Self::Other,
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A sum of `bigint` is `numeric`: digits to the base 10 000, the weight of the first, a sign (`numeric.c`, `numeric_send`).
fn whole(raw: &[u8]) -> Option<i64> {
    let field = |at: usize| Some(i16::from_be_bytes(raw.get(at..at + 2)?.try_into().ok()?));
    let (digits, weight, sign) = (field(0)?, field(2)?, field(4)?);
    let mut sum: i128 = 0;
    for nth in 0..=weight {
        let digit = if nth < digits { field(8 + 2 * usize::try_from(nth).ok()?)? } else { 0 };
        sum = sum.checked_mul(10_000)?.checked_add(digit.into())?;
    }
    let fraction = digits > weight + 1;
    let sum = match sign {
        0 => sum,
        0x4000 => -sum,
        _ => return None,
    };
    i64::try_from(sum).ok().filter(|_| !fraction)
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn sums_are_read_to_the_last_digit() {
        let raw = |fields: &[i16]| fields.iter().flat_map(|field| field.to_be_bytes()).collect::<Vec<u8>>();
        assert_eq!(whole(&raw(&[0, 0, 0, 0])), Some(0));
        assert_eq!(whole(&raw(&[1, 0, 0, 0, 7])), Some(7));
        assert_eq!(whole(&raw(&[1, 1, 0, 0, 7])), Some(70_000));
        assert_eq!(whole(&raw(&[3, 2, 0x4000, 0, 1, 2, 3])), Some(-1_0002_0003));
        assert_eq!(whole(&raw(&[5, 4, 0, 0, 922, 3372, 368, 5477, 5807])), Some(i64::MAX));
        assert_eq!(whole(&raw(&[5, 4, 0, 0, 922, 3372, 368, 5477, 5808])), None);
        assert_eq!(whole(&raw(&[1, -1, 0, 2, 5000])), None, "half of something");
        assert_eq!(whole(&raw(&[0, 0, -0x4000, 0])), None, "not a number");
        assert_eq!(whole(&[0, 1]), None);
    }
}
