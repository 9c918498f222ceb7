//! A value with names in it: `${client.ip}`, `from ${request.host}`. A name that is not known is an error when the file is
//! read, never an empty value at night.

use std::borrow::Cow;

use percent_encoding::{percent_decode_str, percent_encode, utf8_percent_encode};

use super::facts::{Facts, Name};
use crate::component::unknown_name;
use crate::config::encoding::RESERVED;
use crate::config::{Diagnostic, Phrase, Spanned, code};

/// Where in a URL a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlPart {
    /// Before the `?`.
    Path,
    /// Behind it.
    Query,
}

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
    pub fn new(written: &Spanned<Phrase>) -> Result<Self, Vec<Diagnostic>> {
        let mut pieces = Vec::new();
        let text = &*written.value;
        let mut end = 0;
        while let Some(start) = written.value.next(end) {
            let before = text.get(end..start).unwrap_or_default();
            let after = text.get(start + "${".len()..).unwrap_or_default();
            let Some((name, after)) = after.split_once('}') else {
                let problem =
                    Diagnostic::error(code::VARIABLE_OPEN, "`${` is not closed").at(written.span);
                return Err(vec![problem.label("expected a `}`")]);
            };
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            match Name::parse(name) {
                Some(name) => pieces.push(Piece::Value(name)),
                None => {
                    return Err(vec![unknown_name(
                        code::PLACEHOLDER,
                        "value",
                        name,
                        written.span,
                        Name::known,
                    )]);
                }
            }
            end = text.len() - after.len();
        }
        let rest = text.get(end..).unwrap_or_default();
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

    /// The value for this request, as a part of a URL: what a client put into it ends no segment, no parameter and no query.
    pub fn part_of_url(&self, part: UrlPart, facts: &Facts<'_>) -> String {
        let pieces = self.pieces.iter().map(|piece| match (piece, part) {
            (Piece::Text(text), _) => text.into(),
            // They are such parts already.
            (Piece::Value(name @ (Name::Path | Name::Capture(_))), UrlPart::Path) => {
                name.value(facts)
            }
            (Piece::Value(name @ Name::Query), UrlPart::Query) => name.value(facts),
            (Piece::Value(name @ (Name::Path | Name::Capture(_))), UrlPart::Query) => {
                let value = name.value(facts);
                let plain: Cow<'_, [u8]> = percent_decode_str(&value).into();
                percent_encode(&plain, RESERVED).to_string().into()
            }
            (Piece::Value(name), _) => {
                let value = name.value(facts);
                let encoded = utf8_percent_encode(&value, RESERVED);
                Cow::Owned(encoded.to_string())
            }
        });
        pieces.collect()
    }

    /// What is written, with something plain in place of each value.
    pub fn sample(&self) -> String {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Value(_) => "x",
        });
        pieces.collect()
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
