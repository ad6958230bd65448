//! The pure store. Read this file first.
#![no_std]

extern crate alloc;

pub mod catalog;
pub mod device;
pub mod page;
pub mod receipt;
pub mod scan;
pub mod view;
pub mod wire;
pub mod words;
