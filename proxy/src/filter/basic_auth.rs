//! `basic_auth`: a name and a password (RFC 7617), of users whose passwords are hashed with bcrypt or Argon2.
//!
//! ```yaml
//! filters:
//!   - basic_auth:
//!       realm: staging
//!       users: { anna: "$2y$10$eFEuUEw5Z9XPI.azcT4Xv.kCtYhRiFGi/xlEhHi2/x3H1byCSSiQW" }
//!       user_header: X-User
//! ```
//!
//! `htpasswd -nbB anna PASSWORD` writes such a line, also for a `file` with one user in a line. A hash takes tens of
//! milliseconds by design: it is computed away from the requests of others, few at a time, and what was right once is
//! remembered (as a keyed digest, never as a password). Whether a name is known takes as long to find out as whether a
//! password is right, if all hashes cost the same. The server is not sent the password unless `forward` says so.

mod users;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderName, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::users::{Hash, Users};
use super::{Filter, Request, Verdict, fields};
use crate::component::{Kind, Options};
use crate::config::schema::places;
use crate::config::secrets::SHOWN;
use crate::config::{Diagnostic, Named, Spanned, Text, code};
use crate::error::Failure;
use crate::turns::Purpose;

pub(super) const KIND: Kind<Arc<dyn Filter>> =
    Kind::new::<Written>("basic_auth", "a name and a password", build);

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = places::any_of(&["users", "file"])))]
struct Written {
    /// What the browser calls the place. Default: `restricted`.
    #[serde(default = "realm")]
    realm: Spanned<String>,
    /// Names, and the hashes of their passwords.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    users: Named<Spanned<String>, Text>,
    /// A file beside the routing file with one `name:hash` in a line. It is watched like that.
    file: Option<Spanned<String>>,
    /// A field that tells the server who it is. What a client says in it itself is replaced.
    user_header: Option<Spanned<String>>,
    /// Whether the server gets name and password too. Default: `false`.
    #[serde(default)]
    forward: bool,
}

fn realm() -> Spanned<String> {
    "restricted".to_owned().into()
}

struct BasicAuth {
    users: Arc<Users>,
    challenge: HeaderValue,
    user_header: Option<HeaderName>,
    forward: bool,
}

fn build(options: &Options<'_>) -> Result<Arc<dyn Filter>, Vec<Diagnostic>> {
    let written: Written = options.decode()?;
    let mut wrong = Vec::new();
    let mut users = Vec::new();
    for (name, hash) in written.users.iter() {
        match Hash::read(hash) {
            Ok(read) => users.push((name.value.clone(), read)),
            Err(why) => wrong.push(
                Diagnostic::error(
                    code::PASSWORD_HASH,
                    format!("user `{name}` has no hash that can be used"),
                )
                .at(hash.span)
                .label(why)
                .help("write what `htpasswd -nbB NAME PASSWORD` says after the colon"),
            ),
        }
        if name.contains(':') {
            let problem =
                Diagnostic::error(code::USER_NAME, format!("`{name}` cannot be a user's name"));
            let label = "the colon ends it (RFC 7617, section 2)";
            wrong.push(problem.at(name.span).label(label));
        }
    }
    if let Some(file) = &written.file {
        match options.file(file) {
            Ok(bytes) => users_of(file, &bytes, &mut users, &mut wrong),
            Err(problems) => wrong.extend(problems),
        }
    }
    if users.is_empty() && wrong.is_empty() {
        let problem = Diagnostic::error(code::NOTHING_TO_DO, "a filter that lets nobody in")
            .at(options.span());
        wrong.push(problem.label("expected `users`, `file` or both"));
    }
    let realm = &written.realm;
    let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
    let challenge = format!("Basic realm=\"{quoted}\", charset=\"UTF-8\"");
    let challenge = HeaderValue::try_from(challenge)
        .ok()
        .filter(|_| quoted.is_ascii());
    if challenge.is_none() {
        let message = format!("`{}` cannot be a realm", realm.escape_debug());
        let problem = Diagnostic::error(code::FIELD_VALUE, message).at(realm.span);
        wrong.push(problem.label("visible ASCII and spaces"));
    }
    let user_header = written.user_header.as_ref();
    let user_header = user_header.and_then(|name| {
        let read = fields::name(name);
        read.map_err(|problem| wrong.push(*problem)).ok()
    });
    let unsaid = users
        .iter()
        .find(|(name, _)| HeaderValue::from_str(name).is_err());
    if let (Some((name, _)), Some(header)) = (unsaid, &written.user_header) {
        let message = format!("user `{}` cannot be told to a server", name.escape_debug());
        let problem = Diagnostic::error(code::USER_NAME, message).at(header.span);
        wrong.push(problem.label("no field holds control characters (RFC 9110, section 5.5)"));
    }
    match challenge {
        Some(challenge) if wrong.is_empty() => Ok(Arc::new(BasicAuth {
            users: Arc::new(Users::new(users)),
            challenge,
            user_header,
            forward: written.forward,
        })),
        _ => Err(wrong),
    }
}

/// One in a line; empty lines and those that begin with `#` say nothing.
fn users_of(
    file: &Spanned<String>,
    bytes: &[u8],
    users: &mut Vec<(String, Hash)>,
    wrong: &mut Vec<Diagnostic>,
) {
    let text = String::from_utf8_lossy(bytes);
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let read = match line.split_once(':') {
            Some((name, hash)) => Hash::read(hash).map(|hash| (name.to_owned(), hash)),
            None => Err("expected `name:hash`".to_owned()),
        };
        match read {
            Ok(user) => users.push(user),
            Err(why) => wrong.push(
                Diagnostic::error(
                    code::PASSWORD_HASH,
                    format!("line {} of `{}`: {why}", number + 1, file.value),
                )
                .at(file.span)
                .label("in this file"),
            ),
        }
    }
}

impl BasicAuth {
    fn refuse(&self) -> Verdict {
        let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, self.challenge.clone())]);
        Verdict::Refuse(Failure::Unauthorized, headers)
    }
}

/// RFC 7617, section 2.
fn credentials(value: &HeaderValue) -> Option<(String, String)> {
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

impl Filter for BasicAuth {
    fn request(&self, request: &mut Request<'_>) -> Verdict {
        let is_masked = |value: &HeaderValue| value == SHOWN;
        if request.facts.purpose == Purpose::Ask
            && request.headers.get(AUTHORIZATION).is_some_and(is_masked)
        {
            // One that came and was remembered without its password: it is taken to have had the right one.
            return Verdict::Continue;
        }
        let given = request.headers.get(AUTHORIZATION).and_then(credentials);
        let Some((name, password)) = given else {
            return self.refuse();
        };
        // Where it turns out to be wrong, this request goes nowhere.
        let authorization = request.headers.remove(AUTHORIZATION);
        if let Some(authorization) = authorization.filter(|_| self.forward) {
            // The one that counts.
            request.headers.insert(AUTHORIZATION, authorization);
        }
        if let Some(header) = &self.user_header {
            match HeaderValue::from_str(&name) {
                Ok(name) => drop(request.headers.insert(header, name)),
                Err(_) => drop(request.headers.remove(header)),
            }
        }
        if self.users.remembers(&name, &password) {
            return Verdict::Continue;
        }
        let users = Arc::clone(&self.users);
        let refusal = self.refuse();
        Verdict::Work(Box::new(move || {
            // Another request may have found out meanwhile.
            if users.remembers(&name, &password) || users.verify(&name, &password) {
                Verdict::Continue
            } else {
                refusal
            }
        }))
    }

    fn go_on_from(&self, before: &dyn Filter) {
        let before: &dyn std::any::Any = before;
        if let Some(before) = before.downcast_ref::<Self>() {
            self.users.remember_what(&before.users);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_at_the_first_colon_and_a_password_may_hold_more() {
        let of = |text: &str| credentials(&HeaderValue::from_str(text).unwrap());
        let encoded = STANDARD.encode("anna:a:b ü");
        let anna = Some(("anna".to_owned(), "a:b ü".to_owned()));
        assert_eq!(of(&format!("Basic {encoded}")), anna);
        assert_eq!(of(&format!("bAsIc  {encoded}")), anna);
        for bad in ["Basic", "Basic !!", "Bearer abc", "Basic YW5uYQ==", ""] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
