//! How a country taxes and rounds. Presets for those we know; every field can be set by hand.

use serde::{Deserialize, Serialize};

/// How prices, tax and cash are worked out in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriceRules {
    pub tax: TaxMode,
    /// What a rounded amount of tax is of.
    pub tax_per: TaxRounding,
    pub tax_rounding: Rounding,
    /// Of percentages taken off.
    pub discount_rounding: Rounding,
    pub cash: CashStep,
    /// Prices are compared per so many grams, and millilitres.
    pub per_g: u32,
    pub per_ml: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxMode {
    /// Prices include it.
    #[default]
    Included,
    /// It comes on top.
    Added,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxRounding {
    Line,
    /// All lines of one rate together.
    #[default]
    Rate,
    /// All rates together; the rates' rows share the rounded sum.
    Transaction,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// A half goes away from zero.
    #[default]
    HalfUp,
    /// A half goes to the even neighbour.
    HalfEven,
    /// Towards zero: what is left over is dropped.
    Down,
    /// Away from zero.
    Up,
}

/// The smallest step cash is paid in, in minor units: 5 where the smallest coin is 5 Rappen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CashStep {
    pub step: u32,
    pub rounding: Rounding,
}

impl Default for CashStep {
    fn default() -> Self {
        Self { step: 1, rounding: Rounding::HalfUp }
    }
}

impl Default for PriceRules {
    fn default() -> Self {
        PLAIN
    }
}

const PLAIN: PriceRules = PriceRules {
    tax: TaxMode::Included,
    tax_per: TaxRounding::Rate,
    tax_rounding: Rounding::HalfUp,
    discount_rounding: Rounding::HalfUp,
    cash: CashStep { step: 1, rounding: Rounding::HalfUp },
    per_g: 1000,
    per_ml: 1000,
};

impl PriceRules {
    /// Countries with a preset, by ISO 3166-1 code.
    pub const COUNTRIES: [&str; 20] = [
        "AT", "AU", "BE", "CA", "CH", "CN", "DE", "DK", "ES", "FI", "FR", "GB", "IE", "IT", "JP", "NL", "NO", "NZ",
        "SE", "US",
    ];

    #[must_use]
    pub fn of(country: &str) -> Option<Self> {
        let cash = |step| Self { cash: CashStep { step, rounding: Rounding::HalfUp }, ..PLAIN };
        Some(match country {
            // Shelf labels compare per 500 g (斤) and per litre.
            "CN" => Self { per_g: 500, ..PLAIN },
            "AT" | "DE" | "ES" | "FR" | "GB" => PLAIN,
            "BE" | "FI" | "IE" | "IT" | "NL" => cash(5),
            "AU" => Self { per_g: 100, per_ml: 100, ..cash(5) },
            "CH" => Self { per_g: 100, per_ml: 100, ..cash(5) },
            "DK" => cash(50),
            "NO" | "SE" => cash(100),
            "NZ" => Self { per_g: 100, per_ml: 100, ..cash(10) },
            // Tax is rounded once per rate and receipt; shops drop the fraction.
            "JP" => Self { tax_rounding: Rounding::Down, per_g: 100, per_ml: 100, ..PLAIN },
            "CA" => Self { tax: TaxMode::Added, per_g: 100, per_ml: 100, ..cash(5) },
            "US" => Self { tax: TaxMode::Added, ..PLAIN },
            _ => return None,
        })
    }
}
