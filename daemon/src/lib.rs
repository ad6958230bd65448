//! All I/O of a store box. The program in one picture stands in `docs/ARCHITECTURE.md`; the turn itself in [`core_loop`].

pub mod catalog;
pub mod classify;
pub mod client;
pub mod clock;
pub mod config;
pub mod core_loop;
pub mod coupon_key;
pub mod dataset;
pub mod decode;
pub mod demo;
pub mod device;
pub mod device_board;
pub mod http;
pub mod journal;
pub mod jws;
pub mod link;
pub mod node;
pub mod notify;
mod recording;
pub mod run;
pub mod sim;
pub mod supervise;
pub mod sync;
mod sys;
pub mod tls;
pub mod uplink;
pub mod wire_trace;
