//! A value with names in it: `${client.ip}`, `from ${request.host}`. A name that is not known is an error when the file is
//! read, never an empty value at night.

use std::borrow::Cow;

use super::facts::{Facts, Name};
use crate::component::unknown_name;
use crate::config::{Diagnostic, Spanned};

/// A value that may depend on the request.
#[derive(Debug, Clone)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Value(Name),
}

impl Template {
    /// Takes a written value apart.
    ///
    /// # Errors
    /// A name in it is not known, or not closed.
    pub fn new(written: &Spanned<String>) -> Result<Self, Vec<Diagnostic>> {
        let mut pieces = Vec::new();
        let mut rest = written.value.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                let problem = Diagnostic::error("`${` is not closed").at(written.span);
                return Err(vec![problem.label("expected a `}`")]);
            };
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            match Name::parse(name) {
                Some(name) => pieces.push(Piece::Value(name)),
                None => {
                    return Err(vec![unknown_name("value", name, written.span, Name::known)]);
                }
            }
            rest = after;
        }
        if !rest.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { pieces })
    }

    /// The groups of the route's expression that it asks for.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value(Name::Capture(group)) => Some(group.as_str()),
            _ => None,
        })
    }

    /// The value for this request.
    pub fn value<'v>(&'v self, facts: &Facts<'v>) -> Cow<'v, str> {
        match self.pieces.as_slice() {
            [Piece::Text(text)] => text.into(),
            [Piece::Value(name)] => name.value(facts),
            pieces => {
                let values = pieces.iter().map(|piece| piece.value(facts));
                values.collect::<String>().into()
            }
        }
    }
}

impl Piece {
    fn value<'v>(&'v self, facts: &Facts<'v>) -> Cow<'v, str> {
        match self {
            Self::Text(text) => text.into(),
            Self::Value(name) => name.value(facts),
        }
    }
}
