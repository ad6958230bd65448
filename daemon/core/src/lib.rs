//! The pure store. Read this file first.
#![no_std]

extern crate alloc;

pub mod device;
pub mod receipt;
pub mod scan;
pub mod words;
