//! Proxies, servers and requests on a clock of their own: what policies are worth, over the code that serves.
//!
//! Requests come at random moments (a Poisson process), each to one of the proxies; a server works on so many at a time, for a
//! random time each (exponential around its mean), and lets the others wait in line. Proxies share servers and know nothing of one
//! another. The random numbers have a seed: runs differ by the rounding of a millisecond at most.

mod crowd;
mod slow;
mod spread;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::least_request::LeastRequest;
use super::peak_ewma::PeakEwma;
use super::random::Random;
use super::round_robin::RoundRobin;
use super::{Asked, End, Outcome, Picker, Policy, Tried};
use crate::turns::Purpose;
use crate::upstream::{Endpoint, InFlight};

/// Endpoints of these weights.
pub(in crate::upstream::balance) fn servers(weights: &[u16]) -> Vec<Arc<Endpoint>> {
    let server = |(port, weight): (usize, &u16)| {
        let address = ([127, 0, 0, 1], port as u16 + 1).into();
        Arc::new(Endpoint::new(address, *weight, Arc::default(), None))
    };
    weights.iter().enumerate().map(server).collect()
}

fn round_robin() -> Arc<dyn Policy> {
    Arc::new(RoundRobin::default())
}

fn random() -> Arc<dyn Policy> {
    Arc::new(Random)
}

fn least_request() -> Arc<dyn Policy> {
    Arc::new(LeastRequest { choices: 2 })
}

fn peak_ewma() -> Arc<dyn Policy> {
    Arc::new(PeakEwma { decay: DECAY })
}

const DECAY: Duration = Duration::from_secs(10);

/// A policy, made for each proxy.
type Made = fn() -> Arc<dyn Policy>;

const ALL: [(&str, Made); 4] = [
    ("round_robin", round_robin),
    ("random", random),
    ("least_request", least_request),
    ("peak_ewma", peak_ewma),
];

/// What a run is about.
#[derive(Clone)]
struct World {
    /// Of each server.
    weights: Vec<u16>,
    /// In seconds, of each server, from this second on.
    takes: Vec<(f64, Vec<f64>)>,
    /// At a time, on each server.
    workers: usize,
    proxies: usize,
    /// Per second, over all proxies.
    rate: f64,
    seconds: f64,
    /// From which second on is counted.
    counted: f64,
    /// A server that fails every request at once, and until which second.
    failing: Option<(usize, f64)>,
}

/// What came of it.
#[derive(Debug, Default)]
struct Report {
    /// Requests that each server got.
    counts: Vec<u64>,
    /// In seconds, sorted.
    took: Vec<f64>,
    /// The longest line at any server, with those that it works on.
    longest: usize,
    /// Who got each request.
    order: Vec<usize>,
}

impl Report {
    fn share(&self, server: usize) -> f64 {
        self.counts[server] as f64 / self.counts.iter().sum::<u64>() as f64
    }

    /// In milliseconds.
    fn percentile(&self, percent: f64) -> f64 {
        let place = (self.took.len() as f64 * percent / 100.0) as usize;
        self.took[place.min(self.took.len() - 1)] * 1000.0
    }
}

/// One view of the servers.
struct Proxy {
    policy: Arc<dyn Policy>,
    picker: Box<dyn Picker>,
    ready: Vec<Arc<Endpoint>>,
}

struct Job {
    proxy: usize,
    came: f64,
    _in_flight: InFlight,
}

#[derive(Default)]
struct Server {
    busy: usize,
    waiting: VecDeque<Job>,
}

/// What happens next, by the nanosecond.
struct Events(BinaryHeap<Reverse<(u64, usize)>>, Vec<Option<(usize, Job)>>);

impl World {
    /// Ten equal servers that work on four requests at a time, for 10 ms each, at this share of what they can do: 4000 requests
    /// per second.
    fn of_ten(load: f64) -> Self {
        Self {
            weights: vec![1; 10],
            takes: vec![(0.0, vec![0.010; 10])],
            workers: 4,
            proxies: 1,
            rate: load * 4000.0,
            seconds: 60.0,
            counted: 20.0,
            failing: None,
        }
    }

    fn run(&self, policy: impl Fn() -> Arc<dyn Policy>) -> Report {
        fastrand::seed(7);
        let proxies: Vec<Proxy> = (0..self.proxies).map(|_| self.proxy(policy())).collect();
        let mut running = Running {
            world: self,
            base: Instant::now(),
            servers: self.weights.iter().map(|_| Server::default()).collect(),
            ends: Events(BinaryHeap::new(), Vec::new()),
            report: Report {
                counts: vec![0; self.weights.len()],
                ..Report::default()
            },
        };
        let mut now = 0.0;
        while now < self.seconds {
            now += exponential(1.0 / self.rate);
            running.end_until(now, &proxies);
            running.arrive(now, &proxies);
        }
        running.end_until(f64::MAX, &proxies);
        running.report.took.sort_by(f64::total_cmp);
        running.report
    }

    fn proxy(&self, policy: Arc<dyn Policy>) -> Proxy {
        let ready = servers(&self.weights);
        let picker = policy.picker(&ready);
        Proxy {
            policy,
            picker,
            ready,
        }
    }

    fn fails(&self, server: usize, now: f64) -> bool {
        self.failing
            .is_some_and(|(failing, until)| failing == server && now < until)
    }

    /// What this request takes.
    fn takes(&self, server: usize, now: f64) -> f64 {
        if self.fails(server, now) {
            return 0.0001;
        }
        let mut latest = self.takes.iter().rev();
        exponential(latest.find(|(from, _)| *from <= now).unwrap().1[server])
    }
}

struct Running<'w> {
    world: &'w World,
    base: Instant,
    servers: Vec<Server>,
    ends: Events,
    report: Report,
}

impl Running<'_> {
    fn at(&self, now: f64) -> Instant {
        self.base + Duration::from_secs_f64(now)
    }

    fn arrive(&mut self, now: f64, proxies: &[Proxy]) {
        let number = fastrand::usize(..proxies.len());
        let proxy = &proxies[number];
        let asked = Asked {
            tried: Tried::NONE,
            purpose: Purpose::Serve,
            key: None,
            now: self.at(now),
        };
        let picked = proxy.picker.pick(&proxy.ready, &asked).unwrap();
        let place = usize::from(picked.address().port()) - 1;
        let job = Job {
            proxy: number,
            came: now,
            _in_flight: picked.enter(),
        };
        let server = &mut self.servers[place];
        server.waiting.push_back(job);
        if now >= self.world.counted {
            self.report.counts[place] += 1;
            self.report.order.push(place);
            let line = server.waiting.len() + server.busy;
            self.report.longest = self.report.longest.max(line);
        }
        self.work(place, now);
    }

    fn work(&mut self, place: usize, now: f64) {
        while self.servers[place].busy < self.world.workers
            && let Some(job) = self.servers[place].waiting.pop_front()
        {
            self.servers[place].busy += 1;
            let end = now + self.world.takes(place, now);
            let Events(queue, jobs) = &mut self.ends;
            queue.push(Reverse(((end * 1e9) as u64, jobs.len())));
            jobs.push(Some((place, job)));
        }
    }

    fn end_until(&mut self, until: f64, proxies: &[Proxy]) {
        while let Some(Reverse((nanos, number))) = self.ends.0.peek().copied()
            && (nanos as f64) < until * 1e9
        {
            self.ends.0.pop();
            let (place, job) = self.ends.1[number].take().unwrap();
            let now = nanos as f64 / 1e9;
            let took = (now - job.came).max(0.0);
            if job.came >= self.world.counted {
                self.report.took.push(took);
            }
            let proxy = &proxies[job.proxy];
            if let Some(learner) = proxy.policy.learner() {
                let outcome = Outcome {
                    end: match self.world.fails(place, now) {
                        true => End::Failed,
                        false => End::Answered,
                    },
                    took: Some(Duration::from_secs_f64(took)),
                    picked: self.at(job.came),
                    at: self.at(now),
                };
                learner.note(&proxy.ready[place], &proxy.ready, &outcome);
            }
            drop(job);
            self.servers[place].busy -= 1;
            self.work(place, now);
        }
    }
}

fn exponential(mean: f64) -> f64 {
    -mean * (1.0 - fastrand::f64()).ln()
}
