//! Those who know servers do not decide how much is said about it.

/// Characters of a reason.
const TEXT_MAX: usize = 300;

/// Entries of a list.
const ENTRIES_MAX: usize = 20;

/// The beginning of a text, in one line.
pub(super) fn text(text: &str) -> String {
    let mut rest = text.chars();
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = rest.by_ref().take(TEXT_MAX).map(plain).collect();
    if rest.next().is_some() {
        short.push('…');
    }
    short
}

/// The first of a list, and how many more there are.
pub(super) fn list(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut all = all.fuse();
    let mut shown: Vec<String> = all
        .by_ref()
        .take(ENTRIES_MAX)
        .map(|one| text(&one))
        .collect();
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
        assert_eq!(text(&just), just);
        assert_eq!(text(&format!("{just}é")), format!("{just}…"));
    }

    #[test]
    fn a_text_of_others_begins_no_line_of_the_log() {
        assert_eq!(text("a\r\nWARN b\u{1b}[31m"), "a  WARN b [31m");
    }

    #[test]
    fn a_long_list_says_how_much_longer_it_is() {
        let of = |count: usize| list((0..count).map(|one| one.to_string()));
        assert_eq!(of(20).len(), 20);
        assert_eq!(of(23).last().map(String::as_str), Some("and 3 more"));
        assert!(of(0).is_empty());
    }
}
