//! What stands behind the `?`: every parameter is known and stands there once, and what makes no sense is told by its name.

use axum::extract::Query;
use axum::http::Uri;

use crate::config::nearest::listed;

/// The parameters of a request. Each is taken by its name; what is left in the end is not known.
pub(super) struct Parameters {
    given: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Parameters {
    pub(super) fn of(uri: &Uri) -> Self {
        // Pairs of text are read from whatever is written there.
        let given = Query::try_from_uri(uri).map_or_else(|_| Vec::new(), |Query(given)| given);
        let known = Vec::new();
        Self { given, known }
    }

    /// What is given by this name, if anything is.
    ///
    /// # Errors
    /// It is given twice, or makes no sense: what was `expected`.
    pub(super) fn take<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, String> {
        self.known.push(name);
        let Some(at) = self.given.iter().position(|(given, _)| given == name) else {
            return Ok(None);
        };
        let (_, value) = self.given.remove(at);
        if self.given.iter().any(|(given, _)| given == name) {
            return Err(format!("`{name}` is given twice"));
        }
        match read(&value) {
            Some(value) => Ok(Some(value)),
            None => Err(format!(
                "`{name}` is `{}`: expected {expected}",
                value.escape_debug()
            )),
        }
    }

    /// All that is known was taken.
    ///
    /// # Errors
    /// There is more.
    pub(super) fn end(self) -> Result<(), String> {
        let Some((name, _)) = self.given.first() else {
            return Ok(());
        };
        let name = name.escape_debug();
        Err(match self.known.as_slice() {
            [] => format!("`{name}` is no parameter here: there are none"),
            known => format!(
                "`{name}` is no parameter here; known are {}",
                listed(known.iter().copied())
            ),
        })
    }
}
