//! Whole-store scenarios over real processes: the programs a shop runs, real lines, a real broker, `kill -9`.

mod backup;
mod bad_input;
mod camera;
mod chaos;
mod demo;
mod disk;
mod kills;
mod late;
mod odds;
mod page;
mod peers;
mod power;
mod privacy;
mod sync;
mod tamper;
mod week;
