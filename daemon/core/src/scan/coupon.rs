//! What stands in North American coupon codes: AI 8110 and AI 8112.

use super::digits::all_digits;

/// Fields one after another, most behind a digit that says how long they are.
struct Fields<'a> {
    rest: &'a str,
}

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a str> {
        let (field, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(field)
    }

    /// One digit that must be among `known`.
    fn digit(&mut self, known: &str) -> Option<usize> {
        self.take(1).filter(|digit| known.contains(*digit))?.parse().ok()
    }

    /// A digit among `known`, and behind it a field as long as it says and `more`.
    fn sized(&mut self, known: &str, more: usize) -> Option<&'a str> {
        let length = self.digit(known)?;
        self.take(length + more)
    }

    /// What must be bought: a value, the code of what it counts, and the family of goods.
    fn purchase(&mut self) -> Option<()> {
        self.sized("12345", 0)?;
        self.digit("012349")?;
        self.take(3).map(drop)
    }

    /// A company prefix; 9: the same as the first one.
    fn another_company(&mut self) -> Option<()> {
        match self.digit("01234569")? {
            9 => Some(()),
            length => self.take(length + 6).map(drop),
        }
    }

    fn date(&mut self) -> Option<&'a str> {
        self.take(6).filter(|date| super::lint::passes("yymmdd", date))
    }

    /// The optional field `number` is next.
    fn next_is(&mut self, number: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(number) else {
            return false;
        };
        self.rest = rest;
        true
    }
}

/// AI 8110 (North American Coupon Application Guideline).
pub(crate) fn north_american(data: &str) -> bool {
    all_digits(data) && north_american_fields(&mut Fields { rest: data }).is_some()
}

fn north_american_fields(fields: &mut Fields<'_>) -> Option<()> {
    fields.sized("0123456", 6)?;
    fields.take(6)?;
    fields.sized("12345", 0)?;
    fields.purchase()?;
    if fields.next_is("1") {
        fields.digit("0123")?;
        fields.purchase()?;
        fields.another_company()?;
    }
    if fields.next_is("2") {
        fields.purchase()?;
        fields.another_company()?;
    }
    let ends = if fields.next_is("3") { Some(fields.date()?) } else { None };
    let begins = if fields.next_is("4") { Some(fields.date()?) } else { None };
    if begins.zip(ends).is_some_and(|(begins, ends)| ends < begins) {
        return None;
    }
    if fields.next_is("5") {
        fields.sized("0123456789", 6)?;
    }
    if fields.next_is("6") {
        fields.sized("1234567", 6)?;
    }
    if fields.next_is("9") {
        fields.digit("01256")?;
        fields.digit("012")?;
        fields.take(1)?;
        fields.digit("01")?;
    }
    fields.rest.is_empty().then_some(())
}

/// AI 8112 (GS1 AI (8112) Coupon Data Specification).
pub(crate) fn positive_offer(data: &str) -> bool {
    all_digits(data) && positive_offer_fields(&mut Fields { rest: data }).is_some()
}

fn positive_offer_fields(fields: &mut Fields<'_>) -> Option<()> {
    fields.digit("01")?;
    fields.sized("0123456", 6)?;
    fields.take(6)?;
    fields.sized("0123456789", 6)?;
    fields.rest.is_empty().then_some(())
}
