//! Expressions for a path that a plain `path` or `path_prefix` would serve. An expression is harder to read, and asked
//! before every prefix.
//!
//! Looked at as text: only what is certain is named, and only what cannot be taken for something else (a `.` in an
//! expression stands for any character).

use super::path::normalise;

/// What to write in place of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simpler {
    /// `path` or `path_prefix`.
    pub key: &'static str,
    /// Its value.
    pub path: String,
    /// What it takes or does not take, other than the expression.
    pub differs: Option<String>,
}

/// The paths that an expression takes, where that is known without asking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// This one and everything below it, as a prefix does.
    Tree(String),
    /// All that begin like this, also in the middle of a segment.
    Beginning(String),
}

/// What follows a path in an expression, and whether there is more to be said than that it is a prefix.
const TAILS: [(&str, Tail); 9] = [
    ("(/.*)?", Tail::Same),
    ("(?:/.*)?", Tail::Same),
    ("(/|/.*)?", Tail::Same),
    ("($|/.*)", Tail::Same),
    ("(|/.*)", Tail::Same),
    ("/(.*)", Tail::Below),
    ("/.*", Tail::Below),
    ("(.*)", Tail::Beyond),
    (".*", Tail::Beyond),
];

#[derive(Clone, Copy)]
enum Tail {
    /// The path and everything below.
    Same,
    /// Everything below, and not the path itself.
    Below,
    /// Everything that begins like it, also in the middle of a segment.
    Beyond,
}

/// What would serve in place of this expression; none if it says more than that.
pub fn simpler(expression: &str) -> Option<Simpler> {
    let expression = without_anchors(expression);
    let prefix = tails(expression).find_map(|(head, kind)| prefix(head, kind));
    prefix.or_else(|| {
        Some(Simpler {
            key: "path",
            path: literal(expression).filter(|path| is_path(path))?,
            differs: None,
        })
    })
}

/// The paths that this expression takes; none if it says more than that they begin alike.
pub fn taken(expression: &str) -> Option<Taken> {
    tails(without_anchors(expression)).find_map(|(head, tail)| match tail {
        Tail::Same | Tail::Below if head.is_empty() => Some(Taken::Beginning("/".to_owned())),
        Tail::Beyond if head.is_empty() => Some(Taken::Beginning(head)),
        _ if !is_path(&head) => None,
        Tail::Beyond => Some(Taken::Beginning(head)),
        _ if head.ends_with('/') => None,
        Tail::Same => Some(Taken::Tree(head)),
        Tail::Below => Some(Taken::Beginning(head + "/")),
    })
}

/// All of a path is compared anyway.
fn without_anchors(expression: &str) -> &str {
    let expression = expression.strip_prefix('^').unwrap_or(expression);
    match expression.strip_suffix('$') {
        Some(rest) if !rest.ends_with('\\') => rest,
        _ => expression,
    }
}

/// The ways to read it as a text with something after it.
fn tails(expression: &str) -> impl Iterator<Item = (String, Tail)> {
    TAILS
        .iter()
        .filter_map(|(tail, kind)| Some((literal(expression.strip_suffix(tail)?)?, *kind)))
}

/// `head` and what is said after it, as a prefix.
fn prefix(head: String, tail: Tail) -> Option<Simpler> {
    let simpler = |path: String, differs: Option<String>| {
        Some(Simpler {
            key: "path_prefix",
            path,
            differs,
        })
    };
    match tail {
        // `.*`, `/.*`: every path there is.
        _ if head.is_empty() => simpler("/".to_owned(), None),
        _ if !is_path(&head) => None,
        Tail::Beyond if head == "/" => simpler(head, None),
        // `/api/(.*)` found by its shorter end.
        _ if head.ends_with('/') => None,
        Tail::Same => simpler(head, None),
        Tail::Below => {
            let differs = format!("it takes `{head}` itself as well");
            simpler(head, Some(differs))
        }
        Tail::Beyond => {
            let differs = format!("it does not take what only begins alike, such as `{head}-2`");
            simpler(head, Some(differs))
        }
    }
}

/// The text that it stands for, if it is for one text.
fn literal(expression: &str) -> Option<String> {
    let mut text = String::with_capacity(expression.len());
    let mut characters = expression.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.push(characters.next().filter(|next| ".-/~".contains(*next))?),
            plain if plain.is_ascii_alphanumeric() || "/-_~%@:,;=!&'".contains(plain) => {
                text.push(plain);
            }
            _ => return None,
        }
    }
    Some(text)
}

/// Others have another normal form, which `path` would be about.
fn is_path(path: &str) -> bool {
    path.starts_with('/') && normalise(path).is_ok_and(|normal| normal == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(expression: &str) -> Option<String> {
        simpler(expression).map(|simpler| format!("{}: {}", simpler.key, simpler.path))
    }

    #[test]
    fn what_a_prefix_or_a_path_would_serve() {
        for (expression, want, differs) in [
            ("/api(/.*)?", "path_prefix: /api", false),
            ("/api(?:/.*)?", "path_prefix: /api", false),
            ("^/api(/.*)?$", "path_prefix: /api", false),
            ("/api/v1/.*", "path_prefix: /api/v1", true),
            ("/api/(.*)", "path_prefix: /api", true),
            ("/api.*", "path_prefix: /api", true),
            ("/v1\\.0/.*", "path_prefix: /v1.0", true),
            (".*", "path_prefix: /", false),
            ("/.*", "path_prefix: /", false),
            ("(/.*)?", "path_prefix: /", false),
            ("/exact/path", "path: /exact/path", false),
            ("/exact/", "path: /exact/", false),
            ("^/favicon\\.ico$", "path: /favicon.ico", false),
            ("/", "path: /", false),
        ] {
            let simpler = simpler(expression).unwrap_or_else(|| panic!("{expression}"));
            assert_eq!(written(expression).as_deref(), Some(want), "{expression}");
            assert_eq!(simpler.differs.is_some(), differs, "{expression}");
        }
    }

    #[test]
    fn what_says_more_stays_an_expression() {
        for expression in [
            "/favicon.ico",
            "/a|/b",
            "/api/[0-9]+",
            "/api/(?P<rest>.*)",
            "/(api|v1)/.*",
            "/api/.*/x",
            "/api/.+",
            "/api/?",
            "/a//.*",
            "/a/../b",
            "/%61/.*",
            "/api\\d.*",
            "(?i)/api/.*",
            "[^/]*",
            "/price\\$",
            "",
        ] {
            assert_eq!(written(expression), None, "{expression}");
        }
    }

    #[test]
    fn what_is_taken_is_known_of_beginnings_only() {
        let tree = |path: &str| Some(Taken::Tree(path.to_owned()));
        let beginning = |path: &str| Some(Taken::Beginning(path.to_owned()));
        for (expression, want) in [
            ("/api(/.*)?", tree("/api")),
            ("^/api(?:/.*)?$", tree("/api")),
            ("/v1\\.0($|/.*)", tree("/v1.0")),
            ("/api/.*", beginning("/api/")),
            ("/api.*", beginning("/api")),
            ("^/.*", beginning("/")),
            ("(/.*)?", beginning("/")),
            (".*", beginning("")),
            ("/api/", None),
            ("/(/.*)?", None),
            ("/api/[0-9].*", None),
            ("/a|/b.*", None),
            ("(?i)/api/.*", None),
            ("/a//.*", None),
        ] {
            assert_eq!(taken(expression), want, "{expression}");
        }
    }

    /// What is suggested takes what the expression takes, but for what is said to differ.
    #[test]
    fn the_suggestion_takes_the_same_requests() {
        use crate::route::condition::PathCondition;
        use crate::route::matching;
        let paths = [
            "/", "/api", "/api/", "/api/x", "/api/x/y", "/apiary", "/api-2", "/b",
        ];
        let differing = |expression: &str| -> Vec<&str> {
            let simpler = simpler(expression).unwrap();
            let path = simpler.path.trim_end_matches('/').to_owned();
            let plain = match simpler.key {
                "path" => PathCondition::Exact(simpler.path),
                _ => PathCondition::Prefix(path),
            };
            let span = crate::config::Span::default();
            let expression = matching::expression(expression, span).unwrap();
            let differ = |path: &&&str| plain.holds(path) != expression.is_match(path);
            paths.iter().filter(differ).copied().collect()
        };
        for (tail, _) in TAILS {
            for (whole, want) in [
                (tail.to_owned(), vec![]),
                (
                    format!("/api{tail}"),
                    match tail {
                        "/(.*)" | "/.*" => vec!["/api"],
                        "(.*)" | ".*" => vec!["/apiary", "/api-2"],
                        _ => vec![],
                    },
                ),
            ] {
                assert_eq!(differing(&whole), want, "{whole}");
            }
        }
        assert_eq!(differing("/api"), Vec::<&str>::new());
        assert_eq!(differing("/api/"), Vec::<&str>::new());
    }
}
