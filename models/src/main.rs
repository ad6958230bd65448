//! Face recognition of a store box, in its own process.
fn main() {}
