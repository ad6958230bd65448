//! The books of the day, kept in plain integers by whoever pressed the keys: they know what was done, and nothing of how the
//! core adds it up. What goods cost, what comes off and who gets which points is worked out here a second time, by hand.

use super::goods::{
    BREAD, CHARGER, CHEESE, COLA, DEPOSIT, EMPTY, FORMULA, HAM, JUICE, MILK, NOODLES, PEARS, PHONE, SPIRITS, TEA, WATER,
};
use checkout::totals::Totals;
use checkout::words::Money;
use std::collections::BTreeMap;

pub const CASH: usize = 0;
pub const CARD: usize = 1;
pub const WALLET: usize = 2;
pub const POINTS: usize = 3;

/// Sums of a lane, a shift or a day.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Books {
    pub sales: i64,
    pub total: i64,
    pub gross: i64,
    pub discount: i64,
    pub returned: i64,
    pub returns: i64,
    pub rounding: i64,
    pub members: i64,
    /// Rate → net and tax.
    pub taxes: BTreeMap<i64, (i64, i64)>,
    pub taken: [i64; 4],
    pub refunded: [i64; 4],
    /// How many, and what they were worth.
    pub voids: (i64, i64),
    pub line_voids: (i64, i64),
    pub float: i64,
    pub paid_in: i64,
    pub paid_out: i64,
    pub dropped: i64,
    pub opened: i64,
}

impl Books {
    /// What the drawer must hold.
    pub fn drawer(&self) -> i64 {
        self.float + self.taken[CASH] - self.refunded[CASH] + self.paid_in - self.paid_out - self.dropped
    }

    pub fn sold(&mut self, basket: &Basket, paid: &[Paid], rounding: i64) {
        self.sales += 1;
        self.total += basket.worth();
        self.rounding += rounding;
        self.members += i64::from(basket.member.is_some());
        self.returns += i64::from(basket.rows.iter().any(|row| row.gross() < 0));
        let mut rates: BTreeMap<i64, i64> = BTreeMap::new();
        for (row, discount) in basket.rows.iter().zip(basket.discounts()) {
            *rates.entry(row.rate()).or_default() += row.gross() - discount;
            if row.gross() < 0 {
                self.returned -= row.gross();
            } else {
                self.gross += row.gross();
                self.discount += discount;
            }
        }
        for (rate, gross) in rates {
            let tax = half_away(gross * rate, 10_000 + rate);
            let sum = self.taxes.entry(rate).or_default();
            *sum = (sum.0 + gross - tax, sum.1 + tax);
        }
        for paid in paid {
            let side = if paid.amount < 0 { &mut self.refunded } else { &mut self.taken };
            side[paid.kind] += paid.amount.abs();
        }
    }

    pub fn agrees(&self, z: &Totals, whose: &str) {
        let of = |money: Money| money.0;
        let count = |n: u64| i64::try_from(n).expect("small");
        assert_eq!((count(z.sales), of(z.total)), (self.sales, self.total), "{whose}: sales");
        assert_eq!((of(z.gross), of(z.discount)), (self.gross, self.discount), "{whose}: gross and discounts");
        assert_eq!((of(z.returned), count(z.returns)), (self.returned, self.returns), "{whose}: returns");
        assert_eq!((of(z.rounding), count(z.members)), (self.rounding, self.members), "{whose}: rounding, members");
        let net: Vec<i64> = (0..4).map(|kind| self.taken[kind] - self.refunded[kind]).collect();
        assert_eq!([z.cash, z.card, z.wallet, z.points].map(of).to_vec(), net, "{whose}: tenders");
        let refunded = [z.refunded.cash, z.refunded.card, z.refunded.wallet, z.refunded.points].map(of);
        assert_eq!(refunded, self.refunded, "{whose}: refunds");
        let taxes: BTreeMap<i64, (i64, i64)> =
            z.taxes.iter().map(|tax| (i64::from(tax.rate_bp), (of(tax.net), of(tax.tax)))).collect();
        assert_eq!(taxes, self.taxes, "{whose}: taxes");
        assert_eq!((count(z.voids.baskets), of(z.voids.baskets_worth)), self.voids, "{whose}: voids");
        assert_eq!((count(z.voids.lines), of(z.voids.lines_worth)), self.line_voids, "{whose}: line voids");
        let drawer = (of(z.drawer.paid_in), of(z.drawer.paid_out), of(z.drawer.dropped), count(z.drawer.opened));
        assert_eq!(drawer, (self.paid_in, self.paid_out, self.dropped, self.opened), "{whose}: drawer");
        assert_eq!(of(z.drawer.float), self.float, "{whose}: float");
        assert_eq!(net.iter().sum::<i64>(), self.total + self.rounding, "{whose}: what was sold was paid");
    }
}

/// Money, to the shopper where it is negative; of points how many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paid {
    pub kind: usize,
    pub amount: i64,
    pub points: i64,
}

/// One row of somebody's basket, as they would write it down.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub what: &'static str,
    pub pieces: i64,
    pub grams: i64,
    /// Per piece, or per kilogram.
    pub unit: i64,
    /// What the scale said it comes to.
    pub legal: Option<i64>,
    /// Staff set the price.
    pub by_hand: bool,
    pub back: Option<Back>,
}

/// Goods brought back: what the shopper gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Back {
    pub amount: i64,
    pub receipt: bool,
}

/// Price on the shelf; prices and books change while the day goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shelved {
    pub after_noon: bool,
    pub book: usize,
}

impl Shelved {
    pub fn price(self, what: &str) -> i64 {
        match what {
            COLA if self.book == 1 => 350,
            COLA => 360,
            NOODLES => 300,
            SPIRITS => 12_800,
            PEARS => 798,
            WATER => 200,
            DEPOSIT | EMPTY => 25,
            PHONE => 99_900,
            CHARGER => 5_900,
            TEA if self.after_noon => 990,
            TEA => 1_290,
            JUICE => 600,
            BREAD => 500,
            CHEESE => 1_500,
            FORMULA => 19_800,
            MILK => 890,
            HAM => 2_590,
            other => panic!("{other} has no price of its own"),
        }
    }
}

impl Row {
    pub fn of(what: &'static str, unit: i64) -> Self {
        Self { what, pieces: 1, grams: 0, unit, legal: None, by_hand: false, back: None }
    }

    fn rate(&self) -> i64 {
        match self.what {
            COLA | NOODLES | SPIRITS | WATER | DEPOSIT | EMPTY | PHONE | CHARGER | JUICE | FORMULA => 1_300,
            _ => 900,
        }
    }

    pub fn gross(&self) -> i64 {
        match (self.back, self.what) {
            (Some(back), _) => -back.amount,
            (None, EMPTY) => -self.unit * self.pieces,
            (None, _) if self.grams > 0 => self.legal.unwrap_or_else(|| half_away(self.unit * self.grams, 1_000)),
            (None, _) => self.unit * self.pieces,
        }
    }

    pub fn is_goods(&self) -> bool {
        self.back.is_none() && !matches!(self.what, DEPOSIT | EMPTY)
    }

    /// Promotions may touch it.
    fn is_open(&self) -> bool {
        self.is_goods() && !self.by_hand
    }
}

/// Who shops, as the members dataset in force says: level, and what of the juice was used before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shopper {
    pub index: usize,
    pub gold: bool,
    pub juice_used: i64,
}

impl Shopper {
    /// Of so many pieces of juice those that cost less: thirty for each member, wherever they were sold.
    fn juice(&self, pieces: i64) -> i64 {
        pieces.min(30 - self.juice_used).max(0)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Basket {
    pub rows: Vec<Row>,
    pub member: Option<Shopper>,
    /// Coupons shown: serials of cola ones, and the code of one for the next visit.
    pub colas: Vec<String>,
    pub next: Option<String>,
    pub online: bool,
    /// Promotions in force when it last changed.
    pub promotions: usize,
}

impl Basket {
    /// What comes off a row by itself.
    fn alone(&self, row: &Row) -> i64 {
        let n = row.pieces;
        if !row.is_open() {
            return 0;
        }
        match (row.what, self.member) {
            // Three for eight; members never take more than two in this story, at their own price.
            (NOODLES, Some(shopper)) => n * if shopper.gold { 30 } else { 20 },
            (NOODLES, None) => 100 * (n / 3),
            (WATER, _) if n >= 6 => 20 * n,
            (TEA, _) if self.promotions == 1 => (n / 2) * half_away(row.unit, 2),
            (TEA, _) => half_away(row.unit * n, 10),
            (JUICE, Some(shopper)) => 150 * shopper.juice(n),
            (BREAD, _) if self.online => 100 * n,
            (COLA, _) => 100 * n.min(i64::try_from(self.colas.len()).expect("few")),
            _ => 0,
        }
    }

    /// What the goods come to before a coupon for the next visit.
    pub fn spent(&self) -> i64 {
        self.rows.iter().filter(|row| row.is_open()).map(|row| row.gross() - self.alone(row)).sum()
    }

    /// Off each row, in order.
    pub fn discounts(&self) -> Vec<i64> {
        let mut off: Vec<i64> = self.rows.iter().map(|row| self.alone(row)).collect();
        if self.next.is_none() || self.spent() < 3_000 {
            return off;
        }
        // Five off, shared by what is left of each: whole units first, then one each to the largest remainders; of equal
        // ones to the dearest goods.
        let left: Vec<i64> = self.rows.iter().zip(&off).map(|(row, off)| row.gross() - off).collect();
        let mut open: Vec<usize> = (0..self.rows.len()).filter(|index| self.rows[*index].is_open()).collect();
        let value = |row: &Row| if row.grams > 0 { row.gross() } else { row.unit };
        open.sort_by(|a, b| {
            let (one, other) = (&self.rows[*a], &self.rows[*b]);
            value(other).cmp(&value(one)).then(one.what.cmp(other.what)).then(other.pieces.cmp(&one.pieces))
        });
        let sum: i64 = open.iter().map(|index| left[*index]).sum();
        let mut rest = 500;
        for index in &open {
            off[*index] += 500 * left[*index] / sum;
            rest -= 500 * left[*index] / sum;
        }
        open.sort_by_key(|index| -(500 * left[*index] % sum));
        for index in open.iter().take(usize::try_from(rest).expect("never below zero")) {
            off[*index] += 1;
        }
        off
    }

    pub fn worth(&self) -> i64 {
        let off: i64 = self.discounts().iter().sum();
        self.rows.iter().map(Row::gross).sum::<i64>() - off
    }

    /// Juice that cost its member less.
    pub fn juice(&self) -> i64 {
        let rows = self.rows.iter().filter(|row| row.what == JUICE && row.is_open());
        self.member.map_or(0, |shopper| rows.map(|row| shopper.juice(row.pieces)).sum())
    }

    /// A point for each whole yuan of goods paid with money, drinks three times for gold; what comes back without a receipt
    /// takes its own off.
    pub fn earns(&self, paid: &[Paid]) -> i64 {
        let Some(shopper) = self.member else { return 0 };
        let weighed = self.rows.iter().zip(self.discounts()).map(|(row, off)| {
            let drink = shopper.gold && row.back.is_none() && matches!(row.what, COLA | WATER);
            let counts = row.is_goods() || row.back.is_some_and(|back| !back.receipt);
            i64::from(counts) * (row.gross() - off) * if drink { 3 } else { 1 }
        });
        let (weighed, worth) = (weighed.sum::<i64>().max(0), self.worth());
        let by_points: i64 =
            paid.iter().filter(|paid| paid.kind == POINTS && paid.amount > 0).map(|paid| paid.amount).sum();
        if by_points == 0 { weighed / 100 } else { weighed * (worth - by_points).max(0) / (100 * worth) }
    }
}

/// A sale as remembered for whoever comes back with its receipt.
pub struct Remembered {
    pub code: String,
    pub rows: Vec<SoldRow>,
    /// Line → pieces and money that came back.
    pub back: BTreeMap<u32, (i64, i64)>,
    pub tenders: Vec<Tender>,
    pub member: Option<usize>,
    pub earned: i64,
}

#[derive(Clone, Debug)]
pub struct SoldRow {
    pub line: u32,
    pub row: Row,
    pub paid: i64,
}

/// What is left of a payment to give back.
pub struct Tender {
    pub kind: usize,
    pub amount: i64,
    pub points: i64,
    pub left: i64,
}

impl Tender {
    /// Points that go with `part` of it; all that came back are exactly those that were burnt.
    pub fn points_of(&self, part: i64) -> i64 {
        let before = self.amount - self.left;
        share(self.points, before + part, self.amount) - share(self.points, before, self.amount)
    }
}

impl Remembered {
    /// Points it earned that go with goods worth so much, on top of what came back before.
    pub fn taken_back(&self, now: i64) -> i64 {
        let goods = || self.rows.iter().filter(|sold| sold.row.is_goods());
        let all: i64 = goods().map(|sold| sold.paid).sum();
        let before: i64 = goods().filter_map(|sold| self.back.get(&sold.line)).map(|(_, money)| money).sum();
        share(self.earned, before + now, all) - share(self.earned, before, all)
    }
}

pub fn share(points: i64, part: i64, whole: i64) -> i64 {
    if whole <= 0 || part >= whole { points } else { half_away(points * part.max(0), whole).min(points) }
}

pub fn half_away(numerator: i64, denominator: i64) -> i64 {
    let whole = (2 * numerator.abs() + denominator) / (2 * denominator);
    if numerator < 0 { -whole } else { whole }
}

/// Points of a member: what there are, and how many were burnt since headquarters last counted.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    pub balance: i64,
    pub burnt: i64,
    pub lease: i64,
}

impl Basket {
    pub const fn empty() -> Self {
        Self { rows: Vec::new(), member: None, colas: Vec::new(), next: None, online: true, promotions: 1 }
    }
}
