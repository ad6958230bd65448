//! Goods that must not be sold, and which of them.

use crate::words::{ItemKey, Name};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One row of the dataset `recalls`. Without lots and serial numbers it recalls every piece.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recall {
    pub id: String,
    pub key: ItemKey,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub serials: Vec<String>,
    /// What the lane says.
    pub reason: Name,
}

impl Recall {
    /// Whether a piece with that lot (empty: its code shows none) and number is one of them.
    #[must_use]
    pub fn concerns(&self, lot: &str, serial: Option<&str>) -> bool {
        let all = self.lots.is_empty() && self.serials.is_empty();
        let numbered = serial.is_some_and(|serial| self.serials.iter().any(|recalled| recalled == serial));
        all || numbered || self.lots.iter().any(|recalled| !lot.is_empty() && recalled == lot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recall_concerns_its_lots_its_pieces_or_all_of_the_goods() {
        let row = |lots: &[&str], serials: &[&str]| Recall {
            id: "r".into(),
            key: "1".into(),
            lots: lots.iter().map(|lot| (*lot).into()).collect(),
            serials: serials.iter().map(|serial| (*serial).into()).collect(),
            reason: Name::default(),
        };
        assert!(row(&[], &[]).concerns("", None));
        assert!(row(&["L1"], &[]).concerns("L1", None) && !row(&["L1"], &[]).concerns("", None));
        assert!(row(&["L1"], &["7"]).concerns("L2", Some("7")) && !row(&["L1"], &["7"]).concerns("L2", Some("8")));
    }
}
