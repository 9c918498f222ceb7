//! `maintenance`: 503 for everybody but the operators.
//!
//! ```yaml
//! filters:
//!   - maintenance                                             # the usual page, Retry-After: 300
//!   - maintenance:
//!       text: "Back at six."                                  # or file: maintenance.html
//!       retry_after: 1h
//!       except: { any: [ { client: 10.0.0.0/8 }, { cookie: { operator: "s3cret" } } ] }
//! ```
//!
//! Whoever fulfils `except`, written like a route's `match`, goes on as if nothing were.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Filter, Request, Verdict};
use crate::component::{Kind, Options};
use crate::config::{self, Diagnostic, Match, Spanned, code};
use crate::end::{PLAIN_TEXT, Reply, content_type};
use crate::error::Failure;
use crate::route::condition::Condition;
use crate::route::matching;

pub(super) const KIND: Kind<Arc<dyn Filter>> =
    Kind::new::<Written>("maintenance", "503 for everybody but the operators", build);

/// A coffee break.
const RETRY: Duration = Duration::from_secs(300);

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    /// What is answered, in words.
    text: Option<Spanned<String>>,
    /// What is answered, as a file beside the routing file.
    file: Option<Spanned<String>>,
    /// When clients may ask again. Default: `5m`.
    #[serde(default = "retry_after")]
    retry_after: Spanned<config::Duration>,
    /// Who is served all the same.
    except: Option<Match>,
}

fn retry_after() -> Spanned<config::Duration> {
    config::Duration::from(RETRY).into()
}

struct Maintenance {
    /// The usual one, if the file has none of its own.
    page: Option<Reply>,
    headers: HeaderMap,
    except: Option<Vec<Condition>>,
}

fn build(options: &Options<'_>) -> Result<Arc<dyn Filter>, Vec<Diagnostic>> {
    let written: Written = options.decode()?;
    if let (Some(_), Some(file)) = (&written.text, &written.file) {
        let problem = Diagnostic::error(code::ONE_OF_TWO, "an answer with both `text` and `file`")
            .at(file.span);
        return Err(vec![problem.label("one of them is enough")]);
    }
    let except = written.except.as_ref();
    let subject = Spanned::new("except".to_owned(), options.span());
    let except = except.map(|except| matching::conditions("the filter's", &subject, except));
    let retry = written.retry_after.get();
    let headers = HeaderMap::from_iter([
        (RETRY_AFTER, HeaderValue::from(retry.as_secs())),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]);
    let page = match (&written.text, &written.file) {
        (Some(text), _) => Some(page(&headers, PLAIN_TEXT, text.value.clone().into())),
        (None, Some(file)) => {
            let body = options.file(file)?;
            Some(page(&headers, content_type(file), body.into()))
        }
        (None, None) => None,
    };
    Ok(Arc::new(Maintenance {
        page,
        headers,
        except: except.transpose()?,
    }))
}

fn page(headers: &HeaderMap, kind: HeaderValue, body: Bytes) -> Reply {
    let mut headers = headers.clone();
    headers.insert(CONTENT_TYPE, kind);
    Reply {
        status: StatusCode::SERVICE_UNAVAILABLE,
        headers,
        body,
    }
}

impl Filter for Maintenance {
    fn request(&self, request: &mut Request<'_>) -> Verdict {
        let is_operator = |except: &Vec<Condition>| request.fulfils(except);
        if self.except.as_ref().is_some_and(is_operator) {
            return Verdict::Continue;
        }
        match &self.page {
            Some(page) => Verdict::Respond(Box::new(page.clone())),
            None => Verdict::Refuse(Failure::Maintenance, self.headers.clone()),
        }
    }
}
