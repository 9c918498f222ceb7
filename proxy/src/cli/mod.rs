//! One command per file.

pub mod check;
