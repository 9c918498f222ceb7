//! Whether shares follow the weights, and who is never picked.

use super::*;

/// Servers that answer alike; the heavier ones may be given more at a time. So many requests are under way on average.
fn world(weights: &[u16], under_way: f64) -> World {
    World {
        weights: weights.to_vec(),
        takes: vec![(0.0, vec![0.010; weights.len()])],
        workers: usize::MAX,
        rate: under_way / 0.010,
        seconds: 20_000.0 * 0.010 / under_way,
        counted: 0.0,
        ..World::of_ten(0.0)
    }
}

/// The largest difference between a share and the weight's, as a part of the latter.
fn off(world: &World, policy: Made) -> f64 {
    let report = world.run(policy);
    let total: u16 = world.weights.iter().sum();
    let off = |(server, weight): (usize, &u16)| {
        let due = f64::from(*weight) / f64::from(total);
        (report.share(server) / due - 1.0).abs()
    };
    world
        .weights
        .iter()
        .enumerate()
        .map(off)
        .fold(0.0, f64::max)
}

/// With little to do, with some, and with so much that nobody is ever idle.
#[test]
fn shares_follow_the_weights() {
    for (weights, under_way) in [
        (&[3, 1][..], 0.2),
        (&[3, 1], 6.0),
        (&[3, 1], 20.0),
        (&[1, 1, 1, 1, 1], 0.2),
        (&[1, 1, 1, 1, 1], 20.0),
        (&[5, 3, 1, 1, 1, 1], 0.2),
        (&[5, 3, 1, 1, 1, 1], 20.0),
    ] {
        let world = world(weights, under_way);
        // Chance leaves a few per cent; an average that a single answer can raise leaves more.
        for ((name, policy), bound) in ALL.into_iter().zip([0.002, 0.10, 0.12, 0.35]) {
            let off = off(&world, policy);
            assert!(off < bound, "{name} {weights:?} {under_way}: {off}");
        }
    }
}

fn longest_run(order: &[usize]) -> usize {
    let runs = order.chunk_by(|one, next| one == next);
    runs.map(<[usize]>::len).max().unwrap_or(0)
}

#[test]
fn turns_come_in_no_bursts_and_lots_do() {
    let world = world(&[5, 3, 1, 1, 1, 1], 2.0);
    assert_eq!(longest_run(&world.run(round_robin).order), 1);
    assert!(longest_run(&world.run(random).order) > 5);
    let heavy = world_of_three().run(round_robin).order;
    // Five of seven have two neighbours: no order has runs of less than three.
    assert_eq!(longest_run(&heavy), 3);
}

fn world_of_three() -> World {
    world(&[5, 1, 1], 2.0)
}

#[test]
fn who_was_tried_is_not_picked_while_another_is_left_and_not_at_all_in_the_end() {
    for (name, policy) in ALL {
        let ready = servers(&[100, 1, 1, 1]);
        let policy = policy();
        let picker = policy.picker(&ready);
        let mut tried = Tried::default();
        let mut order = Vec::new();
        let pick = |tried: &Tried| {
            let now = Instant::now();
            let asked = Asked {
                tried,
                purpose: Purpose::Serve,
                key: None,
                now,
            };
            picker.pick(&ready, &asked).map(|server| server.address())
        };
        while let Some(picked) = pick(&tried) {
            assert!(!order.contains(&picked), "{name}: {picked} again");
            order.push(picked);
            tried.add(picked);
        }
        assert_eq!(order.len(), 4, "{name}: {order:?}");
    }
}
