//! Scenarios and simulations of the pure store.
mod bagging;
mod common;
mod freshness;
mod fuzzing;
mod interventions;
mod lines;
mod power_cuts;
mod samples;
mod selling;
mod signs;
mod till;
