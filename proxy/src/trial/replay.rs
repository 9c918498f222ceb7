//! What an edit would do to requests that came: where each goes now, and where it would go.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::header::LOCATION;
use serde::{Deserialize, Serialize};

use super::course::{Course, Supposed, course};
use super::question::Question;
use crate::observe::recent::Head;
use crate::snapshot::Snapshot;

/// A request that came, and where it goes now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Came {
    /// The request, what is secret masked.
    pub question: Question,
    /// Where it goes.
    pub place: Place,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Its route.
    pub route: Option<String>,
    /// The upstreams that may get it.
    pub upstreams: Vec<String>,
    /// What it is answered with, where no server is asked.
    pub status: Option<u16>,
    /// Where it is sent.
    pub location: Option<String>,
}

/// Requests that would go elsewhere, all in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The first of them.
    pub method: String,
    /// Its host and what it asks for.
    pub url: String,
    /// Where they go now.
    pub from: Place,
    /// Where they would go.
    pub to: Place,
    /// How many there are.
    pub requests: usize,
}

/// Where the requests go that came.
pub fn came(heads: Vec<Head>, snapshot: &Arc<Snapshot>) -> Vec<Came> {
    let came = heads.into_iter().filter_map(|head| {
        let question = Question::from(head);
        let place = place(snapshot, &question)?;
        Some(Came { question, place })
    });
    came.collect()
}

/// Those that would go elsewhere, the most first.
pub fn moved(came: &[Came], snapshot: &Arc<Snapshot>) -> Vec<Moved> {
    let mut found: Vec<Moved> = Vec::new();
    let mut known: HashMap<(Place, Place), usize> = HashMap::new();
    for one in came {
        let Some(to) = place(snapshot, &one.question) else {
            continue;
        };
        if to == one.place {
            continue;
        }
        let at = *known
            .entry((one.place.clone(), to.clone()))
            .or_insert(found.len());
        match found.get_mut(at) {
            Some(moved) => moved.requests += 1,
            None => found.push(Moved {
                method: one.question.method.clone(),
                url: one.question.shown(),
                from: one.place.clone(),
                to,
                requests: 1,
            }),
        }
    }
    found.sort_by_key(|moved| std::cmp::Reverse(moved.requests));
    found
}

fn place(snapshot: &Arc<Snapshot>, question: &Question) -> Option<Place> {
    let course = course(snapshot, question, &Supposed::default()).ok()?;
    let answer = course.answer.as_ref().filter(|_| course.sent.is_none());
    let refused = course.failure.map(|failure| failure.status());
    let location = answer.and_then(|answer| answer.headers.get(LOCATION));
    Some(Place {
        route: course.exchange.route().map(|route| route.name.clone()),
        upstreams: upstreams(&course),
        status: answer.map(|answer| answer.status.as_u16()).or(refused),
        location: location.map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            snapshot.secrets.mask_value(&text)
        }),
    })
}

fn upstreams(course: &Course) -> Vec<String> {
    course.upstreams().into_iter().map(str::to_owned).collect()
}

impl From<Head> for Question {
    fn from(head: Head) -> Self {
        Self {
            method: head.method,
            url: head.target,
            headers: head.headers,
            client: head.client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.route {
            Some(route) => write!(f, "route {route}")?,
            None => f.write_str("no route")?,
        }
        if !self.upstreams.is_empty() {
            write!(f, ", upstream {}", self.upstreams.join(" or "))?;
        }
        match (self.status, &self.location) {
            (Some(status), Some(location)) => write!(f, ", {status} to {location}"),
            (Some(status), None) => write!(f, ", {status}"),
            _ => Ok(()),
        }
    }
}
