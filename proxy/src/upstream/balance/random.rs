//! `balance: random`: a server by lot, as often as its weight says. Several proxies in front of the same servers do not fall
//! into step; over a short time the shares are less even than those of `round_robin`.
//!
//! ```yaml
//! balance: random
//! ```
//!
//! Cost: one random word and one look into a table of eight bytes for each server (`draw`: Vose's alias method, 1991), however many
//! there are.

use std::sync::Arc;

use super::draw::Draw;
use super::{Asked, Picker, Policy};
use crate::component::{Kind, NoOptions};
use crate::upstream::Endpoint;

pub(super) const KIND: Kind<Arc<dyn Policy>> = Kind::new::<NoOptions>(
    "random",
    "a server by lot, as often as its weight says",
    |options| {
        let NoOptions {} = options.decode()?;
        Ok(Arc::new(Random))
    },
);

#[derive(Debug)]
pub(super) struct Random;

impl Policy for Random {
    fn identity(&self) -> String {
        KIND.name.to_owned()
    }

    fn picker(&self, ready: &[Arc<Endpoint>]) -> Box<dyn Picker> {
        Box::new(Lots(Draw::new(ready)))
    }
}

struct Lots(Draw);

impl Picker for Lots {
    fn pick<'a>(&self, ready: &'a [Arc<Endpoint>], asked: &Asked<'_>) -> Option<&'a Arc<Endpoint>> {
        self.0.best_of(1, ready, asked.tried, |_, _| false)
    }
}
