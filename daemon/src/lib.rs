//! All I/O of a store box.
