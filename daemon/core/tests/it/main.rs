//! Scenarios and simulations of the pure store.
mod common;
mod freshness;
mod fuzzing;
mod lines;
mod power_cuts;
mod samples;
mod selling;
mod signs;
mod till;
