//! Finding a node again in its tree.

use crate::config::document::{Node, Value};

/// Tells nodes of one tree apart while the tree stands still; never followed.
pub(super) type Address = usize;

/// The address of a node.
pub(super) fn address(node: &Node) -> Address {
    std::ptr::from_ref(node) as usize
}

/// The way from the root to a node.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// Which entry of the map or list, at each level. Empty for the root.
    pub(super) steps: Vec<usize>,
    /// Whether the last step leads to the key of its entry.
    pub(super) at_key: bool,
}

/// The way to a node. An unknown address leads to the root.
pub(super) fn trail(root: &Node, to: Option<Address>) -> Trail {
    let mut trail = Trail::default();
    if let Some(to) = to {
        find(root, to, &mut trail);
    }
    trail
}

fn find(node: &Node, to: Address, trail: &mut Trail) -> bool {
    if address(node) == to {
        return true;
    }
    let count = match &node.value {
        Value::List(items) => items.len(),
        Value::Map(entries) => entries.len(),
        _ => 0,
    };
    for index in 0..count {
        trail.steps.push(index);
        let (key, child) = step(node, index);
        trail.at_key = key.is_some_and(|key| address(key) == to);
        if trail.at_key || child.is_some_and(|child| find(child, to, trail)) {
            return true;
        }
        trail.steps.pop();
    }
    false
}

/// The key (in a map) and the value of an entry.
pub(super) fn step(node: &Node, index: usize) -> (Option<&Node>, Option<&Node>) {
    match &node.value {
        Value::List(items) => (None, items.get(index)),
        Value::Map(entries) => entries
            .get(index)
            .map_or((None, None), |(key, value)| (Some(key), Some(value))),
        _ => (None, None),
    }
}

/// Whether the part at the end of the way is passed over already.
pub(super) fn is_broken(root: &Node, trail: &Trail) -> bool {
    let end = trail
        .steps
        .iter()
        .try_fold(root, |node, index| step(node, *index).1);
    end.is_some_and(Node::is_broken)
}

/// From now on, the key at the end of the way is a name like any: what it names has mistakes of its own. Whether it is one.
pub(super) fn mark_misnamed(root: &mut Node, trail: &Trail) -> bool {
    let Some((last, steps)) = trail.steps.split_last() else {
        return false;
    };
    let node = steps
        .iter()
        .try_fold(root, |node, index| match &mut node.value {
            Value::List(items) => items.get_mut(*index),
            Value::Map(entries) => entries.get_mut(*index).map(|(_, value)| value),
            _ => None,
        });
    let Some(Value::Map(entries)) = node.map(|node| &mut node.value) else {
        return false;
    };
    match entries.get_mut(*last) {
        Some((key, _)) => match &mut key.value {
            Value::Scalar { text, .. } => {
                key.value = Value::Misnamed(std::mem::take(text));
                true
            }
            _ => false,
        },
        None => false,
    }
}

/// From now on, the part at the end of the way is passed over.
pub(super) fn mark_broken(root: &mut Node, trail: &Trail) {
    mark(root, trail, Value::Broken);
}

/// From now on, the part at the end of the way is this.
pub(super) fn mark(root: &mut Node, trail: &Trail, value: Value) {
    let mut node = root;
    for (at, index) in trail.steps.iter().enumerate() {
        let last = at + 1 == trail.steps.len();
        let child = match &mut node.value {
            Value::List(items) => items.get_mut(*index),
            Value::Map(entries) => entries.get_mut(*index).map(|(key, value)| {
                if last && trail.at_key {
                    key.value = Value::Broken;
                }
                value
            }),
            _ => None,
        };
        let Some(child) = child else { return };
        node = child;
    }
    node.value = value;
}
