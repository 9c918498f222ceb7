//! What an operator wants of a server for a while: `/upstreams/{name}/servers/{address}`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::query::Parameters;
use super::upstreams::UpstreamState;
use super::{Operator, Problem};
use crate::config::Duration as Span;
use crate::upstream::Upstream;
use crate::upstream::standing::{Duty, Held, Order};

/// The longest time that an order may hold; without `for` it holds until it is taken back.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// What is wanted of a server.
struct Wanted {
    state: Option<Duty>,
    weight: Option<u16>,
    /// For how long.
    span: Option<Duration>,
}

impl Wanted {
    fn read(mut given: Parameters) -> Result<Self, String> {
        let wanted = Self {
            state: given.take("state", "`serve`, `drain` or `disable`", duty)?,
            weight: given.take(
                "weight",
                "a whole number from 1 to 1000; `state=drain` sends no more",
                |text| text.parse().ok().filter(|it| (1..=1000).contains(it)),
            )?,
            span: given.take(
                "for",
                "whole numbers with `h`, `m`, `s` or `ms`, such as `10m` or `1h30m`, from `1ms` to `720h` (30 days)",
                |text| {
                    let span = text.parse::<Span>().ok()?.get();
                    (!span.is_zero() && span <= LONGEST).then_some(span)
                },
            )?,
        };
        given.end()?;
        match wanted.state.is_none() && wanted.weight.is_none() {
            true => Err("nothing is wanted: say `state=drain`, `state=disable`, `state=serve` or `weight=N`".to_owned()),
            false => Ok(wanted),
        }
    }

    fn order(&self, now: Instant) -> Order {
        let until = self.span.and_then(|span| now.checked_add(span));
        Order {
            duty: self.state.map(|value| Held { value, until }),
            weight: self.weight.map(|value| Held { value, until }),
        }
    }
}

fn duty(text: &str) -> Option<Duty> {
    match text {
        "serve" => Some(Duty::Serving),
        "drain" => Some(Duty::Draining),
        "disable" => Some(Duty::Disabled),
        _ => None,
    }
}

pub(super) async fn order(
    State(operator): State<Operator>,
    Path((name, server)): Path<(String, String)>,
    uri: Uri,
) -> Response {
    let wanted = Wanted::read(Parameters::of(&uri));
    match wanted.and_then(|wanted| Ok((wanted, address(&server)?))) {
        Ok((wanted, address)) => give(&operator, &name, address, |upstream| {
            upstream.order(address, wanted.order(Instant::now()))
        }),
        Err(why) => Problem::new(why).with(StatusCode::BAD_REQUEST),
    }
}

/// All that is wanted of a server: it knows no parameters.
pub(super) async fn take_back(
    State(operator): State<Operator>,
    Path((name, server)): Path<(String, String)>,
    uri: Uri,
) -> Response {
    let is_all = Parameters::of(&uri).end().map_err(|why| {
        format!("{why}, and `DELETE` takes back all that is wanted of the server; `POST` changes a part of it")
    });
    match is_all.and_then(|()| address(&server)) {
        Ok(address) => give(&operator, &name, address, |upstream| {
            upstream.take_back(address)
        }),
        Err(why) => Problem::new(why).with(StatusCode::BAD_REQUEST),
    }
}

fn address(server: &str) -> Result<SocketAddr, String> {
    server.parse().map_err(|_| {
        let server = server.escape_debug();
        format!("`{server}` is no address and port such as `10.0.0.2:80`: `/upstreams` shows those of a name")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Parameters {
        Parameters::of(&format!("/servers/a?{query}").parse().unwrap())
    }

    #[test]
    fn an_order_says_what_it_wants_and_for_how_long() {
        let now = Instant::now();
        let order = |query| Wanted::read(asked(query)).map(|wanted| wanted.order(now));
        let until = |seconds| Some(now + Duration::from_secs(seconds));
        assert_eq!(
            order("for=1h30m&state=drain"),
            Ok(Order {
                duty: Some(Held {
                    value: Duty::Draining,
                    until: until(5400)
                }),
                weight: None
            })
        );
        let longest = order("weight=1000&for=720h").unwrap().weight.unwrap();
        assert_eq!((longest.value, longest.until), (1000, until(30 * 86400)));
    }

    #[test]
    fn what_makes_no_sense_is_told_by_its_name_with_what_is_expected() {
        let span = "expected whole numbers with `h`, `m`, `s` or `ms`, such as `10m` or `1h30m`, from `1ms` to `720h` (30 days)";
        for (query, expected) in [
            (
                "state=gone",
                "`state` is `gone`: expected `serve`, `drain` or `disable`".to_owned(),
            ),
            ("state=drain&for=31d", format!("`for` is `31d`: {span}")),
            ("state=drain&for=1.5s", format!("`for` is `1.5s`: {span}")),
            ("state=drain&for=721h", format!("`for` is `721h`: {span}")),
            ("state=drain&for=0s", format!("`for` is `0s`: {span}")),
            ("weight=1&weight=2", "`weight` is given twice".to_owned()),
            (
                "stat=drain&weight=2",
                "`stat` is no parameter here; known are `state`, `weight` and `for`".to_owned(),
            ),
        ] {
            let found = Wanted::read(asked(query)).map(|_| ());
            assert_eq!(found, Err(expected), "{query}");
        }
        for weight in ["", "x", "0", "1001", "-1", "2.5"] {
            let found = Wanted::read(asked(&format!("weight={weight}"))).map(|_| ());
            let expected = format!(
                "`weight` is `{weight}`: expected a whole number from 1 to 1000; `state=drain` sends no more"
            );
            assert_eq!(found, Err(expected));
        }
    }
}
