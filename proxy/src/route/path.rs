//! The normal form of a path, in which the paths of requests and those of the file are compared (RFC 3986, section 6.2.2):
//! unreserved characters are not percent-encoded, everything that has to be is, with upper-case digits; there are no dot
//! segments and no empty ones. An encoded slash stays encoded: it is part of its segment.
//!
//! Segments are taken as nginx takes them: repeated slashes are one before `..` is looked at.

use std::borrow::Cow;

use percent_encoding::utf8_percent_encode;

use crate::config::encoding::NOT_IN_PATH;

/// Why a path has no normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAPath {
    /// `/a/../../b`
    #[error("it leads above the root")]
    AboveRoot,
    /// `%` without two hexadecimal digits after it, `%00`, or the character that it stands for.
    #[error("`%` stands for itself only as `%25`")]
    BadEscape,
}

/// The normal form; that of most paths is the path itself. What is no path (the `*` of `OPTIONS *`) stays what it is.
///
/// # Errors
/// It has none.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, NotAPath> {
    if !path.starts_with('/') || is_normal(path.as_bytes()) {
        return Ok(Cow::Borrowed(path));
    }
    let spelled = respell(path)?;
    let mut segments: Vec<&str> = Vec::new();
    for segment in spelled.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop().ok_or(NotAPath::AboveRoot)?),
            name => segments.push(name),
        }
    }
    let ends_with_slash = matches!(spelled.rsplit('/').next(), Some("" | "." | ".."));
    let mut normal = String::with_capacity(spelled.len() + 1);
    for segment in &segments {
        normal.push('/');
        normal.push_str(segment);
    }
    if ends_with_slash || segments.is_empty() {
        normal.push('/');
    }
    Ok(Cow::Owned(normal))
}

/// Whether nothing is to be done. It may say no of a path that is normal.
fn is_normal(path: &[u8]) -> bool {
    let mut after_slash = false;
    path.iter().all(|byte| {
        let is_plain = match byte {
            b'/' | b'.' => !after_slash,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':'
            | b'@' | b'-' | b'_' | b'~' => true,
            other => other.is_ascii_alphanumeric(),
        };
        after_slash = *byte == b'/';
        is_plain
    })
}

/// Each character the one way in which it is spelled in the normal form.
fn respell(path: &str) -> Result<String, NotAPath> {
    if path.contains('\0') {
        return Err(NotAPath::BadEscape);
    }
    let mut spelled = String::with_capacity(path.len());
    let mut pieces = path.split('%');
    let plain = |piece| utf8_percent_encode(piece, NOT_IN_PATH);
    spelled.extend(pieces.next().map(plain).into_iter().flatten());
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).ok_or(NotAPath::BadEscape)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(NotAPath::BadEscape);
        }
        match u8::from_str_radix(digits, 16) {
            Ok(byte @ (b'-' | b'.' | b'_' | b'~')) => spelled.push(char::from(byte)),
            Ok(byte) if byte.is_ascii_alphanumeric() => spelled.push(char::from(byte)),
            Ok(1..) => {
                spelled.push('%');
                spelled.push_str(&digits.to_ascii_uppercase());
            }
            _ => return Err(NotAPath::BadEscape),
        }
        spelled.extend(plain(rest));
    }
    Ok(spelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_the_same_is_spelled_the_same() {
        for (path, normal) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/", "/a/"),
            ("//a///b//", "/a/b/"),
            ("/a/./b", "/a/b"),
            ("/a/.", "/a/"),
            ("/a/../b", "/b"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a//../b", "/b"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a/...", "/a/..."),
            ("/%61%2Db", "/a-b"),
            ("/%7euser", "/~user"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e/b", "/b"),
            ("/a%2fb", "/a%2Fb"),
            ("/a/..%2fb", "/a/..%2Fb"),
            ("/a%252e", "/a%252e"),
            ("/caf\u{e9}", "/caf%C3%A9"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a b|{c}", "/a%20b%7C%7Bc%7D"),
            ("/a;v=1,2/@x:y", "/a;v=1,2/@x:y"),
            ("*", "*"),
        ] {
            assert_eq!(normalise(path).as_deref(), Ok(normal), "{path}");
        }
    }

    #[test]
    fn what_leaves_the_root_or_cannot_be_read_has_no_normal_form() {
        for path in ["/..", "/a/../..", "/%2e%2e/a", "//..", "/./../a"] {
            assert_eq!(normalise(path), Err(NotAPath::AboveRoot), "{path}");
        }
        for path in [
            "/%",
            "/%4",
            "/%zz",
            "/a%+1",
            "/%00",
            "/\0",
            "/%61\0",
            "/%e\u{e9}",
        ] {
            assert_eq!(normalise(path), Err(NotAPath::BadEscape), "{path}");
        }
    }

    #[test]
    fn nothing_is_copied_of_an_ordinary_path() {
        for path in ["/", "/api/hello", "/a/b.c/d_e~f", "/favicon.ico"] {
            assert!(matches!(normalise(path), Ok(Cow::Borrowed(_))), "{path}");
        }
    }
}
