//! Where secrets stand in a routing file: the value of a field, a cookie or an option whose name says so. The names that the
//! file gives to its own things say nothing: an upstream may be called `tokens`.
//!
//! Two go by this: what is printed is masked (`effective/mask.rs`), and who writes a secret in plain text is told
//! (`plan/doubts/secrets.rs`).

use crate::config::secrets::{is_of_a_secret, tells};

/// What the entries of a map are called after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// Keys of the file, and options.
    Keys,
    /// Names that the file gives to its own things.
    Own,
    /// What a test expects.
    Expected,
    /// Fields, cookies and parameters, with their values.
    Fields,
    /// Fields, cookies and parameters that open a door.
    Passes,
    /// Users, with the hashes of their passwords.
    Users,
}

/// A map of the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    names: Names,
    /// Whether it lies in something that lets through whoever fulfils it.
    is_pass: bool,
}

impl Place {
    /// The value of a key at the top.
    pub(super) fn section(name: &str) -> Self {
        let names = match name {
            "listeners" | "upstreams" | "filters" | "routes" | "tests" => Names::Own,
            _ => Names::Keys,
        };
        let is_pass = false;
        Self { names, is_pass }
    }

    /// The options of a component.
    pub(super) fn options() -> Self {
        Self::section("")
    }

    /// What lies below a name.
    pub(super) fn below(self, name: &str) -> Self {
        let names = match (self.names, name) {
            (Names::Keys, "header" | "cookie" | "query") if self.is_pass => Names::Passes,
            (Names::Keys, "set" | "add" | "headers" | "header" | "cookie" | "query") => {
                Names::Fields
            }
            (Names::Keys, "expect") => Names::Expected,
            (Names::Expected, "request_headers" | "response_headers") => Names::Fields,
            (Names::Keys, "users") => Names::Users,
            (Names::Keys, "rename" | "split") => Names::Own,
            (Names::Fields, _) => Names::Fields,
            _ => Names::Keys,
        };
        let is_pass = self.is_pass || name == "except";
        Self { names, is_pass }
    }

    /// Whether what has this name is a secret.
    pub(super) fn is_secret(self, name: &str) -> bool {
        match self.names {
            Names::Own | Names::Expected => false,
            Names::Keys => tells(name),
            Names::Fields => is_of_a_secret(name),
            Names::Passes | Names::Users => true,
        }
    }

    /// Whether its name says that it is one, and it is not a hash.
    pub(super) fn says_secret(self, name: &str) -> bool {
        match self.names {
            Names::Passes => is_of_a_secret(name),
            Names::Users => false,
            _ => self.is_secret(name),
        }
    }
}
