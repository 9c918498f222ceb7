//! One server and what is heard of it, on a clock of its own.

use super::*;
use crate::config::Factor;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

const BOUNDS: Bounds = Bounds {
    consecutive_failures: 5,
    error_rate: None,
    latency: None,
    time: TIME,
    max_time: MAX_TIME,
    max_ejected: SHARE,
};

/// One that does well.
const WELL: Other = Other {
    is_peer: true,
    is_failing: false,
    failed: Some(0.0),
    takes: Some(0.010),
};

fn outcome(end: End, at: Instant) -> Outcome {
    Outcome {
        end,
        took: None,
        picked: at,
        at,
    }
}

/// Tells of so many attempts at this moment and puts the server out as soon as that is enough. After which one it was out.
fn hear(
    record: &mut Record,
    ends: &[End],
    at: Instant,
    bounds: &Bounds,
    others: &[Other],
) -> Option<(usize, Reason)> {
    let all = ends.iter().enumerate();
    all.filter_map(|(number, end)| {
        let suspicion = record.hear(&outcome(*end, at), bounds)?;
        let reason = suspicion.against(others, 1, bounds);
        match reason {
            Some(reason) => record
                .eject(reason, at, bounds)
                .then_some((number + 1, reason)),
            None => {
                record.spare(&suspicion, false, at);
                None
            }
        }
    })
    .next()
}

const WELL_DONE: [End; 2] = [End::Answered, End::Complete];

#[test]
fn so_many_failures_in_a_row_and_not_one_less() {
    let at = Instant::now();
    let mut record = Record::default();
    let four = [End::Failed; 4];
    assert_eq!(hear(&mut record, &four, at, &BOUNDS, &[WELL]), None);
    assert_eq!(hear(&mut record, &WELL_DONE, at, &BOUNDS, &[WELL]), None);
    let five = [End::Failed; 5];
    let out = hear(&mut record, &five, at, &BOUNDS, &[WELL]);
    assert_eq!(out, Some((5, Reason::Failures(5))));
    let ejected = record.ejected(at, &BOUNDS).unwrap();
    assert_eq!((ejected.until, ejected.times), (at + TIME, 1));
    assert_eq!(ejected.to_string(), "5 failures in a row, out for 30s");
    assert!(record.ejected(at + TIME - MS, &BOUNDS).is_some());
    assert_eq!(record.ejected(at + TIME, &BOUNDS), None);
}

#[test]
fn an_answer_that_breaks_off_is_none_and_one_that_is_about_the_request_is_no_failure() {
    let at = Instant::now();
    let mut record = Record::default();
    let each = [End::Answered, End::BrokeOff].repeat(5);
    let out = hear(&mut record, &each, at, &BOUNDS, &[WELL]);
    assert_eq!(out, Some((10, Reason::Failures(5))));
    for end in [End::Unable, End::Left] {
        let mut record = Record::default();
        assert_eq!(hear(&mut record, &[end; 50], at, &BOUNDS, &[WELL]), None);
    }
}

#[test]
fn each_further_time_is_longer_up_to_a_bound_and_is_forgotten_with_time() {
    let mut at = Instant::now();
    let mut record = Record::default();
    hear(&mut record, &[End::Failed; 5], at, &BOUNDS, &[WELL]).unwrap();
    for times in 2..20 {
        at = record.ejected(at, &BOUNDS).unwrap().until;
        // It is on probation.
        let out = hear(&mut record, &[End::Failed], at, &BOUNDS, &[WELL]);
        assert_eq!(out, Some((1, Reason::StillFails)));
        let ejected = record.ejected(at, &BOUNDS).unwrap();
        assert_eq!(ejected.span, MAX_TIME.min(times * TIME));
        assert_eq!(ejected.times, times);
    }
    let back = record.ejected(at, &BOUNDS).unwrap().until;
    let well = WELL_DONE.repeat(5);
    assert_eq!(hear(&mut record, &well, back, &BOUNDS, &[WELL]), None);
    let later = back + 17 * TIME;
    hear(&mut record, &[End::Failed; 5], later, &BOUNDS, &[WELL]).unwrap();
    assert_eq!(record.ejected(later, &BOUNDS).unwrap().times, 3);
}

#[test]
fn a_probation_ends_when_so_many_went_well() {
    let at = Instant::now();
    let mut record = Record::default();
    hear(&mut record, &[End::Failed; 5], at, &BOUNDS, &[WELL]).unwrap();
    let back = at + TIME;
    let well = WELL_DONE.repeat(5);
    assert_eq!(hear(&mut record, &well, back, &BOUNDS, &[WELL]), None);
    let out = hear(&mut record, &[End::Failed; 5], back, &BOUNDS, &[WELL]);
    assert_eq!(out, Some((5, Reason::Failures(5))));
}

/// Clients mostly leave before the end: nothing goes well as far as anybody knows.
#[test]
fn failures_of_long_ago_are_no_row_and_a_probation_ends_with_time() {
    let at = Instant::now();
    let mut record = Record::default();
    for day in 0..50 {
        let at = at + day * (MAX_TIME + SECOND);
        let once = [End::Answered, End::Left, End::Failed];
        assert_eq!(hear(&mut record, &once, at, &BOUNDS, &[WELL]), None);
        assert_eq!(record.figures(at, &BOUNDS).failures_in_a_row, 1);
        let later = at + MAX_TIME + MS;
        assert_eq!(record.figures(later, &BOUNDS).failures_in_a_row, 0);
    }
    let mut rarely = Record::default();
    let minutes = (0..5).map(|minute| at + minute * 60 * SECOND);
    let outs = minutes.map(|at| hear(&mut rarely, &[End::Failed], at, &BOUNDS, &[WELL]));
    assert_eq!(outs.last(), Some(Some((1, Reason::Failures(5)))));

    let back = at + 4 * 60 * SECOND + TIME;
    let later = back + TIME + MS;
    assert_eq!(
        hear(&mut rarely, &[End::Failed], later, &BOUNDS, &[WELL]),
        None
    );
}

/// Three of a tier fail alike, and nobody has asked the two backups yet.
#[test]
fn a_backup_does_better_only_where_the_whole_tier_can_be_out() {
    let peer = Other {
        is_failing: true,
        ..WELL
    };
    let backup = Other {
        is_peer: false,
        ..WELL
    };
    let all = [peer, peer, backup, backup];
    let at = Instant::now();
    let mut record = Record::default();
    let suspicion = (0..5).find_map(|_| record.hear(&outcome(End::Failed, at), &BOUNDS));
    let suspicion = suspicion.unwrap();
    assert_eq!(
        suspicion.verdict(&all, 0, 5, &BOUNDS),
        Verdict::NoOutlier,
        "two of five may be out: one would be left with all the requests"
    );
    let wider = Bounds {
        max_ejected: "60%".parse().unwrap(),
        ..BOUNDS
    };
    let out = Verdict::Out(Reason::Failures(5));
    assert_eq!(suspicion.verdict(&all, 0, 5, &wider), out);
    assert_eq!(
        suspicion.verdict(&all[2..], 2, 5, &wider),
        out,
        "the last one"
    );
    assert_eq!(suspicion.verdict(&[WELL, backup], 0, 3, &BOUNDS), out);
}

#[test]
fn what_began_before_it_was_back_says_nothing() {
    let at = Instant::now();
    let mut record = Record::default();
    hear(&mut record, &[End::Failed; 5], at, &BOUNDS, &[WELL]).unwrap();
    let back = at + TIME;
    let late = Outcome {
        picked: back - MS,
        ..outcome(End::Failed, back + SECOND)
    };
    assert_eq!(record.hear(&late, &BOUNDS), None);
    assert!(record.hear(&outcome(End::Failed, back), &BOUNDS).is_some());
}

#[test]
fn where_every_other_fails_too_nobody_is_out_for_failures() {
    let at = Instant::now();
    let fails = Other {
        is_failing: true,
        ..WELL
    };
    let mut record = Record::default();
    let many = [End::Failed; 50];
    assert_eq!(hear(&mut record, &many, at, &BOUNDS, &[fails, fails]), None);
    assert_eq!(hear(&mut record, &many, at, &BOUNDS, &[]), None);
    let later = at + PAUSE;
    let out = hear(&mut record, &many, later, &BOUNDS, &[fails, WELL]);
    assert_eq!(out, Some((1, Reason::Failures(101))));
}

#[test]
fn a_share_of_failures_is_too_large_where_the_others_have_half_of_it_at_most() {
    let rate = ErrorRate {
        above: "30%".parse().unwrap(),
        requests: 20,
        over: OVER,
    };
    let bounds = Bounds {
        error_rate: Some(rate),
        ..BOUNDS
    };
    let others = |share: f64| {
        [Other {
            failed: Some(share),
            ..WELL
        }; 3]
    };
    // Two of five fail.
    let mut ends = Vec::new();
    for _ in 0..20 {
        ends.extend([End::Failed, End::Answered, End::Complete]);
        ends.extend([End::Failed, End::Answered, End::Complete]);
        ends.extend([End::Answered, End::Complete]);
    }
    let at = Instant::now();
    let mut record = Record::default();
    assert_eq!(hear(&mut record, &ends, at, &bounds, &others(0.3)), None);
    let later = at + PAUSE;
    let out = hear(&mut record, &ends, later, &bounds, &others(0.1)).unwrap();
    // Of the 101 that there are by now.
    let said = "41% of its requests failed, 10% is usual";
    assert_eq!(out.1.to_string(), said);

    let mut record = Record::default();
    let unknown = [Other::default()];
    let out = hear(&mut record, &ends, at, &bounds, &unknown).unwrap();
    assert_eq!(out.0, 31, "with the twentieth request");
    let back = record.ejected(at, &bounds).unwrap().until;
    let four = [End::Failed; 4];
    assert_eq!(hear(&mut record, &four, back, &bounds, &others(0.1)), None);
    // An option that is taken out of the file takes what it did with it.
    assert!(record.ejected(at, &bounds).is_some());
    assert_eq!(record.ejected(at, &BOUNDS), None);
}

#[test]
fn a_server_is_slow_by_what_the_others_take_and_not_for_one_answer() {
    let bounds = Bounds {
        latency: Some(Latency {
            above: Factor::TRIPLE,
            at_least: AT_LEAST,
            requests: REQUESTS,
            over: OVER,
        }),
        ..BOUNDS
    };
    let at = Instant::now();
    let took = |record: &mut Record, end: End, took: Duration| {
        let outcome = Outcome {
            took: Some(took),
            ..outcome(end, at)
        };
        let suspicion = record.hear(&outcome, &bounds)?;
        suspicion.against(&[WELL, WELL, WELL], 1, &bounds)
    };
    let many = |takes: Duration, end: End| {
        let mut record = Record::default();
        let mut out = None;
        for _ in 0..REQUESTS {
            assert_eq!(out, None);
            out = took(&mut record, end, takes);
        }
        out
    };
    assert_eq!(many(29 * MS, End::Answered), None);
    let reason = many(31 * MS, End::Answered).unwrap();
    let said = "it takes 31.0ms on average, 10.0ms is usual";
    assert_eq!(reason.to_string(), said);
    // Nobody waits for its answers.
    assert!(many(100 * MS, End::Left).is_some());
    let mut record = Record::default();
    assert_eq!(took(&mut record, End::Answered, 60 * SECOND), None);
    for _ in 0..REQUESTS {
        assert_eq!(took(&mut record, End::Answered, 10 * MS), None);
        assert_eq!(took(&mut record, End::Left, MS), None);
    }
}

#[test]
fn there_is_room_for_one_and_never_for_all() {
    let room = |share: &str, servers| {
        let max_ejected = share.parse().unwrap();
        Bounds {
            max_ejected,
            ..BOUNDS
        }
        .room(servers)
    };
    for (share, servers, places) in [
        ("50%", 1, 0),
        ("50%", 2, 1),
        ("50%", 3, 1),
        ("50%", 10, 5),
        ("1%", 10, 1),
        ("100%", 10, 9),
        ("100%", 0, 0),
    ] {
        assert_eq!(room(share, servers), places, "{share} of {servers}");
    }
}

#[test]
fn other_bounds_hold_for_who_is_out_already() {
    let at = Instant::now();
    let mut record = Record::default();
    hear(&mut record, &[End::Failed; 5], at, &BOUNDS, &[WELL]).unwrap();
    let shorter = Bounds {
        time: 10 * SECOND,
        ..BOUNDS
    };
    let until = record.ejected(at, &shorter).map(|ejected| ejected.until);
    assert_eq!(until, Some(at + 10 * SECOND));
    record.take_back(at + SECOND, Back::NoRoom);
    assert_eq!(record.ejected(at + SECOND, &BOUNDS), None);
}

#[test]
fn who_is_spared_for_want_of_room_counts_once_until_it_does_better() {
    let at = Instant::now();
    let mut record = Record::default();
    let mut spared = 0;
    let mut tell = |end: End, at: Instant| {
        if let Some(suspicion) = record.hear(&outcome(end, at), &BOUNDS) {
            spared += u32::from(record.spare(&suspicion, true, at));
        }
        spared
    };
    for number in 0..50 {
        tell(End::Failed, at + number * PAUSE);
    }
    assert_eq!(tell(End::Complete, at + 60 * PAUSE), 1);
    for number in 0..50 {
        tell(End::Failed, at + (70 + number) * PAUSE);
    }
    assert_eq!(tell(End::Complete, at + 150 * PAUSE), 2);
}
