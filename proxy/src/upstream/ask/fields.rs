//! The fields of a question.

use http::header::{HOST, HeaderName, USER_AGENT};
use http::{HeaderMap, HeaderValue};

use crate::config::{Diagnostic, FieldName, NOT_THE_FILES, Named, Spanned, code};

/// Who asks, unless the file says otherwise.
pub(in crate::upstream) const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION")));

/// All of them. Without a host, that follows from something else.
pub(in crate::upstream) fn fields(
    host: Option<HeaderValue>,
    written: &Named<Spanned<String>, FieldName>,
) -> Result<HeaderMap, Vec<Diagnostic>> {
    let (mut fields, mut wrong) = (HeaderMap::new(), Vec::new());
    let has_host = host.is_some();
    fields.extend(host.map(|host| (HOST, host)));
    fields.insert(USER_AGENT, AGENT);
    for (name, value) in written.iter() {
        let field = HeaderName::from_bytes(name.as_bytes());
        match (field, HeaderValue::from_str(value)) {
            (Ok(HOST), _) if has_host => wrong.push(
                Diagnostic::error(code::FIELD_OF_THE_PROXY, "the host has a key of its own")
                    .at(name.span)
                    .label("not among the `headers`")
                    .help(format!("write `host: {}` beside `headers`", value.value)),
            ),
            (Ok(HOST), _) => wrong.push(
                Diagnostic::error(code::FIELD_OF_THE_PROXY, "the host is in the `url`")
                    .at(name.span)
                    .label("not among the `headers`"),
            ),
            (Ok(field), _) if NOT_THE_FILES.contains(&field.as_str()) => wrong.push(
                Diagnostic::error(
                    code::FIELD_OF_THE_PROXY,
                    format!("`{name}` is not the file's to say"),
                )
                .at(name.span)
                .label("it frames the message, or concerns one connection"),
            ),
            (Ok(field), Ok(value)) => drop(fields.insert(field, value)),
            _ => wrong.push(unusable(value)),
        }
    }
    if wrong.is_empty() {
        Ok(fields)
    } else {
        Err(wrong)
    }
}

fn unusable(written: &Spanned<String>) -> Diagnostic {
    let message = format!(
        "`{}` cannot be the value of a field",
        written.escape_debug()
    );
    Diagnostic::error(code::FIELD_VALUE, message)
        .at(written.span)
        .label("no line breaks or other control characters (RFC 9110, section 5.5)")
}
