//! `set_host`: the host that the server is asked for. Without it a server sees the host that the client asked for;
//! `X-Forwarded-Host` tells it that one in any case.
//!
//! ```yaml
//! filters: [ { set_host: api.internal } ]
//! ```

use std::sync::Arc;

use http::HeaderValue;
use http::header::HOST;

use super::template::Template;
use super::{Filter, Request, Verdict};
use crate::component::{Kind, Options};
use crate::config::{Diagnostic, Phrase, Spanned, code};

pub(super) const KIND: Kind<Arc<dyn Filter>> =
    Kind::new::<Spanned<Phrase>>("set_host", "the host that the server is asked for", build);

struct SetHost(Template);

fn build(options: &Options) -> Result<Arc<dyn Filter>, Vec<Diagnostic>> {
    let written: Spanned<Phrase> = options.decode()?;
    let is_host = !written.is_empty() && !written.contains(['/', ' ', '@']);
    if !is_host || HeaderValue::from_str(&written.value).is_err() {
        let problem = Diagnostic::error(
            code::NOT_IN_A_URL,
            format!("`{}` is no host", written.value),
        );
        return Err(vec![
            problem
                .at(written.span)
                .label("such as `api.internal` or `api.internal:8080`"),
        ]);
    }
    let template = Template::new(&written)?;
    Ok(Arc::new(SetHost(template)))
}

impl Filter for SetHost {
    fn request(&self, request: &mut Request<'_>) -> Verdict {
        if let Ok(host) = HeaderValue::from_str(&self.0.value(request.facts)) {
            request.headers.insert(HOST, host);
        }
        Verdict::Continue
    }

    fn groups(&self) -> Vec<String> {
        self.0.groups().map(str::to_owned).collect()
    }
}
