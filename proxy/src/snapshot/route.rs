//! A route as a request uses it.

use std::sync::Arc;

use super::plan::{EndSpec, FilterSpec, RouteSpec, TargetSpec};
use crate::end::Reply;
use crate::end::redirect::Redirect;
use crate::end::split::Split;
use crate::upstream::{Timeouts, Upstream};

/// What happens to the requests that a route takes.
pub struct Route {
    /// The name in the file.
    pub name: String,
    /// What happens on the way.
    pub filters: Vec<FilterSpec>,
    /// Where it ends.
    pub end: End,
    /// Bytes of a request's body, if the route says so.
    pub body_size: Option<u64>,
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
    Respond(Reply),
}

/// An upstream, as a route uses it.
pub struct Target {
    /// Who answers.
    pub upstream: Arc<Upstream>,
    /// How long to wait.
    pub timeouts: Timeouts,
}

impl Route {
    /// With the upstreams of the same plan. The turn of a split goes on where that of `before`, the route that had its name,
    /// stands.
    pub(super) fn new(
        spec: &RouteSpec,
        upstreams: &[Arc<Upstream>],
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
            EndSpec::Respond(reply) => End::Respond(reply.clone()),
        };
        Some(Self {
            name: spec.name.clone(),
            filters: spec.filters.clone(),
            end,
            body_size: spec.body_size,
        })
    }
}
