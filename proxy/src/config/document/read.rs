//! From the events of the YAML parser to the tree.

use std::collections::HashMap;

use serde_yaml::granit_parser::{
    self as yaml, Event, Parser, ScalarStyle, StrInput, StructureStyle,
};

use super::anchors::{Anchor, Anchors};
use super::{Node, Value, conflict, salvage, shortened, syntax};
use crate::config::code;
use crate::config::diagnostic::Diagnostic;
use crate::config::spanned::Span;

/// A file is not larger than this: 10,000 routes take about 1 MiB.
pub(in crate::config) const BYTES_MAX: usize = 16 << 20;

/// A file, and all that it includes, has no more nodes than this, counting what aliases stand for each time, and what anchors
/// keep for them likewise. It bounds memory and time.
pub(in crate::config) const NODES_MAX: usize = 500_000;

/// Lists and maps are not nested deeper than this; it bounds the stack.
const DEPTH_MAX: usize = 64;

/// A tag stands so near before what has it; one that is spelled in another way is not looked for any further.
const TAG_WITHIN: usize = 1024;

/// What stops the reading: the tree is of no use after it.
pub(super) type Fatal = Box<Diagnostic>;

/// What a text says, and what is wrong with it but leaves a tree (a duplicate key).
pub(in crate::config) struct Read {
    pub(in crate::config) root: Root,
    pub(in crate::config) diagnostics: Vec<Diagnostic>,
    /// How many nodes it has.
    pub(in crate::config) nodes: usize,
    /// Names of anchors, and where those were written.
    pub(in crate::config) anchors: Vec<(String, Span)>,
    /// Whether a section is missing, because it is no YAML.
    pub(in crate::config) is_partial: bool,
}

impl Read {
    pub(super) fn of(root: Root, diagnostics: Vec<Diagnostic>) -> Self {
        Self {
            root,
            diagnostics,
            nodes: 0,
            anchors: Vec::new(),
            is_partial: false,
        }
    }
}

/// What a text says.
pub(in crate::config) enum Root {
    Node(Node),
    /// Nothing but comments, if that.
    Empty,
    /// The diagnostics say why.
    Unreadable,
}

/// Reads a text into a tree of at most so many nodes, whose places begin at `base`.
pub(in crate::config) fn read(text: &str, base: usize, nodes_max: usize) -> Read {
    if text.len() > BYTES_MAX {
        return Read::of(Root::Unreadable, vec![too_large(text.len())]);
    }
    let mut read = match conflict::whole(text) {
        Some(conflict) => Read::of(Root::Unreadable, vec![conflict]),
        None => salvage::read(text, nodes_max),
    };
    if let Root::Node(root) = &mut read.root {
        root.shift(base);
    }
    let all = read.diagnostics.iter_mut();
    all.for_each(|finding| finding.shift(base));
    for (_, place) in &mut read.anchors {
        *place = place.shifted(base);
    }
    read
}

/// Reads a text up to what stops the reading, if anything does.
pub(super) fn once(text: &str, nodes_max: usize) -> (Result<Option<Node>, Fatal>, Read) {
    let mut reader = Reader::new(text, nodes_max);
    let mut result = reader.document();
    if let Ok(Some(root)) = &mut result {
        let mut unused = reader.anchors.without_free(root);
        reader.diagnostics.append(&mut unused);
    }
    let read = Read {
        nodes: reader.nodes,
        anchors: reader.anchors.names().collect(),
        ..Read::of(Root::Unreadable, reader.diagnostics)
    };
    (result, read)
}

fn too_large(bytes: usize) -> Diagnostic {
    Diagnostic::error(
        code::TOO_LARGE,
        format!(
            "the file has {} MiB; more than {} MiB are not read",
            bytes >> 20,
            BYTES_MAX >> 20
        ),
    )
}

struct Reader<'t> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    anchors: Anchors,
    nodes: usize,
    nodes_max: usize,
    /// Those that anchors keep a copy of: one within another is kept twice.
    kept: usize,
    diagnostics: Vec<Diagnostic>,
}

fn too_many(span: Span) -> Fatal {
    let message =
        format!("the file has more than {NODES_MAX} values, counting what aliases stand for");
    Box::new(
        Diagnostic::error(code::TOO_LARGE, message)
            .at(span)
            .label("no further than here"),
    )
}

impl<'t> Reader<'t> {
    fn new(text: &'t str, nodes_max: usize) -> Self {
        let mut options = yaml::Options::default();
        options.set_emit_comments(false);
        options.emit_anchor_events = true;
        let parser = Parser::new_from_str_with_options(text, options);
        Self {
            text,
            parser,
            anchors: Anchors::default(),
            nodes: 0,
            nodes_max,
            kept: 0,
            diagnostics: Vec::new(),
        }
    }

    fn document(&mut self) -> Result<Option<Node>, Fatal> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::DocumentStart(..) if root.is_some() => {
                    return Err(Box::new(syntax::second_document(span)));
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                node => root = Some(self.node(node, span, 0)?),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Fatal> {
        loop {
            match self.parser.next_event() {
                // Said of what was read last, or of the beginning of it.
                Some(Ok((Event::Anchor(id, name), span))) => {
                    self.anchors.mark(id, &name, place(&span));
                }
                Some(Ok((event, span))) => return Ok((event, place(&span))),
                Some(Err(error)) => return Err(Box::new(syntax::diagnostic(self.text, &error))),
                None => return Ok((Event::StreamEnd, Span::default())),
            }
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Fatal> {
        self.count(1, depth, span)?;
        let before = self.nodes;
        if let Some(tag) = event.tag().filter(|tag| !tag.is_yaml_core_schema()) {
            self.diagnostics.push(syntax::odd_tag(
                &tag.original(),
                self.before(span, &tag.original()),
            ));
        }
        let (node, id) = match event {
            Event::Scalar(text, style, id, tag) => (scalar(&text, style, tag.as_deref(), span), id),
            Event::SequenceStart(style, id, _) => (self.list(style, span, depth)?, id),
            Event::MappingStart(style, id, _) => (self.map(style, span, depth)?, id),
            Event::Alias(id) => return self.alias(id, span, depth),
            _ => {
                return Err(Box::new(
                    Diagnostic::error(code::NOT_YAML, "this is not understood").at(span),
                ));
            }
        };
        if id != 0 {
            let nodes = self.nodes - before + 1;
            self.kept += nodes;
            if self.kept > self.nodes_max {
                return Err(too_many(node.span));
            }
            self.anchors.keep(id, Anchor::new(&node, nodes));
        }
        Ok(node)
    }

    /// Where a tag was written: the parser gives only the place of what has it.
    fn before(&self, span: Span, tag: &str) -> Span {
        let from = span.start.saturating_sub(TAG_WITHIN);
        let from = self.text.floor_char_boundary(from);
        let before = self.text.get(from..span.start).unwrap_or_default();
        before.rfind(tag).map_or(span, |start| {
            Span::new(from + start, from + start + tag.len())
        })
    }

    fn alias(&mut self, id: usize, span: Span, depth: usize) -> Result<Node, Fatal> {
        let Some(anchor) = self.anchors.take(id) else {
            return Err(Box::new(
                Diagnostic::error(
                    code::ALIAS,
                    "this stands for something that it is a part of",
                )
                .at(span)
                .label("it would never end"),
            ));
        };
        let (node, nodes, height) = (anchor.node.clone(), anchor.nodes, anchor.height);
        self.count(nodes, depth + height, span)?;
        Ok(node)
    }

    fn count(&mut self, nodes: usize, depth: usize, span: Span) -> Result<(), Fatal> {
        self.nodes += nodes;
        if depth > DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} levels of nesting");
            return Err(Box::new(
                Diagnostic::error(code::TOO_LARGE, message)
                    .at(span)
                    .label("too deep"),
            ));
        }
        if self.nodes > self.nodes_max {
            return Err(too_many(span));
        }
        Ok(())
    }

    fn list(&mut self, style: StructureStyle, span: Span, depth: usize) -> Result<Node, Fatal> {
        let mut items: Vec<Node> = Vec::new();
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::SequenceEnd => {
                    let span = whole(style, span, place, items.last());
                    return Ok(Node {
                        span,
                        value: Value::List(items),
                    });
                }
                item => items.push(self.node(item, place, depth + 1)?),
            }
        }
    }

    fn map(&mut self, style: StructureStyle, span: Span, depth: usize) -> Result<Node, Fatal> {
        let mut entries = Entries::default();
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::MappingEnd => {
                    let span = whole(
                        style,
                        span,
                        place,
                        entries.written.last().map(|(_, value)| value),
                    );
                    return Ok(Node {
                        span,
                        value: Value::Map(entries.finish()),
                    });
                }
                key => {
                    let key = self.node(key, place, depth + 1)?;
                    let (event, place) = self.next()?;
                    let value = self.node(event, place, depth + 1)?;
                    entries.push(key, value, &mut self.diagnostics);
                }
            }
        }
    }
}

/// The entries of one map while it is read.
#[derive(Default)]
struct Entries {
    written: Vec<(Node, Node)>,
    places: HashMap<String, Span>,
    /// What `<<` brings; keys that are written win.
    merged: Vec<(Node, Node)>,
}

impl Entries {
    fn push(&mut self, key: Node, value: Node, diagnostics: &mut Vec<Diagnostic>) {
        let Some(text) = key.text() else {
            diagnostics.push(syntax::odd_key(&key));
            return;
        };
        if let Value::Scalar { quoted: false, .. } = key.value
            && text == "<<"
        {
            return self.merge(value, diagnostics);
        }
        if let Some(first) = self.places.get(text) {
            diagnostics.push(
                Diagnostic::error(
                    code::KEY_TWICE,
                    format!("the key `{}` is written twice", shortened(text)),
                )
                .at(key.span)
                .label("written again here")
                .related(*first, "first written here"),
            );
            return;
        }
        self.places.insert(text.to_owned(), key.span);
        self.written.push((key, value));
    }

    fn merge(&mut self, value: Node, diagnostics: &mut Vec<Diagnostic>) {
        match value.value {
            Value::Map(entries) => self.merged.extend(entries),
            Value::List(items) => items
                .into_iter()
                .for_each(|item| self.merge(item, diagnostics)),
            _ => diagnostics.push(
                Diagnostic::error(code::MERGE, "`<<` takes keys from elsewhere")
                    .at(value.span)
                    .label("no keys to take")
                    .help(
                        "give something its name with `&name` and take its keys with `<<: *name`",
                    ),
            ),
        }
    }

    /// In a list of maps to merge, the first one wins.
    fn finish(mut self) -> Vec<(Node, Node)> {
        for (key, value) in self.merged {
            let Some(text) = key.text() else { continue };
            if !self.places.contains_key(text) {
                self.places.insert(text.to_owned(), key.span);
                self.written.push((key, value));
            }
        }
        self.written
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&yaml::Tag>, span: Span) -> Node {
    let plain = match tag.and_then(yaml::Tag::core_suffix) {
        Some("str") => false,
        Some("int" | "float" | "bool" | "null") => true,
        _ => style == ScalarStyle::Plain,
    };
    let null = plain && matches!(text, "" | "~" | "null" | "Null" | "NULL");
    let value = if null {
        Value::Null
    } else {
        Value::Scalar {
            text: text.to_owned(),
            quoted: !plain,
            literal: Vec::new(),
        }
    };
    Node { span, value }
}

/// Brackets end where they end; a block ends with its last entry, though the parser notices it only later.
fn whole(style: StructureStyle, start: Span, end: Span, last: Option<&Node>) -> Span {
    let end = match (style, last) {
        (StructureStyle::Block, Some(last)) => last.span.end,
        _ => end.end,
    };
    Span::new(start.start, end.max(start.end))
}

fn place(span: &yaml::Span) -> Span {
    let start = span.start.byte_offset().unwrap_or_default();
    Span::new(start, span.end.byte_offset().unwrap_or_default().max(start))
}
