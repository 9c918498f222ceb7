//! The URL of somebody who is asked over plain HTTP.

use http::{HeaderValue, Uri};

use crate::config::{Complaint, Diagnostic, Host, ServerAddress, Spanned, code};

/// Its parts, as a question needs them.
#[derive(Debug)]
pub(in crate::upstream::discover) struct Plain {
    pub(in crate::upstream::discover) host: Host,
    pub(in crate::upstream::discover) port: u16,
    /// The `Host` field.
    pub(in crate::upstream::discover) host_field: HeaderValue,
    /// Path and query.
    pub(in crate::upstream::discover) target: Uri,
}

/// Takes a URL apart. What cannot be asked is refused, with what to write instead.
pub(in crate::upstream::discover) fn plain(
    written: &Spanned<String>,
) -> Result<Plain, Box<Diagnostic>> {
    let text = written.value.as_str();
    let none = || Box::new(no_url(written));
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(Box::new(without_scheme(written)));
    };
    if scheme.eq_ignore_ascii_case("https") {
        return Err(Box::new(secure(written)));
    }
    if !scheme.eq_ignore_ascii_case("http") || text.contains('#') {
        return Err(none());
    }
    let uri = text.parse::<Uri>().map_err(|_| none())?;
    let authority = uri.authority().ok_or_else(none)?.as_str();
    if authority.contains('@') {
        return Err(Box::new(with_password(written, rest)));
    }
    let with_port = match uri.port() {
        Some(_) => authority.to_owned(),
        None => format!("{}:80", authority.trim_end_matches(':')),
    };
    let address: Result<ServerAddress, Complaint> = with_port.parse();
    let address = address.and_then(ServerAddress::somewhere);
    let address =
        address.map_err(|complaint| Box::new(complaint.into_diagnostic().at(written.span)))?;
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    let target = match target.starts_with('/') {
        true => target.to_owned(),
        false => format!("/{target}"),
    };
    Ok(Plain {
        host: address.host,
        port: address.port,
        host_field: HeaderValue::from_str(authority).map_err(|_| none())?,
        target: target.parse().map_err(|_| none())?,
    })
}

fn wrong(written: &Spanned<String>, message: String) -> Diagnostic {
    Diagnostic::error(code::URL_NOT_ASKED, message).at(written.span)
}

fn no_url(written: &Spanned<String>) -> Diagnostic {
    let shown = written.value.escape_debug();
    wrong(written, format!("`{shown}` is no URL that can be asked"))
        .label("expected a URL such as `http://registry:8500/servers`")
}

fn without_scheme(written: &Spanned<String>) -> Diagnostic {
    let whole = format!("http://{}", written.value);
    match whole.parse::<Uri>().is_ok_and(|uri| uri.host().is_some()) {
        true => no_url(written).help(format!("write `{whole}`")),
        false => no_url(written),
    }
}

fn secure(written: &Spanned<String>) -> Diagnostic {
    let message = format!(
        "`{}` cannot be asked: TLS is not spoken there yet",
        written.value
    );
    wrong(written, message)
        .label("expected `http://`")
        .help("name a port that takes plain HTTP, such as that of an agent on this machine")
}

fn with_password(written: &Spanned<String>, rest: &str) -> Diagnostic {
    let bare = rest.rsplit_once('@').map_or(rest, |(_, bare)| bare);
    wrong(
        written,
        "the URL has a name and a password in it".to_owned(),
    )
    .label("they would be shown with it")
    .help(format!(
        "write `http://{bare}`, and the credentials as `Authorization` under `headers`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let plain = plain(&text.to_owned().into()).map_err(|problem| problem.message)?;
        Ok(format!(
            "{} {} {} {:?}",
            plain.host, plain.port, plain.target, plain.host_field
        ))
    }

    #[test]
    fn a_url_comes_apart() {
        for (url, parts) in [
            (
                "http://registry:8500/v1/servers?of=api",
                r#"registry 8500 /v1/servers?of=api "registry:8500""#,
            ),
            ("HTTP://Registry", r#"registry 80 / "Registry""#),
            ("http://[::1]:80/a", r#"[::1] 80 /a "[::1]:80""#),
            ("http://10.0.0.7?x", r#"10.0.0.7 80 /?x "10.0.0.7""#),
        ] {
            assert_eq!(read(url).as_deref(), Ok(parts));
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for (url, part) in [
            ("https://registry/servers", "TLS"),
            ("http://me:secret@registry/", "password"),
            ("registry:8500/servers", "no URL"),
            ("ftp://registry/", "no URL"),
            ("http://", "no URL"),
            ("http://a b/", "no URL"),
            ("http://registry:0/", "port 0"),
            ("http://0.0.0.0:8500/", "no server can be"),
            ("http://registry/#a", "no URL"),
            ("", "no URL"),
        ] {
            let said = read(url).unwrap_err();
            assert!(
                said.contains(part) && !said.contains("secret"),
                "{url}: {said}"
            );
        }
    }
}
