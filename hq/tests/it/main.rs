//! HQ over a real broker on loopback, with a small box of rumqttc on the other side.

mod broker;
mod console;
mod coupons;
mod datasets;
mod day;
mod fleet;
mod hostile;
mod ingest;
mod kill;
mod mosquitto;
mod parity;
mod payments;
mod reconcile;
mod signatures;
mod support;
mod tls;
mod wallet;
