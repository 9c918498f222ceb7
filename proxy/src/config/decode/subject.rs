//! A node the way a reader would point it out: by its key, its path and what it is.

use super::place::{self, Trail};
use crate::config::document::{Node, Value, shortened};
use crate::config::spanned::{Span, Spanned};

/// A node as a reader would point it out.
pub(super) struct Where<'n> {
    pub(super) node: &'n Node,
    /// The key that it is the value of, or that the list is the value of in which it is an item.
    pub(super) key: Option<&'n Node>,
    pub(super) item: bool,
    at_key: bool,
    /// The entry of a map that stands before it.
    before: Option<&'n (Node, Node)>,
    root: Option<&'n Spanned<String>>,
    /// `routes.api`
    pub(super) path: String,
    /// The path without its last key.
    above: String,
}

impl<'n> Where<'n> {
    pub(super) fn find(root: &'n Node, trail: &Trail, name: Option<&'n Spanned<String>>) -> Self {
        let mut place = Self {
            node: root,
            key: None,
            item: false,
            at_key: trail.at_key,
            before: None,
            root: name,
            path: name.map(|name| shortened(name)).unwrap_or_default(),
            above: String::new(),
        };
        for index in &trail.steps {
            let (key, Some(value)) = place::step(place.node, *index) else {
                break;
            };
            let before = index.checked_sub(1);
            place.before = before.and_then(|index| place.node.entries().get(index));
            place.node = value;
            place.item = key.is_none();
            if let Some(key) = key {
                place.above.clone_from(&place.path);
                place.path = dotted(&place.path, key.text().unwrap_or_default());
                place.key = Some(key);
            }
        }
        place
    }

    /// The name that it goes by: its key, or the item itself.
    pub(super) fn name(&self) -> Option<Span> {
        match self.key {
            _ if self.item => Some(self.node.span),
            Some(key) => Some(key.span),
            None => self.root.map(|name| name.span),
        }
    }

    /// The key right above it, if nothing is written after its colon.
    pub(super) fn above_empty(&self) -> Option<&'n str> {
        let (key, value) = self.before?;
        key.text().filter(|_| value.value == Value::Null)
    }

    /// What to mark: the value, or its key where nothing was written.
    pub(super) fn span(&self) -> Span {
        match self.key {
            Some(key) if self.at_key || (!self.item && self.node.value == Value::Null) => key.span,
            _ => self.node.span,
        }
    }

    /// `` `servers` `` or `` an item of `servers` ``.
    pub(super) fn subject(&self) -> String {
        let name = self.path.rsplit('.').next().unwrap_or_default();
        let name = self.key.and_then(Node::text).unwrap_or(name);
        match (name, self.item) {
            ("", true) => "an item".to_owned(),
            ("", false) => "the file".to_owned(),
            (name, true) => format!("an item of `{}`", shortened(name)),
            (name, false) => format!("`{}`", shortened(name)),
        }
    }

    /// `` `servers` is a list ``.
    pub(super) fn finding(&self) -> String {
        format!("{} is {}", self.subject(), self.node.describe())
    }

    pub(super) fn of(&self) -> String {
        // A choice with options is a key itself: what it is for is the one above.
        let above = self.above.rsplit('.').next().filter(|key| !key.is_empty());
        let key = match self.at_key {
            true => above,
            false => self.key.and_then(Node::text),
        };
        key.map_or_else(String::new, |key| format!(" for `{}`", shortened(key)))
    }

    pub(super) fn parent(&self) -> String {
        if self.above.is_empty() {
            String::new()
        } else {
            format!(" in `{}`", self.above)
        }
    }
}

fn dotted(path: &str, key: &str) -> String {
    if path.is_empty() {
        shortened(key)
    } else {
        format!("{path}.{}", shortened(key))
    }
}
