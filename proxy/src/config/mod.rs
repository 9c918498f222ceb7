//! What was written: the routing file as plain serde types, one file per section, and the diagnostics about it.
//!
//! Nothing here knows the runtime: decoding opens no socket, resolves no name and compiles no expression.
//!
//! On the way in, text becomes a tree in which every node knows its place ([`document`]), the environment is put in
//! (`environment`), the tree becomes the types below with every mistake on the way (`decode`), and what the sections say
//! together is checked (`check`). What is wrong is said in the reader's words ([`Diagnostic`]) and shown in the text
//! ([`Source`]).

mod address;
mod admin;
mod check;
pub mod complaint;
mod component;
pub(crate) mod decode;
mod diagnostic;
pub mod document;
mod environment;
mod file;
mod limits;
mod listener;
mod mirror;
mod moment;
mod named;
pub(crate) mod nearest;
mod network;
mod one_or_many;
mod rate;
mod redirect;
mod respond;
mod retry;
mod route;
mod scalar;
pub(crate) mod schema;
mod share;
mod shutdown;
mod source;
mod spanned;
mod split;
mod timeouts;
mod units;
mod upstream;
mod value_match;
pub(crate) mod written;

use std::io::Read;
use std::path::Path;

pub use address::{Host, ServerAddress};
pub use admin::Admin;
pub(crate) use check::match_syntax;
pub use complaint::Complaint;
pub use component::Component;
pub(crate) use diagnostic::counted;
pub use diagnostic::{Diagnostic, Remark, Report, Severity};
pub use environment::Lookup;
pub(crate) use environment::escape;
pub use file::File;
pub use limits::{Limits, RouteLimits};
pub use listener::{ClientTimeouts, Listener, Protocol};
pub use mirror::Mirror;
pub use moment::Moment;
pub use named::{FieldName, Named, Text};
pub use network::Network;
pub use one_or_many::OneOrMany;
pub use rate::Rate;
pub use redirect::Redirect;
pub(crate) use redirect::sends_nobody;
pub use respond::Respond;
pub use retry::Retry;
pub(crate) use route::PATH_MAX;
pub use route::{Match, Route};
pub use share::Share;
pub use shutdown::Shutdown;
pub use source::{Colour, Source};
pub use spanned::{Span, Spanned};
pub use split::{Split, Sticky};
pub use timeouts::Timeouts;
pub use units::{Duration, Size};
pub use upstream::{Server, Upstream};
pub use value_match::ValueMatch;

/// A file that can be used.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// Its sections.
    pub file: File,
    /// What was made of them.
    pub made: T,
    /// Its text, to show in it what is found later.
    pub source: Source,
    /// What is probably not meant.
    pub warnings: Vec<Diagnostic>,
}

/// Reads a file with the environment of the process. `make` is as in [`parse`].
///
/// # Errors
///
/// Everything that is wrong with it, or why it cannot be read.
pub fn load<T>(path: &Path, make: impl FnOnce(&File) -> Made<T>) -> Result<Loaded<T>, Report> {
    let name = path.display().to_string();
    let unreadable = |why: String| {
        let source = Source::new(&name, "");
        Report::new(
            source,
            vec![Diagnostic::error(format!("cannot read `{name}`: {why}"))],
        )
    };
    let bytes = read(path).map_err(|error| unreadable(reason(&error)))?;
    match String::from_utf8(bytes) {
        Ok(text) => parse(&name, &text, &|variable| std::env::var(variable).ok(), make),
        Err(error) => Err(not_text(&name, &error)),
    }
}

/// One byte more than allowed, so that the excess is noticed, but never all of an endless file.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(document::BYTES_MAX).unwrap_or(u64::MAX);
    std::fs::File::open(path)?
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// `No such file or directory`, without the number that the standard library adds.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

/// The readable beginning is kept, so that the place can be shown.
fn not_text(name: &str, error: &std::string::FromUtf8Error) -> Report {
    let end = error.utf8_error().valid_up_to();
    let lossy = String::from_utf8_lossy(error.as_bytes()).into_owned();
    let diagnostic = Diagnostic::error("the file is not UTF-8 text")
        .at(Span::new(end, end + 1))
        .label("readable up to here")
        .help("save it as UTF-8");
    Report::new(Source::new(name, &lossy), vec![diagnostic])
}

/// Something made of a file's sections, or what is wrong with them for that.
pub type Made<T> = Result<T, Vec<Diagnostic>>;

/// Reads a text. `name` is what it is called in messages, `environment` looks up what `${NAME}` stands for. What `make`
/// finds wrong (an unknown policy, say) is told together with the rest; so it is given the file also when parts of it
/// are missing because they are wrong.
///
/// # Errors
///
/// Everything that is wrong with it, warnings included.
pub fn parse<T>(
    name: &str,
    text: &str,
    environment: &Lookup<'_>,
    make: impl FnOnce(&File) -> Made<T>,
) -> Result<Loaded<T>, Report> {
    let source = Source::new(name, text);
    let (root, mut diagnostics) = document::read(source.text());
    let Some(mut root) = root else {
        return Err(Report::new(source, diagnostics));
    };
    environment::substitute(&mut root, source.text(), environment, &mut diagnostics);
    let decoded = decode::decode::<File>(&mut root, None);
    diagnostics.extend(decoded.diagnostics);
    let Some(file) = decoded.value else {
        return Err(Report::new(source, diagnostics));
    };
    let mut found = check::check(&file, &root, &diagnostics);
    diagnostics.append(&mut found);
    let made = make(&file);
    if let Err(found) = &made {
        diagnostics.extend(found.iter().cloned());
    }
    let report = Report::new(source, diagnostics);
    match made {
        Ok(made) if report.errors() == 0 => Ok(Loaded {
            file,
            made,
            source: report.source,
            warnings: report.diagnostics,
        }),
        _ => Err(report),
    }
}

/// For whoever wants nothing but the sections.
///
/// # Errors
///
/// None.
pub fn as_written(_: &File) -> Made<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
