//! Puts servers out and lets them come back: `outlier` says who is one, here is what follows.

use std::sync::Arc;
use std::time::Instant;

use super::balance::Outcome;
use super::health::Health;
use super::outlier::{Back, Bounds, Ejected, Other, Suspicion, Verdict};
use super::standing::Duty;
use super::{Endpoint, Upstream};

impl Upstream {
    /// Whether a server is out for what became of its requests, and why.
    pub fn ejected(&self, server: &Endpoint, now: Instant) -> Option<Ejected> {
        let bounds = self.spec.outlier_ejection.as_ref();
        server.standing().ejected(now, bounds)
    }

    /// Takes in what became of an attempt, and puts its server out if that is enough.
    pub(super) fn judge(&self, server: &Endpoint, outcome: &Outcome, bounds: &Bounds) {
        let suspicion = server.standing().outlier().hear(outcome, bounds);
        let Some(suspicion) = suspicion else { return };
        let now = outcome.at;
        let all = || self.figures(bounds, now);
        let verdict = match self.usual.explains(&suspicion, bounds, now, all) {
            true => Verdict::NoOutlier,
            false => self.follow(server, &suspicion, bounds, now),
        };
        match verdict {
            Verdict::Out(_) => {
                self.tally().ejections.note();
                // Not this upstream alone: an edit may just make another one of it.
                server.standing().changes.announce();
            }
            verdict @ (Verdict::NoOutlier | Verdict::NoRoom) => {
                let no_room = verdict == Verdict::NoRoom;
                let mut record = server.standing().outlier();
                if record.spare(&suspicion, no_room, now) {
                    self.tally().ejections_spared.note();
                }
            }
        }
    }

    fn figures(&self, bounds: &Bounds, now: Instant) -> Vec<Other> {
        let (members, inherited) = self.everybody();
        let everybody = members.iter().chain(&inherited);
        let picked = everybody.filter(|one| self.can_be_picked(one, now));
        picked
            .map(|one| one.standing().outlier().as_other(now, bounds))
            .collect()
    }

    /// One at a time, so that there are never more out than there is room for.
    fn follow(
        &self,
        server: &Endpoint,
        suspicion: &Suspicion,
        bounds: &Bounds,
        now: Instant,
    ) -> Verdict {
        let (members, inherited) = self.everybody();
        let members: Vec<&Arc<Endpoint>> = members.iter().chain(&inherited).collect();
        let is_it = |one: &Endpoint| one.address() == server.address();
        // Or somebody else was faster.
        let is_here = members.iter().any(|member| is_it(member));
        if !is_here || self.ejected(server, now).is_some() {
            return Verdict::NoOutlier;
        }
        let others = members.iter().filter(|member| !is_it(member));
        let others: Vec<Other> = others
            .filter(|other| self.can_be_picked(other, now))
            .map(|other| {
                let is_peer = other.priority() == server.priority();
                let what = other.standing().outlier().as_other(now, bounds);
                Other { is_peer, ..what }
            })
            .collect();
        let out = members.iter().filter(|it| self.ejected(it, now).is_some());
        let verdict = suspicion.verdict(&others, out.count(), members.len(), bounds);
        let Verdict::Out(reason) = verdict else {
            return verdict;
        };
        match server.standing().outlier().eject(reason, now, bounds) {
            true => verdict,
            // Somebody else was faster.
            false => Verdict::NoOutlier,
        }
    }

    fn can_be_picked(&self, server: &Endpoint, now: Instant) -> bool {
        server.health() == Health::Up
            && server.duty(now) == Duty::Serving
            && self.ejected(server, now).is_none()
    }

    /// When servers leave or the file changes, more may be out than it allows: those whose time is over first come back now.
    pub(super) fn make_room(&self, members: &[Arc<Endpoint>], now: Instant) {
        let Some(bounds) = &self.spec.outlier_ejection else {
            return;
        };
        let mut out: Vec<(Instant, &Arc<Endpoint>)> = members
            .iter()
            .filter_map(|member| Some((self.ejected(member, now)?.until, member)))
            .collect();
        out.sort_by_key(|(until, _)| *until);
        let too_many = out.len().saturating_sub(bounds.room(members.len()));
        for (_, member) in out.into_iter().take(too_many) {
            member.standing().outlier().take_back(now, Back::NoRoom);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::upstream::balance::{Asked, End, Tried};
    use crate::upstream::tests::{edit, in_effect, plain};
    use crate::upstream::{Live, Spec};
    use crate::{config, turns::Purpose};

    pub(in crate::upstream) const BOUNDS: Bounds = Bounds {
        consecutive_failures: 5,
        error_rate: None,
        latency: None,
        time: Duration::from_secs(600),
        max_time: Duration::from_secs(600),
        max_ejected: config::Share::HALF,
    };

    fn of(servers: u16) -> Spec {
        let ports: Vec<u16> = (1..=servers).collect();
        Spec {
            outlier_ejection: Some(BOUNDS),
            ..plain(&ports)
        }
    }

    fn fail(upstream: &Upstream, port: u16) {
        let pool = upstream.pool();
        let mut all = pool.all().iter();
        let server = all.find(|server| server.address().port() == port).unwrap();
        let at = Instant::now();
        let failed = || {
            Some(Outcome {
                end: End::Failed,
                took: None,
                picked: at,
                at,
            })
        };
        upstream.note(server, failed);
    }

    pub(in crate::upstream) fn put_out(upstream: &Upstream, port: u16) {
        (0..BOUNDS.consecutive_failures).for_each(|_| fail(upstream, port));
    }

    fn ready(upstream: &Upstream) -> Vec<u16> {
        let pool = upstream.pool();
        let ready = pool.ready().iter();
        ready.map(|server| server.address().port()).collect()
    }

    fn told(upstream: &Upstream, what: &str) -> usize {
        let events = upstream.events();
        events.iter().filter(|event| event.what == what).count()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_is_put_out_once_whoever_notices_and_no_more_are_than_there_is_room_for() {
        let live = Arc::new(Live::default());
        let upstream = in_effect(of(4), &live);
        let threads = (0..4).map(|_| {
            let upstream = Arc::clone(&upstream);
            let runtime = tokio::runtime::Handle::current();
            std::thread::spawn(move || {
                let _within = runtime.enter();
                for _ in 0..200 {
                    (1..=3).for_each(|port| fail(&upstream, port));
                }
            })
        });
        for thread in threads.collect::<Vec<_>>() {
            thread.join().unwrap();
        }
        assert_eq!(ready(&upstream).len(), 2, "{:?}", ready(&upstream));
        assert!(ready(&upstream).contains(&4));
        assert_eq!(told(&upstream, "ejected"), 2);
        let tally = upstream.tally();
        assert_eq!(
            (tally.ejections.get(), tally.ejections_spared.get()),
            (2, 1)
        );
    }

    #[tokio::test]
    async fn an_edit_leaves_it_out_and_one_without_the_option_brings_it_back_for_good() {
        let live = Arc::new(Live::default());
        let first = in_effect(of(4), &live);
        put_out(&first, 2);
        assert_eq!(ready(&first), [1, 3, 4]);
        let second = edit(&first, of(3), &live);
        assert_eq!(ready(&second), [1, 3]);
        let without = Spec {
            outlier_ejection: None,
            ..of(3)
        };
        let third = edit(&second, without, &live);
        assert_eq!(ready(&third), [1, 2, 3]);
        let fourth = edit(&third, of(3), &live);
        assert_eq!(ready(&fourth), [1, 2, 3]);
        assert_eq!(
            (told(&fourth, "ejected"), told(&fourth, "returned")),
            (1, 1)
        );
    }

    /// Both exist for a moment.
    #[tokio::test]
    async fn what_requests_of_before_an_edit_find_out_holds_after_it() {
        let live = Arc::new(Live::default());
        let first = in_effect(of(4), &live);
        let second = in_effect(of(3), &live);
        put_out(&first, 2);
        assert_eq!(ready(&second), [1, 3]);
    }

    #[tokio::test]
    async fn when_servers_leave_others_come_back() {
        let live = Arc::new(Live::default());
        let first = in_effect(of(6), &live);
        for port in 1..=3 {
            put_out(&first, port);
        }
        assert_eq!(ready(&first), [4, 5, 6]);
        let second = edit(&first, of(4), &live);
        assert_eq!(ready(&second), [1, 4]);
    }

    #[tokio::test]
    async fn the_last_one_is_never_out_and_one_that_is_out_is_better_than_nobody() {
        let alone = in_effect(of(1), &Arc::new(Live::default()));
        (0..50).for_each(|_| fail(&alone, 1));
        assert_eq!(ready(&alone), [1]);
        let live = Arc::new(Live::default());
        let mut spec = of(2);
        let two = in_effect(spec.clone(), &live);
        put_out(&two, 2);
        assert_eq!(ready(&two), [1]);
        for server in &mut spec.servers {
            if server.port == 1 {
                server.seat.duty = Duty::Disabled;
            }
        }
        let left = edit(&two, spec, &live);
        assert_eq!(ready(&left), [2]);
        let asked = Asked {
            tried: Tried::NONE,
            purpose: Purpose::Serve,
            key: None,
            now: Instant::now(),
        };
        assert!(left.pool().pick(&asked).is_ok());
    }

    #[tokio::test]
    async fn an_operator_brings_one_back() {
        let upstream = in_effect(of(3), &Arc::new(Live::default()));
        put_out(&upstream, 2);
        let order = |duty| crate::upstream::standing::Order {
            duty: Some(crate::upstream::standing::Held {
                value: duty,
                until: None,
            }),
            weight: None,
        };
        let address = ([127, 0, 0, 1], 2).into();
        upstream.order(address, order(Duty::Draining));
        assert_eq!(ready(&upstream), [1, 3]);
        upstream.order(address, order(Duty::Serving));
        assert_eq!(ready(&upstream), [1, 2, 3]);
    }

    #[tokio::test]
    async fn in_panic_those_that_are_out_are_asked() {
        let panic_below = Some("60%".parse().unwrap());
        let spec = Spec {
            panic_below,
            ..of(4)
        };
        let upstream = in_effect(spec, &Arc::new(Live::default()));
        put_out(&upstream, 1);
        assert_eq!(ready(&upstream), [2, 3, 4]);
        put_out(&upstream, 2);
        assert_eq!(ready(&upstream), [1, 2, 3, 4]);
        assert!(upstream.pool().in_panic());
    }
}
