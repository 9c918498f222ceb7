//! The filters of the routes, built. One that has a name in the file is built once and shared by all that use it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::component::{self, unknown_name};
use crate::config::{self, Component, Diagnostic, Named};
use crate::filter::{Filter, KINDS};

/// Those that have a name in the file; none where one could not be built.
pub(super) struct Filters<'f>(HashMap<&'f str, Option<Arc<dyn Filter>>>);

impl<'f> Filters<'f> {
    pub(super) fn new(named: &'f Named<Component>, wrong: &mut Vec<Diagnostic>) -> Self {
        let mut filters = HashMap::new();
        for (name, written) in named.iter() {
            if KINDS.iter().any(|kind| kind.name == name.value) {
                wrong.push(
                    Diagnostic::error(format!("`{name}` is a kind of filter"))
                        .at(name.span)
                        .label("give yours another name"),
                );
            }
            let built = component::build("filter", KINDS, written);
            let built = built.map_err(|problems| wrong.extend(problems)).ok();
            filters.insert(name.value.as_str(), built);
        }
        Self(filters)
    }

    /// What happens on the way of this route.
    pub(super) fn of(
        &self,
        route: &config::Route,
    ) -> Result<Vec<Arc<dyn Filter>>, Vec<Diagnostic>> {
        let mut filters = Vec::new();
        let mut wrong = Vec::new();
        for written in &route.filters {
            match self.one(written) {
                Ok(filter) => filters.extend(filter),
                Err(problems) => wrong.extend(problems),
            }
        }
        if wrong.is_empty() {
            Ok(filters)
        } else {
            Err(wrong)
        }
    }

    fn one(&self, written: &Component) -> Result<Option<Arc<dyn Filter>>, Vec<Diagnostic>> {
        let name = &written.name;
        match self.0.get(name.value.as_str()) {
            Some(_) if written.has_options() => Err(vec![
                Diagnostic::error(format!("the filter `{name}` has its options already"))
                    .at(name.span)
                    .label("they are written where it got its name"),
            ]),
            Some(filter) => Ok(filter.clone()),
            None if KINDS.iter().any(|kind| kind.name == name.value) => {
                component::build("filter", KINDS, written).map(Some)
            }
            None => {
                let kinds = || KINDS.iter().map(|kind| kind.name);
                let known = || self.0.keys().copied().chain(kinds());
                Err(vec![unknown_name("filter", name, name.span, known)])
            }
        }
    }
}
