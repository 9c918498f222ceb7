//! `balance: least_request`: of a few servers drawn by lot, the one that has the least to do.
//!
//! ```yaml
//! balance: { least_request: { choices: 2 } }
//! ```
//!
//! Two choices are enough to keep the longest queue short (M. Mitzenmacher, "The power of two choices in randomized load
//! balancing", IEEE Transactions on Parallel and Distributed Systems 12, 2001); it is Envoy's `LEAST_REQUEST` with its `choice_count`.
//! To compare all would send every proxy to the same server at the same moment.
//!
//! Weights: servers are drawn in proportion to them, each once, and what they have to do is divided by them (`crowding`). Of two
//! that have nothing to do the first one is taken, so that weights hold also when there is little to do.
//!
//! Cost: for each choice one lot (`draw`) and one look at the count of the server's requests.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::{CHOICES_MAX, Draw};
use super::{Asked, Picker, Policy};
use crate::component::{Kind, Options};
use crate::config::{Diagnostic, Spanned, code};
use crate::upstream::Endpoint;

pub(super) const KIND: Kind<Arc<dyn Policy>> = Kind::new::<Written>(
    "least_request",
    "of a few servers drawn by lot, the one that has the least to do",
    build,
);

const CHOICES: u8 = 2;

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    /// How many servers are compared, from 2 to 10. Default: 2.
    #[serde(default = "choices")]
    #[schemars(range(min = 2, max = 10))]
    choices: Spanned<u8>,
}

fn choices() -> Spanned<u8> {
    CHOICES.into()
}

fn build(options: &Options<'_>) -> Result<Arc<dyn Policy>, Vec<Diagnostic>> {
    let Written { choices } = options.decode()?;
    if !(CHOICES..=CHOICES_MAX).contains(&choices.value) {
        let message = format!("`choices` is {}", choices.value);
        let problem = Diagnostic::error(code::OUT_OF_BOUNDS, message)
            .at(choices.span)
            .label("expected 2 to 10");
        return Err(vec![match choices.value {
            0 | 1 => problem.help("write `balance: random` to compare none"),
            _ => problem.note("the more are compared, the more proxies choose the same server"),
        }]);
    }
    Ok(Arc::new(LeastRequest {
        choices: choices.value,
    }))
}

#[derive(Debug)]
pub(super) struct LeastRequest {
    pub(super) choices: u8,
}

impl Policy for LeastRequest {
    fn identity(&self) -> String {
        format!("{} {}", KIND.name, self.choices)
    }

    fn picker(&self, ready: &[Arc<Endpoint>]) -> Box<dyn Picker> {
        Box::new(Choice {
            draw: Draw::new(ready),
            choices: self.choices,
        })
    }
}

struct Choice {
    draw: Draw,
    choices: u8,
}

impl Picker for Choice {
    fn pick<'a>(&self, ready: &'a [Arc<Endpoint>], asked: &Asked<'_>) -> Option<&'a Arc<Endpoint>> {
        self.draw
            .best_of(self.choices, ready, asked.tried, is_less_busy)
    }
}

fn is_less_busy(one: &Endpoint, other: &Endpoint) -> bool {
    let (ones, others) = (one.in_flight(), other.in_flight());
    let is_any_busy = ones > 0 || others > 0;
    is_any_busy && crowding(ones, one.weight()) < crowding(others, other.weight())
}

/// What a server would have to do with half a request more, for its weight. Webster's and Sainte-Laguë's way to divide seats
/// (M. Balinski, H. P. Young, "Fair Representation", 1982): with the requests as they are, or with a whole one more, the light or
/// the heavy servers would get too many.
pub(super) fn crowding(in_flight: usize, weight: u16) -> f32 {
    (in_flight as f32 + 0.5) / f32::from(weight.max(1))
}
