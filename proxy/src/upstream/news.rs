//! What is new when an upstream takes in a change: noted for the operator, and loud where it has to be.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tracing::{error, info, warn};

use super::events::Event;
use super::health::Health;
use super::refresh::Search;
use super::standing::{Duty, Seen};
use super::{Endpoint, Pool, Upstream};

/// What was told of the upstream of a name, over reloads.
#[derive(Debug, Default)]
pub struct Told {
    /// All servers are asked, whatever their probes say.
    panic: AtomicBool,
    /// Who its servers are was known once.
    is_known: AtomicBool,
    /// Servers of before stay, for nobody is known who should come.
    kept: AtomicBool,
}

impl Told {
    /// Nothing was told yet.
    pub(super) fn forget(&self) {
        self.panic.store(false, Ordering::Release);
        self.is_known.store(false, Ordering::Release);
        self.kept.store(false, Ordering::Release);
    }
}

/// The clock of the wall is looked at again after so long: it may be set, or stand still with the machine.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Who names servers where no source does.
pub(super) const THE_FILE: &str = "the file";

const BY_FILE: &str = "by the file";

/// Who changed what a server gets.
fn by(is_ordered: bool, was_ordered: bool, member: &Endpoint) -> &'static str {
    match (is_ordered, was_ordered) {
        (true, _) => "by the operator",
        (false, true) if member.standing().is_taken_back() => "taken back by the operator",
        (false, true) => "the operator's order is over",
        (false, false) => BY_FILE,
    }
}

impl Upstream {
    /// Notes how a server is now, and what is new about that. `serves` is whether others serve already.
    pub(super) fn see(&self, member: &Endpoint, serves: bool, now: Instant) {
        let ejected = self.ejected(member, now);
        let order = member.standing().order(now);
        let seen = Seen {
            health: member.health(),
            duty: member.duty(now),
            weight: member.weight(),
            is_ejected: ejected.is_some(),
            is_duty_ordered: order.duty.is_some(),
            is_weight_ordered: order.weight.is_some(),
        };
        let Some(before) = member.standing().note(seen, serves, now) else {
            return;
        };
        let server = Some(member.address());
        if before.is_none() {
            let by = member.standing().named_by();
            self.log_and_tell(
                server,
                "came",
                format!("by {}", by.as_deref().unwrap_or(THE_FILE)),
            );
        }
        let health = before.map(|before| before.health);
        if health != Some(seen.health) && seen.health != Health::Untried {
            let reason = match seen.health {
                Health::Down => member.reason(),
                _ => Some(self.why_up(health)),
            };
            // The log has it from the one who probes.
            self.tell(server, seen.health.as_str(), reason);
        }
        if before.map_or(Duty::Serving, |before| before.duty) != seen.duty {
            let was_ordered = before.is_some_and(|before| before.is_duty_ordered);
            let by = match by(seen.is_duty_ordered, was_ordered, member) {
                BY_FILE if member.seat().has_ended() => "its `until` is over",
                by => by,
            };
            self.log_and_tell(server, seen.duty.as_str(), by.to_owned());
        }
        let was_ejected = before.is_some_and(|before| before.is_ejected);
        match ejected {
            Some(ejected) if !was_ejected => {
                let (upstream, reason) = (self.name(), ejected.to_string());
                let times = ejected.times;
                warn!(upstream, server = %member.address(), reason, times, "server: ejected");
                self.tell(server, "ejected", Some(reason));
            }
            None if was_ejected => {
                let bounds = self.spec.outlier_ejection.as_ref();
                let why = member.standing().outlier().why_back(bounds);
                self.log_and_tell(server, "returned", why.to_string());
            }
            _ => {}
        }
        if let Some(before) = before.filter(|before| before.weight != seen.weight) {
            let by = by(seen.is_weight_ordered, before.is_weight_ordered, member);
            let change = format!("{} -> {}, {by}", before.weight, seen.weight);
            self.log_and_tell(server, "weight", change);
        }
    }

    fn why_up(&self, before: Option<Health>) -> String {
        match (&self.spec.check, before) {
            (None, _) => "it is not probed".to_owned(),
            (Some(check), Some(Health::Down)) => match check.pace().healthy_after {
                1 => "a good probe".to_owned(),
                number => format!("{number} good probes in a row"),
            },
            (Some(_), _) => "its first probe was good".to_owned(),
        }
    }

    /// Those that are not among these any more left: whoever named them does not any more.
    pub(super) fn tell_gone(&self, members: &[Arc<Endpoint>]) {
        let members: HashSet<SocketAddr> = members.iter().map(|it| it.address()).collect();
        let is_gone = |address| !members.contains(&address);
        for (address, by) in self.live.note_gone(self.name(), is_gone) {
            let by = by.filter(|by| self.asks(by));
            let by = by.as_deref().unwrap_or(THE_FILE);
            self.log_and_tell(Some(address), "left", format!("by {by}"));
        }
    }

    /// Loudly, once: servers stay that nobody names, for nobody else is known.
    pub(super) fn tell_kept(&self, search: Search, kept: usize) {
        let is_kept = search == Search::InVain && kept > 0;
        if !self.told.kept.swap(is_kept, Ordering::AcqRel) && is_kept {
            let upstream = self.name();
            warn!(
                upstream,
                kept, "no server that should come is known: those of before stay"
            );
        }
    }

    /// Whether those who know its servers are asked, of whom this is one.
    fn asks(&self, label: &str) -> bool {
        let is_source = self.source().as_ref().is_some_and(|it| it.label() == label);
        is_source || self.names().values().any(|name| name.label() == label)
    }

    fn log_and_tell(&self, server: Option<SocketAddr>, what: &'static str, reason: String) {
        let (upstream, address) = (self.name(), server.map(|server| server.to_string()));
        info!(upstream, server = address, reason, "server: {what}");
        self.tell(server, what, Some(reason));
    }

    fn tell(&self, server: Option<SocketAddr>, what: &'static str, reason: Option<String>) {
        let event = Event {
            time: SystemTime::now(),
            server,
            what,
            reason,
        };
        self.live.events().note(self.name(), event);
    }

    /// Whether it is the first time that who its servers are is known: those of the beginning are no late comers, however long it
    /// takes to find out about them.
    pub(super) fn is_beginning(&self, is_known: bool) -> bool {
        match is_known {
            true => !self.told.is_known.swap(true, Ordering::AcqRel),
            false => !self.told.is_known.load(Ordering::Acquire),
        }
    }

    /// Loudly: the probes are not listened to.
    pub(super) fn tell_panic(&self, pool: &Pool, now: Instant) {
        let upstream = self.name();
        let up = pool
            .all()
            .iter()
            .filter(|server| server.health() == Health::Up)
            .filter(|server| self.ejected(server, now).is_none());
        let (up, all) = (up.count(), pool.all().len());
        let was_in_panic = self.told.panic.swap(pool.in_panic(), Ordering::AcqRel);
        match (was_in_panic, pool.in_panic()) {
            (false, true) => {
                self.tally().panics.note();
                error!(
                    upstream,
                    up,
                    all,
                    "panic: fewer servers are up than `panic_below`, so all are asked, whatever their probes say"
                );
                self.tell(None, "panic", Some(format!("{up} of {all} servers are up")));
            }
            (true, false) => {
                info!(upstream, up, all, "the panic is over");
                self.tell(None, "calm", Some(format!("{up} of {all} servers are up")));
            }
            _ => {}
        }
    }

    /// When the first of what holds for a while ends: an order, a state of the file's, an ejection.
    pub(super) fn next_end(&self, members: &[Arc<Endpoint>], now: Instant) -> Option<Instant> {
        let ends = members.iter().flat_map(|member| {
            let order = member.standing().order(now).until();
            let ejected = self.ejected(member, now).map(|ejected| ejected.until);
            let left = member.seat().left().filter(|left| !left.is_zero());
            let state = left.and_then(|left| now.checked_add(left.min(LOOK_AGAIN)));
            order.into_iter().chain(ejected).chain(state)
        });
        ends.min()
    }

    /// What ends changes who may be picked.
    pub(super) fn wait_for(self: &Arc<Self>, end: Option<Instant>) {
        let waiting = end.map(|end| {
            let me = Arc::downgrade(self);
            tokio::spawn(async move {
                tokio::time::sleep_until(end.into()).await;
                if let Some(upstream) = me.upgrade() {
                    upstream.refresh_soon();
                }
            })
            .abort_handle()
        });
        let mut last = self
            .next_change
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = std::mem::replace(&mut *last, waiting) {
            last.abort();
        }
    }
}
