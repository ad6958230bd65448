//! Whole-store scenarios over real processes: the programs a shop runs, real lines, a real broker, `kill -9`.

mod authority;
mod backup;
mod bad_input;
mod camera;
mod cards;
mod chaos;
mod copies;
mod demo;
mod disk;
mod faces;
mod kills;
mod late;
mod nexo;
mod odds;
mod page;
mod peers;
mod power;
mod privacy;
mod promises;
mod restart;
mod stand_ins;
mod sync;
mod tamper;
mod week;
mod wire;
