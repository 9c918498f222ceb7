//! What every endpoint may know about the process: who it is, how much it has served, whether it drains.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;

use crate::drain::Drain;

/// One instance of the API. Cheap to clone; clones are the same instance.
#[derive(Debug, Clone)]
pub struct Instance(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    name_header: HeaderValue,
    host: String,
    requests: AtomicU64,
    drain: Drain,
}

impl Instance {
    /// An instance of this name, or of the machine's when there is none.
    pub fn new(name: Option<String>, drain: Drain) -> Self {
        let host = host_name();
        let name = name.unwrap_or_else(|| host.clone());
        let name_header =
            HeaderValue::from_str(&name).unwrap_or(HeaderValue::from_static("unnamed"));
        Self(Arc::new(Inner {
            name,
            name_header,
            host,
            requests: AtomicU64::new(0),
            drain,
        }))
    }

    /// What the operator called it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The same, as the value of `X-Instance`.
    pub fn name_header(&self) -> HeaderValue {
        self.0.name_header.clone()
    }

    /// The machine's (or container's) host name.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// How many requests this process has received, the current one included.
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// Whether, and how far, the process is on its way out.
    pub fn drain(&self) -> &Drain {
        &self.0.drain
    }

    pub(crate) fn count_request(&self) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
    }
}

fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
