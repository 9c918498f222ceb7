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
    let usual = crate::config::Component::bare(balance::DEFAULT);
    let policy = component::build("", balance::KINDS, &usual, &surroundings);
    let second = Duration::from_secs(1);
    Spec {
        name: "a".to_owned(),
        servers: vec![ServerSpec {
            host: Host::Ip([127, 0, 0, 1].into()),
            port: 1,
            seat: Seat::of_weight(1),
        }],
        source: None,
        policy: policy
            .unwrap_or_else(|problems| panic!("{problems:?}"))
            .made,
        check: Some(loaded.made.made),
        panic_below: None,
        slow_start: Duration::ZERO,
        timeouts: Timeouts {
            connect: second,
            first_byte: None,
            read: second,
            write: second,
            idle: second,
            tunnel: second,
            request: None,
        },
        retry: retry::Retry {
            attempts: 1,
            when: Vec::new(),
            statuses: Vec::new(),
            idempotency_key: true,
            backoff: retry::Backoff {
                first: second,
                max: second,
            },
            budget: retry::Budget {
                share: crate::config::Share::ALL,
                min: 0,
            },
        },
        hedge: None,
        dns_refresh: second,
    }
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
