//! `tidegate schema`: JSON Schema of the routing file, on stdout.

use std::process::ExitCode;

use super::write;
use crate::filter::Catalogue;
use crate::snapshot;

pub(super) fn schema(filters: &Catalogue) -> ExitCode {
    write(snapshot::schema_text(filters))
}
