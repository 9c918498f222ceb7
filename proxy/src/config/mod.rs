//! What was written: the routing file as plain serde types, one file per section, and the diagnostics about it.
//!
//! Nothing here knows the runtime: decoding opens no socket, resolves no name and compiles no expression.
//!
//! On the way in, text becomes a tree in which every node knows its place ([`document`]), the environment and secrets are put
//! in (`environment`), the trees of included files are put together (`include`), the tree becomes the types below with every mistake on the way (`decode`), and what the sections say
//! together is checked (`check`). What is wrong is said in the reader's words ([`Diagnostic`]) and shown in the text
//! ([`Source`]).

mod address;
mod admin;
mod check;
pub mod code;
pub mod complaint;
mod component;
pub(crate) mod decode;
mod diagnostic;
pub mod document;
pub(crate) mod encoding;
mod environment;
mod factor;
mod field;
mod file;
mod files;
mod hedge;
mod host_name;
mod include;
mod inputs;
mod limits;
mod list;
mod listener;
mod mirror;
mod moment;
mod named;
pub(crate) mod nearest;
mod network;
mod one_or_many;
mod outlier_ejection;
mod pattern;
mod phrase;
mod quotes;
mod rate;
mod reading;
mod redirect;
mod reload;
mod respond;
mod retry;
mod route;
pub(crate) mod scalar;
pub(crate) mod schema;
pub(crate) mod secrets;
mod share;
mod shutdown;
mod source;
mod spanned;
mod split;
mod switch;
mod test;
mod text_or_keys;
mod timeouts;
mod units;
mod upstream;
mod upstream_limits;
mod value_match;
mod verdict;
pub(crate) mod written;

use std::collections::HashMap;
use std::path::Path;

pub(crate) use address::nowhere;
pub use address::{Host, ServerAddress};
pub use admin::Admin;
pub(crate) use check::match_syntax;
pub use code::Code;
pub use complaint::Complaint;
pub use component::Component;
pub(crate) use diagnostic::counted;
pub use diagnostic::{Diagnostic, Remark, Report, Severity};
pub use environment::Lookup;
pub(crate) use environment::{escape, plain};
pub use factor::Factor;
pub use field::FieldName;
pub(crate) use field::{HOST_PREFIX, NOT_THE_FILES, cookie_prefix, field_name};
pub use file::File;
pub use files::Files;
pub use files::without_dots;
pub use hedge::{Hedge, HedgeAfter};
pub use host_name::HostName;
pub use inputs::Inputs;
pub use limits::{Limits, RouteLimits};
pub use list::{server, servers};
pub use listener::{ClientTimeouts, Listener, Protocol};
pub use mirror::Mirror;
pub use moment::Moment;
pub use named::{Named, Text, check_name};
pub use network::{ClientAddress, Network};
pub use one_or_many::OneOrMany;
pub use outlier_ejection::{ErrorRate, OutlierEjection, SlowAnswers};
pub use phrase::Phrase;
pub use rate::Rate;
pub use redirect::Redirect;
pub(crate) use redirect::sends_nobody;
pub use reload::{Reload, RollbackOn};
pub use respond::Respond;
pub(crate) use retry::PAUSE_MAX;
pub use retry::{Backoff, Retry, RetryBudget, RetryWhen};
pub(crate) use route::PATH_MAX;
pub use route::{Match, Route};
pub use secrets::Secrets;
pub use share::Share;
pub use shutdown::Shutdown;
pub use source::{Colour, Place, Source};
pub use spanned::{Span, Spanned};
pub use split::{Split, Sticky};
pub use switch::Switch;
pub use test::{Answer, Expect, Question, Test};
pub use timeouts::Timeouts;
pub use units::{Duration, Size};
pub use upstream::{Duty, Server, Upstream};
pub use upstream_limits::{Adaptive, Queue, ServerLimits, UpstreamLimits};
pub use value_match::ValueMatch;
pub use verdict::{Finding, Related, Summary, Verdict};

use self::files::folder_of;
use self::reading::Reading;

/// A file that can be used.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// Its sections.
    pub file: File,
    /// What was made of them.
    pub made: T,
    /// Its text and those of the files that it includes, to show in them what is found later.
    pub source: Source,
    /// Everything that was read.
    pub inputs: Inputs,
    /// What is probably not meant.
    pub warnings: Vec<Diagnostic>,
}

/// Reads a file with the environment of the process, and what it includes. `make` is as in [`parse`].
///
/// # Errors
///
/// Everything that is wrong with it, or why it cannot be read.
pub fn load<T>(
    path: &Path,
    make: impl FnOnce(&File, &Files) -> Made<T>,
) -> Result<Loaded<T>, Report> {
    let name = path.display().to_string();
    let mut inputs = Inputs::default();
    let bytes = match inputs.read(path, &name, document::BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("cannot read `{name}`: {}", reason(&error));
            let source = Source::new(&name, "");
            return Err(Report::new(
                source,
                vec![Diagnostic::error(code::FILE_UNREADABLE, message)],
            )
            .after(inputs));
        }
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let source = Source::new(&name, &String::from_utf8_lossy(error.as_bytes()));
        let problem = not_text(error.utf8_error().valid_up_to());
        Report::new(source, vec![problem]).after(inputs.clone())
    })?;
    let environment = |variable: &str| std::env::var(variable).ok();
    let reading = Reading::new(&environment, inputs);
    read(reading, &name, &text, Some(folder_of(path)), make)
}

/// Reads a text in place of the file at `path`. What it includes is read from the disk, or, if `kept` has names and texts, is one
/// of these and nothing else.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn load_text<T>(
    path: &Path,
    text: &str,
    kept: Option<HashMap<String, String>>,
    make: impl FnOnce(&File, &Files) -> Made<T>,
) -> Result<Loaded<T>, Report> {
    let environment = |variable: &str| std::env::var(variable).ok();
    let mut reading = Reading::new(&environment, Inputs::default());
    if let Some(kept) = kept {
        reading = reading.keep_to(kept);
    }
    let name = path.display().to_string();
    read(reading, &name, text, Some(folder_of(path)), make)
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
fn not_text(end: usize) -> Diagnostic {
    Diagnostic::error(code::NOT_UTF8, "the file is not UTF-8 text")
        .at(Span::new(end, end + 1))
        .label("readable up to here")
        .help("save it as UTF-8")
}

/// Something made of a file's sections, or what is wrong with them for that.
pub type Made<T> = Result<T, Vec<Diagnostic>>;

/// Reads a text. `name` is what it is called in messages, `environment` looks up what `${NAME}` stands for. What it includes or
/// names besides is looked for in `folder`; without one nothing is read, wherever it lies. What `make` finds wrong (an unknown
/// policy, say) is told together with the rest; so it is given the file also when parts of it are missing because they are
/// wrong.
///
/// # Errors
///
/// Everything that is wrong with it, warnings included.
pub fn parse<T>(
    name: &str,
    text: &str,
    environment: &Lookup<'_>,
    folder: Option<&Path>,
    make: impl FnOnce(&File, &Files) -> Made<T>,
) -> Result<Loaded<T>, Report> {
    let reading = Reading::new(environment, Inputs::default());
    read(reading, name, text, folder, make)
}

fn read<T>(
    mut reading: Reading<'_>,
    name: &str,
    text: &str,
    folder: Option<&Path>,
    make: impl FnOnce(&File, &Files) -> Made<T>,
) -> Result<Loaded<T>, Report> {
    let root = reading.first(name, text, folder);
    let own_name = Path::new(name).file_name().unwrap_or_default();
    let path = folder.map(|folder| folder.join(own_name));
    let root = root.map(|root| include::resolve(root, path.as_deref(), &mut reading));
    let Reading {
        source,
        inputs,
        mut diagnostics,
        is_partial,
        ..
    } = reading;
    let Some(mut root) = root else {
        return Err(Report::new(source, diagnostics).after(inputs));
    };
    let decoded = decode::decode::<File>(&mut root, None);
    diagnostics.extend(decoded.diagnostics);
    let Some(file) = decoded.value else {
        return Err(Report::new(source, diagnostics).after(inputs));
    };
    let mut found = check::check(&file, &root, &diagnostics, is_partial);
    diagnostics.append(&mut found);
    let files = Files::new(source.clone(), inputs, is_partial);
    let made = make(&file, &files);
    if let Err(found) = &made {
        diagnostics.extend(found.iter().cloned());
    }
    let report = Report::new(source, diagnostics).after(files.into_inputs());
    match made {
        Ok(made) if report.errors() == 0 => Ok(Loaded {
            file,
            made,
            source: report.source,
            inputs: report.inputs,
            warnings: report.diagnostics,
        }),
        _ => Err(report),
    }
}

/// Where the operator's side is, by a file that may be wrong elsewhere: whoever asks the instance about a file that was refused
/// has no other. Where it is not even YAML, the lines of its `admin:` may be.
///
/// # Errors
///
/// Why not even that can be told.
pub fn admin_of(path: &Path) -> Result<Option<Admin>, Report> {
    let mut found = None;
    let loaded = load(path, |file, _| {
        found = Some(file.admin.clone());
        Ok(())
    });
    match (loaded, found) {
        (_, Some(admin)) => Ok(admin),
        (Ok(loaded), None) => Ok(loaded.file.admin),
        (Err(report), None) => {
            let lines = document::lines_of("admin", report.source.text());
            let admin = lines.and_then(|lines| admin_in(&lines));
            admin.map(Some).ok_or(report)
        }
    }
}

fn admin_in(lines: &str) -> Option<Admin> {
    #[derive(serde::Deserialize)]
    struct Section {
        admin: Admin,
    }
    let environment = |variable: &str| std::env::var(variable).ok();
    let mut root = Reading::new(&environment, Inputs::default()).first("", lines, None)?;
    let section = decode::decode::<Section>(&mut root, None).value?;
    Some(section.admin)
}

/// For whoever wants nothing but the sections.
///
/// # Errors
///
/// None.
pub fn as_written(_: &File, _: &Files) -> Made<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
