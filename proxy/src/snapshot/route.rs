//! A route as a request uses it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::sync::OwnedSemaphorePermit;

use super::plan::{EndSpec, FilterSpec, RouteSpec, TargetSpec};
use crate::config::Share;
use crate::end::Reply;
use crate::end::redirect::Redirect;
use crate::end::split::Split;
use crate::generation::judge::Count;
use crate::upstream::copies::{Copies, Outcomes, To};
use crate::upstream::{Live, Timeouts, Upstream};

/// What happens to the requests that a route takes.
pub struct Route {
    /// The name in the file.
    pub name: String,
    /// What happens on the way.
    pub filters: Vec<FilterSpec>,
    /// Where it ends.
    pub end: End,
    /// Who gets copies.
    pub mirror: Option<Mirror>,
    /// Bytes of a request's body, if the route says so.
    pub body_size: Option<u64>,
    /// How its requests were answered since it came into effect.
    pub answers: Answers,
}

/// How requests were answered.
#[derive(Debug, Default)]
pub struct Answers {
    all: AtomicU64,
    failed: AtomicU64,
}

impl Answers {
    /// One more.
    pub fn note(&self, failed: bool) {
        self.all.fetch_add(1, Ordering::Relaxed);
        if failed {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many so far.
    pub fn count(&self) -> Count {
        Count {
            answers: self.all.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

/// Where a route ends.
pub enum End {
    /// One upstream answers.
    Upstream(Target),
    /// Several share the requests.
    Split(Vec<Target>, Split),
    /// The client is sent elsewhere.
    Redirect(Redirect),
    /// The proxy answers.
    Respond(Arc<Reply>),
}

/// An upstream, as a route uses it.
pub struct Target {
    /// Who answers.
    pub upstream: Arc<Upstream>,
    /// How long to wait.
    pub timeouts: Timeouts,
}

/// Who gets copies of a route's requests.
pub struct Mirror {
    target: Target,
    share: Share,
    /// Bytes that a body may have to be copied.
    pub body_size: u64,
    /// What became of them.
    pub outcomes: Arc<Outcomes>,
    copies: Arc<Copies>,
}

impl Mirror {
    /// Whether it wants this request: each with the same chance.
    pub fn takes(&self) -> bool {
        self.share.takes_one()
    }

    /// A place for a copy, if there is one.
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.copies.place(&self.outcomes)
    }

    /// Sends a copy in its place.
    pub fn send(
        &self,
        place: OwnedSemaphorePermit,
        key: Option<u64>,
        request: Request<Full<Bytes>>,
    ) {
        let to = To {
            upstream: Arc::clone(&self.target.upstream),
            timeouts: self.target.timeouts,
            key,
        };
        self.copies
            .send(place, request, to, Arc::clone(&self.outcomes));
    }

    /// The upstream that gets them.
    pub fn upstream(&self) -> &Upstream {
        &self.target.upstream
    }
}

impl Route {
    /// With the upstreams of the same plan. Without what is live it copies nothing. The turn of a split and what is counted of copies goes on where that of `before`,
    /// the route that had its name, stands.
    pub(super) fn new(
        spec: &RouteSpec,
        upstreams: &[Arc<Upstream>],
        live: Option<&Live>,
        before: Option<&Self>,
    ) -> Option<Self> {
        let target = |target: &TargetSpec| {
            Some(Target {
                upstream: Arc::clone(upstreams.get(target.upstream)?),
                timeouts: target.timeouts,
            })
        };
        let end = match &spec.end {
            EndSpec::Upstream(upstream) => End::Upstream(target(upstream)?),
            EndSpec::Split(arms, sticky) => {
                let shares: Vec<(&str, u16)> = arms
                    .iter()
                    .map(|(_, name, share)| (name.as_str(), *share))
                    .collect();
                let turn = match before.map(|before| &before.end) {
                    Some(End::Split(_, before)) => before.turn(),
                    _ => Arc::default(),
                };
                let targets: Option<Vec<Target>> =
                    arms.iter().map(|(arm, ..)| target(arm)).collect();
                End::Split(targets?, Split::new(&shares, sticky.clone(), turn))
            }
            EndSpec::Redirect(redirect) => End::Redirect(redirect.clone()),
            EndSpec::Respond(reply) => End::Respond(Arc::clone(reply)),
        };
        let mirror = match (&spec.mirror, live) {
            (None, _) | (_, None) => None,
            (Some(mirror), Some(live)) => Some(Mirror {
                target: target(&mirror.target)?,
                share: mirror.share,
                body_size: mirror.body_size,
                outcomes: before
                    .and_then(|before| Some(Arc::clone(&before.mirror.as_ref()?.outcomes)))
                    .unwrap_or_default(),
                copies: live.copies(),
            }),
        };
        Some(Self {
            name: spec.name.clone(),
            filters: spec.filters.clone(),
            end,
            mirror,
            body_size: spec.body_size,
            answers: Answers::default(),
        })
    }
}
