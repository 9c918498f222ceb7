//! Which characters are written as `%` and two digits, and where: whoever writes a piece of a URL, and whoever looks for a secret in
//! one, goes by the same sets.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC};

/// In the path of a URL, as browsers and libraries write it (WHATWG URL, section 1.3).
pub(crate) const IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// All that cannot stand in a path as it is (RFC 3986, section 3.3), `%` apart: brackets, too.
pub(crate) const NOT_IN_PATH: &AsciiSet = &IN_PATH.add(b'[').add(b']').add(b'\\').add(b'|');

/// All but what RFC 3986, section 2.3, calls unreserved: for a value that is to mean itself wherever it stands.
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
