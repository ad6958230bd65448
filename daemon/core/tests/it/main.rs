//! Scenarios and simulations of the pure store.
mod common;
mod freshness;
mod lines;
mod power_cuts;
mod samples;
mod selling;
mod signs;
mod till;
