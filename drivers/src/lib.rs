//! Device protocols.
