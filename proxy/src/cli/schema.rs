//! `tidegate schema`: JSON Schema of the routing file, on stdout.

use std::process::ExitCode;

use super::print;
use crate::filter::Catalogue;
use crate::snapshot;

pub(super) fn schema(filters: &Catalogue) -> ExitCode {
    match snapshot::schema_text(filters) {
        Ok(text) => print(text.as_bytes()),
        Err(error) => {
            eprintln!("tidegate: {error}");
            ExitCode::FAILURE
        }
    }
}
