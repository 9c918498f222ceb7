//! What a source names and what cannot be a server: the others are none the worse for it, and it is told once.

use std::collections::BTreeMap;

use tracing::warn;

use super::brief;

/// What is left out, and why.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::upstream::discover) struct LeftOut(BTreeMap<String, String>);

impl LeftOut {
    /// One more.
    pub(in crate::upstream::discover) fn add(&mut self, what: String, why: String) {
        self.0.insert(what, brief::text(&why));
    }

    /// Tells what is new beside what was left out `before`, and takes its place.
    pub(in crate::upstream::discover) fn tell(self, label: &str, before: &mut Self) {
        for (what, why) in self.beside(before) {
            warn!("{label}: {} is left out: {why}", brief::text(what));
        }
        *before = self;
    }

    fn beside(&self, before: &Self) -> impl Iterator<Item = (&String, &String)> {
        let is_new = |(what, why): &(&String, &String)| before.0.get(*what) != Some(why);
        self.0.iter().filter(is_new)
    }

    /// Why this one is.
    #[cfg(test)]
    pub(in crate::upstream::discover) fn why(&self, what: &str) -> Option<&str> {
        self.0.get(what).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> LeftOut {
        let mut left_out = LeftOut::default();
        for (what, why) in pairs {
            left_out.add((*what).to_owned(), (*why).to_owned());
        }
        left_out
    }

    #[test]
    fn only_what_is_new_is_told() {
        let mut before = of(&[("a", "no port"), ("b", "no port")]);
        let now = of(&[("a", "no port"), ("b", "no network"), ("c", "no port")]);
        let told: Vec<&str> = now.beside(&before).map(|(what, _)| what.as_str()).collect();
        assert_eq!(told, ["b", "c"]);
        of(&[]).tell("x", &mut before);
        // One that came back is told again.
        assert_eq!(of(&[("a", "no port")]).beside(&before).count(), 1);
    }
}
