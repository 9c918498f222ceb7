//! The static-content service behind Tidegate, and the page it serves (`site/`).
//!
//! `tower-http`'s `ServeDir` does the files: content types, validators and 304, ranges, `HEAD`. Around it stand, from
//! the inside out, one file each:
//!
//! 1. [`contained`]: which paths name a file at all; no dotfiles, no way out of the root
//! 2. [`if_range`]: a range of yesterday's file is not served out of today's
//! 3. [`not_found`]: the 404 page
//! 4. [`charset`]: text says that it is UTF-8
//! 5. [`caching`]: how long each kind of answer may be kept
//! 6. [`compression`]: gzip, brotli or zstd, as negotiated, and validators that say so
//! 7. [`security`]: the headers that tell a browser what the page may do
//!
//! [`site`] puts them together, [`server`] runs them, [`cli`] has the flags.

pub mod cli;
pub mod server;
pub mod site;

pub mod caching;
pub mod charset;
pub mod compression;
pub mod contained;
pub mod if_range;
pub mod not_found;
pub mod security;
