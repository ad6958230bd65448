//! Card numbers in text.

/// A terminal that prints a whole card number does not make us keep it: 13 to 19 digits, single spaces between them
/// or not, whose last one checks the others.
#[must_use]
pub(crate) fn hide(text: &str) -> String {
    let mut shown: Vec<char> = text.chars().collect();
    let mut run: Vec<usize> = Vec::new();
    let mut masked = Vec::new();
    for (at, character) in shown.iter().copied().chain(['\n']).enumerate() {
        let joins = character == ' ' && run.last().is_some_and(|last| last + 1 == at);
        if character.is_ascii_digit() {
            run.push(at);
        } else if !joins {
            let digits: Vec<u32> = run.iter().filter_map(|place| shown.get(*place)?.to_digit(10)).collect();
            if (13..=19).contains(&digits.len()) && luhn(&digits) {
                let middle = run.len().saturating_sub(10);
                masked.extend(run.iter().skip(6).take(middle).copied());
            }
            run.clear();
        }
    }
    for place in masked {
        if let Some(character) = shown.get_mut(place) {
            *character = '*';
        }
    }
    shown.into_iter().collect()
}

fn luhn(digits: &[u32]) -> bool {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 =
        digits.iter().rev().enumerate().map(|(at, digit)| if at % 2 == 1 { doubled(*digit) } else { *digit }).sum();
    sum.is_multiple_of(10)
}
