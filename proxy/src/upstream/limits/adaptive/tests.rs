//! What the limit does with servers whose work is simulated, on a clock of its own: so many requests are worked on at once, the
//! others wait their turn within the server.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const WIDE: Bounds = Bounds { min: 3, max: 1000 };

/// Servers, and so many clients that each ask again as soon as they may.
struct World {
    now: Instant,
    limit: Adaptive,
    clients: usize,
    /// What is worked on at once.
    workers: usize,
    /// What the work of one request takes, on average.
    work: Duration,
    is_random: bool,
    /// When they came.
    waiting: VecDeque<Instant>,
    /// When they are done, and when they came.
    working: BinaryHeap<Reverse<(Instant, Instant)>>,
}

/// What was seen for a while.
struct Seen {
    /// The limit at the end, and the least.
    limit: usize,
    least: usize,
    /// The average latency, and how many answers there were.
    latency: Duration,
    answers: u32,
}

impl World {
    fn new(workers: usize, work: Duration) -> Self {
        fastrand::seed(7);
        Self {
            now: Instant::now(),
            limit: Adaptive::new(WIDE),
            clients: 10_000,
            workers,
            work,
            is_random: true,
            waiting: VecDeque::new(),
            working: BinaryHeap::new(),
        }
    }

    fn fill(&mut self) {
        let most = self.limit.limit(self.now).min(self.clients);
        while self.waiting.len() + self.working.len() < most {
            self.waiting.push_back(self.now);
        }
        while self.working.len() < self.workers
            && let Some(came) = self.waiting.pop_front()
        {
            let luck = match self.is_random {
                true => -(1.0 - fastrand::f64()).ln(),
                false => 1.0,
            };
            let done = self.now + self.work.mul_f64(luck);
            self.working.push(Reverse((done, came)));
        }
    }

    fn run(&mut self, span: Duration) -> Seen {
        let end = self.now + span;
        let (mut sum, mut answers, mut least) = (Duration::ZERO, 0, usize::MAX);
        while self.now < end {
            self.fill();
            let under_way = self.waiting.len() + self.working.len();
            let Some(Reverse((done, came))) = self.working.pop() else {
                break;
            };
            self.now = done;
            self.limit.answered(done - came, done, under_way);
            sum += done - came;
            answers += 1;
            least = least.min(self.limit.limit(self.now));
        }
        Seen {
            limit: self.limit.limit(self.now),
            least,
            latency: sum / answers.max(1),
            answers,
        }
    }
}

#[test]
fn it_finds_what_the_servers_can_do_follows_a_loss_of_half_and_comes_up_again() {
    let mut world = World::new(40, 50 * MS);
    world.run(60 * SECOND);
    let whole = world.run(60 * SECOND);
    assert!(whole.latency < 100 * MS, "{:?}", whole.latency);
    assert!((40..90).contains(&whole.limit), "{}", whole.limit);
    // All of it is used: 800 a second would be.
    assert!(whole.answers > 60 * 720, "{}", whole.answers);

    world.workers = 20;
    let at_once = world.run(10 * SECOND);
    assert!(at_once.latency < 150 * MS, "{:?}", at_once.latency);
    world.run(50 * SECOND);
    let half = world.run(60 * SECOND);
    assert!((20..50).contains(&half.limit), "{}", half.limit);
    assert!(half.latency < 120 * MS, "{:?}", half.latency);
    assert!(half.answers > 60 * 360, "{}", half.answers);

    world.workers = 40;
    world.run(30 * SECOND);
    let again = world.run(60 * SECOND);
    assert!((40..90).contains(&again.limit), "{}", again.limit);
    assert!(again.answers > 60 * 720, "{}", again.answers);
}

#[test]
fn work_that_takes_twice_as_long_is_no_reason_to_do_less_of_it_at_a_time() {
    let mut world = World::new(20, 20 * MS);
    world.run(60 * SECOND);
    world.work = 40 * MS;
    world.run(60 * SECOND);
    let slow = world.run(60 * SECOND);
    // 500 a second are possible.
    assert!(slow.answers > 60 * 430, "{}", slow.answers);
    assert!(slow.latency < 100 * MS, "{:?}", slow.latency);
}

#[test]
fn neither_chance_nor_time_brings_it_down_or_up() {
    for workers in [1, 4, 100] {
        for is_random in [true, false] {
            let mut world = World::new(workers, 10 * MS);
            world.is_random = is_random;
            world.run(60 * SECOND);
            let seen = world.run(300 * SECOND);
            let bounds = workers.max(3)..workers * 3 + 8;
            assert!(bounds.contains(&seen.limit), "{workers}: {}", seen.limit);
            let possible = 300 * 100 * u32::try_from(workers).unwrap();
            assert!(
                seen.answers > possible / 100 * 85,
                "{workers}: {}",
                seen.answers
            );
        }
    }
}

#[test]
fn who_asks_for_little_changes_nothing() {
    let mut world = World::new(50, 10 * MS);
    world.run(60 * SECOND);
    world.clients = 2;
    // What was under way then is over.
    let before = world.run(SECOND).limit;
    assert!(before > 50, "{before}");
    let seen = world.run(600 * SECOND);
    assert_eq!((seen.least, seen.limit), (before, before));
    world.now += 3600 * SECOND;
    assert_eq!(world.run(SECOND).limit, before);
}

#[test]
fn it_stays_within_its_bounds_and_goes_on_within_others() {
    let mut world = World::new(1, 50 * MS);
    world.limit = Adaptive::new(Bounds { min: 8, max: 30 });
    assert_eq!(world.run(60 * SECOND).limit, 8);
    world.workers = 1000;
    assert_eq!(world.run(300 * SECOND).limit, 30);
    world.limit.stay_within(Bounds { min: 1, max: 12 });
    assert_eq!(world.limit.limit(world.now), 12);
    let narrow = Adaptive::new(Bounds { min: 1, max: 2 });
    assert_eq!(narrow.limit(Instant::now()), 2);
}

#[test]
fn failures_count_only_where_they_took_long() {
    let mut world = World::new(40, 50 * MS);
    let before = world.run(60 * SECOND).limit;
    let now = world.now;
    for step in 0..10_000 {
        let at = now + MS * step;
        world.limit.failed(MS, at, world.limit.limit(at));
    }
    assert_eq!(
        world.limit.limit(world.now),
        before,
        "refused at once: as before"
    );
    for step in 0..10_000 {
        let at = now + 10 * SECOND + MS * step;
        world.limit.failed(SECOND, at, world.limit.limit(at));
    }
    assert!(
        world.limit.limit(world.now) < before / 2,
        "{}",
        world.limit.limit(world.now)
    );
}

/// Nearly all are long polls, so that there never are few.
#[test]
fn requests_that_wait_for_hours_keep_it_down_for_a_moment_only() {
    let mut limit = Adaptive::new(Bounds { min: 3, max: 30 });
    let begin = Instant::now();
    let mut whole = 0;
    for step in 0..100_000 {
        let at = begin + MS * step;
        limit.answered(MS, at, 25);
        whole += usize::from(limit.limit(at) >= 20);
    }
    assert!(whole > 95_000, "{whole}");
    // It ends by itself, also where nobody answers any more.
    assert!(limit.limit(begin + 200 * SECOND) >= 20);
}
