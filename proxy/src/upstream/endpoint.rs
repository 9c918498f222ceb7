//! One server: its address, its weight, and what is known about it right now.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;
use crossbeam_utils::atomic::AtomicCell;
use pingora::upstreams::peer::HttpPeer;

use super::health::{Findings, Health, Watch};
use super::kept::Kept;
use super::latency::Latency;
use super::ongoing::{Ongoing, Stage};
use super::standing::{Duty, Standing};

/// What a server carries at this moment, shared by all upstreams that name its address.
#[derive(Debug, Default)]
pub struct Load {
    in_flight: Ongoing,
    kept: Kept,
    latency: Latency,
}

impl Load {
    /// The connections to it that wait for their next request.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }
}

/// What the file says of a server, other than where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// Its share, relative to the others'.
    pub weight: u16,
    /// Its tier: 0 comes first.
    pub priority: u8,
    /// Whether it gets requests.
    pub duty: Duty,
    /// When that ends, and it serves.
    pub until: Option<SystemTime>,
}

impl Seat {
    /// The tier of backups, behind all others.
    pub const BACKUP: u8 = u8::MAX;

    /// In the first tier, with this share.
    pub const fn of_weight(weight: u16) -> Self {
        Self {
            weight,
            priority: 0,
            duty: Duty::Serving,
            until: None,
        }
    }

    /// For how long its duty holds, on the clock of the wall; none if nothing ends.
    pub fn left(&self) -> Option<Duration> {
        let left = self.until?.duration_since(SystemTime::now());
        Some(left.unwrap_or_default())
    }

    /// Whether its duty holds no more.
    pub fn has_ended(&self) -> bool {
        self.left() == Some(Duration::ZERO)
    }

    fn duty_now(&self) -> Duty {
        match self.has_ended() {
            true => Duty::Serving,
            false => self.duty,
        }
    }
}

/// One server of an upstream.
pub struct Endpoint {
    address: SocketAddr,
    seat: Seat,
    /// Its share, now: an operator may want another one than the file.
    weight: AtomicU16,
    standing: Arc<Standing>,
    load: Arc<Load>,
    /// Its connections are counted, and shared with no other upstream.
    has_own_connections: bool,
    watch: ArcSwapOption<Watch>,
    /// The health of one that is not watched, or not any more.
    unwatched: AtomicCell<Health>,
    peer: HttpPeer,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// A server with its connection settings prepared, so that a request only copies them.
    pub fn new(
        address: SocketAddr,
        weight: u16,
        load: Arc<Load>,
        watch: Option<Arc<Watch>>,
    ) -> Self {
        Self::seated(
            address,
            Seat::of_weight(weight),
            Arc::default(),
            load,
            watch,
        )
    }

    /// The same with more to say about it.
    pub fn seated(
        address: SocketAddr,
        seat: Seat,
        standing: Arc<Standing>,
        load: Arc<Load>,
        watch: Option<Arc<Watch>>,
    ) -> Self {
        Self {
            address,
            seat,
            weight: AtomicU16::new(seat.weight),
            standing,
            load,
            has_own_connections: false,
            watch: ArcSwapOption::new(watch),
            unwatched: AtomicCell::new(Health::Up),
            peer: HttpPeer::new(address, false, String::new()),
        }
    }

    /// The same with connections that no other upstream uses, if that is so.
    #[must_use]
    pub fn with_own_connections(mut self, has_own: bool) -> Self {
        self.has_own_connections = has_own;
        self
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the file says of it.
    pub fn seat(&self) -> Seat {
        self.seat
    }

    /// What is known of it in its upstream.
    pub fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// Its share, relative to the others'.
    pub fn weight(&self) -> u16 {
        self.weight.load(Ordering::Relaxed)
    }

    /// Takes in what an operator wants its share to be, or else what the file says.
    pub fn weigh(&self, now: Instant) {
        let ordered = self.standing.order(now).weight;
        let weight = ordered.map_or(self.seat.weight, |held| held.value);
        self.weight.store(weight, Ordering::Relaxed);
    }

    /// Whether it gets requests: what an operator wants, or else what the file says.
    pub fn duty(&self, now: Instant) -> Duty {
        let ordered = self.standing.order(now).duty;
        ordered.map_or_else(|| self.seat.duty_now(), |held| held.value)
    }

    /// Its tier: 0 comes first.
    pub fn priority(&self) -> u8 {
        self.seat.priority
    }

    /// How Pingora is to treat it.
    pub fn peer(&self) -> &HttpPeer {
        &self.peer
    }

    /// The connections to it that wait for their next request.
    pub fn kept(&self) -> &Kept {
        match self.has_own_connections {
            false => self.load.kept(),
            true => self.standing.taken().kept(),
        }
    }

    /// Those that it had before its own were counted are not used any more.
    pub fn close_uncounted(&self) {
        if self.has_own_connections {
            self.load.kept().close();
        }
    }

    /// How long it takes to answer, if its policy wants to know.
    pub fn latency(&self) -> &Latency {
        &self.load.latency
    }

    /// What the probes say; a server that nobody probes is taken to be well.
    pub fn health(&self) -> Health {
        match &*self.watch.load() {
            Some(watch) => watch.health(),
            None => self.unwatched.load(),
        }
    }

    /// Why it is down, in the words of the last failed probe.
    pub fn reason(&self) -> Option<String> {
        self.watch.load().as_ref().and_then(|watch| watch.reason())
    }

    /// What its probes found, if it is probed.
    pub fn findings(&self) -> Option<Findings> {
        self.watch.load().as_ref().map(|watch| watch.findings())
    }

    /// Who probes it, as long as somebody does.
    pub fn watch(&self) -> Option<Arc<Watch>> {
        self.watch.load_full()
    }

    /// Ends the probes on its behalf; its health stays what it is now.
    pub fn forget(&self) {
        self.unwatched.store(self.health());
        self.watch.store(None);
    }

    /// Whether its first probe was answered, one way or the other.
    pub fn is_settled(&self) -> bool {
        self.health() != Health::Untried
    }

    /// Requests under way.
    pub fn in_flight(&self) -> usize {
        self.load.in_flight.all()
    }

    /// Requests under way whose answer has not begun.
    pub fn awaiting(&self) -> usize {
        self.load.in_flight.awaiting()
    }

    /// Counts a request until the returned value is dropped.
    pub fn enter(&self) -> InFlight {
        self.load.in_flight.begin();
        InFlight {
            load: Arc::clone(&self.load),
            stage: Stage::default(),
        }
    }
}

/// A request under way to a server.
#[derive(Debug)]
pub struct InFlight {
    load: Arc<Load>,
    stage: Stage,
}

impl InFlight {
    /// Its answer has begun.
    pub fn answered(&mut self) {
        self.load.in_flight.answer(&mut self.stage);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.load.in_flight.end(self.stage);
    }
}
