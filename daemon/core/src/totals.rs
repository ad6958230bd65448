//! Sums of a lane, a shift or a day: one fold for X and Z reports, and how it is put on paper.

use crate::receipt::{Currency, SlipRow, TaxLine};
use crate::sale::{Sale, SaleLine};
use crate::view::TenderKind;
use crate::words::{Money, ReceiptNo};
use alloc::string::ToString as _;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Additions only: it is written into the journal when a shift or a day is closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Completed transactions, returns among them.
    pub sales: u64,
    /// What they came to: goods less discounts less what was brought back.
    pub total: Money,
    /// Taken less given back, change not counted.
    pub cash: Money,
    pub card: Money,
    pub wallet: Money,
    /// Worth of points burnt less given back.
    #[serde(skip_serializing_if = "Money::is_zero")]
    pub points: Money,
    #[serde(skip_serializing_if = "Money::is_zero")]
    pub gift: Money,
    #[serde(skip_serializing_if = "Money::is_zero")]
    pub member_wallet: Money,
    pub members: u64,
    /// Goods and deposits before discounts.
    #[serde(skip_serializing_if = "is_none_yet")]
    pub gross: Money,
    #[serde(skip_serializing_if = "is_none_yet")]
    pub discount: Money,
    /// Worth of what was brought back.
    #[serde(skip_serializing_if = "is_none_yet")]
    pub returned: Money,
    /// Transactions with something brought back.
    #[serde(skip_serializing_if = "is_none_yet")]
    pub returns: u64,
    /// Cash rounding: tenders come to the total and this.
    #[serde(skip_serializing_if = "is_none_yet")]
    pub rounding: Money,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub taxes: Vec<TaxLine>,
    #[serde(skip_serializing_if = "is_none_yet")]
    pub refunded: Refunded,
    #[serde(skip_serializing_if = "is_none_yet")]
    pub voids: Voids,
    #[serde(skip_serializing_if = "is_none_yet")]
    pub drawer: Drawer,
    /// Of one lane: the first and the last receipt number given out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipts: Option<(ReceiptNo, ReceiptNo)>,
}

/// Given back by each kind, positive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refunded {
    pub cash: Money,
    pub card: Money,
    pub wallet: Money,
    #[serde(default, skip_serializing_if = "Money::is_zero")]
    pub points: Money,
    #[serde(default, skip_serializing_if = "Money::is_zero")]
    pub gift: Money,
    #[serde(default, skip_serializing_if = "Money::is_zero")]
    pub member_wallet: Money,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voids {
    /// Baskets given up that had something in them.
    pub baskets: u64,
    pub baskets_worth: Money,
    pub lines: u64,
    pub lines_worth: Money,
}

/// Money that went in and out of the drawer without a sale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawer {
    /// What the shift began with.
    pub float: Money,
    pub paid_in: Money,
    pub paid_out: Money,
    /// Taken to the safe.
    pub dropped: Money,
    /// Opened without a sale.
    pub opened: u64,
}

fn is_none_yet<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Totals {
    /// What the drawer must hold.
    #[must_use]
    pub const fn expected(&self) -> Money {
        let Drawer { float, paid_in, paid_out, dropped, .. } = self.drawer;
        float.plus(self.cash).plus(paid_in).minus(paid_out).minus(dropped)
    }

    pub(crate) fn take_sale(&mut self, sale: &Sale) {
        self.sales = self.sales.saturating_add(1);
        self.total = self.total.plus(sale.total);
        self.members = self.members.saturating_add(u64::from(sale.member.is_some()));
        self.rounding = self.rounding.plus(sale.rounding);
        self.returns = self.returns.saturating_add(u64::from(sale.lines.iter().any(|line| line.kind.is_negative())));
        for line in &sale.lines {
            self.take_line(line);
        }
        for tax in &sale.taxes {
            self.take_tax(tax);
        }
        for tender in &sale.tenders {
            self.take_tender(tender.kind, tender.amount);
        }
    }

    fn take_line(&mut self, line: &SaleLine) {
        if line.kind.is_negative() {
            self.returned = self.returned.minus(line.total);
            return;
        }
        self.gross = self.gross.plus(line.total).plus(line.discount);
        self.discount = self.discount.plus(line.discount);
    }

    fn take_tax(&mut self, tax: &TaxLine) {
        match self.taxes.iter_mut().find(|sum| sum.rate_bp == tax.rate_bp) {
            Some(sum) => {
                sum.net = sum.net.plus(tax.net);
                sum.tax = sum.tax.plus(tax.tax);
            }
            None => {
                self.taxes.push(tax.clone());
                self.taxes.sort_by_key(|sum| sum.rate_bp);
            }
        }
    }

    fn take_tender(&mut self, kind: TenderKind, amount: Money) {
        let (sum, refunded) = match kind {
            TenderKind::Cash => (&mut self.cash, &mut self.refunded.cash),
            TenderKind::Card => (&mut self.card, &mut self.refunded.card),
            TenderKind::Wallet => (&mut self.wallet, &mut self.refunded.wallet),
            TenderKind::Points => (&mut self.points, &mut self.refunded.points),
            TenderKind::Gift => (&mut self.gift, &mut self.refunded.gift),
            TenderKind::MemberWallet => (&mut self.member_wallet, &mut self.refunded.member_wallet),
        };
        *sum = sum.plus(amount);
        *refunded = refunded.minus(amount.min(Money::ZERO));
    }

    pub(crate) fn take_receipt(&mut self, receipt: ReceiptNo) {
        let (first, last) = self.receipts.unwrap_or((receipt, receipt));
        self.receipts = Some((first.min(receipt), last.max(receipt)));
    }

    /// The report as rows of paper, without what the drawer must hold: that is said after the cashier has counted.
    #[must_use]
    pub fn rows(&self, currency: &Currency) -> Vec<SlipRow> {
        let money = |label, amount: Money| SlipRow::of(label, currency.show(amount));
        let count = |label, n: u64| SlipRow::of(label, n.to_string());
        let mut rows = alloc::vec![
            count(("交易笔数", "Transactions"), self.sales),
            money(("商品总额", "Gross"), self.gross),
            money(("优惠", "Discounts"), Money::ZERO.minus(self.discount)),
            money(("退货", "Returned"), Money::ZERO.minus(self.returned)),
            money(("净额", "Net"), self.total),
            money(("现金尾差", "Cash rounding"), self.rounding),
        ];
        rows.extend(self.taxes.iter().map(|tax| {
            let (whole, part) = (tax.rate_bp / 100, tax.rate_bp % 100);
            let rate = if part == 0 { alloc::format!("{whole} %") } else { alloc::format!("{whole}.{part:02} %") };
            let label = (alloc::format!("税 {rate}"), alloc::format!("Tax {rate}"));
            let value = alloc::format!("{} / {}", currency.show(tax.net), currency.show(tax.tax));
            SlipRow::of((&label.0, &label.1), value)
        }));
        rows.extend([
            money(("银行卡", "Card"), self.card.plus(self.refunded.card)),
            money(("电子钱包", "Wallet"), self.wallet.plus(self.refunded.wallet)),
            money(("现金", "Cash"), self.cash.plus(self.refunded.cash)),
            money(("退款：银行卡", "Refunds: card"), Money::ZERO.minus(self.refunded.card)),
            money(("退款：电子钱包", "Refunds: wallet"), Money::ZERO.minus(self.refunded.wallet)),
            money(("退款：现金", "Refunds: cash"), Money::ZERO.minus(self.refunded.cash)),
            count(("含退货的交易", "With returns"), self.returns),
            count(("会员交易", "Member transactions"), self.members),
            SlipRow::of(
                ("整单取消", "Voids"),
                alloc::format!("{} / {}", self.voids.baskets, currency.show(self.voids.baskets_worth)),
            ),
            SlipRow::of(
                ("单行取消", "Line voids"),
                alloc::format!("{} / {}", self.voids.lines, currency.show(self.voids.lines_worth)),
            ),
            money(("存入", "Paid in"), self.drawer.paid_in),
            money(("支出", "Paid out"), Money::ZERO.minus(self.drawer.paid_out)),
            money(("缴款", "Cash drops"), Money::ZERO.minus(self.drawer.dropped)),
            count(("无交易开钱箱", "No sale"), self.drawer.opened),
        ]);
        rows.extend(self.stored_value(currency));
        if let Some((first, last)) = self.receipts {
            rows.push(SlipRow::of(("小票号", "Receipts"), alloc::format!("{first} – {last}")));
        }
        rows
    }

    /// Points and gift cards, where there were any.
    fn stored_value(&self, currency: &Currency) -> Vec<SlipRow> {
        let money = |label, amount: Money| SlipRow::of(label, currency.show(amount));
        let mut rows = Vec::new();
        if !self.points.is_zero() || !self.refunded.points.is_zero() {
            rows.push(money(("积分", "Points"), self.points.plus(self.refunded.points)));
            rows.push(money(("退款：积分", "Refunds: points"), Money::ZERO.minus(self.refunded.points)));
        }
        if !self.gift.is_zero() || !self.refunded.gift.is_zero() {
            rows.push(money(("礼品卡", "Gift cards"), self.gift.plus(self.refunded.gift)));
            rows.push(money(("退款：礼品卡", "Refunds: gift cards"), Money::ZERO.minus(self.refunded.gift)));
        }
        rows
    }
}
