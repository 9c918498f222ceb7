//! The gate: who gets in, who waits, and that every place comes back.

use std::net::SocketAddr;

use super::*;
use crate::upstream::balance::Tried;
use crate::upstream::kept::Wire;
use crate::upstream::tests::{in_effect, plain};
use crate::upstream::{Live, Seat, Spec};

const MINUTE: Duration = Duration::from_secs(60);

fn spec(servers: &[u16], limits: Limits) -> Spec {
    Spec {
        limits: Some(limits),
        ..plain(servers)
    }
}

fn limits(requests: Option<usize>, at_server: Option<usize>, queue: usize) -> Limits {
    let of = |requests| Most {
        requests,
        connections: None,
    };
    Limits {
        all: of(requests),
        server: of(at_server),
        queue: Some(QueueLimits {
            length: queue,
            timeout: MINUTE,
        }),
        adaptive: None,
    }
}

fn start(live: &Arc<Live>, servers: &[u16], limits: Limits) -> Arc<Upstream> {
    in_effect(spec(servers, limits), live)
}

fn ask(upstream: &Arc<Upstream>) -> Answer {
    ask_but(upstream, Tried::NONE, true)
}

fn ask_but(upstream: &Arc<Upstream>, tried: &Tried, is_first: bool) -> Answer {
    let asked = Asked {
        tried,
        purpose: Purpose::Serve,
        key: None,
        now: Instant::now(),
    };
    upstream.gate().unwrap().ask(upstream, &asked, is_first)
}

fn granted(answer: Answer) -> Grant {
    match answer {
        Answer::Granted(grant) => grant,
        Answer::Waits(_) => panic!("it waits"),
        Answer::Shed => panic!("it was turned away"),
        Answer::Unavailable(reason) => panic!("{reason:?}"),
    }
}

fn waits(answer: Answer) -> Box<Waiting> {
    match answer {
        Answer::Waits(waiting) => waiting,
        _ => panic!("it does not wait"),
    }
}

/// What it was given by now.
fn given(waiting: &mut Waiting) -> Option<Grant> {
    let said = waiting.turn.try_recv().ok()?;
    Some(said.unwrap_or_else(|reason| panic!("{reason:?}")))
}

fn port(grant: &Grant) -> u16 {
    grant.server.address().port()
}

#[tokio::test]
async fn who_waits_is_served_in_order_and_nobody_overtakes() {
    let live = Arc::new(Live::default());
    let upstream = start(&live, &[1], limits(Some(2), None, 10));
    let (one, other) = (granted(ask(&upstream)), granted(ask(&upstream)));
    let mut waiting: Vec<_> = (0..3).map(|_| waits(ask(&upstream))).collect();
    drop(one);
    let first = given(&mut waiting[0]).unwrap();
    assert!(given(&mut waiting[1]).is_none(), "one place, one turn");
    // Who comes now stands behind those that are there.
    let mut late = waits(ask(&upstream));
    drop((first, other));
    let held = (
        given(&mut waiting[1]).unwrap(),
        given(&mut waiting[2]).unwrap(),
    );
    assert!(given(&mut late).is_none());
    drop(held);
    drop(given(&mut late).unwrap());
    let stand = upstream.gate().unwrap().stand();
    assert_eq!((stand.requests, stand.waiting, stand.longest), (0, 0, 3));
}

#[tokio::test]
async fn who_leaves_gives_up_its_turn_also_at_the_last_moment() {
    let live = Arc::new(Live::default());
    let upstream = start(&live, &[1], limits(Some(1), None, 2));
    let busy = granted(ask(&upstream));
    let left = waits(ask(&upstream));
    let granted_and_left = waits(ask(&upstream));
    assert!(matches!(ask(&upstream), Answer::Shed));
    drop(left);
    let mut last = waits(ask(&upstream));
    drop(busy);
    // It has its place by now, and nobody takes it.
    drop(granted_and_left);
    drop(given(&mut last).unwrap());
    assert_eq!(upstream.gate().unwrap().stand().requests, 0);
}

#[tokio::test]
async fn a_full_server_is_passed_over_and_only_when_all_are_is_there_a_queue() {
    let live = Arc::new(Live::default());
    let upstream = start(&live, &[1, 2, 3], limits(None, Some(2), 10));
    let all: Vec<_> = (0..6).map(|_| granted(ask(&upstream))).collect();
    for server in upstream.pool().all() {
        assert_eq!(server.standing().taken().requests(), 2);
    }
    let mut waiting = waits(ask(&upstream));
    let (of_two, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|grant| port(grant) == 2);
    drop(of_two);
    assert_eq!(port(&given(&mut waiting).unwrap()), 2);
    drop(others);
}

#[tokio::test]
async fn another_attempt_keeps_its_place_comes_first_and_waits_for_none_that_failed_it() {
    let live = Arc::new(Live::default());
    let upstream = start(&live, &[1, 2], limits(Some(2), Some(1), 10));
    let (one, other) = (granted(ask(&upstream)), granted(ask(&upstream)));
    let mut plain = waits(ask(&upstream));
    let Grant {
        place,
        spot,
        server,
        ..
    } = one;
    let mut tried = Tried::default();
    tried.add(server.address());
    drop(spot);
    // The place is still taken.
    assert!(given(&mut plain).is_none());
    let mut again = waits(ask_but(&upstream, &tried, false));
    let other_port = port(&other);
    let Grant {
        place: kept, spot, ..
    } = other;
    drop(spot);
    let second = given(&mut again).unwrap();
    assert_eq!(port(&second), other_port);
    assert!(second.place.is_none());
    drop(kept);
    assert_eq!(port(&given(&mut plain).unwrap()), server.address().port());
    drop((second, place));
    assert_eq!(upstream.gate().unwrap().stand().requests, 0);
}

#[tokio::test]
async fn an_edit_that_raises_the_limit_or_ends_it_serves_those_that_wait() {
    let live = Arc::new(Live::default());
    let before = start(&live, &[1], limits(Some(1), None, 10));
    let busy = granted(ask(&before));
    let mut waiting: Vec<_> = (0..3).map(|_| waits(ask(&before))).collect();
    let raised = start(&live, &[1], limits(Some(2), None, 10));
    before.retire();
    let first = given(&mut waiting[0]).unwrap();
    assert!(given(&mut waiting[1]).is_none());
    let mut new = waits(ask(&raised));
    // Lowered again: those that are there stay, nobody comes.
    let lowered = start(&live, &[1], limits(Some(1), None, 10));
    raised.retire();
    drop(first);
    assert!(given(&mut waiting[1]).is_none());
    drop(busy);
    let second = given(&mut waiting[1]).unwrap();
    lowered.gate.rule(None, &lowered);
    assert!(given(&mut waiting[2]).is_some() && given(&mut new).is_some());
    drop(second);
}

#[tokio::test]
async fn a_server_that_comes_takes_those_that_wait() {
    let live = Arc::new(Live::default());
    let upstream = start(&live, &[1, 2], limits(None, Some(1), 10));
    let second: SocketAddr = ([127, 0, 0, 1], 2).into();
    let order = |duty| crate::upstream::standing::Order {
        duty: Some(crate::upstream::standing::Held {
            value: duty,
            until: None,
        }),
        weight: None,
    };
    upstream.order(second, order(crate::upstream::standing::Duty::Disabled));
    let busy = granted(ask(&upstream));
    let mut waiting = waits(ask(&upstream));
    assert!(given(&mut waiting).is_none());
    upstream.order(second, order(crate::upstream::standing::Duty::Serving));
    assert_eq!(given(&mut waiting).unwrap().server.address(), second);
    drop(busy);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_does_not_come_in_time_is_over() {
    let live = Arc::new(Live::default());
    let upstream = start(&live, &[1], limits(Some(1), None, 10));
    let busy = granted(ask(&upstream));
    let mut waiting = waits(ask(&upstream));
    assert_eq!(waiting.turn(None).await.err(), Some(Refused::Late));
    let mut hurried = waits(ask(&upstream));
    assert_eq!(
        hurried.turn(Some(Instant::now())).await.err(),
        Some(Refused::Late)
    );
    drop((waiting, hurried));
    assert_eq!(upstream.gate().unwrap().stand().waiting, 0);
    drop(busy);
}

/// Many threads that come, wait, leave and give back: never more at once than there may be, and nothing is left in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_leaks_and_nobody_is_forgotten_in_a_storm() {
    const MOST: usize = 3;
    let live = Arc::new(Live::default());
    let upstream = start(&live, &[1, 2], limits(Some(MOST), Some(2), 1000));
    let inside = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let (upstream, inside) = (Arc::clone(&upstream), Arc::clone(&inside));
            tokio::spawn(async move {
                for round in 0..50 {
                    let grant = match ask(&upstream) {
                        Answer::Waits(waiting) if (number + round) % 7 == 0 => {
                            tokio::task::yield_now().await;
                            drop(waiting);
                            continue;
                        }
                        Answer::Waits(mut waiting) => {
                            waiting.turn(None).await.map_err(|_| "late").unwrap()
                        }
                        answer => granted(answer),
                    };
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < MOST);
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(grant);
                }
            })
        })
        .collect();
    for task in tasks {
        tokio::time::timeout(MINUTE, task).await.unwrap().unwrap();
    }
    let stand = upstream.gate().unwrap().stand();
    assert_eq!((stand.requests, stand.waiting), (0, 0));
    for server in upstream.pool().all() {
        assert_eq!(server.standing().taken().requests(), 0);
    }
}

async fn dial(grant: &Grant, far: &tokio::net::TcpListener) -> Box<Wire> {
    let open = grant.pass.as_ref().unwrap().open();
    let address = far.local_addr().unwrap();
    let (near, _) = tokio::join!(tokio::net::TcpStream::connect(address), far.accept());
    let mut wire = Box::new(Wire::new(near.unwrap()));
    wire.open = Some(open);
    wire
}

#[tokio::test]
async fn a_connection_that_waits_makes_room_for_one_that_is_needed() {
    let live = Arc::new(Live::default());
    let far = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let of = |connections| Most {
        requests: None,
        connections: Some(connections),
    };
    let bounds = Limits {
        all: of(2),
        server: of(1),
        ..limits(None, None, 1)
    };
    let upstream = start(&live, &[1, 2, 3], bounds);
    let open = || upstream.gate().unwrap().stand().connections;
    let one = granted(ask(&upstream));
    let other = granted(ask(&upstream));
    let mut waiting = waits(ask(&upstream));
    let (wire, wire_of_other) = (dial(&one, &far).await, dial(&other, &far).await);
    assert_eq!(open(), 2);
    one.server.kept().put(wire, MINUTE);
    let first = one.server.address();
    drop(one);
    // The third server's: one of the first has to go.
    let mut third = given(&mut waiting).unwrap();
    while third.server.address() == first {
        let mut next = waits(ask(&upstream));
        drop(third);
        third = given(&mut next).unwrap();
    }
    let wire = dial(&third, &far).await;
    assert_eq!(open(), 2);
    drop((wire, third, wire_of_other, other));
    assert_eq!(open(), 0);
}

fn adaptive(live: &Arc<Live>, queue: usize) -> Arc<Upstream> {
    let limits = Limits {
        adaptive: Some(Bounds { min: 3, max: 1000 }),
        ..limits(None, None, queue)
    };
    start(live, &[1], limits)
}

/// So many whose answer has begun, as that of a WebSocket or of a client that reads slowly.
fn held(upstream: &Arc<Upstream>, number: usize) -> Vec<Grant> {
    let mut held = Vec::new();
    for _ in 0..number {
        let mut grant = granted(ask(upstream));
        grant.place.as_mut().unwrap().answered(true);
        held.push(grant);
    }
    held
}

#[tokio::test]
async fn a_limit_that_is_found_out_is_one_of_those_that_wait_for_their_answer() {
    let live = Arc::new(Live::default());
    let upstream = adaptive(&live, 10);
    let tunnels = held(&upstream, 600);
    let most = upstream.gate().unwrap().stand().most.unwrap();
    let mut busy: Vec<_> = (0..most).map(|_| granted(ask(&upstream))).collect();
    let mut waiting = waits(ask(&upstream));
    let stand = upstream.gate().unwrap().stand();
    assert_eq!((stand.requests, stand.awaiting), (600 + most, most));
    busy[0].place.as_mut().unwrap().answered(true);
    assert!(
        given(&mut waiting).is_some(),
        "its turn comes with an answer"
    );
    drop((tunnels, busy));
    let stand = upstream.gate().unwrap().stand();
    assert_eq!((stand.requests, stand.awaiting), (0, 0));
}

/// On a clock of its own: ten at a time, for some minutes.
#[tokio::test]
async fn tunnels_turn_nobody_away() {
    let live = Arc::new(Live::default());
    let upstream = adaptive(&live, 0);
    let gate = upstream.gate().unwrap();
    let _tunnels = held(&upstream, 600);
    let mut now = Instant::now();
    for _ in 0..20_000 {
        let asked = Asked {
            tried: Tried::NONE,
            purpose: Purpose::Serve,
            key: None,
            now,
        };
        let ten = (0..10).map(|_| granted(gate.ask(&upstream, &asked, true)));
        let ten: Vec<Grant> = ten.collect();
        let took = Duration::from_millis(10).mul_f64(0.5 + fastrand::f64());
        now += took;
        for mut grant in ten {
            gate.learn(&Outcome {
                end: End::Answered,
                took: Some(took),
                picked: now - took,
                at: now,
            });
            grant.place.as_mut().unwrap().answered(true);
        }
    }
}

#[tokio::test]
async fn a_backup_is_for_who_is_down_and_not_for_who_is_full() {
    let live = Arc::new(Live::default());
    let mut spec = spec(&[1, 2, 3], limits(None, Some(1), 10));
    spec.servers[2].seat.priority = Seat::BACKUP;
    let upstream = in_effect(spec, &live);
    let both = [granted(ask(&upstream)), granted(ask(&upstream))];
    let mut waiting = waits(ask(&upstream));
    // Whom one of the tier has failed goes on, even if the other has no room.
    let tried = Tried::NONE.with(std::iter::once(both[0].server.address()));
    drop(granted(ask_but(&upstream, &tried, false)));
    let tried = Tried::NONE.with(both.iter().map(|grant| grant.server.address()));
    assert_eq!(port(&granted(ask_but(&upstream, &tried, false))), 3);
    assert!(given(&mut waiting).is_none());
    drop(both);
    assert!(port(&given(&mut waiting).unwrap()) < 3);
}

/// A client of the backup, from when the others were down.
#[tokio::test]
async fn who_is_kept_with_a_server_of_its_own_does_not_stand_behind_those_of_a_full_tier() {
    let live = Arc::new(Live::default());
    let mut spec = spec(&[1, 2], limits(None, Some(1), 10));
    spec.policy = crate::upstream::tests::sticky();
    spec.servers[1].seat.priority = Seat::BACKUP;
    let upstream = in_effect(spec, &live);
    let policy = &upstream.spec().policy;
    let backup = upstream.pool().all()[1].clone();
    let asked = Asked {
        tried: Tried::NONE,
        purpose: Purpose::Serve,
        key: policy.keeps(&backup),
        now: Instant::now(),
    };
    let _busy = granted(ask(&upstream));
    let _waiting = waits(ask(&upstream));
    let gate = upstream.gate().unwrap();
    let own = granted(gate.ask(&upstream, &asked, true));
    assert_eq!(port(&own), 2);
    // The next one waits for that server, and gets it although others still wait before it.
    let mut next = waits(gate.ask(&upstream, &asked, true));
    drop(own);
    assert_eq!(port(&given(&mut next).unwrap()), 2);
}
