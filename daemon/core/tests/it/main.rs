//! Scenarios and simulations of the pure store.
mod common;
mod power_cuts;
mod samples;
mod selling;
