//! `include:` the routing file in several files.
//!
//! ```yaml
//! include: [ "routes-*.yaml", "upstreams-*.yaml" ]
//! ```
//!
//! An included file has the shape of the whole one. What it says is put into one tree before anybody asks what it means:
//! so a route finds its upstream wherever it stands, and every place is still that of the file in which it was written.

mod merge;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use self::merge::Merged;
use super::code;
use super::diagnostic::Diagnostic;
use super::document::{Node, Value, shortened};
use super::files::{beside, folder_of, plain, without_dots};
use super::nearest::nearest;
use super::pattern::{self, FOUND_MAX};
use super::reading::Reading;
use super::spanned::{Span, Spanned};

/// The key.
pub(super) const INCLUDE: &str = "include";

/// A file that is included by one that is included ... is no deeper than this; it bounds the stack.
const DEPTH_MAX: usize = 8;

/// A file that was found.
struct Found {
    path: PathBuf,
    /// What readers know it by.
    name: String,
}

/// Takes one file after the other.
struct Including<'r, 'e> {
    reading: &'r mut Reading<'e>,
    merged: Merged,
    /// Which files were taken, by what they really are: under which name, and where that was said; nowhere for the first one.
    taken: HashMap<PathBuf, (String, Option<Span>)>,
    /// Those that include the one that is looked at, outermost first, which is itself the last.
    chain: Vec<Found>,
}

/// The whole tree: `root` is that of the first file, which lies at `path` if anywhere.
pub(super) fn resolve(mut root: Node, path: Option<&Path>, reading: &mut Reading<'_>) -> Node {
    let included = included(&mut root, reading);
    if included.is_empty() && !reading.is_partial {
        return root;
    }
    let mut including = Including {
        merged: Merged::new(root),
        taken: HashMap::new(),
        chain: Vec::new(),
        reading,
    };
    if let Some(path) = path {
        let name = including.reading.source.name().to_owned();
        let path = path.to_owned();
        including.taken.insert(really(&path), (name.clone(), None));
        including.chain.push(Found { path, name });
    }
    including.all(&included);
    including.merged.finish(including.reading.is_partial)
}

/// What a file includes. What is no name is reported and marked as broken.
fn included(root: &mut Node, reading: &mut Reading<'_>) -> Vec<Spanned<String>> {
    let Some(written) = root.get_mut(INCLUDE) else {
        return Vec::new();
    };
    let (items, subject) = match &mut written.value {
        Value::List(items) => (items.as_mut_slice(), format!("an item of `{INCLUDE}`")),
        _ => (std::slice::from_mut(written), format!("`{INCLUDE}`")),
    };
    let mut included = Vec::new();
    for item in items {
        if let Some(text) = item.text().filter(|text| !text.is_empty()) {
            included.push(Spanned::new(text.to_owned(), item.span));
            continue;
        }
        reading.is_partial = true;
        // A variable that is not set is reported already.
        if !item.is_broken() {
            let what = match item.text() {
                Some(_) => "empty".to_owned(),
                None => item.describe(),
            };
            let message = format!("{subject} is {what}");
            let problem = Diagnostic::error(code::CANNOT_INCLUDE, message).at(item.span);
            let problem = problem.label("expected the name of a file, or a list of them");
            reading.diagnostics.push(problem);
            item.value = Value::Broken;
        }
    }
    included
}

impl Including<'_, '_> {
    fn all(&mut self, included: &[Spanned<String>]) {
        for written in included {
            match self.found(written) {
                Ok(files) => files
                    .into_iter()
                    .for_each(|file| self.one(file, written.span)),
                Err(problem) => self.missing(*problem),
            }
        }
    }

    /// Nobody is told that something is not there which may be in a file that could not be read.
    fn missing(&mut self, problem: Diagnostic) {
        self.reading.is_partial = true;
        self.reading.diagnostics.push(problem);
    }

    fn found(&mut self, written: &Spanned<String>) -> Result<Vec<Found>, Box<Diagnostic>> {
        let source = &self.reading.source;
        let Some((path, name)) = beside(source, written.span, written) else {
            let problem = cannot(written).label("there is no folder to look for it in");
            return Err(Box::new(problem));
        };
        if pattern::is_pattern(written) {
            return self.matching(written);
        }
        if path.is_dir() {
            let folder = written.trim_end_matches('/');
            let problem = cannot(written).label("a folder");
            return Err(Box::new(problem.help(format!("write `{folder}/*.yaml`"))));
        }
        Ok(vec![Found { path, name }])
    }

    fn matching(&mut self, written: &Spanned<String>) -> Result<Vec<Found>, Box<Diagnostic>> {
        let source = &self.reading.source;
        let folder = source.folder_at(written.span.start);
        let folder = folder.unwrap_or(Path::new(".")).to_owned();
        let shown = folder_of(Path::new(source.name_at(written.span.start))).to_owned();
        let named = |path: PathBuf| Found {
            // What is found is named without a `./`, whatever the folder is called.
            name: plain(&shown.join(below(&path, &folder))),
            path,
        };
        let found = self.reading.find(&folder, &shown, written);
        let found = found.map_err(|why| Box::new(cannot(written).label(why)))?;
        // The file that says it does not mean itself.
        let own = self.chain.last().map(|own| really(&own.path));
        let others = found.into_iter().filter(|path| Some(really(path)) != own);
        let files: Vec<Found> = others.map(named).collect();
        if files.is_empty() {
            if let Some(problem) = no_place(written, &folder, &shown) {
                return Err(Box::new(problem));
            }
            self.reading
                .diagnostics
                .push(finds_nothing(written, &shown));
        }
        if files.len() > FOUND_MAX {
            return Err(Box::new(too_many(written.span)));
        }
        Ok(files)
    }

    fn one(&mut self, file: Found, place: Span) {
        if let Err(problem) = self.may_be_taken(&file, place) {
            return self.missing(*problem);
        }
        let folder = folder_of(&file.path).to_owned();
        let text = match self.reading.text(&file.path, &file.name) {
            Ok(text) => text,
            Err(why) => {
                let problem = cannot(&Spanned::new(file.name.clone(), place)).label(why);
                return self.missing(problem.did_you_mean(neighbour(&file).as_deref()));
            }
        };
        let taken = (file.name.clone(), Some(place));
        self.taken.insert(really(&file.path), taken);
        let Some(mut part) = self.reading.tree(&file.name, &text, Some(&folder)) else {
            return;
        };
        let included = included(&mut part, self.reading);
        self.merged.add(part, &mut self.reading.diagnostics);
        self.chain.push(file);
        self.all(&included);
        self.chain.pop();
    }

    fn may_be_taken(&self, file: &Found, place: Span) -> Result<(), Box<Diagnostic>> {
        let path = really(&file.path);
        if let Some(first) = self.taken.get(&path) {
            let within = self
                .chain
                .iter()
                .position(|outer| really(&outer.path) == path);
            return Err(Box::new(match within {
                Some(from) => self.circle(from, file, place),
                None => twice(file, place, first),
            }));
        }
        if self.chain.len() > DEPTH_MAX {
            let problem =
                Diagnostic::error(code::TOO_LARGE, format!("more than {DEPTH_MAX} files deep"));
            let problem = problem.at(place).label("too deep");
            return Err(Box::new(problem.note(self.way(0, file))));
        }
        if self.taken.len() > FOUND_MAX {
            return Err(Box::new(too_many(place)));
        }
        Ok(())
    }

    fn circle(&self, from: usize, file: &Found, place: Span) -> Diagnostic {
        Diagnostic::error(
            code::INCLUDED_TWICE,
            format!("`{}` includes itself", file.name),
        )
        .at(place)
        .label("it is being read already")
        .note(self.way(from, file))
    }

    /// `a.yaml -> b.yaml -> a.yaml`
    fn way(&self, from: usize, to: &Found) -> String {
        let names = self.chain.iter().skip(from).chain([to]);
        let names: Vec<&str> = names.map(|file| file.name.as_str()).collect();
        names.join(" -> ")
    }
}

/// A path as seen from a folder.
fn below(path: &Path, folder: &Path) -> PathBuf {
    let path = without_dots(path);
    let below = path.strip_prefix(without_dots(folder)).map(Path::to_owned);
    below.unwrap_or(path)
}

/// The same file by any name.
fn really(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn cannot(written: &Spanned<String>) -> Diagnostic {
    let message = format!("cannot include `{}`", shortened(written));
    Diagnostic::error(code::CANNOT_INCLUDE, message).at(written.span)
}

fn twice(file: &Found, place: Span, (name, first): &(String, Option<Span>)) -> Diagnostic {
    let problem = Diagnostic::error(
        code::INCLUDED_TWICE,
        format!("`{}` is included twice", file.name),
    )
    .at(place)
    .label("included again here");
    let problem = match first {
        Some(first) if *first != place => problem.related(*first, "first included here"),
        _ => problem,
    };
    if *name == file.name {
        problem
    } else {
        problem.note(format!("`{name}` is the same file"))
    }
}

fn too_many(place: Span) -> Diagnostic {
    Diagnostic::error(code::TOO_LARGE, format!("more than {FOUND_MAX} files"))
        .at(place)
        .label("no further than here")
}

/// A pattern that cannot find anything, since it is none or begins where nothing is: a slip of the pen would take all routes away.
fn no_place(written: &Spanned<String>, folder: &Path, shown: &Path) -> Option<Diagnostic> {
    if written.contains(['{', '}']) {
        let problem = cannot(written).label("braces are taken as they are");
        return Some(problem.help("write a pattern for each: `[ \"*.yaml\", \"*.yml\" ]`"));
    }
    let beginning = pattern::beginning(folder, written);
    if beginning.is_dir() {
        return None;
    }
    let name = plain(&pattern::beginning(shown, written));
    let file = Found {
        path: beginning,
        name: name.clone(),
    };
    let problem = cannot(written).label(format!("there is no folder `{name}`"));
    let near = neighbour(&file).filter(|name| Path::new(name).is_dir());
    Some(problem.did_you_mean(near.as_deref()))
}

fn finds_nothing(written: &Spanned<String>, shown: &Path) -> Diagnostic {
    let problem = Diagnostic::warning(
        code::INCLUDES_NOTHING,
        format!("no file matches `{}`", shortened(written)),
    )
    .at(written.span)
    .label("includes nothing");
    match plain(&pattern::beginning(shown, written)).as_str() {
        "" => problem,
        folder => problem.note(format!("looked for in `{folder}`")),
    }
}

/// What may have been meant by one that is not there: a file beside it with nearly the same name, whatever its ending.
fn neighbour(file: &Found) -> Option<String> {
    if file.path.exists() {
        return None;
    }
    let entries = std::fs::read_dir(folder_of(&file.path)).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.take(FOUND_MAX).collect();
    names.sort();
    let stems = || names.iter().filter_map(|name| stem(name));
    let near = nearest(stem(file.path.to_str()?)?, stems())?;
    let name = names.iter().find(|name| stem(name) == Some(near))?;
    Some(plain(&folder_of(Path::new(&file.name)).join(name)))
}

fn stem(path: &str) -> Option<&str> {
    Path::new(path).file_stem()?.to_str()
}

#[cfg(test)]
mod tests;
