//! What `ring_hash` and `maglev` have in common.
//!
//! | file | holds |
//! |---|---|
//! | `key` | what of a request decides |
//! | `preference` | who is next where the first choice failed the request or has too much to do |

pub(super) mod key;
pub(super) mod preference;

#[cfg(test)]
mod tests;
