//! Fifty proxies in front of the same ten servers, each of which sees only what it sent itself.

use super::super::Learner;
use super::*;

/// What looks best and is not: the least of all, as one proxy sees it.
struct LeastOfAll;

impl Policy for LeastOfAll {
    fn identity(&self) -> String {
        "least_of_all".to_owned()
    }

    fn picker(&self, _: &[Arc<Endpoint>]) -> Box<dyn Picker> {
        Box::new(Self)
    }

    fn learner(&self) -> Option<&dyn Learner> {
        None
    }
}

impl Picker for LeastOfAll {
    fn pick<'a>(&self, ready: &'a [Arc<Endpoint>], _: &Asked<'_>) -> Option<&'a Arc<Endpoint>> {
        ready.iter().min_by_key(|server| server.in_flight())
    }
}

fn least_of_all() -> Arc<dyn Policy> {
    Arc::new(LeastOfAll)
}

fn largest_share(report: &Report) -> f64 {
    (0..10)
        .map(|server| report.share(server))
        .fold(0.0, f64::max)
}

/// At three tenths of what the servers can do, twelve requests are under way on average: most proxies have none.
#[test]
fn proxies_that_choose_alike_do_not_crowd_at_one_server() {
    let world = World {
        proxies: 50,
        ..World::of_ten(0.3)
    };
    let at_once = world.run(least_of_all);
    assert!(largest_share(&at_once) > 0.3, "{}", largest_share(&at_once));
    assert!(at_once.longest > 40, "{}", at_once.longest);
    assert!(at_once.percentile(99.0) > 100.0);
    for (name, policy) in ALL {
        let report = world.run(policy);
        let (largest, longest) = (largest_share(&report), report.longest);
        assert!(largest < 0.11, "{name}: {largest}");
        assert!(longest < 20, "{name}: {longest}");
        assert!(report.percentile(99.0) < 50.0, "{name}");
    }
}

/// Near their limit, two choices keep the longest line shorter than turns and lots do.
#[test]
fn with_much_to_do_two_choices_keep_lines_short() {
    let world = World {
        proxies: 50,
        ..World::of_ten(0.9)
    };
    let [turns, lots, least, peak] = ALL.map(|(_, policy)| world.run(policy));
    for report in [&least, &peak] {
        assert!(report.longest < turns.longest && report.longest < lots.longest);
        assert!(report.percentile(99.0) < turns.percentile(99.0));
        assert!(report.percentile(99.0) * 1.4 < lots.percentile(99.0));
    }
}
