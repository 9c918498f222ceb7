//! `balance: peak_ewma`: of two servers drawn by lot, the one that would answer first, by its latency and what it has to do.
//!
//! ```yaml
//! balance: { peak_ewma: { decay: 10s } }
//! ```
//!
//! It is Finagle's policy of that name (`com.twitter.finagle.loadbalancer.PeakEwma`, which Linkerd uses too): `latency` explains the
//! average. A sample is the time from when the server was picked, or had the whole request, to the head of its answer.
//!
//! - A server that nothing is known of gets one request, and no other until that is answered: neither many nor none.
//! - What fails at once is not fast: with an answer of 500 and above, or an attempt that failed, the average counts ten times. With time
//!   and with answers it counts less again. A client that leaves can only raise the average.
//! - The average is multiplied by what the server has to do for its weight (`least_request`). Of two that have nothing to do the second
//!   one is taken only if it is more than twice as fast: less is chance, and weights would not hold.
//!
//! Cost: two lots (`draw`), two averages read with an exponential each; one word exchanged for each answer. Memory: 24 bytes for each
//! server, and the eight of `draw`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::Draw;
use super::least_request::crowding;
use super::{Asked, End, Learner, Outcome, Picker, Policy};
use crate::component::{Kind, Options};
use crate::config::{self, Diagnostic, Spanned, code};
use crate::upstream::Endpoint;

pub(super) const KIND: Kind<Arc<dyn Policy>> = Kind::new::<Written>(
    "peak_ewma",
    "of two servers drawn by lot, the one that would answer first",
    build,
);

/// Finagle's and Linkerd's.
const DECAY: Duration = Duration::from_secs(10);
/// Below, single requests decide.
const DECAY_MIN: Duration = Duration::from_millis(100);
/// Above, a server that recovers waits for hours.
const DECAY_MAX: Duration = Duration::from_secs(600);

/// So often counts the average of one that just failed.
const FAILED: f32 = 10.0;
/// The average of one that failed before it answered, if no other answered either.
const FAILED_AT_FIRST: Duration = Duration::from_secs(1);

/// So much faster must one be for it to be no chance.
const CLEARLY: f32 = 2.0;

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    /// How fast a peak is forgotten: after this time a third of it is left. From `100ms` to `10m`. Default: `10s`.
    #[serde(default = "decay")]
    decay: Spanned<config::Duration>,
}

fn decay() -> Spanned<config::Duration> {
    config::Duration::from(DECAY).into()
}

fn build(options: &Options<'_>) -> Result<Arc<dyn Policy>, Vec<Diagnostic>> {
    let Written { decay } = options.decode()?;
    let is_short = decay.get() < DECAY_MIN;
    if is_short || decay.get() > DECAY_MAX {
        let message = format!("`decay` is `{}`", decay.value);
        return Err(vec![
            Diagnostic::error(code::OUT_OF_BOUNDS, message)
                .at(decay.span)
                .label("expected `100ms` to `10m`")
                .note(if is_short {
                    "single requests would decide, and a slow server be forgotten at once"
                } else {
                    "a server that was slow once would wait for hours"
                }),
        ]);
    }
    Ok(Arc::new(PeakEwma { decay: decay.get() }))
}

#[derive(Debug, Clone, Copy)]
pub(super) struct PeakEwma {
    pub(super) decay: Duration,
}

impl Policy for PeakEwma {
    fn identity(&self) -> String {
        format!("{} {:?}", KIND.name, self.decay)
    }

    fn picker(&self, ready: &[Arc<Endpoint>]) -> Box<dyn Picker> {
        Box::new(Choice {
            draw: Draw::new(ready),
            decay: self.decay,
        })
    }

    fn learner(&self) -> Option<&dyn Learner> {
        Some(self)
    }
}

impl Learner for PeakEwma {
    fn note(&self, server: &Endpoint, ready: &[Arc<Endpoint>], outcome: &Outcome) {
        let (latency, at) = (server.latency(), outcome.at);
        let Some(took) = outcome.took else { return };
        match outcome.end {
            End::Answered => latency.answered(took, at, self.decay),
            End::Failed | End::BrokeOff | End::Unable => {
                latency.failed(took, || usual(ready, at), at);
            }
            End::Left => latency.at_least(took, at, self.decay),
            End::Complete => {}
        }
    }
}

/// What is known of the servers, on average.
fn usual(ready: &[Arc<Endpoint>], now: Instant) -> Duration {
    let noted = || {
        let all = ready.iter();
        all.filter_map(|server| Some(server.latency().noted(now)?.0))
    };
    let count = u32::try_from(noted().count()).unwrap_or(u32::MAX);
    let sum = noted().fold(Duration::ZERO, Duration::saturating_add);
    sum.checked_div(count).unwrap_or(FAILED_AT_FIRST)
}

struct Choice {
    draw: Draw,
    decay: Duration,
}

impl Picker for Choice {
    fn pick<'a>(&self, ready: &'a [Arc<Endpoint>], asked: &Asked<'_>) -> Option<&'a Arc<Endpoint>> {
        let is_faster = |one: &Endpoint, other: &Endpoint| self.is_faster(one, other, asked.now);
        self.draw.best_of(2, ready, asked.tried, is_faster)
    }
}

impl Choice {
    fn is_faster(&self, one: &Endpoint, other: &Endpoint, now: Instant) -> bool {
        let (ones, others) = (one.in_flight(), other.in_flight());
        let crowded = crowding(ones, one.weight());
        let others_crowded = crowding(others, other.weight());
        let takes = |server: &Endpoint| {
            let latency = server.latency();
            let failing = latency.failing(now, self.decay);
            let average = match server.awaiting() {
                0 => latency.average(now, self.decay),
                _ => latency.last(),
            };
            Some(average? * (1.0 + (FAILED - 1.0) * failing))
        };
        match (takes(one), takes(other)) {
            (Some(takes), Some(other)) if ones == 0 && others == 0 => takes * CLEARLY < other,
            (Some(takes), Some(other)) => takes * crowded < other * others_crowded,
            (Some(_), None) => others > 0,
            (None, Some(_)) => ones == 0,
            (None, None) => crowded < others_crowded && ones + others > 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turns::Purpose;
    use crate::upstream::InFlight;
    use crate::upstream::balance::Tried;
    use crate::upstream::balance::simulation::servers;

    const POLICY: PeakEwma = PeakEwma { decay: DECAY };
    const MS: Duration = Duration::from_millis(1);

    fn asked(now: Instant) -> Asked<'static> {
        Asked {
            tried: Tried::NONE,
            purpose: Purpose::Serve,
            key: None,
            now,
        }
    }

    fn tell(server: &Endpoint, ready: &[Arc<Endpoint>], end: End, took: Duration, at: Instant) {
        let outcome = Outcome {
            end,
            took: Some(took),
            picked: at,
            at,
        };
        POLICY.note(server, ready, &outcome);
    }

    #[test]
    fn who_is_new_gets_one_request_and_no_other_until_it_answers() {
        fastrand::seed(3);
        let ready = servers(&[1, 1]);
        let picker = POLICY.picker(&ready);
        let now = Instant::now();
        tell(&ready[0], &ready, End::Answered, 10 * MS, now);
        let pick = || picker.pick(&ready, &asked(now)).unwrap();
        let first = pick();
        assert_eq!(first.address(), ready[1].address());
        let under_way = first.enter();
        let others: Vec<_> = (0..100).map(|_| (pick(), pick().enter())).collect();
        let known = others.iter().map(|(server, _)| server.address());
        assert!(known.clone().all(|picked| picked == ready[0].address()));
        drop(under_way);
        tell(&ready[1], &ready, End::Answered, 10 * MS, now);
        assert_eq!(pick().address(), ready[1].address());
    }

    #[test]
    fn of_one_that_fails_at_first_is_known_what_is_known_of_others() {
        let ready = servers(&[1, 1, 1]);
        let now = Instant::now();
        let millis = |server: usize| {
            let average = ready[server].latency().average(now, DECAY);
            (average.unwrap() / 1e6).round()
        };
        tell(&ready[0], &ready, End::Failed, MS / 10, now);
        assert_eq!(millis(0), 1000.0, "nobody has answered yet");
        tell(&ready[1], &ready, End::Answered, 10 * MS, now);
        tell(&ready[2], &ready[1..], End::Failed, MS / 10, now);
        assert_eq!(millis(2), 10.0);
        tell(&ready[2], &ready, End::Failed, 3000 * MS, now);
        assert_eq!(millis(2), 3000.0);
        tell(&ready[1], &ready, End::Left, MS, now);
        assert_eq!(millis(1), 10.0);
        tell(&ready[1], &ready, End::Left, 500 * MS, now);
        assert_eq!(millis(1), 500.0);
    }

    #[test]
    fn a_server_that_hangs_does_not_look_fast_while_requests_wait_for_it() {
        fastrand::seed(5);
        let ready = servers(&[1, 1]);
        let picker = POLICY.picker(&ready);
        let start = Instant::now();
        tell(&ready[1], &ready, End::Answered, 10 * MS, start);
        let _waiting: Vec<InFlight> = (0..4).map(|_| ready[1].enter()).collect();
        let later = start + 20 * DECAY;
        tell(&ready[0], &ready, End::Answered, 10 * MS, later);
        let _busy = [ready[0].enter(), ready[0].enter()];
        let picks = (0..100).map(|_| picker.pick(&ready, &asked(later)).unwrap());
        let hanging = picks.filter(|server| server.address() == ready[1].address());
        assert_eq!(hanging.count(), 0);
    }

    /// Tunnels that stay for hours give no samples, and are no reason to wait for one.
    #[test]
    fn a_server_that_was_slow_is_asked_again_whatever_it_has_answered_and_goes_on_with() {
        fastrand::seed(6);
        let ready = servers(&[1, 1]);
        let picker = POLICY.picker(&ready);
        let start = Instant::now();
        let mut tunnels: Vec<InFlight> = ready.iter().map(|server| server.enter()).collect();
        tunnels.iter_mut().for_each(InFlight::answered);
        tell(&ready[0], &ready, End::Answered, 10 * MS, start);
        tell(&ready[1], &ready, End::Answered, 3000 * MS, start);
        let later = start + 7 * DECAY;
        tell(&ready[0], &ready, End::Answered, 10 * MS, later);
        let picks = (0..100).map(|_| picker.pick(&ready, &asked(later)).unwrap());
        let slow = picks.filter(|server| server.address() == ready[1].address());
        assert!(slow.count() > 30);
    }

    #[test]
    fn a_server_that_was_slow_and_is_not_asked_is_asked_again() {
        fastrand::seed(4);
        let ready = servers(&[1, 1]);
        let picker = POLICY.picker(&ready);
        let start = Instant::now();
        tell(&ready[1], &ready, End::Answered, 1000 * MS, start);
        let second_at = |now: Instant| {
            tell(&ready[0], &ready, End::Answered, 10 * MS, now);
            let picks = (0..100).map(|_| picker.pick(&ready, &asked(now)).unwrap());
            picks
                .filter(|server| server.address() == ready[1].address())
                .count()
        };
        assert_eq!(second_at(start), 0);
        assert_eq!(second_at(start + 3 * DECAY), 0);
        assert!(second_at(start + 5 * DECAY) > 30);
    }
}
