//! How requests ended, as their clients saw it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

use reqwest::{Client, Response};
use serde_json::Value;
use tidegate_tests::{PATIENCE, client, h2c_client};
use tokio::sync::Notify;
use tokio::time::timeout;

/// A whole answer with a status of success.
pub(crate) const OK: &str = "ok";

/// An answer that began and did not come to its end, and the client knows it.
pub(crate) const CUT_OFF: &str = "cut off";

/// Servers that break off wait for the client to have the first piece. They say so in the head.
pub(crate) const BREAKS_OFF: &str = "x-breaks-off";

/// Requests by how they ended: [`OK`], [`CUT_OFF`], or a status and the reason that the proxy gave, if it was the proxy.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Ends {
    kinds: BTreeMap<String, usize>,
    /// Who answered.
    pub(crate) instances: BTreeSet<String>,
}

/// One method, and how it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Idempotent.
    Get,
    /// Not.
    Post,
}

/// Clients on HTTP/1 and on HTTP/2.
pub(crate) struct Clients {
    both: [Client; 2],
    /// The first piece of an answer that will break off has come.
    pub(crate) first_piece: std::sync::Arc<Notify>,
}

impl Clients {
    pub(crate) fn new() -> Self {
        Self {
            both: [client(), h2c_client()],
            first_piece: std::sync::Arc::default(),
        }
    }

    /// Asks, every other time on HTTP/2, and says how it ended and who answered.
    pub(crate) async fn ask(
        &self,
        method: Method,
        url: &str,
        number: usize,
    ) -> (String, Option<String>) {
        let client = &self.both[number % 2];
        let request = match method {
            Method::Get => client.get(url),
            Method::Post => client.post(url).body("an order"),
        };
        let answer = timeout(PATIENCE, request.send()).await;
        match answer.expect("an answer in time, whatever the fault") {
            Ok(answer) => self.read(answer).await,
            Err(error) => (format!("no answer: {error:?}"), None),
        }
    }

    async fn read(&self, mut answer: Response) -> (String, Option<String>) {
        let status = answer.status().as_u16();
        let breaks_off = answer.headers().contains_key(BREAKS_OFF);
        let mut body = Vec::new();
        loop {
            let piece = timeout(PATIENCE, answer.chunk()).await;
            match piece.expect("an end of the answer in time, whatever the fault") {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => break,
                Err(_) => return (CUT_OFF.to_owned(), None),
            }
            if breaks_off {
                self.first_piece.notify_one();
            }
        }
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let instance = body["instance"].as_str().map(str::to_owned);
        match (status, body["error"]["reason"].as_str()) {
            (200..300, _) => (OK.to_owned(), instance),
            (_, Some(reason)) => (format!("{status} {reason}"), None),
            (_, None) => (format!("{status} of the server's"), None),
        }
    }
}

impl Ends {
    pub(crate) fn count(&mut self, kind: String, instance: Option<String>) {
        *self.kinds.entry(kind).or_default() += 1;
        self.instances.extend(instance);
    }

    pub(crate) fn total(&self) -> usize {
        self.kinds.values().sum()
    }

    pub(crate) fn of(&self, kind: &str) -> usize {
        self.kinds.get(kind).copied().unwrap_or_default()
    }

    /// Every request ended well.
    pub(crate) fn all_ok(&self) {
        self.all_but(&[]);
    }

    /// Every request ended well, but for these many of these kinds.
    pub(crate) fn all_but(&self, exceptions: &[(&str, RangeInclusive<usize>)]) {
        for (kind, bounds) in exceptions {
            assert!(bounds.contains(&self.of(kind)), "{kind} {bounds:?}: {self}");
        }
        let excepted: usize = exceptions.iter().map(|(kind, _)| self.of(kind)).sum();
        assert_eq!(self.of(OK) + excepted, self.total(), "{self}");
    }
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ok", self.of(OK), self.total())?;
        let others = self.kinds.iter().filter(|(kind, _)| *kind != OK);
        for (kind, count) in others {
            write!(f, ", {count}x {kind}")?;
        }
        Ok(())
    }
}
