//! Anchors (`&name`) and the keys that hold them: at the top of a file, what begins with `x-` is free for them, as in Compose.
//!
//! ```yaml
//! x-patient: &patient { read: 5m }
//! timeouts: *patient
//! ```
//!
//! These keys end here: whoever comes later sees only what aliases took from them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Node, Value};
use crate::config::code;
use crate::config::diagnostic::Diagnostic;
use crate::config::spanned::Span;

/// How a key begins that is free at the top of a file.
const FREE: &str = "x-";

/// What an alias stands for, and what it costs to repeat it.
pub(super) struct Anchor {
    pub(super) node: Node,
    pub(super) nodes: usize,
    pub(super) height: usize,
}

impl Anchor {
    /// A node that has so many within, itself included.
    pub(super) fn new(node: &Node, nodes: usize) -> Self {
        Self {
            node: node.clone(),
            nodes,
            height: height(node),
        }
    }
}

fn height(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(height).max().unwrap_or(0),
        Value::Map(entries) => {
            1 + entries
                .iter()
                .map(|(_, value)| height(value))
                .max()
                .unwrap_or(0)
        }
        _ => 0,
    }
}

/// The anchors of one file, by the parser's number.
#[derive(Default)]
pub(super) struct Anchors {
    known: HashMap<usize, Anchor>,
    marks: BTreeMap<usize, (String, Span)>,
    used: BTreeSet<usize>,
}

impl Anchors {
    /// `&name` was read; what it stands for follows.
    pub(super) fn mark(&mut self, id: usize, name: &str, span: Span) {
        self.marks.insert(id, (name.to_owned(), span));
    }

    pub(super) fn keep(&mut self, id: usize, anchor: Anchor) {
        self.known.insert(id, anchor);
    }

    /// What `*name` stands for; none if it is a part of that.
    pub(super) fn take(&mut self, id: usize) -> Option<&Anchor> {
        self.used.insert(id);
        self.known.get(&id)
    }

    /// Their names, and where those were written.
    pub(super) fn names(self) -> impl Iterator<Item = (String, Span)> {
        self.marks.into_values()
    }

    /// Takes the keys away that are free, and says which of their anchors nobody uses.
    pub(super) fn without_free(&self, root: &mut Node) -> Vec<Diagnostic> {
        let Value::Map(entries) = &mut root.value else {
            return Vec::new();
        };
        let is_free = |key: &Node| key.text().is_some_and(|text| text.starts_with(FREE));
        let free = entries.extract_if(.., |(key, _)| is_free(key));
        let places: Vec<_> = free
            .map(|(key, value)| key.span.start..value.span.end)
            .collect();
        // They come in the order of the file.
        let within = |span: &Span| {
            let after = places.partition_point(|place| place.start <= span.start);
            let place = after.checked_sub(1).and_then(|last| places.get(last));
            place.is_some_and(|place| place.contains(&span.start))
        };
        let unused = self.marks.iter().filter(|(id, _)| !self.used.contains(id));
        unused
            .filter(|(_, (_, span))| within(span))
            .map(|(_, (name, span))| nobody_uses(name, *span))
            .collect()
    }
}

fn nobody_uses(name: &str, span: Span) -> Diagnostic {
    Diagnostic::warning(code::ANCHOR_UNUSED, format!("nobody uses `&{name}`"))
        .at(span)
        .label(format!("there is no `*{name}` below in this file"))
        .note("a key that begins with `x-` has no effect but through its anchors")
}
