//! Scenarios and simulations of the pure store.
mod bagging;
mod common;
mod coupons;
mod day;
mod freshness;
mod fuzzing;
mod golden;
mod interventions;
mod lines;
mod oracle;
mod points;
mod power_cuts;
mod pricing;
mod samples;
mod selling;
mod signs;
mod till;
