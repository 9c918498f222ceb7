//! The file with every default filled in, every name resolved to what it names and every component built. Nothing runs
//! yet: making a plan opens no socket, so `tidegate check` makes one too.

mod completed;
mod doubts;
mod ending;
mod filters;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use self::completed::Chosen;
pub(super) use self::ending::EndSpec;
use self::ending::Ends;
pub use self::filters::FilterSpec;
use self::filters::Filters;
use super::effective::Effective;
use crate::component::{self, Surroundings};
use crate::config::{
    self, Component, Diagnostic, File, Files, Loaded, Lookup, Protocol, Report, Secrets, Share,
    Spanned, code,
};
use crate::filter::Catalogue;
use crate::generation::judge::Bounds;
use crate::route::{Entry, Table, matching};
use crate::upstream::balance;
use crate::upstream::health;
use crate::upstream::{Host, ServerSpec, Spec, Timeouts};

const CONNECT: Duration = Duration::from_secs(2);
/// nginx's `proxy_read_timeout` and `proxy_send_timeout`.
const SILENCE: Duration = Duration::from_secs(60);
const UPSTREAM_IDLE: Duration = Duration::from_secs(60);
/// HAProxy's documentation of `timeout tunnel` suggests it.
const TUNNEL: Duration = Duration::from_secs(3600);
const ATTEMPTS: u8 = 3;
const DNS_REFRESH: Duration = Duration::from_secs(5);

/// Bytes of a body that is copied.
const COPY_SIZE: u64 = 64 * 1024;

const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// nginx's `keepalive_timeout`.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const MAX_CONNECTIONS: u32 = 20_000;

const HEADER_SIZE: u64 = 32 * 1024;
const HEADER_COUNT: u16 = 100;

/// Long enough for a rolling restart to show, short enough to still be there.
const ROLLBACK_OVER: Duration = Duration::from_secs(30);
const ROLLBACK_REQUESTS: u32 = 20;

const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);

/// What a file asks for.
pub struct Plan {
    /// Where clients connect.
    pub listeners: Vec<ListenerSpec>,
    /// Who answers.
    pub upstreams: Vec<Spec>,
    /// Which request takes which route, by its position in [`Plan::routes`].
    pub table: Arc<Table>,
    /// Where the routes lead.
    pub routes: Vec<RouteSpec>,
    /// Bounds on a request.
    pub limits: Limits,
    /// Where the operator's side listens.
    pub admin: Option<SocketAddr>,
    /// How the process ends.
    pub shutdown: Shutdown,
    /// How edits are taken.
    pub reload: Reload,
    effective: Effective,
    /// What is not shown.
    secrets: Secrets,
    warnings: Vec<Diagnostic>,
}

/// When an edit is taken back, with every default filled in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rollback {
    /// So much more of a route's answers fail.
    pub errors: Share,
    /// How long it is watched, and how long before it is compared with.
    pub over: Duration,
    /// Answers that it takes to say anything.
    pub requests: u64,
}

impl Rollback {
    /// For whoever judges.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            errors: self.errors.fraction(),
            over: self.over,
            requests: self.requests,
        }
    }
}

/// How edits are taken, with every default filled in.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Reload {
    /// When one is taken back.
    pub rollback_on: Option<Rollback>,
    /// Heads of requests that are remembered.
    pub remember: usize,
}

/// A route whose end is known.
pub struct RouteSpec {
    /// The name in the file.
    pub name: String,
    /// What happens on the way.
    pub filters: Vec<FilterSpec>,
    /// Where it ends.
    pub end: EndSpec,
    /// Who gets copies.
    pub mirror: Option<MirrorSpec>,
    /// Bytes of a request's body, if the route says so.
    pub body_size: Option<u64>,
}

/// Who gets copies of a route's requests.
pub struct MirrorSpec {
    /// Where they go.
    pub target: TargetSpec,
    /// How many of the requests.
    pub share: Share,
    /// Bytes that a body may have to be copied.
    pub body_size: u64,
}

/// An upstream, as a route uses it.
#[derive(Debug, Clone, Copy)]
pub struct TargetSpec {
    /// Position in [`Plan::upstreams`].
    pub upstream: usize,
    /// The route's, or else the upstream's.
    pub timeouts: Timeouts,
}

/// A listener with every default filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSpec {
    /// The name in the file.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether HTTP/1 is spoken.
    pub http1: bool,
    /// Whether HTTP/2 without TLS is spoken.
    pub h2c: bool,
    /// Waiting for clients.
    pub timeouts: ClientTimeouts,
    /// Connections at a time.
    pub max_connections: u32,
}

/// Waiting for clients, with every default filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// For the whole head of a request.
    pub header: Duration,
    /// The longest silence within a body.
    pub body: Duration,
    /// For a piece of the answer to be taken.
    pub write: Duration,
    /// For the next request.
    pub keep_alive: Duration,
}

/// Bounds on a request, with every default filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the head.
    pub header_size: u64,
    /// Number of header fields.
    pub header_count: u16,
    /// Bytes of the body, if bounded.
    pub body_size: Option<u64>,
}

/// How the process ends, with every default filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shutdown {
    /// `/ready` says 503 for this long before connections are refused.
    pub delay: Duration,
    /// What is in flight may take this long.
    pub timeout: Duration,
}

impl Plan {
    /// Reads a file and makes its plan, with these filters.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path, filters: &Catalogue) -> Result<Loaded<Self>, Report> {
        config::load(path, |file, files| Self::new(file, files, filters)).map(with_warnings)
    }

    /// Reads a text in place of the file at `path` and makes its plan; `kept` as in [`config::load_text`].
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load_text(
        path: &Path,
        text: &str,
        kept: Option<HashMap<String, String>>,
        filters: &Catalogue,
    ) -> Result<Loaded<Self>, Report> {
        config::load_text(path, text, kept, |file, files| {
            Self::new(file, files, filters)
        })
        .map(with_warnings)
    }

    /// Reads a text and makes its plan, all as in [`config::parse`].
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(
        name: &str,
        text: &str,
        environment: &Lookup<'_>,
        folder: Option<&Path>,
    ) -> Result<Loaded<Self>, Report> {
        let filters = Catalogue::default();
        let make = |file: &File, files: &Files| Self::new(file, files, &filters);
        config::parse(name, text, environment, folder, make).map(with_warnings)
    }

    /// Of a file that is wrong elsewhere, only the errors are of use.
    fn new(file: &File, files: &Files, filters: &Catalogue) -> Result<Self, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        let surroundings = Surroundings::new(files);
        let (upstreams, chosen): (Vec<Spec>, Vec<Chosen>) = file
            .upstreams
            .iter()
            .filter_map(|(name, upstream)| {
                spec(name, upstream, file, &surroundings)
                    .map_err(|problems| wrong.extend(problems))
                    .ok()
            })
            .unzip();
        let positions: HashMap<String, usize> = upstreams
            .iter()
            .enumerate()
            .map(|(index, spec)| (spec.name.clone(), index))
            .collect();
        let filters = Filters::new(&file.filters, filters, &surroundings, &mut wrong);
        let ends = Ends {
            upstreams: &upstreams,
            positions: &positions,
            surroundings: &surroundings,
        };
        let mut routes = Vec::new();
        let mut entries = Vec::new();
        for (name, route) in file.routes.iter() {
            let matches = matching::matches(name, &route.matches);
            let end = ends.end(route);
            let on_the_way = filters.of(name, route);
            match (matches, end, on_the_way) {
                (Ok(matches), Ok(Some(end)), Ok(filters)) => {
                    routes.push(RouteSpec {
                        name: name.value.clone(),
                        filters,
                        end,
                        mirror: ends.mirror(route),
                        body_size: route.limits.body_size.map(|size| size.bytes()),
                    });
                    entries.push(Entry {
                        name: name.value.clone(),
                        priority: route.priority.map_or(0, |priority| priority.value),
                        matches,
                    });
                }
                (matches, end, filters) => {
                    wrong.extend(filters.err().into_iter().flatten());
                    wrong.extend(matches.err().into_iter().flatten());
                    wrong.extend(end.err().into_iter().flatten());
                }
            }
        }
        let table = Table::new(&entries).unwrap_or_else(|error| {
            wrong.push(Diagnostic::error(code::MATCH_TOO_LARGE, error.to_string()));
            Table::default()
        });
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let named = filters.effective();
        let mut plan = Self {
            listeners: file
                .listeners
                .iter()
                .map(|(name, listener)| listener_spec(name, listener))
                .collect(),
            table: Arc::new(table),
            routes,
            limits: limits(&file.limits),
            admin: file.admin.as_ref().map(|admin| admin.address.value),
            shutdown: shutdown(&file.shutdown),
            reload: reload(&file.reload),
            upstreams,
            effective: Effective::default(),
            secrets: Secrets::default(),
            warnings: Vec::new(),
        };
        let completed = completed::file(file, &plan, &chosen, named);
        plan.effective = Effective::new(&completed, surroundings.files());
        plan.warnings = surroundings.into_warnings();
        Ok(plan)
    }

    /// What is not shown of it.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The file as it is in effect.
    #[must_use]
    pub fn effective(&self) -> &Effective {
        &self.effective
    }
}

/// Together with those that the components had, and with what is doubtful, in the order of the file.
fn with_warnings(mut loaded: Loaded<Plan>) -> Loaded<Plan> {
    let mut warnings = self::doubts::doubts(&loaded);
    warnings.append(&mut loaded.warnings);
    warnings.append(&mut loaded.made.warnings);
    let report = Report::new(loaded.source, warnings);
    (loaded.source, loaded.warnings) = (report.source, report.diagnostics);
    loaded.made.secrets = loaded.source.secrets().clone();
    loaded
}

fn spec(
    name: &str,
    upstream: &config::Upstream,
    file: &File,
    surroundings: &Surroundings,
) -> Result<(Spec, Chosen), Vec<Diagnostic>> {
    let usual = || Component::bare(balance::DEFAULT);
    let policy = upstream.balance.clone().unwrap_or_else(usual);
    let policy = component::build(balance::NOUN, balance::KINDS, &policy, surroundings);
    let check = upstream
        .health_check
        .as_ref()
        .map(|written| component::build("health check", health::KINDS, written, surroundings));
    let mut wrong = Vec::new();
    let policy = policy.map_err(|problems| wrong.extend(problems)).ok();
    let check = check.transpose().unwrap_or_else(|problems| {
        wrong.extend(problems);
        None
    });
    let (Some(policy), true) = (policy, wrong.is_empty()) else {
        return Err(wrong);
    };
    let (check, health_check) = check.map(|built| (built.made, built.effective)).unzip();
    let chosen = Chosen {
        balance: policy.effective,
        health_check,
    };
    let spec = Spec {
        name: name.to_owned(),
        servers: upstream
            .servers
            .iter()
            .map(|server| server_spec(server))
            .collect(),
        policy: policy.made,
        check,
        timeouts: timeouts(&upstream.timeouts, &file.timeouts),
        attempts: upstream
            .retry
            .attempts
            .or(file.retry.attempts)
            .map_or(ATTEMPTS, |attempts| attempts.value),
        dns_refresh: upstream
            .dns_refresh
            .map_or(DNS_REFRESH, |refresh| refresh.get()),
    };
    Ok((spec, chosen))
}

fn server_spec(server: &config::Server) -> ServerSpec {
    let host = match &server.address.host {
        config::Host::Ip(ip) => Host::Ip(*ip),
        config::Host::Name(name) => Host::Name(name.clone()),
    };
    ServerSpec {
        host,
        port: server.address.port,
        weight: server.weight.value,
    }
}

/// What the upstream says, or else the file, or else we.
fn timeouts(upstream: &config::Timeouts, file: &config::Timeouts) -> Timeouts {
    let ours = Timeouts {
        connect: CONNECT,
        read: SILENCE,
        write: SILENCE,
        idle: UPSTREAM_IDLE,
        tunnel: TUNNEL,
    };
    override_timeouts(upstream, override_timeouts(file, ours))
}

fn override_timeouts(written: &config::Timeouts, otherwise: Timeouts) -> Timeouts {
    let or = |written: Option<Spanned<config::Duration>>, otherwise| {
        written.map_or(otherwise, |written| written.get())
    };
    Timeouts {
        connect: or(written.connect, otherwise.connect),
        read: or(written.read, otherwise.read),
        write: or(written.write, otherwise.write),
        idle: or(written.idle, otherwise.idle),
        tunnel: or(written.tunnel, otherwise.tunnel),
    }
}

fn listener_spec(name: &str, listener: &config::Listener) -> ListenerSpec {
    let speaks = |protocol| {
        listener
            .protocols
            .as_ref()
            .is_none_or(|protocols| protocols.contains(&protocol))
    };
    let or = |written: Option<Spanned<config::Duration>>, default| {
        written.map_or(default, |written| written.get())
    };
    ListenerSpec {
        name: name.to_owned(),
        address: listener.address.value,
        http1: speaks(Protocol::Http1),
        h2c: speaks(Protocol::H2c),
        timeouts: ClientTimeouts {
            header: or(listener.timeouts.header, HEADER_TIMEOUT),
            body: or(listener.timeouts.body, SILENCE),
            write: or(listener.timeouts.write, SILENCE),
            keep_alive: or(listener.timeouts.keep_alive, KEEP_ALIVE),
        },
        max_connections: listener
            .max_connections
            .map_or(MAX_CONNECTIONS, |most| most.value),
    }
}

fn limits(written: &config::Limits) -> Limits {
    Limits {
        header_size: written.header_size.map_or(HEADER_SIZE, |size| size.bytes()),
        header_count: written
            .header_count
            .map_or(HEADER_COUNT, |count| count.value),
        body_size: written.body_size.map(|size| size.bytes()),
    }
}

fn shutdown(written: &config::Shutdown) -> Shutdown {
    Shutdown {
        delay: written.delay.map_or(Duration::ZERO, |delay| delay.get()),
        timeout: written
            .timeout
            .map_or(SHUTDOWN_TIMEOUT, |timeout| timeout.get()),
    }
}

fn reload(written: &config::Reload) -> Reload {
    let bounds = |written: &config::RollbackOn| Rollback {
        errors: written.errors.value,
        over: written.over.map_or(ROLLBACK_OVER, |over| over.get()),
        requests: written
            .requests
            .map_or(ROLLBACK_REQUESTS, |requests| requests.value)
            .into(),
    };
    let remember = written.remember.map_or(0, |remember| remember.value);
    Reload {
        rollback_on: written.rollback_on.as_ref().map(bounds),
        remember: usize::try_from(remember).unwrap_or_default(),
    }
}
