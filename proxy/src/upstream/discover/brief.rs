//! Those who know servers do not decide how much is said about it.

/// Characters of a reason.
const TEXT_MAX: usize = 300;

/// Entries of a list.
const ENTRIES_MAX: usize = 20;

/// The beginning of a text.
pub(super) fn text(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(TEXT_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The first of a list, and how many more there are.
pub(super) fn list(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut all = all.fuse();
    let mut shown: Vec<String> = all.by_ref().take(ENTRIES_MAX).map(text).collect();
    match all.count() {
        0 => (),
        more => shown.push(format!("and {more} more")),
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        let just = "é".repeat(TEXT_MAX);
        assert_eq!(text(just.clone()), just);
        assert_eq!(text(format!("{just}é")), format!("{just}…"));
    }

    #[test]
    fn a_long_list_says_how_much_longer_it_is() {
        let of = |count: usize| list((0..count).map(|one| one.to_string()));
        assert_eq!(of(20).len(), 20);
        assert_eq!(of(23).last().map(String::as_str), Some("and 3 more"));
        assert!(of(0).is_empty());
    }
}
