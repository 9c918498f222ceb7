//! The filters of the routes, built. One that has a name in the file is built once and shared by all that use it.

use std::collections::HashMap;
use std::sync::Arc;

use regex::Regex;

use crate::component::{Surroundings, unknown_name};
use crate::config::{self, Component, Diagnostic, Named, Spanned, code};
use crate::filter::{Catalogue, Filter};

/// A filter, and the name by which the next file's is known to be the same.
#[derive(Clone)]
pub struct FilterSpec {
    /// The name in the file; of one without a name, its route, its kind and its number among those of that kind.
    pub identity: Arc<str>,
    /// What it does.
    pub filter: Arc<dyn Filter>,
    /// As a route writes it: its name in the file, or its kind with every option in effect.
    pub effective: Component,
}

impl FilterSpec {
    /// Its name in the file, or its kind.
    pub fn name(&self) -> &str {
        let mut parts = self.identity.split('/');
        parts.nth(1).unwrap_or(&self.identity)
    }
}

/// Those that have a name in the file; none where one could not be built.
pub(super) struct Filters<'f> {
    named: HashMap<&'f str, Option<FilterSpec>>,
    /// In the order of the file.
    names: Vec<&'f str>,
    /// As they are in effect.
    effective: Vec<(Spanned<String>, Component)>,
    kinds: &'f Catalogue,
    surroundings: &'f Surroundings,
}

impl<'f> Filters<'f> {
    pub(super) fn new(
        written: &'f Named<Component>,
        kinds: &'f Catalogue,
        surroundings: &'f Surroundings,
        wrong: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut named = HashMap::new();
        let mut effective = Vec::new();
        for (name, component) in written.iter() {
            if kinds.has(name) {
                wrong.push(
                    Diagnostic::error(
                        code::NAME_OF_A_KIND,
                        format!("`{name}` is a kind of filter"),
                    )
                    .at(name.span)
                    .label("give yours another name"),
                );
            }
            let built = kinds.build(component, surroundings);
            let built = built.map_err(|problems| wrong.extend(problems)).ok();
            let spec = built.map(|built| {
                effective.push((name.clone(), built.effective));
                FilterSpec {
                    identity: name.value.as_str().into(),
                    filter: built.made,
                    effective: Component::bare(name),
                }
            });
            named.insert(name.value.as_str(), spec);
        }
        Self {
            named,
            names: written
                .iter()
                .map(|(name, _)| name.value.as_str())
                .collect(),
            effective,
            kinds,
            surroundings,
        }
    }

    /// Those that have a name, with every option in effect.
    pub(super) fn effective(&self) -> Named<Component> {
        self.effective.iter().cloned().collect()
    }

    /// What happens on the way of this route.
    pub(super) fn of(
        &self,
        name: &Spanned<String>,
        route: &config::Route,
    ) -> Result<Vec<FilterSpec>, Vec<Diagnostic>> {
        let mut filters: Vec<FilterSpec> = Vec::new();
        let mut wrong = Vec::new();
        for written in &route.filters {
            let identity = |number: usize| format!("{name}/{}/{number}", written.name).into();
            match self.one(written) {
                Ok(Some(mut spec)) => {
                    wrong.extend(without_group(written, &*spec.filter, name, route));
                    if spec.identity.is_empty() {
                        let is_taken = |identity: &Arc<str>| {
                            filters.iter().any(|other| other.identity == *identity)
                        };
                        let free = (0..).map(identity).find(|identity| !is_taken(identity));
                        spec.identity = free.unwrap_or_default();
                    }
                    filters.push(spec);
                }
                Ok(None) => {}
                Err(problems) => wrong.extend(problems),
            }
        }
        if wrong.is_empty() {
            Ok(filters)
        } else {
            Err(wrong)
        }
    }

    /// One without a name has no identity yet.
    fn one(&self, written: &Component) -> Result<Option<FilterSpec>, Vec<Diagnostic>> {
        let name = &written.name;
        match self.named.get(name.value.as_str()) {
            Some(_) if written.has_options() => Err(vec![
                Diagnostic::error(
                    code::OPTIONS_TWICE,
                    format!("the filter `{name}` has its options already"),
                )
                .at(name.span)
                .label("they are written where it got its name"),
            ]),
            Some(spec) => Ok(spec.clone()),
            None if self.kinds.has(name) => {
                let built = self.kinds.build(written, self.surroundings)?;
                Ok(Some(FilterSpec {
                    identity: Arc::default(),
                    filter: built.made,
                    effective: built.effective,
                }))
            }
            // It may stand in the file that could not be read.
            None if self.surroundings.is_partial() => Ok(None),
            None => {
                let mut known: Vec<&str> = self.names.clone();
                let kinds = self.kinds.names().into_iter();
                known.extend(kinds.filter(|kind| !self.names.contains(kind)));
                let known = || known.iter().copied();
                Err(vec![unknown_name(
                    code::UNKNOWN_COMPONENT,
                    "filter",
                    name,
                    name.span,
                    known,
                )])
            }
        }
    }
}

/// What a filter asks of the route's expression that no group of it can give.
fn without_group(
    written: &Component,
    filter: &dyn Filter,
    name: &Spanned<String>,
    route: &config::Route,
) -> Vec<Diagnostic> {
    let asked = filter.groups();
    if asked.is_empty() {
        return Vec::new();
    }
    let mut known = Vec::new();
    groups(&route.matches, &mut known);
    let missing = asked.iter().filter(|group| !known.contains(group));
    missing
        .map(|group| {
            let problem = Diagnostic::error(
                code::NO_GROUP,
                format!("route `{name}` has no group `{group}` in a `path_regex`"),
            )
            .at(written.name.span)
            .label(format!("asks for `${{path.{group}}}`"));
            let near = config::nearest::nearest(group, known.iter().map(String::as_str));
            match near {
                Some(near) => problem.help(format!("did you mean `${{path.{near}}}`?")),
                None => problem.help(format!("name the group: `(?P<{group}>...)`")),
            }
        })
        .collect()
}

fn groups(written: &config::Match, found: &mut Vec<String>) {
    if let Some(expression) = &written.path_regex
        && let Ok(expression) = Regex::new(expression)
    {
        let names = expression.capture_names().flatten();
        found.extend(names.map(str::to_owned));
    }
    for one in written.any.iter().flatten() {
        groups(one, found);
    }
}
