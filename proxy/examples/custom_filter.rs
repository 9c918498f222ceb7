//! A Tidegate with a filter of one's own: `cargo run -p tidegate --example custom_filter -- run -c FILE`.
//!
//! ```yaml
//! filters: [ { bouncer: { agents: [ badbot, scraper ], text: "Not in these shoes." } } ]
//! ```

use std::process::ExitCode;
use std::sync::Arc;

use http::header::USER_AGENT;
use http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate::component::{Kind, Options};
use tidegate::config::{Diagnostic, code};
use tidegate::end::Reply;
use tidegate::filter::{Catalogue, Filter, Request, Verdict};

const KIND: Kind<Arc<dyn Filter>> =
    Kind::new::<Bouncer>("bouncer", "turns away programs by their names", build);

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Bouncer {
    /// Parts of their names.
    agents: Vec<String>,
    /// What they are told.
    text: String,
}

fn build(options: &Options<'_>) -> Result<Arc<dyn Filter>, Vec<Diagnostic>> {
    let bouncer: Bouncer = options.decode()?;
    if bouncer.agents.is_empty() {
        let problem = Diagnostic::error(code::REFUSED_BY_FILTER, "a bouncer at an open door");
        return Err(vec![problem.at(options.span()).label("`agents` is empty")]);
    }
    Ok(Arc::new(bouncer))
}

impl Filter for Bouncer {
    fn request(&self, request: &mut Request<'_>) -> Verdict {
        let agent = request.headers.get(USER_AGENT);
        let agent = agent.map_or(&b""[..], |agent| agent.as_bytes());
        let agent = String::from_utf8_lossy(agent);
        if !self.agents.iter().any(|known| agent.contains(known)) {
            return Verdict::Continue;
        }
        Verdict::Respond(Box::new(Reply {
            status: StatusCode::FORBIDDEN,
            headers: HeaderMap::new(),
            body: self.text.clone().into(),
        }))
    }
}

fn main() -> ExitCode {
    tidegate::cli::main(Catalogue::default().with(KIND))
}
