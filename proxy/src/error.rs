//! What can go wrong with a request: a short stable label, whose fault it was, and what the client is told.
//!
//! This is the one place that picks a status for a failure. The words never name an address: what stands behind the
//! proxy is nobody's business but the operator's, who finds it in the log.

/// Whose fault a failure was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request could not be served as it was.
    Client,
    /// A server did not do its part.
    Upstream,
    /// We did not do ours.
    Proxy,
}

/// Why a request was not answered by a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The request breaks the protocol.
    BadRequest,
    /// No route takes it.
    NoRoute,
    /// The method cannot be proxied.
    MethodNotSupported,
    /// The head did not arrive in time.
    HeadTimeout,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The body is larger than the limit.
    BodyTooLarge,
    /// The head is larger than the limit.
    HeadTooLarge,
    /// Who asks has not said who it is.
    Unauthorized,
    /// Who asks may not.
    AccessDenied,
    /// More than its share was asked for.
    RateLimited,
    /// There is more to do than can be done.
    Overloaded,
    /// It waited for a place at its servers, and there was none in time.
    QueueTimeout,
    /// The operator took the service down for a while.
    Maintenance,
    /// The client left before the answer was complete.
    ClientGone,
    /// No address is known for the upstream.
    NoServers,
    /// Every server fails its health check.
    AllDown,
    /// No server could be connected to.
    ConnectFailed,
    /// No server took the connection in time.
    ConnectTimeout,
    /// The server hung up.
    UpstreamClosed,
    /// The server was silent for too long.
    UpstreamTimeout,
    /// The whole took longer than the request may take.
    RequestTimeout,
    /// The server broke the protocol.
    BadAnswer,
    /// A mistake of ours.
    Internal,
}

impl Failure {
    /// For logs and metrics; never changes.
    pub fn label(self) -> &'static str {
        self.facts().0
    }

    /// What the client is answered, if it can still be. 499 is nginx's word in the log for a client that left.
    pub fn status(self) -> u16 {
        self.facts().1
    }

    /// Whose fault it was.
    pub fn fault(self) -> Fault {
        self.facts().2
    }

    /// A sentence for whoever reads the answer.
    pub fn explanation(self) -> &'static str {
        self.facts().3
    }

    const fn facts(self) -> (&'static str, u16, Fault, &'static str) {
        use Fault::{Client, Proxy, Upstream};
        match self {
            Self::BadRequest => (
                "bad_request",
                400,
                Client,
                "The request does not follow the HTTP protocol.",
            ),
            Self::NoRoute => (
                "no_route",
                404,
                Client,
                "Nothing is served at this address.",
            ),
            Self::MethodNotSupported => (
                "method_not_supported",
                405,
                Client,
                "This method is not served here.",
            ),
            Self::HeadTimeout => (
                "head_timeout",
                408,
                Client,
                "The request took too long to arrive.",
            ),
            Self::BodyTimeout => (
                "body_timeout",
                408,
                Client,
                "The body of the request took too long to arrive.",
            ),
            Self::BodyTooLarge => (
                "body_too_large",
                413,
                Client,
                "The body of the request is larger than what is accepted here.",
            ),
            Self::HeadTooLarge => (
                "head_too_large",
                431,
                Client,
                "The header of the request is larger than what is accepted here.",
            ),
            Self::Unauthorized => (
                "unauthorized",
                401,
                Client,
                "A name and a password are needed here.",
            ),
            Self::AccessDenied => (
                "access_denied",
                403,
                Client,
                "This is not open to where you ask from.",
            ),
            Self::RateLimited => (
                "rate_limited",
                429,
                Client,
                "Too much was asked in a short time. Please try again later.",
            ),
            Self::Overloaded => (
                "overloaded",
                503,
                Proxy,
                "Too many ask at the same time. Please try again soon.",
            ),
            Self::QueueTimeout => (
                "queue_timeout",
                503,
                Proxy,
                "Too many ask at the same time. Please try again soon.",
            ),
            Self::Maintenance => (
                "maintenance",
                503,
                Proxy,
                "The service is being worked on. Please try again later.",
            ),
            Self::ClientGone => (
                "client_gone",
                499,
                Client,
                "The client closed the connection.",
            ),
            Self::NoServers => (
                "no_servers",
                503,
                Upstream,
                "The service has no servers at the moment. Please try again soon.",
            ),
            Self::AllDown => (
                "all_down",
                503,
                Upstream,
                "No server of this service is well at the moment. Please try again soon.",
            ),
            Self::ConnectFailed => (
                "connect_failed",
                502,
                Upstream,
                "The service could not be reached.",
            ),
            Self::ConnectTimeout => (
                "connect_timeout",
                504,
                Upstream,
                "The service could not be reached in time.",
            ),
            Self::UpstreamClosed => (
                "upstream_closed",
                502,
                Upstream,
                "The service closed the connection before it answered.",
            ),
            Self::UpstreamTimeout => (
                "upstream_timeout",
                504,
                Upstream,
                "The service did not answer in time.",
            ),
            Self::RequestTimeout => (
                "request_timeout",
                504,
                Upstream,
                "The service did not complete the answer in the time that it has.",
            ),
            Self::BadAnswer => (
                "bad_answer",
                502,
                Upstream,
                "The service gave an answer that does not follow the HTTP protocol.",
            ),
            Self::Internal => (
                "internal",
                500,
                Proxy,
                "The proxy could not handle the request.",
            ),
        }
    }
}
