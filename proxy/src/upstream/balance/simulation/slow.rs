//! One server among ten that is ten times as slow, or fails at once; and how soon it has its share again.

use super::*;

const SLOW: usize = 9;

/// The last server takes 100 ms, until this second.
fn world(load: f64, until: f64) -> World {
    let even = vec![0.010; 10];
    let mut slow = even.clone();
    slow[SLOW] = 0.100;
    World {
        takes: vec![(0.0, slow), (until, even)],
        ..World::of_ten(load)
    }
}

/// At a tenth of what they can do: in turn, the slow one gets 95 of 100 requests that it can do.
#[test]
fn the_slowest_hundredth_waits_a_third_as_long_by_least_request_and_a_sixth_by_peak_ewma() {
    let world = world(0.095, f64::MAX);
    let [turns, lots, least, peak] = ALL.map(|(_, policy)| world.run(policy).percentile(99.0));
    assert!(least * 3.0 < turns, "{least} ms instead of {turns} ms");
    assert!(peak * 6.0 < turns, "{peak} ms instead of {turns} ms");
    assert!(lots > turns, "{lots} ms instead of {turns} ms");
}

/// At half of what they can do: in turn, the slow one gets five times what it can do.
#[test]
fn what_a_slow_server_cannot_do_others_do() {
    let healthy = World::of_ten(0.5).run(round_robin).percentile(99.0);
    let world = world(0.5, f64::MAX);
    let [turns, lots, least, peak] = ALL.map(|(_, policy)| world.run(policy));
    for report in [&turns, &lots] {
        assert!(report.percentile(99.0) > 60_000.0);
    }
    assert!(least.percentile(99.0) < 2.0 * healthy);
    assert!(peak.percentile(99.0) < 1.2 * healthy);
    assert!(
        (0.01..0.03).contains(&least.share(SLOW)),
        "{}",
        least.share(SLOW)
    );
    assert!(
        (0.001..0.01).contains(&peak.share(SLOW)),
        "{}",
        peak.share(SLOW)
    );
}

/// Its share in the ten seconds from here on.
fn share_at(world: &World, policy: Made, second: f64) -> f64 {
    let world = World {
        seconds: second + 10.0,
        counted: second,
        ..world.clone()
    };
    world.run(policy).share(SLOW)
}

#[test]
fn a_server_that_recovers_has_its_share_again_within_three_decays() {
    let until = 60.0;
    let world = world(0.3, until);
    assert!(share_at(&world, least_request, until - 10.0) < 0.03);
    assert!(share_at(&world, least_request, until + 1.0) > 0.09);
    assert!(share_at(&world, peak_ewma, until - 10.0) < 0.01);
    let back = until + 3.0 * DECAY.as_secs_f64();
    let share = share_at(&world, peak_ewma, back);
    assert!(share > 0.08, "{share}");
}

/// No answer is as fast as a failure.
#[test]
fn a_server_that_fails_at_once_is_not_taken_for_a_fast_one() {
    let until = 60.0;
    let world = World {
        failing: Some((SLOW, until)),
        ..World::of_ten(0.3)
    };
    assert!(
        share_at(&world, least_request, 40.0) > 0.1,
        "it has nothing to do"
    );
    let share = share_at(&world, peak_ewma, 40.0);
    assert!(share < 0.01, "{share}");
    let share = share_at(&world, peak_ewma, until + 3.0 * DECAY.as_secs_f64());
    assert!(share > 0.08, "{share}");
}

/// Nothing comes back from it, so nothing is learned: what is under way says it.
#[test]
fn a_server_that_hangs_gets_some_requests_and_not_its_share() {
    let mut hangs = vec![0.010; 10];
    hangs[SLOW] = 1000.0;
    let world = World {
        takes: vec![(0.0, vec![0.010; 10]), (20.0, hangs)],
        ..World::of_ten(0.5)
    };
    let [turns, lots, least, peak] = ALL.map(|(_, policy)| world.run(policy).counts[SLOW]);
    assert!(turns > 7000 && lots > 7000, "{turns}, {lots}");
    assert!(least < 20 && peak < 20, "{least}, {peak}");
}
