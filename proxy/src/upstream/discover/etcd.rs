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
use super::left_out::LeftOut;
use super::resolver::Resolver;
use super::service::{Pause, REFRESH_FLOOR, Service, too_often};
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
        let (mut pause, mut left_out) = (Pause::default(), LeftOut::default());
        // Why a member could not be asked, since one could.
        let mut troubles: BTreeMap<usize, String> = BTreeMap::new();
        for (index, member) in self.members.iter().enumerate().cycle() {
            let gateway = Gateway::new(Service::Tcp(member.clone()), &self.prefix);
            let mut has_answered = false;
            let conversation = self.converse(gateway, feed, &mut left_out, &mut has_answered);
            let Err(why) = conversation.await;
            if has_answered {
                // What ended may begin again at once, with this one or another: no trouble yet.
                troubles.clear();
                pause.after(true).await;
                continue;
            }
            troubles.insert(index, why);
            if troubles.len() == self.members.len() {
                let all: Vec<String> = std::mem::take(&mut troubles).into_values().collect();
                feed.failed(format!("cannot be asked: {}", all.join("; ")));
                pause.after(false).await;
            }
        }
    }

    /// Tells who is there until something goes wrong, which may be long after it was right.
    async fn converse(
        &self,
        mut gateway: Gateway,
        feed: &Feed<ServerSpec>,
        left_out: &mut LeftOut,
        has_answered: &mut bool,
    ) -> Result<Infallible, String> {
        if let Some((name, password)) = &self.who {
            gateway.log_in(name, password).await?;
        }
        let mut seen = gateway.look().await?;
        let mut changes = gateway.watch(&seen.revision).await?;
        loop {
            let (servers, others) = servers(&seen.pairs);
            others.tell(&self.label(), left_out);
            feed.found(servers);
            *has_answered = true;
            changes.change(self.refresh, gateway::says_change).await?;
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
