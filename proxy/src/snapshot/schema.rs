//! JSON Schema of the routing file, with every policy, health check and filter that it may name.

use serde_json::Value;

use crate::component::{Bare, choice};
use crate::config::schema::{generator, of_file, places};
use crate::filter::Catalogue;
use crate::upstream::{balance, discover, health};

/// Draft 2020-12. The filters are those of the catalogue.
#[must_use]
pub fn schema(filters: &Catalogue) -> Value {
    let mut generator = generator();
    let only = Bare::KindsOnly;
    let named = Bare::Names("The name of a filter under `filters:`.");
    let mut filter = |about: &str, bare| choice(about, filters.kinds(), bare, &mut generator);
    let places = [
        (
            places::Filter::NAME,
            filter("What happens on the way.", only),
        ),
        (
            places::FilterOrName::NAME,
            filter(
                "What happens on the way: a filter, or the name of one.",
                named,
            ),
        ),
    ];
    let mut places = Vec::from(places);
    let about = "Who knows where the servers are.";
    let source = choice(about, discover::KINDS.iter(), only, &mut generator);
    places.push((places::Source::NAME, source));
    let about = "How a server is picked.";
    let policy = choice(about, balance::KINDS.iter(), only, &mut generator);
    places.push((places::Policy::NAME, policy));
    let about = "How to find out whether a server is well.";
    let check = choice(about, health::KINDS.iter(), only, &mut generator);
    places.push((places::HealthCheck::NAME, check));
    of_file(generator, places)
}

/// The same as text.
///
/// # Errors
/// None that is known of.
pub fn schema_text(filters: &Catalogue) -> Result<String, String> {
    serde_json::to_string_pretty(&schema(filters))
        .map(|text| text + "\n")
        .map_err(|error| error.to_string())
}
