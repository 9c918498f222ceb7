//! `discover: etcd`: every key below a prefix is a server, for as long as it is there.
//!
//! ```yaml
//! discover:
//!   etcd:
//!     endpoints: [ "http://127.0.0.1:2379" ]   # members of the cluster, asked in turn
//!     prefix: /services/api/
//!     username: tidegate
//!     password: "${file:secrets/etcd}"
//!     refresh: 30s
//! ```
//!
//! A value is `10.0.0.7:80`, or `{"address": "10.0.0.7:80", "weight": 2}`, with all that `servers:` knows. Spoken is etcd's own
//! JSON gateway (`/v3/kv/range`, `/v3/watch`; etcd 3.4 and later). A watch only says that it is time to look at all keys: what an
//! etcd forgot by compaction, or never told, is seen at the next look.

mod gateway;
mod member;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::gateway::Gateway;
use self::member::Member;
use super::followed::Feed;
use super::followed::left_out::LeftOut;
use super::names::resolver::Resolver;
use super::service::course::Course;
use super::service::{REFRESH_FLOOR, Service, too_often};
use super::{Source, list};
use crate::component::{Kind, Options};
use crate::config::schema::quantities::AtLeast;
use crate::config::{self, Diagnostic, Spanned, code};
use crate::upstream::ServerSpec;

pub(super) const KIND: Kind<Arc<dyn Source>> = Kind::new::<Etcd>(
    "etcd",
    "every key below a prefix of etcd is a server",
    build,
);

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Etcd {
    /// Where members of the cluster listen for clients. The next one is asked when one cannot be.
    #[schemars(extend("minItems" = 1))]
    endpoints: Spanned<Vec<Spanned<Member>>>,
    /// What the keys begin with: mostly a path that ends with `/`.
    #[schemars(length(min = 1))]
    prefix: Spanned<String>,
    /// Who asks, where etcd wants to know. Default: nobody in particular.
    username: Option<Spanned<String>>,
    /// What shows that it is `username`.
    password: Option<Spanned<String>>,
    /// How often all keys are looked at when etcd tells of no change. Default: `30s`.
    #[serde(default = "refresh")]
    #[schemars(with = "AtLeast<REFRESH_FLOOR>", extend("default" = "30s"))]
    refresh: Spanned<config::Duration>,
}

fn refresh() -> Spanned<config::Duration> {
    config::Duration::from_millis(30_000).into()
}

fn build(options: &Options<'_>) -> Result<Arc<dyn Source>, Vec<Diagnostic>> {
    let written: Etcd = options.decode()?;
    let mut wrong: Vec<Diagnostic> = too_often(written.refresh).into_iter().collect();
    if written.endpoints.is_empty() {
        let problem = Diagnostic::error(code::OUT_OF_BOUNDS, "`endpoints` is an empty list");
        wrong.push(
            problem
                .at(written.endpoints.span)
                .label("expected at least one, such as `http://127.0.0.1:2379`"),
        );
    }
    if written.prefix.is_empty() {
        let problem = Diagnostic::error(code::OUT_OF_BOUNDS, "`prefix` is empty");
        let problem = problem.at(written.prefix.span);
        wrong.push(problem.label("expected what the keys begin with, such as `/services/api/`"));
    }
    let who = match (&written.username, &written.password) {
        (Some(name), Some(password)) => Some((name.value.clone(), password.value.clone())),
        (Some(name), None) => {
            wrong.push(alone("username", "password", name));
            None
        }
        (None, Some(password)) => {
            wrong.push(alone("password", "username", password));
            None
        }
        (None, None) => None,
    };
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let members = written.endpoints.iter();
    Ok(Arc::new(Keys {
        members: members.map(|member| member.address()).collect(),
        prefix: written.prefix.value.clone(),
        who,
        refresh: written.refresh.get(),
    }))
}

fn alone(one: &str, other: &str, at: &Spanned<String>) -> Diagnostic {
    let message = format!("`{one}` is there without `{other}`");
    let problem = Diagnostic::error(code::MISSING_KEY, message).at(at.span);
    problem.label("both, or neither")
}

/// Keys, and who knows them.
#[derive(Clone)]
struct Keys {
    members: Vec<String>,
    prefix: String,
    who: Option<(String, String)>,
    refresh: Duration,
}

impl Source for Keys {
    fn identity(&self) -> String {
        let Self {
            members,
            prefix,
            who,
            refresh,
        } = self;
        format!("{} {members:?} {prefix:?} {who:?} {refresh:?}", KIND.name)
    }

    fn asks(&self) -> String {
        let mut members = self.members.clone();
        members.sort_unstable();
        format!("{} {members:?} {:?}", KIND.name, self.prefix)
    }

    fn label(&self) -> String {
        format!("etcd `{}`", self.prefix)
    }

    fn follow(&self, _: Arc<Resolver>, feed: Feed<ServerSpec>) -> BoxFuture<'static, ()> {
        let keys = self.clone();
        async move { keys.follow_in_turn(&feed).await }.boxed()
    }
}

impl Keys {
    /// Stays with a member for as long as that goes well.
    async fn follow_in_turn(&self, feed: &Feed<ServerSpec>) {
        let (mut course, mut left_out) = (Course::default(), LeftOut::default());
        // Why a member could not be asked, since one could.
        let mut troubles: BTreeMap<usize, String> = BTreeMap::new();
        for (index, member) in self.members.iter().enumerate().cycle() {
            let gateway = Gateway::new(Service::Tcp(member.clone()), &self.prefix);
            let conversation = self.converse(gateway, feed, &mut left_out, &mut course);
            let Err(why) = conversation.await;
            if course.ended(feed, &why) {
                // What ended may begin again at once, with this one or another: no trouble yet.
                troubles.clear();
                course.pause().await;
                continue;
            }
            troubles.insert(index, why);
            if troubles.len() == self.members.len() {
                let all: Vec<String> = std::mem::take(&mut troubles).into_values().collect();
                feed.failed(format!("cannot be asked: {}", all.join("; ")));
                course.pause().await;
            }
        }
    }

    /// Tells who is there until something goes wrong, which may be long after it was right.
    async fn converse(
        &self,
        mut gateway: Gateway,
        feed: &Feed<ServerSpec>,
        left_out: &mut LeftOut,
        course: &mut Course,
    ) -> Result<Infallible, String> {
        if let Some((name, password)) = &self.who {
            gateway.log_in(name, password).await?;
        }
        let mut seen = gateway.look().await?;
        let mut changes = gateway.watch(&seen.revision).await?;
        loop {
            let (servers, others) = servers(&seen.pairs);
            others.tell(&self.label(), left_out);
            course.found(feed, servers);
            let longest = course.longest(self.refresh);
            let says = |line: &[u8]| Ok(course.told(gateway::says_change(line)?));
            changes.change(longest, says).await?;
            seen = gateway.look().await?;
        }
    }
}

/// In the order of their keys.
fn servers(pairs: &[(String, Vec<u8>)]) -> (Vec<ServerSpec>, LeftOut) {
    let (mut found, mut left_out) = (Vec::new(), LeftOut::default());
    for (key, value) in pairs {
        match list::one(key, value) {
            Ok(server) => found.push(server),
            Err(why) => left_out.add(format!("key `{key}`"), format!("its value {why}")),
        }
    }
    (found, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::discover::Servers;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[test]
    fn a_value_is_an_address_or_more_and_a_bad_one_spoils_no_other() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.as_bytes().to_vec());
        let (found, left_out) = servers(&[
            pair("/api/a", "10.0.0.7:80"),
            pair("/api/b", "10.0.0.8"),
            pair("/api/c", r#"{"address": "10.0.0.9:80", "weight": 3}"#),
            pair("/api/d", ""),
            ("/api/e".to_owned(), vec![0xff]),
        ]);
        let told: Vec<String> = found
            .iter()
            .map(|server| format!("{server} {}", server.seat.weight))
            .collect();
        assert_eq!(told, ["10.0.0.7:80 1", "10.0.0.9:80 3"]);
        assert_eq!(
            left_out.why("key `/api/b`"),
            Some("its value cannot be used: /api/b:1:1: `10.0.0.8` has no port")
        );
        assert!(left_out.why("key `/api/d`").is_some());
        assert!(left_out.why("key `/api/e`").is_some());
    }

    /// A member with one key, whose watches tell of a change and end. How many there were.
    async fn member_without_patience(told: &'static str) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let watches = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&watches);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 4096];
                let length = stream.read(&mut head).await.unwrap_or(0);
                let is_watch = head[..length].starts_with(b"POST /v3/watch");
                counted.fetch_add(usize::from(is_watch), Ordering::Relaxed);
                let body = match is_watch {
                    true => told,
                    // `/a` and `10.0.0.7:80`.
                    false => {
                        r#"{"header":{"revision":"7"},"kvs":[{"key":"L2E=","value":"MTAuMC4wLjc6ODA="}]}"#
                    }
                };
                let length = body.len();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (at, watches)
    }

    /// What is told of such a member by its fifth watch, and how long that took.
    async fn followed(told: &'static str) -> (Option<String>, Duration) {
        let (member, watches) = member_without_patience(told).await;
        let keys = Keys {
            members: vec![member],
            prefix: "/".to_owned(),
            who: None,
            refresh: Duration::from_secs(60),
        };
        let begun = Instant::now();
        let followed = Servers::start(keys.label(), None, |feed| {
            keys.follow(Arc::new(Resolver::from_system()), feed)
        });
        let fifth = async {
            while watches.load(Ordering::Relaxed) < 5 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(20), fifth);
        in_time.await.unwrap();
        assert_eq!(followed.found().len(), 1);
        let trouble = followed.report().trouble;
        (trouble.map(|trouble| trouble.what), begun.elapsed())
    }

    #[tokio::test]
    async fn watches_that_end_at_once_are_begun_less_and_less_often_unless_they_told_a_change() {
        let (trouble, took) = followed("").await;
        let told = "tells no changes: the stream of changes ended";
        assert_eq!(trouble.as_deref(), Some(told));
        // At least half of 250 ms, 500 ms, a second and two.
        assert!(took >= Duration::from_millis(1875), "{took:?}");
        let (trouble, _) = followed("{\"result\":{\"events\":[{}]}}\n").await;
        assert_eq!(trouble, None);
    }

    #[test]
    fn another_password_is_another_source() {
        let keys = |password: &str| Keys {
            members: vec!["a:1".to_owned()],
            prefix: "/".to_owned(),
            who: Some(("x".to_owned(), password.to_owned())),
            refresh: Duration::from_secs(1),
        };
        assert_ne!(keys("one").identity(), keys("two").identity());
        // Which begins with what the other one knows.
        assert_eq!(keys("one").asks(), keys("two").asks());
        assert!(!keys("one").label().contains("one"));
    }
}
