//! Whole-store scenarios over real processes: the programs a shop runs, real lines, a real broker, `kill -9`.

mod bad_input;
mod chaos;
mod demo;
mod late;
mod page;
mod peers;
mod power;
mod privacy;
mod sync;
