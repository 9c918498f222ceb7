//! The request, one file per stage; `server::gateway` calls them in this order.
//!
//! | stage | does | leaves early by |
//! |---|---|---|
//! | `receive` | names the request, checks its bounds, finds its route | a failure of the client's |
//! | `onward` | adds who asked, runs the route's filters | an answer of a filter's |
//! | `reply` | answers a request whose route ends here | a redirect, an answer of the file's |
//! | `select` | picks a server, waits for a place if there are limits, counts the request in flight to it | nobody is ready, or has time |
//! | `forward` | what the server is sent: forwarded headers, id, `Via` | a body above the limit |
//! | `retry` | again, elsewhere, or give up | |
//! | `answer` | what the client is sent: hop-by-hop headers, id, `Via` | |
//! | `respond` | turns a failure into an answer | |
//! | `finish` | the line in the access log | |
//!
//! `hedge` sends a request to a second server, `mirror` copies requests, `remember` keeps their heads and `learn` tells how fast and how well servers answer beside all this; `fields` is how the stages change the fields of a request.

pub mod answer;
pub mod fields;
pub mod finish;
pub mod forward;
pub mod hedge;
pub mod learn;
pub mod mirror;
pub mod onward;
pub mod receive;
pub mod remember;
pub mod reply;
pub mod respond;
pub mod retry;
pub mod select;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::HeaderValue;

use self::onward::Passage;
use crate::config::RetryWhen;
use crate::error::Failure;
use crate::route::Found;
use crate::snapshot::{End, Route, Snapshot, Target};
use crate::turns::Purpose;
use crate::upstream::balance::Tried;
use crate::upstream::limits::{Grant, Pass, Place, Spot};
use crate::upstream::tally::{Retrying, UnderWay};
use crate::upstream::{Endpoint, InFlight};

/// Whatever a server says of a connection that it closed while that was kept, or of a request that it gave up waiting for, comes within a
/// round trip: half around the Earth and back takes no longer. What comes later is about this request.
const AT_ONCE: Duration = Duration::from_millis(250);

/// One request and what became of it so far.
pub struct Exchange {
    /// What the file said when the request came.
    pub snapshot: Arc<Snapshot>,
    /// Whether it is served, or only asked about.
    pub purpose: Purpose,
    /// When its head was complete.
    pub started: Instant,
    /// A filter took its time before it was sent anywhere.
    pub was_delayed: bool,
    /// The client's id for the request, or ours.
    pub id: Option<HeaderValue>,
    /// Who asked.
    pub client: Option<Client>,
    /// It says itself where it came from.
    pub claims_origin: bool,
    /// The rule that takes it.
    pub found: Option<Found>,
    /// What filters need to know of it and have asked for, if its route has any.
    pub passage: Option<Box<Passage>>,
    /// Which upstream of a split it is for.
    pub arm: usize,
    /// A `Set-Cookie` that keeps the client with that upstream.
    pub cookie: Option<HeaderValue>,
    /// How often it was sent to a server, this time included.
    pub attempts: u8,
    /// How often it was sent to a second server beside.
    pub hedged: u8,
    /// Counts it at its upstream while it lasts.
    under_way: Option<UnderWay>,
    /// When it has to be answered to the end, if it has to.
    pub deadline: Option<Instant>,
    /// It was sent again on the budget of its upstream.
    retrying: Option<Retrying>,
    /// How long the next attempt waits.
    pause: Option<Duration>,
    /// If nobody else is ready, those that failed it may be asked again.
    may_come_back: bool,
    /// What happened before, if it is sent again; nothing for a status.
    sent_again_after: Option<RetryWhen>,
    /// What a second server may be asked beside the first, if one may.
    pub hedge: Option<Arc<hedge::Hedge>>,
    /// Its place with its upstream, if that has limits.
    place: Option<Place>,
    /// The servers that failed it.
    pub tried: Tried,
    /// What of it decided on its server, if anything did.
    pub key: Option<u64>,
    /// The server that it is with, or was with last.
    pub attempt: Option<Attempt>,
    /// Until the answer's head came from the server, from the start.
    pub first_byte: Option<Duration>,
    /// A connection that was kept from an earlier request failed it: the next attempt is on a new one.
    pub went_stale: bool,
    /// The server has its head.
    pub head_sent: bool,
    /// The server has said something, if only that an answer will come.
    pub was_heard: bool,
    /// Its body has come to its end.
    pub body_ended: bool,
    /// What is copied of it, if it is.
    pub copy: Option<Box<mirror::Copy>>,
    /// Says whether what was held back may go, if anything was.
    pub held: Option<Arc<AtomicBool>>,
    /// Says whether all of it is on its way to the server, if anybody wants to know.
    pub whole: Option<Arc<AtomicBool>>,
    /// Bytes of its body so far.
    pub body_received: u64,
    /// Why no server's answer reached the client.
    pub failure: Option<Failure>,
}

/// Who asked, as an address and as the text that servers are sent.
#[derive(Debug, Clone)]
pub struct Client {
    /// The address.
    pub ip: IpAddr,
    /// The same in words.
    pub text: HeaderValue,
}

impl Client {
    /// An IPv4 address is called what it is called elsewhere, also on a listener on `[::]`.
    pub fn new(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        let text = HeaderValue::from_str(&ip.to_string());
        Self {
            ip,
            text: text.unwrap_or_else(|_| HeaderValue::from_static("unknown")),
        }
    }
}

/// A request with a server.
pub struct Attempt {
    /// The server.
    pub server: Arc<Endpoint>,
    /// When it was picked.
    pub picked: Instant,
    /// When the server had all of it, if it has a body and anybody wants to know.
    pub asked: Option<Instant>,
    /// The connection that it goes out on had served other requests before.
    pub reused: bool,
    /// So few servers were up that all were asked.
    pub in_panic: bool,
    /// The head of its answer came, is no failure, and more is due.
    pub goes_well: bool,
    /// Until the connection stood; nothing if one was at hand.
    pub connect: Option<Duration>,
    /// Counts the request at the server while it lasts.
    in_flight: Option<InFlight>,
    /// Its place with the server, if there are limits.
    spot: Option<Spot>,
    /// Leave for its connection, until that has it.
    pub pass: Option<Box<Pass>>,
}

impl Exchange {
    /// Pins the snapshot.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        Self {
            snapshot,
            purpose: Purpose::Serve,
            started: Instant::now(),
            was_delayed: false,
            id: None,
            client: None,
            claims_origin: false,
            found: None,
            passage: None,
            arm: 0,
            cookie: None,
            attempts: 0,
            hedged: 0,
            under_way: None,
            deadline: None,
            retrying: None,
            pause: None,
            may_come_back: false,
            sent_again_after: None,
            hedge: None,
            place: None,
            tried: Tried::default(),
            key: None,
            attempt: None,
            first_byte: None,
            went_stale: false,
            head_sent: false,
            was_heard: false,
            body_ended: false,
            copy: None,
            held: None,
            whole: None,
            body_received: 0,
            failure: None,
        }
    }

    /// Its route, once it is found.
    pub fn route(&self) -> Option<&Route> {
        self.snapshot.routes.get(self.found?.route)
    }

    /// The upstream that it is for, if its route ends with one.
    pub fn target(&self) -> Option<&Target> {
        match &self.route()?.end {
            End::Upstream(target) => Some(target),
            End::Split(targets, _) => targets.get(self.arm),
            End::Redirect(_) | End::Respond(_) => None,
        }
    }

    /// Its answer has begun: it waits for no server any more, however long the rest takes.
    pub fn begin_answer(&mut self) {
        let adapts = self.target().is_some_and(|it| it.upstream.adapts());
        if let Some(under_way) = &mut self.under_way {
            under_way.answered();
        }
        if let Some(in_flight) = self.attempt.as_mut().and_then(|it| it.in_flight.as_mut()) {
            in_flight.answered();
        }
        if let Some(place) = &mut self.place {
            place.answered(adapts);
        }
    }

    /// Nothing of it has left for the server: it is held back.
    pub fn is_held(&self) -> bool {
        let held = self.held.as_ref();
        held.is_some_and(|go| !go.load(Ordering::Acquire))
    }

    /// Its path as the client wrote it, if filters may have changed it.
    pub fn original_path(&self) -> Option<&str> {
        self.passage.as_ref().map(|passage| passage.path())
    }

    /// Bytes that its body may have.
    pub fn body_limit(&self) -> Option<u64> {
        let of_route = self.route().and_then(|route| route.body_size);
        let of_file = of_route.or(self.snapshot.limits.body_size);
        let of_filters = self.passage.as_ref().and_then(|passage| passage.body_size);
        of_file.into_iter().chain(of_filters).min()
    }

    /// The longest silence if it becomes a tunnel.
    pub fn tunnel_timeout(&self) -> Option<Duration> {
        self.target().map(|target| target.timeouts.tunnel)
    }

    /// Its id as text.
    pub fn id(&self) -> &str {
        self.id
            .as_ref()
            .and_then(|id| id.to_str().ok())
            .unwrap_or("-")
    }

    /// The server that it is with.
    pub fn server(&self) -> Option<SocketAddr> {
        self.attempt
            .as_ref()
            .map(|attempt| attempt.server.address())
    }
}

impl Attempt {
    /// The server has nothing more to do with it, whatever the client still gets.
    pub fn leave(&mut self) {
        self.in_flight = None;
        self.spot = None;
    }

    /// Whether a server that was heard of at this moment can have done so before it knew of this request.
    fn may_be_stale(&self, heard: Instant) -> bool {
        self.reused && heard.saturating_duration_since(self.picked) < AT_ONCE
    }

    /// With a place at its server.
    fn granted(grant: Grant, picked: Instant) -> Self {
        Self {
            in_panic: grant.in_panic,
            spot: Some(grant.spot),
            pass: grant.pass,
            ..Self::new(&grant.server, picked)
        }
    }

    fn new(server: &Arc<Endpoint>, picked: Instant) -> Self {
        server.standing().attempts().all.note();
        Self {
            server: Arc::clone(server),
            picked,
            asked: None,
            reused: false,
            in_panic: false,
            goes_well: false,
            connect: None,
            in_flight: Some(server.enter()),
            spot: None,
            pass: None,
        }
    }
}
