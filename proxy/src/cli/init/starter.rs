//! What a starter file says.

use std::net::SocketAddr;
use std::str::FromStr;

use crate::config::{Complaint, Remark, ServerAddress, check_name};

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Starter {
    /// Where clients connect.
    pub(super) listen: SocketAddr,
    /// Where the operator's side listens.
    pub(super) admin: SocketAddr,
    /// Who answers, at least one.
    pub(super) upstreams: Vec<Answering>,
}

/// An upstream and its paths: `api=localhost:3000/api`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answering {
    name: String,
    server: String,
    /// If it is said.
    path: Option<String>,
}

impl FromStr for Answering {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text
            .split_once('=')
            .ok_or("expected NAME=HOST:PORT, such as api=localhost:3000")?;
        check_name(name).map_err(told)?;
        if let Some((_, rest)) = rest.split_once("://") {
            return Err(format!("a server has no scheme: write {name}={rest}"));
        }
        let (server, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        server.parse::<ServerAddress>().map_err(told)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "/_.~-".contains(c);
        if let Some(odd) = path.chars().find(|c| !plain(*c)) {
            return Err(format!(
                "`{odd}` in a path: leave the path away and write it into the file"
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            server: server.to_owned(),
            path: (!path.is_empty()).then(|| path.to_owned()),
        })
    }
}

/// In one line.
fn told(complaint: Complaint) -> String {
    let finding = complaint.into_diagnostic();
    let helps = finding.remarks.iter().filter_map(|remark| match remark {
        Remark::Help(help) => Some(help.as_str()),
        Remark::Note(_) => None,
    });
    let parts: Vec<&str> = [finding.message.as_str()]
        .into_iter()
        .chain(helps)
        .collect();
    parts.join("; ")
}

impl Starter {
    /// The upstreams with their paths. One without is for what no other one takes; if that is taken, it is below its name.
    fn paths(&self) -> Result<Vec<(&Answering, String)>, String> {
        let is_root = |one: &Answering| one.path.as_deref() == Some("/");
        let mut root_is_free = !self.upstreams.iter().any(is_root);
        let mut paths: Vec<(&Answering, String)> = Vec::new();
        for upstream in &self.upstreams {
            let path = match &upstream.path {
                Some(path) => path.clone(),
                None if std::mem::take(&mut root_is_free) => "/".to_owned(),
                None => format!("/{}", upstream.name),
            };
            for (other, taken) in &paths {
                if other.name == upstream.name {
                    let name = &upstream.name;
                    return Err(format!(
                        "two upstreams are called `{name}`: more servers of one go into its list in the file"
                    ));
                }
                if *taken == path {
                    let (one, two) = (&other.name, &upstream.name);
                    return Err(format!(
                        "`{one}` and `{two}` are both for `{path}`: give one of them another path, such as {two}={}/{two}",
                        upstream.server
                    ));
                }
            }
            paths.push((upstream, path));
        }
        Ok(paths)
    }

    /// The file.
    ///
    /// # Errors
    /// What does not go together.
    pub(super) fn text(&self) -> Result<String, String> {
        let paths = self.paths()?;
        let mut text = format!(
            "{HEAD}\n\
             # Where clients connect: \"0.0.0.0:80\" is for everybody, on the usual port.\n\
             listeners:\n  web: {{ address: \"{}\" }}\n\n{UPSTREAMS}upstreams:\n",
            self.listen
        );
        for (upstream, _) in &paths {
            let Answering { name, server, .. } = upstream;
            text += &format!("  {name}:\n    servers: [ \"{server}\" ]\n");
            text += "    health_check: tcp     # better, if it has a path for that: { http: { path: /health } }\n";
        }
        text += &format!("\n{ROUTES}routes:\n");
        for (upstream, path) in &paths {
            let name = &upstream.name;
            let about = match path.as_str() {
                "/" => "everything else".to_owned(),
                path => format!("{0} and {0}/..., never {0}x", path.trim_end_matches('/')),
            };
            text += &format!(
                "  {name}: {{ match: {{ path_prefix: {path} }}, upstream: {name} }}     # {about}\n"
            );
        }
        text += &format!(
            "\n{SETTINGS}\n{ADMIN}admin: {{ address: \"{}\" }}\n",
            self.admin
        );
        Ok(text)
    }
}

const HEAD: &str = "\
# The routing file of Tidegate. It is watched: a good edit takes effect at once and drops no request, a bad one changes
# nothing, and the log says where and why. `tidegate check` says the same before.
";

const UPSTREAMS: &str = "\
# Who answers them. Several servers take turns; a name stands for every address that it resolves to, now and later.
";

const ROUTES: &str = "\
# Which request goes where. The most specific match wins, whatever the order of the file.
";

const SETTINGS: &str = "\
# What is not said has a default, such as these:
# timeouts: { connect: 2s, read: 60s }     # for servers
# retry: { attempts: 3 }                   # the first one included
";

const ADMIN: &str = "\
# The operator's side: /ready, /config. Whoever reaches it can change what runs: keep it where clients cannot.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Plan;

    fn starter(upstreams: &[&str]) -> Starter {
        Starter {
            listen: "127.0.0.1:8080".parse().unwrap(),
            admin: "[::1]:9901".parse().unwrap(),
            upstreams: upstreams.iter().map(|one| one.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn what_is_written_passes_the_check_without_a_warning() {
        for (upstreams, paths) in [
            (&["api=localhost:3000"][..], &["/"][..]),
            (&["api=localhost:3000/api"], &["/api"]),
            (
                &["site=10.0.0.7:80", "api=api.internal:5252"],
                &["/", "/api"],
            ),
            (
                &["api=[::1]:3000/api/v1/", "site=site:80", "on=no:1"],
                &["/api/v1/", "/", "/on"],
            ),
            (
                &["a.b_c-d=x:1", "e=y:2/", "8080=z:3"],
                &["/a.b_c-d", "/", "/8080"],
            ),
            (
                &["true=x:1", "on=y:2/x~y.z", "1e3=z:3"],
                &["/", "/x~y.z", "/1e3"],
            ),
        ] {
            let text = starter(upstreams).text().unwrap();
            let loaded = Plan::parse("starter.yaml", &text, &|_| None, None);
            let loaded = loaded.unwrap_or_else(|report| panic!("{report}\n{text}"));
            assert_eq!(loaded.warnings, [], "{text}");
            let routes = loaded.file.routes.iter();
            let found: Vec<_> = routes
                .map(|(name, route)| {
                    assert_eq!(route.upstream.as_ref().unwrap().value, name.value);
                    route.matches.path_prefix.as_ref().unwrap().value.clone()
                })
                .collect();
            assert_eq!(found, paths);
        }
    }

    #[test]
    fn what_makes_no_upstream_is_told() {
        for (text, expected) in [
            ("api", "expected NAME=HOST:PORT"),
            ("=x:1", "an empty name"),
            ("a b=x:1", "cannot be part of a name"),
            ("api=http://x:1", "write api=x:1"),
            ("api=x", "port"),
            ("api=x:99999", "port"),
            ("api=x:1/a b", "in a path"),
            ("api=x:1/${A}", "in a path"),
        ] {
            let error = text.parse::<Answering>().unwrap_err();
            assert!(
                error.contains(expected) && !error.contains('\n'),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        for (upstreams, expected) in [
            (
                &["api=x:1", "api=y:1"][..],
                "two upstreams are called `api`",
            ),
            (&["a=x:1/p", "b=y:1/p"], "`a` and `b` are both for `/p`"),
            (&["a=x:1/", "b=y:1/"], "are both for `/`"),
            (
                &["a=x:1/b", "c=x:1", "b=y:1"],
                "`a` and `b` are both for `/b`",
            ),
        ] {
            let error = starter(upstreams).text().unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
