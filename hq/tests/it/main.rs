//! HQ over a real broker on loopback, with a small box of rumqttc on the other side.

mod access;
mod broker;
mod brokers;
mod console;
mod control;
mod coupons;
mod datasets;
mod day;
mod fleet;
mod fuzzing;
mod hostile;
mod ingest;
mod kill;
mod large;
mod operators;
mod parity;
mod payments;
mod postgres;
mod reconcile;
mod signatures;
mod sim;
mod support;
mod tls;
mod wallet;
