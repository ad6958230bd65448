//! A receipt or slip as rows of fixed-width paper.

use super::encode::{Align, Encoder, Size, Weight, columns, gb};
use checkout::device::Document;
use checkout::line::LineKind;
use checkout::receipt::{Receipt, ReceiptCoupon, ReceiptKind, ReceiptLine, Slip};
use checkout::words::{Language, Money, Name, Utc};

/// Puts the document into `paper`, `width` columns wide.
pub(super) fn document(document: &Document, width: usize, paper: &mut Encoder) {
    match document {
        Document::Receipt(receipt) => Page { receipt, width, paper }.all(),
        Document::Slip(one) => slip(one, width, paper),
    }
}

fn slip(slip: &Slip, width: usize, paper: &mut Encoder) {
    let language = slip.language;
    paper.align(Align::Centre).size(Size::Double);
    for row in wrap(said(&slip.title, language), width / 2) {
        paper.line(&row);
    }
    paper.size(Size::Normal);
    marks(slip.training, slip.copy, language, paper);
    paper.line(said(&slip.store, language)).align(Align::Left);
    let lane = if language == Language::Zh { "收银台" } else { "Lane" };
    let head = format!("{lane} {}", slip.lane);
    pair_in(width, &local_time(slip.at, slip.utc_offset_min), &head, paper);
    paper.line(&"-".repeat(width));
    for row in &slip.rows {
        pair_in(width, said(&row.label, language), &row.value, paper);
    }
    if let Some(code) = &slip.code {
        paper.align(Align::Centre).feed(1).qr(code, 6);
        for row in wrap(code, width) {
            paper.line(&row);
        }
        paper.align(Align::Left);
    }
    marks(slip.training, slip.copy, language, paper);
}

/// What nobody may take for a first receipt of a sale.
fn marks(training: bool, copy: bool, language: Language, paper: &mut Encoder) {
    let marks = [
        (training, "*** 培训 TRAINING 非交易 ***", "*** TRAINING, NOT A SALE ***"),
        (copy, "*** 补打 ***", "*** COPY ***"),
    ];
    for (_, zh, en) in marks.into_iter().filter(|(shown, ..)| *shown) {
        let mark = if language == Language::Zh { zh } else { en };
        paper.align(Align::Centre).weight(Weight::Bold).line(mark).weight(Weight::Normal).align(Align::Left);
    }
}

struct Page<'a> {
    receipt: &'a Receipt,
    width: usize,
    paper: &'a mut Encoder,
}

impl Page<'_> {
    fn all(&mut self) {
        self.head();
        self.rule();
        let (item, amount) = (self.say("商品", "Item"), self.say("金额", "Amount"));
        self.pair(item, amount);
        for line in &self.receipt.lines {
            self.line(line);
        }
        self.rule();
        self.totals();
        self.tenders();
        self.taxes();
        self.foot();
    }

    fn say(&self, zh: &'static str, en: &'static str) -> &'static str {
        match self.receipt.language {
            Language::Zh => zh,
            Language::En => en,
        }
    }

    fn head(&mut self) {
        let receipt = self.receipt;
        let store = self.name(&receipt.store);
        self.paper.align(Align::Centre).size(Size::Double);
        for row in wrap(&store, self.width / 2) {
            self.paper.line(&row);
        }
        self.paper.size(Size::Normal);
        let title = match receipt.kind {
            ReceiptKind::Sale => self.say("收银小票", "Receipt"),
            ReceiptKind::Return => self.say("退货小票", "Return"),
            ReceiptKind::Exchange => self.say("换货小票", "Exchange"),
        };
        self.paper.line(title);
        marks(receipt.training, receipt.copy, receipt.language, self.paper);
        self.paper.align(Align::Left);
        let (number, lane) = (self.say("单号", "No."), self.say("收银台", "Lane"));
        self.pair(&format!("{number} {}", receipt.number), &format!("{lane} {}", receipt.lane));
        let at = local_time(receipt.at, receipt.utc_offset_min);
        self.paper.line(&at);
    }

    fn line(&mut self, line: &ReceiptLine) {
        let unit = self.money(line.unit_price);
        let many = match line.weight_g {
            Some(grams) => format!("  {}.{:03} kg x {unit}/kg", grams / 1000, grams % 1000),
            None => format!("  {} x {unit}", line.quantity),
        };
        let total = self.money(line.total);
        let name = self.goods(line);
        let single = line.weight_g.is_none() && line.quantity == 1;
        if single && columns(&name) + columns(&total) < self.width {
            self.pair(&name, &total);
        } else {
            for row in wrap(&name, self.width) {
                self.paper.line(&row);
            }
            self.pair(&many, &total);
        }
        self.remarks(line);
        for (why, saving) in &line.savings {
            let why = format!("  {}", self.name(why));
            let saving = self.money(Money::ZERO.minus(*saving));
            self.pair(&why, &saving);
        }
    }

    /// The name, and what makes the line other than a sale of goods.
    fn goods(&self, line: &ReceiptLine) -> String {
        let name = self.name(&line.name);
        match line.kind {
            LineKind::Returned => format!("{} {name}", self.say("退货", "Return:")),
            LineKind::BottleReturn => format!("{} {name}", self.say("退押金", "Deposit back:")),
            LineKind::Goods | LineKind::Deposit => name,
        }
    }

    fn remarks(&mut self, line: &ReceiptLine) {
        let tare = (line.tare_g > 0).then(|| format!("{} {} g", self.say("已去皮", "Tare taken off"), line.tare_g));
        let serial = line.serial.as_ref().map(|serial| format!("{} {serial}", self.say("序列号", "Serial no.")));
        let list = line
            .list_price
            .map(|list| format!("{} {}", self.say("改价，原价", "Price changed from"), self.money(list)));
        for remark in tare.into_iter().chain(serial).chain(list) {
            for row in wrap(&format!("  {remark}"), self.width) {
                self.paper.line(&row);
            }
        }
    }

    fn totals(&mut self) {
        let receipt = self.receipt;
        if receipt.discount != Money::ZERO {
            let label = self.say("已优惠", "You saved");
            let saved = self.money(receipt.discount);
            self.pair(label, &saved);
        }
        let (label, total) = (self.say("合计", "Total"), self.money(receipt.total));
        self.paper.weight(Weight::Bold).size(Size::Double);
        self.pair_in(self.width / 2, label, &total);
        self.paper.size(Size::Normal).weight(Weight::Normal);
        if receipt.rounding != Money::ZERO {
            let (label, rounding) = (self.say("现金尾差", "Cash rounding"), self.money(receipt.rounding));
            self.pair(label, &rounding);
        }
    }

    fn tenders(&mut self) {
        for tender in &self.receipt.tenders {
            let (kind, amount) = (self.name(&tender.kind), self.money(tender.amount));
            self.pair(&kind, &amount);
            for detail in &tender.details {
                for row in wrap(&format!("  {detail}"), self.width) {
                    self.paper.line(&row);
                }
            }
        }
        if self.receipt.change != Money::ZERO {
            let (label, change) = (self.say("找零", "Change"), self.money(self.receipt.change));
            self.pair(label, &change);
        }
    }

    fn taxes(&mut self) {
        if self.receipt.taxes.is_empty() {
            return;
        }
        self.rule();
        for tax in &self.receipt.taxes {
            let included = if tax.added { self.say("加税", "Plus tax") } else { self.say("含税", "Tax") };
            let on = self.say("净额", "on");
            let rate = percent(tax.rate_bp);
            let net = self.money(tax.net);
            let label = format!("{included} {rate} ({on} {net})");
            let amount = self.money(tax.tax);
            self.pair(&label, &amount);
        }
    }

    fn foot(&mut self) {
        if let Some(member) = &self.receipt.member {
            let label = self.say("会员", "Member");
            self.pair(label, member);
        }
        for row in &self.receipt.points {
            let label = self.name(&row.label);
            self.pair(&label, &row.value);
        }
        let code = &self.receipt.code;
        let transaction = &self.receipt.transaction.0;
        let thanks = self.say("谢谢惠顾，欢迎再来", "Thank you. See you again");
        self.paper.align(Align::Centre).feed(1);
        self.paper.qr(code, 6);
        for row in wrap(transaction, self.width) {
            self.paper.line(&row);
        }
        self.paper.line(thanks).align(Align::Left);
        for coupon in &self.receipt.coupons {
            self.coupon(coupon);
        }
        marks(self.receipt.training, false, self.receipt.language, self.paper);
    }

    fn coupon(&mut self, coupon: &ReceiptCoupon) {
        self.rule();
        let title = self.say("送您一张优惠券", "A coupon for you");
        self.paper.align(Align::Centre).line(title).weight(Weight::Bold);
        for row in wrap(&self.name(&coupon.name), self.width) {
            self.paper.line(&row);
        }
        let until = self.say("有效期至", "Good until");
        self.paper.weight(Weight::Normal).line(&format!("{until} {}", coupon.last_day));
        self.paper.feed(1).qr(&coupon.code, 5);
        for row in wrap(&coupon.code, self.width) {
            self.paper.line(&row);
        }
        self.paper.align(Align::Left);
    }

    fn rule(&mut self) {
        self.paper.line(&"-".repeat(self.width));
    }

    fn pair(&mut self, left: &str, right: &str) {
        self.pair_in(self.width, left, right);
    }

    fn pair_in(&mut self, width: usize, left: &str, right: &str) {
        pair_in(width, left, right, self.paper);
    }

    fn money(&self, amount: Money) -> String {
        self.receipt.currency.show(amount)
    }

    fn name(&self, name: &Name) -> String {
        said(name, self.receipt.language).to_owned()
    }
}

/// `right` ends at the last column; a `left` too long for the row gets rows of its own.
fn pair_in(width: usize, left: &str, right: &str, paper: &mut Encoder) {
    let mut rows = wrap(left, width);
    let last = rows.pop().unwrap_or_default();
    for row in rows {
        paper.line(&row);
    }
    let taken = columns(&last) + columns(right);
    if taken < width {
        let gap = " ".repeat(width - taken);
        paper.line(&format!("{last}{gap}{right}"));
    } else {
        paper.line(&last);
        for row in wrap(right, width) {
            let gap = " ".repeat(width.saturating_sub(columns(&row)));
            paper.line(&format!("{gap}{row}"));
        }
    }
}

/// In the paper's language, or the other where a name has only that.
fn said(name: &Name, language: Language) -> &str {
    let (first, second) = match language {
        Language::Zh => (&name.zh, &name.en),
        Language::En => (&name.en, &name.zh),
    };
    if first.is_empty() { second } else { first }
}

/// Rows of at most `width` columns, cut at spaces where there are any.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let (mut row, mut taken) = (String::new(), 0);
    for character in text.chars() {
        let wide = gb(character).columns();
        if taken + wide > width {
            let cut = row.rfind(' ').filter(|at| *at > row.len() / 2);
            let rest = cut.map_or(String::new(), |at| row.split_off(at));
            rows.push(core::mem::replace(&mut row, rest.trim_start().to_owned()));
            taken = columns(&row);
            if character == ' ' && row.is_empty() {
                continue;
            }
        }
        row.push(character);
        taken += wide;
    }
    rows.push(row);
    rows
}

fn percent(basis_points: u32) -> String {
    let (whole, part) = (basis_points / 100, basis_points % 100);
    if part == 0 { format!("{whole}%") } else { format!("{whole}.{part:02}%") }
}

/// `2026-11-21 20:44:05` on the store's wall.
pub(super) fn local_time(at: Utc, offset_min: i32) -> String {
    let seconds = at.0.div_euclid(1000) + i64::from(offset_min) * 60;
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02}", second % 60)
}

/// Days since 1970 to a date of the Gregorian calendar, counted in eras of 400 years that start in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_on_the_wall() {
        assert_eq!(local_time(Utc(0), 0), "1970-01-01 00:00:00");
        assert_eq!(local_time(Utc(951_782_399_000), 0), "2000-02-28 23:59:59");
        assert_eq!(local_time(Utc(1_709_164_800_000), 480), "2024-02-29 08:00:00");
        assert_eq!(local_time(Utc(-1), -60), "1969-12-31 22:59:59");
    }

    #[test]
    fn rows_break_at_spaces_and_never_inside_a_wide_character() {
        assert_eq!(wrap("red apples from here", 10), ["red apples", "from here"]);
        assert_eq!(wrap("苹果苹果苹", 5), ["苹果", "苹果", "苹"]);
        assert_eq!(wrap("", 5), [""]);
    }
}
