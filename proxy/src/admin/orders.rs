//! What an operator wants of a server for a while: `/upstreams/{name}/servers/{address}`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::upstreams::UpstreamState;
use super::{Operator, Problem};
use crate::config::Duration as Span;
use crate::upstream::Upstream;
use crate::upstream::standing::{Duty, Held, Order};

/// The longest time that an order may hold; without `for` it holds until it is taken back.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// What is wanted of a server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    state: Option<Wish>,
    weight: Option<u16>,
    /// For how long.
    r#for: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wish {
    Serve,
    Drain,
    Disable,
}

impl Wanted {
    fn order(&self, now: Instant) -> Result<Order, String> {
        if self.state.is_none() && self.weight.is_none() {
            return Err("nothing is wanted: say `state=drain`, `state=disable`, `state=serve` or `weight=N`".to_owned());
        }
        if self
            .weight
            .is_some_and(|weight| !(1..=1000).contains(&weight))
        {
            return Err(
                "a weight is a whole number from 1 to 1000; `state=drain` sends no more".to_owned(),
            );
        }
        let span: Option<Span> = self
            .r#for
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|_| "`for` is no duration such as `10m` or `48h`".to_owned())?;
        let span = span.map(Span::get);
        if span.is_some_and(|span| span.is_zero() || span > LONGEST) {
            return Err("`for` is from `1ms` to 30 days".to_owned());
        }
        let until = span.and_then(|span| now.checked_add(span));
        let duty = self.state.map(|wish| match wish {
            Wish::Serve => Duty::Serving,
            Wish::Drain => Duty::Draining,
            Wish::Disable => Duty::Disabled,
        });
        Ok(Order {
            duty: duty.map(|value| Held { value, until }),
            weight: self.weight.map(|value| Held { value, until }),
        })
    }
}

pub(super) async fn order(
    State(operator): State<Operator>,
    Path((name, address)): Path<(String, SocketAddr)>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let order = wanted
        .map_err(|rejection| rejection.body_text())
        .and_then(|Query(wanted)| wanted.order(Instant::now()));
    match order {
        Ok(order) => give(&operator, &name, address, |upstream| {
            upstream.order(address, order)
        }),
        Err(why) => Problem::new(why).with(StatusCode::BAD_REQUEST),
    }
}

pub(super) async fn take_back(
    State(operator): State<Operator>,
    Path((name, address)): Path<(String, SocketAddr)>,
) -> Response {
    give(&operator, &name, address, |upstream| {
        upstream.take_back(address)
    })
}

/// Until no edit has taken the place of what it was said to: the order is for what runs then.
fn give(
    operator: &Operator,
    name: &str,
    address: SocketAddr,
    give: impl Fn(&Arc<Upstream>) -> bool,
) -> Response {
    loop {
        let snapshot = operator.running.snapshot();
        let upstream = snapshot.upstreams.iter().find(|one| one.name() == name);
        let Some(upstream) = upstream else {
            let why = format!("there is no upstream `{name}`");
            return Problem::new(why).with(StatusCode::NOT_FOUND);
        };
        let is_known = give(upstream);
        if !Arc::ptr_eq(&snapshot, &operator.running.snapshot()) {
            continue;
        }
        if is_known {
            return Json(UpstreamState::of(upstream)).into_response();
        }
        let pool = upstream.pool();
        let known = pool.all().iter().map(|server| server.address().to_string());
        let known = known.collect::<Vec<_>>().join(", ");
        let why = format!("upstream `{name}` has no server `{address}`; known are {known}");
        return Problem::new(why).with(StatusCode::NOT_FOUND);
    }
}
