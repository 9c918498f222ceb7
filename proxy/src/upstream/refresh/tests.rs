//! Who stays while it is not known who comes.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::*;
use crate::upstream::discover::Source;
use crate::upstream::discover::followed::Feed;
use crate::upstream::discover::names::resolver::Resolver;
use crate::upstream::standing::Duty;
use crate::upstream::tests::{edit, in_effect, plain};
use crate::upstream::{Live, Spec, ejection};

/// Somebody who knows servers, and says so when the test wants it.
struct Told(&'static str, Mutex<Option<Feed<ServerSpec>>>);

impl Told {
    fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self(name, Mutex::default()))
    }

    /// Says that these are all.
    fn found(&self, ports: &[u16]) {
        let feed = self.1.lock().unwrap();
        feed.as_ref().unwrap().found(plain(ports).servers);
    }

    /// Says that one is there whose name nobody knows.
    fn found_a_name(&self) {
        let server = ServerSpec {
            host: Host::Name("nobody.invalid".to_owned()),
            port: 80,
            seat: Seat::of_weight(1),
        };
        self.1.lock().unwrap().as_ref().unwrap().found(vec![server]);
    }

    fn failed(&self) {
        let feed = self.1.lock().unwrap();
        feed.as_ref().unwrap().failed("answers 500".to_owned());
    }
}

impl Source for Told {
    fn identity(&self) -> String {
        self.0.to_owned()
    }

    fn label(&self) -> String {
        self.0.to_owned()
    }

    fn follow(&self, _: Arc<Resolver>, feed: Feed<ServerSpec>) -> BoxFuture<'static, ()> {
        *self.1.lock().unwrap() = Some(feed);
        std::future::pending().boxed()
    }
}

fn asking(source: &Arc<Told>) -> Spec {
    Spec {
        source: Some(Arc::<Told>::clone(source)),
        ..plain(&[])
    }
}

fn ports(upstream: &Upstream) -> Vec<u16> {
    let pool = upstream.pool();
    pool.all().iter().map(|it| it.address().port()).collect()
}

/// What was told of servers so far.
fn told(live: &Live) -> Vec<String> {
    let events = live.events().of("a").into_iter();
    let events = events.filter(|event| ["came", "left"].contains(&event.what));
    let told = events.map(|event| {
        let (port, reason) = (event.server.unwrap().port(), event.reason.unwrap());
        format!("{port} {} {reason}", event.what)
    });
    told.collect()
}

/// Waits until nobody is waited for who knows the servers.
async fn asked(upstream: &Upstream) {
    let asked = async {
        while !upstream.refreshing.is_done() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    let in_time = tokio::time::timeout(std::time::Duration::from_secs(20), asked);
    in_time.await.expect("all are asked");
}

#[tokio::test]
async fn the_servers_before_an_edit_stay_until_it_is_known_who_comes() {
    let live = Arc::new(Live::default());
    let (one, two) = (Told::new("one"), Told::new("two"));
    let first = in_effect(plain(&[1, 2]), &live);
    let second = edit(&first, asking(&one), &live);
    assert_eq!(ports(&second), [1, 2]);
    // So they do over one that follows too soon.
    let third = edit(&second, asking(&two), &live);
    assert_eq!(ports(&third), [1, 2]);
    assert_eq!(told(&live), ["1 came by the file", "2 came by the file"]);
    two.found(&[2, 3]);
    assert_eq!(ports(&third), [2, 3]);
    let more = ["1 left by the file", "3 came by two"];
    assert_eq!(told(&live)[2..], more);
    two.found(&[]);
    assert_eq!(ports(&third), [0; 0], "it says that there is none");
}

#[tokio::test]
async fn one_that_stays_for_now_is_as_it_was_and_one_that_comes_as_the_edit_says() {
    let live = Arc::new(Live::default());
    let of_weight = |weight, spec: Spec| {
        let seat = Seat::of_weight(weight);
        let servers = spec.servers.into_iter();
        let servers = servers.map(|server| ServerSpec { seat, ..server });
        Spec {
            servers: servers.collect(),
            ..spec
        }
    };
    let before = in_effect(of_weight(5, plain(&[1, 2])), &live);
    let mut after = of_weight(7, plain(&[2]));
    after.servers.push(ServerSpec {
        host: Host::Name("nobody.invalid".to_owned()),
        ..after.servers[0].clone()
    });
    let after = edit(&before, after, &live);
    let weights = || {
        let pool = after.pool();
        let all = pool.all().iter();
        all.map(|it| (it.address().port(), it.weight()))
            .collect::<Vec<_>>()
    };
    assert_eq!(weights(), [(1, 5), (2, 7)]);
    // The name is found to be nobody's; one of those that should come is known.
    asked(&after).await;
    assert_eq!(weights(), [(2, 7)]);
}

#[tokio::test]
async fn what_is_said_of_an_address_holds_whatever_names_stand_for_it() {
    let live = Arc::new(Live::default());
    let disabled = |server: ServerSpec| {
        let duty = Duty::Disabled;
        let seat = Seat {
            duty,
            ..Seat::of_weight(7)
        };
        ServerSpec { seat, ..server }
    };
    let written = disabled(plain(&[1]).servers.remove(0));
    let by_name = ServerSpec {
        host: Host::Name("localhost".to_owned()),
        seat: Seat::of_weight(1),
        ..written.clone()
    };
    for servers in [
        [by_name.clone(), written.clone()],
        [written.clone(), by_name.clone()],
    ] {
        let spec = Spec {
            servers: servers.to_vec(),
            ..plain(&[])
        };
        let upstream = in_effect(spec, &live);
        asked(&upstream).await;
        let pool = upstream.pool();
        let mut all = pool.all().iter();
        let server = all.find(|it| it.address().is_ipv4()).unwrap();
        assert_eq!(server.seat(), written.seat);
    }
}

#[tokio::test]
async fn one_that_stays_for_now_has_the_probes_that_it_had() {
    let live = Arc::new(Live::default());
    let checked = |spec: Spec| Spec {
        check: crate::upstream::tests::spec("tcp").check,
        ..spec
    };
    let source = Told::new("source");
    let before = in_effect(checked(plain(&[1])), &live);
    let server = Arc::clone(before.pool().all().first().unwrap());
    let after = edit(&before, asking(&source), &live);
    assert!(server.watch().is_none(), "it left");
    let stays = Arc::clone(after.pool().all().first().unwrap());
    assert!(stays.watch().is_some() && live.is_watched(stays.address()));
    // The edit has no check.
    source.found(&[1]);
    assert!(after.pool().all().first().unwrap().watch().is_none());
}

#[tokio::test]
async fn an_edit_that_is_refused_takes_nobody_over_and_who_is_new_has_nobody() {
    let live = Arc::new(Live::default());
    let source = Told::new("source");
    let before = in_effect(plain(&[1]), &live);
    let refused = Upstream::start(asking(&source), &live);
    assert_eq!(ports(&refused), [0; 0]);
    refused.retire();
    drop(refused);
    assert_eq!(ports(&before), [1]);
    let new = Spec {
        name: "b".to_owned(),
        ..asking(&source)
    };
    assert_eq!(ports(&in_effect(new, &live)), [0; 0]);
    assert_eq!(told(&live), ["1 came by the file"]);
}

#[tokio::test]
async fn a_failure_takes_no_servers_away_as_long_as_nobody_else_is_known() {
    let live = Arc::new(Live::default());
    let source = Told::new("source");
    let before = in_effect(plain(&[1]), &live);
    let after = edit(&before, asking(&source), &live);
    source.failed();
    asked(&after).await;
    assert_eq!(ports(&after), [1], "the source fails");
    source.found(&[2]);
    assert_eq!(ports(&after), [2]);
    source.found_a_name();
    asked(&after).await;
    assert_eq!(ports(&after), [2], "its only name is nobody's");
    source.failed();
    assert_eq!(ports(&after), [2]);
    let came = ["1 came by the file", "1 left by the file"];
    assert_eq!(told(&live)[..2], came);
    source.found(&[3]);
    assert_eq!(ports(&after), [3]);
    let left = ["2 came by source", "2 left by source", "3 came by source"];
    assert_eq!(told(&live)[2..], left);
}

#[tokio::test]
async fn a_source_that_failed_at_first_and_then_says_that_there_is_none_is_believed() {
    let live = Arc::new(Live::default());
    let source = Told::new("source");
    let before = in_effect(plain(&[1]), &live);
    let after = edit(&before, asking(&source), &live);
    source.failed();
    asked(&after).await;
    assert_eq!(ports(&after), [1]);
    source.found(&[]);
    assert_eq!(ports(&after), [0; 0]);
}

#[tokio::test]
async fn one_that_stays_for_now_is_put_out_if_it_fails() {
    let live = Arc::new(Live::default());
    let source = Told::new("source");
    let with = |spec: Spec| Spec {
        outlier_ejection: Some(ejection::tests::BOUNDS),
        ..spec
    };
    let before = in_effect(with(plain(&[1, 2, 3])), &live);
    let after = edit(&before, with(asking(&source)), &live);
    ejection::tests::put_out(&after, 2);
    let pool = after.pool();
    let ready = pool.ready().iter().map(|it| it.address().port());
    assert_eq!(ready.collect::<Vec<_>>(), [1, 3]);
}
