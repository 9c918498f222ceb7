//! "Did you mean ...": the nearest of the known names, and lists of names in a sentence.

/// The known name that a person most likely meant, if one is near enough.
///
/// Near enough is what cargo takes: at most a third of the longer word may differ, but one edit is always forgiven
/// in words of three letters and more. A name that contains the other as a whole word counts too (`timeout`, `timeouts`).
pub(crate) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let written = plain(written);
    known
        .into_iter()
        .map(|name| (distance(&written, &plain(name)), name))
        .filter(|&(distance, name)| distance <= allowed(&written, name))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

/// `-`, `_` and case are not what people mean when they write another name.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

fn distance(a: &str, b: &str) -> usize {
    strsim::damerau_levenshtein(a, b)
}

fn allowed(written: &str, name: &str) -> usize {
    let length = written.chars().count().max(name.chars().count());
    if length < 3 { 0 } else { (length / 3).max(1) }
}

/// `` `a`, `b` and `c` ``.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_forgiven_and_another_word_is_not() {
        let known = ["listeners", "upstreams", "routes", "timeouts"];
        assert_eq!(nearest("upstrems", known), Some("upstreams"));
        assert_eq!(nearest("timeout", known), Some("timeouts"));
        assert_eq!(nearest("Listeners", known), Some("listeners"));
        assert_eq!(nearest("servers", known), None);
        assert_eq!(
            nearest("health-check", ["health_check"]),
            Some("health_check")
        );
        assert_eq!(nearest("a", ["b"]), None);
        assert_eq!(nearest("htp", ["http", "tcp"]), Some("http"));
    }

    #[test]
    fn names_are_listed_as_a_sentence_lists_them() {
        assert_eq!(listed([]), "none");
        assert_eq!(listed(["a"]), "`a`");
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
