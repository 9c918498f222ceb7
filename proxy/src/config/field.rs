//! The names of header fields, and of cookies, which are of the same kind.

use http::header::HeaderName;

use super::code::{self, Code};
use super::complaint::Complaint;
use super::diagnostic::Diagnostic;
use super::named::{Key, no_other};
use super::spanned::Spanned;

/// What is told of a name that is none.
const NO_NAME: &str = "no field and no cookie has such a name (RFC 9110, section 5.6.2)";

/// Fields that frame a message or concern one connection: none of them is the file's to say.
pub(crate) const NOT_THE_FILES: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The name of a header field or of a cookie: a token (RFC 9110, section 5.6.2).
#[derive(Debug, Clone, Copy)]
pub struct FieldName;

impl Key for FieldName {
    const NOUN: &'static str = "the name of a field";
    const CODE: Code = code::FIELD_NAME;

    fn check(text: &str) -> Result<(), Complaint> {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        no_other(Self::CODE, text, is_token, NO_NAME)
    }
}

/// With what a cookie's name says to browsers that it is more than any cookie, if it does (RFC 6265bis, section 4.1.3).
pub(crate) fn cookie_prefix(name: &str) -> Option<&'static str> {
    let begins = |prefix: &&str| {
        let head = name.get(..prefix.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    };
    [HOST_PREFIX, "__Secure-"].into_iter().find(begins)
}

/// A cookie for one host and all its paths.
pub(crate) const HOST_PREFIX: &str = "__Host-";

/// The field of this name, or a cookie's name (RFC 6265, section 4.1.1).
///
/// # Errors
/// It cannot be one.
pub(crate) fn field_name(name: &Spanned<String>) -> Result<HeaderName, Box<Diagnostic>> {
    name.parse().map_err(|_| {
        let message = format!("`{}` cannot be a name", name.escape_debug());
        let problem = Diagnostic::error(code::FIELD_NAME, message);
        Box::new(problem.at(name.span).label(NO_NAME))
    })
}
