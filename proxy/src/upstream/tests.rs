//! An upstream as a whole.

use std::time::Duration;

use super::*;
use crate::component;

fn spec(check: &str) -> Spec {
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
    upstream.take_effect();
    upstream
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
    let after = Upstream::start(plain(&[1]), &live);
    before.step_back();
    after.take_effect();
    before.retire();
    after.refresh();
    assert_eq!(left(), [2]);
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
    after.take_effect();
    before.refresh();
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
    let taken_in = async {
        while !upstream.is_settled() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), taken_in).await;
    in_time.expect("what changed is taken in");
    assert_eq!(upstream.pool().ready().len(), 0);
    let events = upstream.events();
    assert!(events.iter().all(|event| event.what == "draining"));
}
