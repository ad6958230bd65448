//! Device protocols.

pub mod vision;
