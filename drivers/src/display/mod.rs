//! Customer displays: poles with two lines of letters, or eight digits.

pub mod cd5220;
mod json;
pub mod led8n;
mod sim;

pub use json::to_json;
pub use sim::PoleSim;

use checkout::receipt::Currency;
use checkout::words::{Language, Money, Name};

/// An amount without its sign: poles have no room for it, and seldom the letter.
fn plain(currency: &Currency, amount: Money) -> String {
    Currency { sign: String::new(), ..currency.clone() }.show(amount)
}

/// The name in `language`, or in the other where it has only that.
fn name(name: &Name, language: Language) -> &str {
    let (first, second) = match language {
        Language::Zh => (&name.zh, &name.en),
        Language::En => (&name.en, &name.zh),
    };
    if first.is_empty() { second } else { first }
}
