//! What a source names and what cannot be a server: the others are none the worse for it, and it is told once.

use std::collections::BTreeMap;
use std::fmt::Display;

use tracing::warn;

use super::{Feed, brief};
use crate::config;
use crate::upstream::{Host, ServerSpec};

/// What is left out, and why.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::upstream::discover) struct LeftOut(BTreeMap<String, String>);

impl LeftOut {
    /// One more.
    pub(in crate::upstream::discover) fn add(&mut self, what: String, why: String) {
        self.0.insert(what, brief::text(&why));
    }

    /// Tells what is new beside what was left out `before`, and takes its place.
    pub(in crate::upstream::discover) fn tell(self, label: &str, before: &mut Self) {
        for (what, why) in self.beside(before) {
            warn!("{label}: {} is left out: {why}", brief::text(what));
        }
        *before = self;
    }

    fn beside(&self, before: &Self) -> impl Iterator<Item = (&String, &String)> {
        let is_new = |(what, why): &(&String, &String)| before.0.get(*what) != Some(why);
        self.0.iter().filter(is_new)
    }

    /// Why this one is.
    #[cfg(test)]
    pub(in crate::upstream::discover) fn why(&self, what: &str) -> Option<&str> {
        self.0.get(what).map(String::as_str)
    }
}

impl Feed<ServerSpec> {
    /// These are all that are named. Those where no server can be are trouble, beside `trouble`; if there are no others, nothing
    /// is found out.
    pub(in crate::upstream::discover) fn servers(
        &self,
        named: Vec<ServerSpec>,
        trouble: Option<String>,
    ) {
        let is_somewhere = |server: &ServerSpec| match server.host {
            Host::Ip(ip) => config::nowhere(ip).is_none(),
            Host::Name(_) => true,
        };
        let (servers, others): (Vec<_>, Vec<_>) = named.into_iter().partition(is_somewhere);
        let Some(wrong) = nowhere(&others) else {
            return self.found_in_part(servers, trouble);
        };
        let wrong = trouble.map_or_else(
            || format!("names {wrong}"),
            |trouble| format!("{trouble}; names {wrong}"),
        );
        match servers.is_empty() {
            true => self.failed(wrong),
            false => self.found_in_part(servers, Some(wrong)),
        }
    }
}

/// The first of these, at which no server can be, and how many more there are.
pub(in crate::upstream::discover) fn nowhere<T: Display>(these: &[T]) -> Option<String> {
    let first = these.first()?;
    let more = match these.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    Some(format!("`{first}`, where no server can be{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::discover::followed::Followed;

    fn of(pairs: &[(&str, &str)]) -> LeftOut {
        let mut left_out = LeftOut::default();
        for (what, why) in pairs {
            left_out.add((*what).to_owned(), (*why).to_owned());
        }
        left_out
    }

    #[tokio::test]
    async fn who_is_named_where_no_server_can_be_is_left_out_and_alone_is_nobody() {
        let mut feed = None;
        let followed = Followed::start("it".to_owned(), None, |given| {
            feed = Some(given);
            std::future::pending()
        });
        let feed = feed.unwrap();
        let named = |all: &[&str]| {
            let at = |text: &&str| ServerSpec::at(text.parse().unwrap());
            feed.servers(all.iter().map(at).collect(), None);
            let found = followed.found().iter().map(ToString::to_string).collect();
            let trouble = followed.report().trouble.map(|trouble| trouble.what);
            (found, trouble.unwrap_or_default())
        };
        let one = || vec!["10.0.0.7:80".to_owned()];
        let wrong = "names `0.0.0.0:80`, where no server can be";
        let told = |text: &str| (one(), text.to_owned());
        assert_eq!(named(&["10.0.0.7:80"]), told(""));
        assert_eq!(named(&["0.0.0.0:80", "10.0.0.7:80"]), told(wrong));
        let all = ["0.0.0.0:80", "[ff02::1]:80", "255.255.255.255:80"];
        assert_eq!(named(&all), told(&format!("{wrong} (and 2 more)")));
        assert_eq!(named(&[]), (Vec::new(), String::new()));
    }

    #[test]
    fn only_what_is_new_is_told() {
        let mut before = of(&[("a", "no port"), ("b", "no port")]);
        let now = of(&[("a", "no port"), ("b", "no network"), ("c", "no port")]);
        let told: Vec<&str> = now.beside(&before).map(|(what, _)| what.as_str()).collect();
        assert_eq!(told, ["b", "c"]);
        of(&[]).tell("x", &mut before);
        // One that came back is told again.
        assert_eq!(of(&[("a", "no port")]).beside(&before).count(), 1);
    }
}
