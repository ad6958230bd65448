//! The pure store.
#![no_std]
