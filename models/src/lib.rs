//! Frame in, face outcome out.
