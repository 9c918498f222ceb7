//! Which route: host, then path. Pure, no I/O; the cost of a look-up does not grow with the number of routes, and with the
//! length of what a client sends only as far as the longest name or prefix in the file.
//!
//! Precedence as in the Kubernetes Gateway API (HTTPRoute, `hostnames` and `matches`): an exact host before a wildcard
//! (the longest first) before none; then an exact path, then the longest prefix. If the more specific host has no route
//! for the path, the next one is asked.

use std::collections::HashMap;

/// Conditions of one route. All of those given must hold.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// Host names in lower case, `*.` in front for every name below; none means any.
    pub hosts: Vec<String>,
    /// On the path.
    pub path: PathCondition,
}

/// A condition on the path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PathCondition {
    /// Every path.
    #[default]
    Any,
    /// This path and no other.
    Exact(String),
    /// This path and everything below it.
    Prefix(String),
}

/// All routes, found by host and path. A route is named by its position in the list that the table was made from.
#[derive(Debug, Default)]
pub struct Table {
    exact: HashMap<Box<str>, Paths>,
    /// By what follows the star: `.example.com`.
    wildcard: HashMap<Box<str>, Paths>,
    /// Length of the longest of them.
    wildcard_longest: usize,
    any: Paths,
}

/// The routes of one host. Prefixes stand without a slash at the end, so the one that takes all is empty.
#[derive(Debug, Default)]
struct Paths {
    exact: HashMap<Box<str>, usize>,
    prefix: HashMap<Box<str>, usize>,
    /// Length of the longest of them.
    prefix_longest: usize,
}

impl Table {
    /// Of two routes with the same conditions the first one wins.
    pub fn new<'a>(routes: impl IntoIterator<Item = &'a Conditions>) -> Self {
        let mut table = Self::default();
        for (index, conditions) in routes.into_iter().enumerate() {
            if conditions.hosts.is_empty() {
                table.any.add(&conditions.path, index);
            }
            for host in &conditions.hosts {
                table.host(host).add(&conditions.path, index);
            }
        }
        table
    }

    fn host(&mut self, host: &str) -> &mut Paths {
        match host.strip_prefix('*') {
            Some(suffix) => {
                self.wildcard_longest = self.wildcard_longest.max(suffix.len());
                self.wildcard.entry(suffix.into()).or_default()
            }
            None => self.exact.entry(host.into()).or_default(),
        }
    }

    /// The route for this host (in lower case, without port) and path.
    pub fn find(&self, host: &str, path: &str) -> Option<usize> {
        let exact = || self.exact.get(host)?.find(path);
        let wildcard = || {
            suffixes(host, self.wildcard_longest)
                .find_map(|suffix| self.wildcard.get(suffix)?.find(path))
        };
        exact().or_else(wildcard).or_else(|| self.any.find(path))
    }
}

/// `a.b.c` has the suffixes `.b.c` and `.c`, the longest first.
fn suffixes(host: &str, longest: usize) -> impl Iterator<Item = &str> {
    host.match_indices('.')
        .filter(move |(dot, _)| host.len() - dot <= longest)
        .filter_map(|(dot, _)| host.get(dot..))
}

impl Paths {
    fn add(&mut self, path: &PathCondition, index: usize) {
        if let PathCondition::Prefix(prefix) = path {
            self.prefix_longest = self.prefix_longest.max(prefix.len());
        }
        let (map, key) = match path {
            PathCondition::Exact(path) => (&mut self.exact, path.as_str()),
            PathCondition::Prefix(prefix) => (&mut self.prefix, prefix.trim_end_matches('/')),
            PathCondition::Any => (&mut self.prefix, ""),
        };
        map.entry(key.into()).or_insert(index);
    }

    fn find(&self, path: &str) -> Option<usize> {
        self.exact
            .get(path)
            .or_else(|| {
                prefixes(path, self.prefix_longest).find_map(|prefix| self.prefix.get(prefix))
            })
            .copied()
    }
}

/// `/a/b` has the prefixes `/a/b`, `/a` and the empty one, the longest first. The empty one is everybody's, also that of
/// the `*` in `OPTIONS *`.
fn prefixes(path: &str, longest: usize) -> impl Iterator<Item = &str> {
    let ends = path.rmatch_indices('/').map(|(slash, _)| slash);
    std::iter::once(path.len())
        .chain(ends)
        .chain([0])
        .filter(move |end| *end <= longest)
        .filter_map(|end| path.get(..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(hosts: &[&str], path: PathCondition) -> Conditions {
        Conditions {
            hosts: hosts.iter().map(ToString::to_string).collect(),
            path,
        }
    }

    fn prefix(path: &str) -> PathCondition {
        PathCondition::Prefix(path.to_owned())
    }

    #[test]
    fn a_prefix_ends_at_a_slash() {
        let table = Table::new(&[route(&[], prefix("/api")), route(&[], prefix("/"))]);
        for (path, expected) in [
            ("/api", 0),
            ("/api/", 0),
            ("/api/hello", 0),
            ("/apiary", 1),
            ("/", 1),
            ("/x", 1),
            ("*", 1),
        ] {
            assert_eq!(table.find("h", path), Some(expected), "{path}");
        }
    }

    #[test]
    fn a_slash_at_the_end_of_a_prefix_means_nothing() {
        let table = Table::new(&[route(&[], prefix("/api/"))]);
        assert_eq!(table.find("h", "/api"), Some(0));
        assert_eq!(table.find("h", "/apiary"), None);
    }

    #[test]
    fn the_more_specific_path_wins_whatever_the_order() {
        let table = Table::new(&[
            route(&[], prefix("/")),
            route(&[], prefix("/a/b")),
            route(&[], prefix("/a")),
            route(&[], PathCondition::Exact("/a/b".to_owned())),
        ]);
        for (path, expected) in [
            ("/a/b", 3),
            ("/a/b/", 1),
            ("/a/b/c", 1),
            ("/a/c", 2),
            ("/c", 0),
        ] {
            assert_eq!(table.find("h", path), Some(expected), "{path}");
        }
    }

    #[test]
    fn what_is_longer_than_anything_known_is_not_even_looked_at() {
        assert_eq!(prefixes(&"/".repeat(30_000), 4).count(), 6);
        assert_eq!(suffixes(&".a".repeat(30_000), 4).count(), 2);
    }

    #[test]
    fn the_more_specific_host_wins_if_it_has_a_route() {
        let table = Table::new(&[
            route(&[], prefix("/")),
            route(&["*.example.com"], prefix("/")),
            route(&["*.b.example.com"], prefix("/")),
            route(&["a.example.com", "example.com"], prefix("/only")),
        ]);
        for (host, path, expected) in [
            ("a.example.com", "/only", 3),
            ("a.example.com", "/else", 1),
            ("x.example.com", "/", 1),
            ("x.y.example.com", "/", 1),
            ("x.b.example.com", "/", 2),
            ("example.com", "/only/x", 3),
            ("example.com", "/", 0),
            ("", "/", 0),
        ] {
            assert_eq!(table.find(host, path), Some(expected), "{host}{path}");
        }
    }
}
