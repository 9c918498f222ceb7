//! Ten servers in turn, or by lot, of which some do badly: what clients see of it, on a clock of its own.

use super::*;
use crate::config::Factor;

const SERVERS: usize = 10;
const MS: Duration = Duration::from_millis(1);

const BOUNDS: Bounds = Bounds {
    consecutive_failures: FAILURES,
    error_rate: Some(ErrorRate {
        above: SHARE,
        requests: REQUESTS,
        over: OVER,
    }),
    latency: Some(Latency {
        above: Factor::TRIPLE,
        at_least: AT_LEAST,
        requests: REQUESTS,
        over: OVER,
    }),
    time: TIME,
    max_time: MAX_TIME,
    max_ejected: SHARE,
};

/// What a server does with a request at this second.
type Does = fn(server: usize, second: f64) -> (End, Duration);

struct World {
    rate: u32,
    seconds: u32,
    by_lot: bool,
    does: Does,
}

#[derive(Default)]
struct Report {
    /// The number of the request that put the first server out.
    first: Option<usize>,
    failures: Vec<bool>,
    took: Vec<Duration>,
    counts: [usize; SERVERS],
    most_out: usize,
    out_at_the_end: usize,
}

impl Report {
    /// Of the requests after the first server was put out.
    fn share_after(&self) -> f64 {
        let after = &self.failures[self.first.unwrap()..];
        after.iter().filter(|failed| **failed).count() as f64 / after.len() as f64
    }
}

impl World {
    fn run(&self) -> Report {
        fastrand::seed(7);
        let start = Instant::now();
        let mut records: Vec<Record> = (0..SERVERS).map(|_| Record::default()).collect();
        let mut report = Report::default();
        for number in 0..self.rate * self.seconds {
            let second = f64::from(number) / f64::from(self.rate);
            let now = start + Duration::from_secs_f64(second);
            let is_out = |record: &Record| record.ejected(now, &BOUNDS).is_some();
            let ready: Vec<usize> = (0..SERVERS).filter(|it| !is_out(&records[*it])).collect();
            report.out_at_the_end = SERVERS - ready.len();
            report.most_out = report.most_out.max(report.out_at_the_end);
            let place = match self.by_lot {
                true => fastrand::usize(..ready.len()),
                false => number as usize % ready.len(),
            };
            let server = ready[place];
            let (end, took) = (self.does)(server, second);
            report.failures.push(end == End::Failed);
            report.took.push(took);
            report.counts[server] += 1;
            let ends = match end {
                End::Answered => vec![End::Answered, End::Complete],
                end => vec![end],
            };
            for end in ends {
                let outcome = Outcome {
                    end,
                    took: Some(took),
                    picked: now,
                    at: now,
                };
                if judge(&mut records, server, &outcome) {
                    report.first.get_or_insert(number as usize);
                }
            }
        }
        report
    }
}

/// Whether it is out because of this.
fn judge(records: &mut [Record], server: usize, outcome: &Outcome) -> bool {
    let now = outcome.at;
    let Some(suspicion) = records[server].hear(outcome, &BOUNDS) else {
        return false;
    };
    let is_out = |record: &Record| record.ejected(now, &BOUNDS).is_some();
    let others = records.iter().enumerate();
    let others: Vec<Other> = others
        .filter(|(place, record)| *place != server && !is_out(record))
        .map(|(_, record)| record.as_other(now, &BOUNDS))
        .collect();
    let out = records.iter().filter(|record| is_out(record)).count();
    match suspicion.verdict(&others, out, SERVERS, &BOUNDS) {
        Verdict::Out(reason) => records[server].eject(reason, now, &BOUNDS),
        verdict => {
            records[server].spare(&suspicion, verdict == Verdict::NoRoom, now);
            false
        }
    }
}

fn well() -> (End, Duration) {
    (End::Answered, 10 * MS)
}

/// Without ejection, and until then, it is one in ten.
#[test]
fn one_of_ten_that_fails_every_request_costs_less_than_one_in_a_thousand() {
    for by_lot in [false, true] {
        let does: Does = |server, _| match server {
            3 => (End::Failed, MS),
            _ => well(),
        };
        for rate in [20, 1000] {
            let world = World {
                rate,
                seconds: 600,
                by_lot,
                does,
            };
            let report = world.run();
            assert!(report.first.unwrap() < 150, "{:?}", report.first);
            let share = report.share_after();
            assert!(share < 0.001, "{share} at {rate}/s");
            assert_eq!(report.most_out, 1);
        }
    }
}

#[test]
fn a_server_that_recovers_has_its_share_again_by_itself() {
    let does: Does = |server, second| match server {
        3 if second < 100.0 => (End::Failed, MS),
        _ => well(),
    };
    let world = World {
        rate: 100,
        seconds: 600,
        by_lot: false,
        does,
    };
    // Out at 0, 30, 90: back at 180 s.
    let report = world.run();
    assert_eq!(report.out_at_the_end, 0);
    let share = report.counts[3] as f64 / 60_000.0;
    assert!((0.06..0.08).contains(&share), "{share}");
}

#[test]
fn half_of_its_requests_are_enough_if_the_others_do_better() {
    let does: Does = |server, _| match server {
        3 if fastrand::f64() < 0.6 => (End::Failed, MS),
        _ if fastrand::f64() < 0.01 => (End::Failed, MS),
        _ => well(),
    };
    let world = World {
        rate: 100,
        seconds: 60,
        by_lot: true,
        does,
    };
    let report = world.run();
    assert_eq!(report.most_out, 1);
    assert!(report.counts[3] < 200, "{:?}", report.counts);
}

/// What is behind all of them is down: not one server is to blame.
#[test]
fn where_all_fail_nobody_is_out_in_turn_and_few_by_lot() {
    let does: Does = |_, second| match second {
        20.0..80.0 => (End::Failed, MS),
        _ => well(),
    };
    for (by_lot, most) in [(false, 0), (true, 5)] {
        let world = World {
            rate: 200,
            seconds: 300,
            by_lot,
            does,
        };
        let report = world.run();
        assert!(report.most_out <= most, "{}", report.most_out);
        assert_eq!(report.out_at_the_end, 0);
    }
}

#[test]
fn where_all_fail_half_of_the_time_no_more_are_out_than_the_cap_allows() {
    let does: Does = |_, _| match fastrand::bool() {
        true => (End::Failed, MS),
        false => well(),
    };
    let world = World {
        rate: 500,
        seconds: 60,
        by_lot: true,
        does,
    };
    assert_eq!(world.run().most_out, 5);
}

#[test]
fn one_slow_server_among_ten_is_out_and_ten_slow_ones_are_not() {
    let one: Does = |server, _| match server {
        3 => (End::Answered, 100 * MS),
        _ => (
            End::Answered,
            MS.mul_f64(10.0 * -(1.0 - fastrand::f64()).ln()),
        ),
    };
    let all: Does = |_, second| match second {
        10.0.. => (End::Answered, 500 * MS),
        _ => well(),
    };
    let world = World {
        rate: 200,
        seconds: 120,
        by_lot: false,
        does: one,
    };
    let report = world.run();
    assert_eq!(report.most_out, 1);
    let slow = report.counts[3] as f64 / report.took.len() as f64;
    assert!(slow < 0.005, "{slow} of all went to the slow one");
    let world = World { does: all, ..world };
    assert_eq!(world.run().most_out, 0);
}
