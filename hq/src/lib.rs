//! Headquarters.
