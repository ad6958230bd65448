//! The wallets' provider: what it took it remembers, whatever becomes of headquarters. The end of a code says what it does.

use aisle_hq::pay::{Charge, Provider, Told};
use checkout::words::Money;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

#[derive(Default)]
pub struct Wallets(Mutex<BTreeMap<String, Order>>);

struct Order {
    ends: String,
    amount: i64,
    state: State,
    /// Taken after it was given up, and told of until headquarters says that it heard.
    late: bool,
    back: BTreeMap<String, i64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Taken,
    Refused,
    Closed,
    /// Given up, and confirmed by the shopper all the same.
    Late,
}

impl Order {
    fn approved(&self) -> Told {
        Told::Approved { amount: Money(self.amount), reference: "w".into() }
    }
}

impl Wallets {
    fn orders(&self) -> MutexGuard<'_, BTreeMap<String, Order>> {
        self.0.lock().expect("nobody panics with them")
    }

    pub fn did(&self, order: &str) -> bool {
        let orders = self.orders();
        orders.get(order).is_some_and(|order| order.state == State::Taken)
            || orders.values().any(|known| known.back.contains_key(order))
    }

    /// What stands, by order number: positive from the shopper, negative to them.
    pub fn moved(&self) -> Vec<(String, i64)> {
        let mut moved = Vec::new();
        for (number, order) in &*self.orders() {
            if matches!(order.state, State::Taken) {
                moved.push((number.clone(), order.amount));
            }
            moved.extend(order.back.iter().map(|(number, amount)| (number.clone(), -amount)));
        }
        moved
    }
}

impl Provider for Wallets {
    fn charge(&self, number: &str, charge: &Charge) -> Told {
        let mut orders = self.orders();
        let code = &charge.code.0;
        let ends = code.get(code.len().saturating_sub(2)..).unwrap_or_default();
        let state = match ends {
            "17" | "27" | "29" => State::Open,
            "28" => State::Refused,
            _ => State::Taken,
        };
        let amount = charge.amount.0;
        let new = Order { ends: ends.into(), amount, state, late: false, back: BTreeMap::new() };
        let order = orders.entry(number.into()).or_insert(new);
        match (order.ends.as_str(), order.state) {
            ("07" | "17", _) => Told::Silent,
            (_, State::Taken) => order.approved(),
            (_, State::Open) => Told::Pending,
            (_, State::Refused | State::Closed | State::Late) => Told::Declined { reason: "no".into() },
        }
    }

    fn query(&self, number: &str) -> Told {
        let mut orders = self.orders();
        let Some(order) = orders.get_mut(number) else { return Told::NotFound };
        match (order.state, order.ends.as_str()) {
            (State::Taken, _) => order.approved(),
            (State::Open, "17") => Told::NotFound,
            (State::Open, "27") => Told::Pending,
            (State::Open, _) => {
                order.state = State::Taken;
                order.approved()
            }
            (State::Closed | State::Late, _) => Told::Reversed,
            (State::Refused, _) => Told::Declined { reason: "no".into() },
        }
    }

    fn reverse(&self, number: &str) -> Told {
        let mut orders = self.orders();
        let Some(order) = orders.get_mut(number) else { return Told::Reversed };
        if order.state != State::Refused {
            order.state = if order.ends == "17" { State::Late } else { State::Closed };
        }
        Told::Reversed
    }

    fn refund(&self, number: &str, refund: &str, amount: Money) -> Told {
        let mut orders = self.orders();
        let Some(order) = orders.get_mut(number).filter(|order| order.state == State::Taken) else {
            return Told::NotFound;
        };
        if let Some(known) = order.back.get(refund) {
            return Told::Approved { amount: Money(*known), reference: "w".into() };
        }
        let back: i64 = order.back.values().sum();
        if amount.0 > order.amount - back {
            return Told::Declined { reason: "more than was taken".into() };
        }
        order.back.insert(refund.into(), amount.0);
        Told::Approved { amount, reference: "w".into() }
    }

    /// Told again and again until it is confirmed.
    fn notices(&self) -> Vec<(String, Told)> {
        let mut orders = self.orders();
        let mut told = Vec::new();
        for (number, order) in &mut *orders {
            if order.state == State::Late {
                (order.state, order.late) = (State::Taken, true);
            }
            if order.late {
                told.push((number.clone(), order.approved()));
            }
        }
        told
    }

    fn heard(&self, number: &str) {
        if let Some(order) = self.orders().get_mut(number) {
            order.late = false;
        }
    }
}
