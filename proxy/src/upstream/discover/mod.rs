//! Who is there: one file per source of addresses.

pub mod dns;
