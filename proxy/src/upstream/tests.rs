//! An upstream as a whole.

use std::time::Duration;

use super::balance::{Asked, Tried};
use super::*;
use crate::component;
use crate::turns::Purpose;

pub(super) fn policy(written: &str) -> Arc<dyn balance::Policy> {
    let text = format!(
        "listeners: {{ w: {{ address: '0.0.0.0:1' }} }}\nupstreams: {{ a: {{ servers: [ '127.0.0.1:1' ], balance: {written} }} }}"
    );
    let surroundings = component::Surroundings::default();
    let loaded = crate::config::parse("x", &text, &|_| None, None, |file, _| {
        let written = file.upstreams.get("a").unwrap().balance.as_ref().unwrap();
        component::build("", balance::KINDS, written, &surroundings)
    });
    loaded.unwrap().made.made
}

pub(super) fn sticky() -> Arc<dyn balance::Policy> {
    policy("{ sticky: { cookie: c, secret: 0123456789abcdef } }")
}

pub(super) fn spec(check: &str) -> Spec {
    let text = format!(
        "listeners: {{ w: {{ address: '0.0.0.0:1' }} }}\nupstreams: {{ a: {{ servers: [ '127.0.0.1:1' ], health_check: {check} }} }}"
    );
    let surroundings = component::Surroundings::default();
    let loaded = crate::config::parse("x", &text, &|_| None, None, |file, _| {
        let written = file.upstreams.get("a").unwrap();
        let written = written.health_check.as_ref().unwrap();
        component::build("", health::KINDS, written, &surroundings)
    })
    .unwrap();
    Spec {
        check: Some(loaded.made.made),
        ..plain(&[1])
    }
}

/// Servers on these ports, and nothing else that is not needed.
pub(super) fn plain(ports: &[u16]) -> Spec {
    let usual = crate::config::Component::bare(balance::DEFAULT);
    let surroundings = component::Surroundings::default();
    let policy = component::build("", balance::KINDS, &usual, &surroundings);
    let minute = Duration::from_secs(60);
    let servers = ports.iter().map(|port| ([127, 0, 0, 1], *port).into());
    Spec {
        name: "a".to_owned(),
        servers: servers.map(ServerSpec::at).collect(),
        source: None,
        policy: policy
            .unwrap_or_else(|problems| panic!("{problems:?}"))
            .made,
        check: None,
        panic_below: None,
        slow_start: Duration::ZERO,
        outlier_ejection: None,
        limits: None,
        timeouts: Timeouts {
            connect: minute,
            first_byte: None,
            read: minute,
            write: minute,
            idle: minute,
            tunnel: minute,
            request: None,
        },
        retry: retry::Retry {
            attempts: 3,
            when: Vec::new(),
            statuses: Vec::new(),
            idempotency_key: true,
            backoff: retry::Backoff {
                first: minute,
                max: minute,
            },
            budget: retry::Budget {
                reserve: 100,
                share: crate::config::Share::ALL,
                min: 0,
            },
        },
        hedge: None,
        dns_refresh: minute,
    }
}

/// An upstream of the file.
pub(super) fn in_effect(spec: Spec, live: &Arc<Live>) -> Arc<Upstream> {
    let upstream = Upstream::start(spec, live);
    upstream.step_forward(None);
    upstream.take_effect();
    upstream
}

/// The same in another's place.
pub(super) fn edit(before: &Arc<Upstream>, spec: Spec, live: &Arc<Live>) -> Arc<Upstream> {
    let after = Upstream::start(spec, live);
    before.step_back();
    after.step_forward(Some(before));
    after.take_effect();
    before.retire();
    after
}

/// Until all that changed is taken in.
async fn taken_in(upstream: &Upstream) {
    let taken_in = async {
        while !upstream.refreshing.is_done() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), taken_in).await;
    in_time.expect("what changed is taken in");
}

#[tokio::test]
async fn who_still_uses_an_upstream_that_left_keeps_none_of_its_probes_alive() {
    let live = Arc::new(Live::default());
    let left = Upstream::start(spec("tcp"), &live);
    let server = Arc::clone(left.pool().all().first().unwrap());
    let probes = || live.is_watched(server.address());
    assert!(probes());
    left.retire();
    assert!(!probes());
    left.refresh();
    assert!(!probes(), "it asks nobody again");
    assert!(Arc::ptr_eq(left.pool().all().first().unwrap(), &server));
}

#[tokio::test]
async fn a_server_leaves_with_the_edit_that_takes_effect_and_not_with_one_that_is_refused() {
    let live = Arc::new(Live::default());
    let before = in_effect(plain(&[1, 2]), &live);
    let refused = Upstream::start(plain(&[1]), &live);
    refused.refresh();
    refused.retire();
    let left = || {
        let events = live.events().of("a").into_iter();
        let left = events.filter(|event| event.what == "left");
        left.filter_map(|event| Some(event.server?.port()))
            .collect::<Vec<u16>>()
    };
    assert_eq!(left(), [0; 0]);
    let after = edit(&before, plain(&[1]), &live);
    assert_eq!(left(), [2]);
    after.step_back();
    after.retire();
    after.leave();
    assert_eq!(left(), [2, 1]);
}

/// Both are there until all servers of the edit were asked once.
#[tokio::test]
async fn what_an_edit_says_of_a_server_is_told_when_it_takes_effect_and_once() {
    let live = Arc::new(Live::default());
    let before = in_effect(plain(&[1]), &live);
    let mut spec = plain(&[1]);
    spec.servers[0].seat.weight = 5;
    let after = Upstream::start(spec, &live);
    for _ in 0..3 {
        before.refresh();
        after.refresh();
    }
    let told = || {
        let events = after.events().into_iter();
        let weights = events.filter(|event| event.what == "weight");
        weights.filter_map(|event| event.reason).collect::<Vec<_>>()
    };
    assert_eq!(told(), [""; 0]);
    before.step_back();
    after.step_forward(Some(&before));
    before.refresh();
    after.take_effect();
    before.retire();
    assert_eq!(told(), ["1 -> 5, by the file"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_many_servers_changes_are_taken_in_together_and_none_is_lost() {
    let live = Arc::new(Live::default());
    let ports: Vec<u16> = (1..=500).collect();
    let upstream = in_effect(plain(&ports), &live);
    for server in upstream.pool().all() {
        let duty = Some(standing::Held {
            value: Duty::Draining,
            until: None,
        });
        server.standing().give(Order { duty, weight: None });
        upstream.refresh_soon();
    }
    taken_in(&upstream).await;
    assert_eq!(upstream.pool().ready().len(), 0);
    let events = upstream.events();
    assert!(events.iter().all(|event| event.what == "draining"));
}

#[tokio::test]
async fn servers_of_the_beginning_are_not_late_and_those_of_an_edit_are() {
    let live = Arc::new(Live::default());
    let with_slow_start = |ports: &[u16]| Spec {
        slow_start: Duration::from_secs(60),
        ..plain(ports)
    };
    let mut spec = with_slow_start(&[1]);
    // Its address is known only when it is looked up.
    spec.servers.push(ServerSpec {
        host: Host::Name("localhost".to_owned()),
        port: 2,
        seat: Seat::of_weight(1),
    });
    let before = in_effect(spec.clone(), &live);
    taken_in(&before).await;
    let warms = |upstream: &Upstream| {
        let pool = upstream.pool();
        let warms = pool
            .all()
            .iter()
            .filter(|it| it.standing().warms_since().is_some());
        warms.map(|it| it.address().port()).collect::<Vec<_>>()
    };
    assert!(before.pool().all().len() > 1);
    assert_eq!(warms(&before), [0; 0]);
    spec.servers
        .push(ServerSpec::at(([127, 0, 0, 1], 3).into()));
    let after = edit(&before, spec, &live);
    taken_in(&after).await;
    assert_eq!(warms(&after), [3]);
}

/// Two newcomers beside others, one of which has twice the weight.
#[tokio::test]
async fn what_a_newcomer_passes_on_is_shared_as_everything_else_is() {
    fastrand::seed(13);
    let live = Arc::new(Live::default());
    let with = |ports: &[u16]| {
        let mut spec = Spec {
            slow_start: Duration::from_secs(3600),
            ..plain(ports)
        };
        spec.servers[0].seat.weight = 2;
        spec
    };
    let before = in_effect(with(&[1, 2, 3]), &live);
    let after = edit(&before, with(&[1, 2, 3, 4, 5]), &live);
    let asked = Asked {
        tried: Tried::NONE,
        purpose: Purpose::Serve,
        key: None,
        now: Instant::now(),
    };
    let mut picks = [0_u32; 6];
    for _ in 0..8400 {
        let pool = after.pool();
        picks[usize::from(pool.pick(&asked).unwrap().address().port())] += 1;
    }
    // Of 4.2 shares the newcomers have a tenth each.
    let [_, twice, one, other, late, latest] = picks;
    assert!((3900..4100).contains(&twice), "{picks:?}");
    for warm in [one, other] {
        assert!((1900..2100).contains(&warm), "{picks:?}");
    }
    for cold in [late, latest] {
        assert!((140..260).contains(&cold), "{picks:?}");
    }
}

/// Whoever has the least to do is picked first: a newcomer always.
#[tokio::test]
async fn a_newcomer_has_its_little_share_also_where_it_has_the_least_to_do() {
    fastrand::seed(14);
    let live = Arc::new(Live::default());
    for balance in ["least_request", "peak_ewma"] {
        let with = |ports: &[u16]| Spec {
            slow_start: Duration::from_secs(3600),
            policy: policy(balance),
            ..plain(ports)
        };
        let before = in_effect(with(&[1]), &live);
        let after = edit(&before, with(&[1, 2]), &live);
        let asked = Asked {
            tried: Tried::NONE,
            purpose: Purpose::Serve,
            key: None,
            now: Instant::now(),
        };
        let mut under_way = std::collections::VecDeque::new();
        let mut late = 0;
        for _ in 0..2000 {
            let pool = after.pool();
            let server = pool.pick(&asked).unwrap();
            late += u32::from(server.address().port() == 2);
            under_way.push_back(server.enter());
            if under_way.len() > 20 {
                under_way.pop_front();
            }
        }
        assert!((100..300).contains(&late), "{balance}: {late}");
        after.retire();
        after.leave();
    }
}

#[tokio::test]
async fn a_panic_is_told_once_and_so_is_its_end_whatever_edits_come_between() {
    let live = Arc::new(Live::default());
    let down = |ports: &[u16], down: u16| {
        let mut spec = Spec {
            panic_below: Some("60%".parse().unwrap()),
            outlier_ejection: Some(ejection::tests::BOUNDS),
            ..plain(ports)
        };
        spec.servers.iter_mut().for_each(|it| it.seat.weight = down);
        spec
    };
    let told = |what: &str| {
        let events = live.events().of("a");
        events.iter().filter(|event| event.what == what).count()
    };
    let first = in_effect(down(&[1, 2, 3, 4], 1), &live);
    for port in [1, 2] {
        ejection::tests::put_out(&first, port);
    }
    assert_eq!((told("panic"), told("calm")), (1, 0));
    let second = edit(&first, down(&[1, 2, 3, 4], 2), &live);
    assert!(second.pool().in_panic());
    assert_eq!((told("panic"), told("calm")), (1, 0));
    assert_eq!(second.tally().panics.get(), 1);
    let refused = Upstream::start(down(&[3, 4], 3), &live);
    refused.retire();
    assert_eq!(told("calm"), 0);
    let third = edit(&second, down(&[3, 4], 3), &live);
    assert!(!third.pool().in_panic());
    assert_eq!((told("panic"), told("calm")), (1, 1));
    // It leaves in panic, somebody still holds it, and it comes back.
    let fourth = edit(&third, down(&[1, 2, 3, 4], 1), &live);
    assert!(fourth.pool().in_panic());
    fourth.retire();
    fourth.leave();
    let fifth = in_effect(down(&[1, 2, 3, 4], 1), &live);
    assert!(fifth.pool().in_panic());
    assert_eq!((told("panic"), told("calm")), (3, 1));
}
