//! One simulated store: what it has sold by a given time, and its rows. Nothing is kept: a row follows from its number.

use serde_json::json;
use sha2::{Digest as _, Sha256};

/// Rows of one sale.
pub(super) const SALE_ROWS: u64 = 7;
/// Between two rows, by the store's clock.
const ROW_MS: i64 = 900;
const COLA: i64 = 350;
const NOODLES: i64 = 300;
const TAX_BP: i64 = 1300;

#[derive(Clone, Debug)]
pub(super) struct Shop {
    pub(super) id: String,
    number: u64,
    /// The store's clock at its first row.
    began: i64,
}

/// What a journal comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) events: u64,
    pub(super) sales: u64,
    pub(super) total: i64,
}

impl Shop {
    pub(super) fn new(id: String, number: u64, began: i64) -> Self {
        Self { id, number, began }
    }

    /// Every third is paid with more in the basket.
    fn pieces(&self, sale: u64) -> i64 {
        1 + i64::try_from((sale + self.number) % 3).unwrap_or(0)
    }

    fn total(&self, sale: u64) -> i64 {
        COLA * self.pieces(sale) + NOODLES
    }

    /// Of the first `head` rows.
    pub(super) fn sum(&self, head: u64) -> Sum {
        // Row 1 is the start; the sixth row of each sale completes it.
        let rows = head.saturating_sub(1);
        let sales = rows / SALE_ROWS + u64::from(rows % SALE_ROWS == SALE_ROWS - 1);
        Sum { events: head, sales, total: (0..sales).map(|sale| self.total(sale)).sum() }
    }

    /// The body of row `seq`, as a store writes it.
    pub(super) fn row(&self, seq: u64) -> String {
        let utc = self.began + ROW_MS * i64::try_from(seq).unwrap_or(0);
        let Some(at) = seq.checked_sub(2) else {
            return json!({"utc": utc, "event": {"store": {"booted": {"boot": 1, "version": env!("CARGO_PKG_VERSION")}}}})
                .to_string();
        };
        let (sale, pieces) = (at / SALE_ROWS, self.pieces(at / SALE_ROWS));
        let transaction = format!("{}-{sale}", self.id);
        let tender = format!("{transaction}.1");
        let total = self.total(sale);
        let event = match at % SALE_ROWS {
            0 => json!({"basket": {"started": {"transaction": transaction}}}),
            1 => json!({"basket": {"line_added": bought(1, pieces)}}),
            2 => json!({"basket": {"line_added": bought(2, 1)}}),
            3 => json!({"tender": {"started": {"tender": tender, "kind": "cash", "amount": total, "device": null}}}),
            4 => json!({"tender": {"approved": {"tender": tender, "amount": total, "reference": "", "given": total}}}),
            5 => json!({"basket": {"completed": completed(&transaction, sale, pieces, total)}}),
            _ => json!({"lane": {"receipt_printed": {"transaction": transaction}}}),
        };
        json!({"utc": utc, "lane": 1, "event": event}).to_string()
    }
}

fn goods(no: u64, quantity: i64) -> serde_json::Value {
    let (key, zh, en, price) = match no {
        1 => ("6901234567892", "可乐", "Cola", COLA),
        _ => ("6920000000005", "方便面", "Noodles", NOODLES),
    };
    json!({"no": no, "key": key, "name": {"zh": zh, "en": en}, "quantity": quantity, "weight_g": null, "unit_price": price,
           "price_book": "pb-1"})
}

fn bought(no: u64, quantity: i64) -> serde_json::Value {
    let mut line = goods(no, quantity);
    line["tax_bp"] = TAX_BP.into();
    line
}

fn completed(transaction: &str, sale: u64, pieces: i64, total: i64) -> serde_json::Value {
    let tax = (total * TAX_BP * 2 + 10_000 + TAX_BP) / (2 * (10_000 + TAX_BP));
    let lines = [(1, pieces, COLA * pieces), (2, 1, NOODLES)].map(|(no, quantity, total)| {
        let mut line = goods(no, quantity);
        (line["discount"], line["total"], line["tax_bp"]) = (0.into(), total.into(), TAX_BP.into());
        line
    });
    json!({"transaction": transaction, "receipt": sale + 1, "currency": "CNY", "total": total, "discount": 0,
           "taxes": [{"rate_bp": TAX_BP, "net": total - tax, "tax": tax}],
           "tenders": [{"tender": format!("{transaction}.1"), "kind": "cash", "amount": total}],
           "change": 0, "member": null, "lines": lines})
}

/// The chain hash of the row after `prev`.
pub(super) fn chained(prev: &[u8; 32], seq: u64, body: &str) -> [u8; 32] {
    Sha256::digest(checkout::wire::chain_preimage(prev, seq, body.as_bytes())).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use checkout::event::Record;

    #[test]
    fn every_row_of_a_simulated_store_is_an_event_and_the_sums_are_those_of_its_sales() {
        let shop = Shop::new("sim-1".into(), 4, 1_790_000_000_000);
        let mut sum = Sum::default();
        for seq in 1..=100 {
            let record: Record = serde_json::from_str(&shop.row(seq)).unwrap();
            sum.events += 1;
            if let checkout::event::Event::Basket(checkout::basket::BasketEvent::Completed(sale)) = record.event {
                (sum.sales, sum.total) = (sum.sales + 1, sum.total + sale.total.0);
                assert_eq!(sale.lines.iter().map(|line| line.total.0).sum::<i64>(), sale.total.0);
            }
            assert_eq!(shop.sum(seq), sum, "after row {seq}");
        }
    }
}
