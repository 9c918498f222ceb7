//! Listeners and the operator's side: at least one, and no two in each other's way.

use std::net::SocketAddr;

use super::Context;
use crate::config::code;
use crate::config::diagnostic::Diagnostic;
use crate::config::spanned::Spanned;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let listeners = &context.file.listeners;
    if listeners.written().next().is_none() && !context.incomplete {
        found.push(none(context));
    }
    let mut taken: Vec<(String, Spanned<SocketAddr>)> = Vec::new();
    for (name, listener) in listeners.iter() {
        claim(
            &mut taken,
            format!("listener `{name}`"),
            listener.address,
            found,
        );
        if let Some(protocols) = &listener.protocols
            && protocols.is_empty()
            && !context.broken_within("listeners", name, "protocols")
        {
            found.push(
                Diagnostic::error(
                    code::NO_PROTOCOL,
                    format!("listener `{name}` speaks nothing"),
                )
                .at(protocols.span)
                .label("an empty list")
                .help("name a protocol, or remove the key for all of them"),
            );
        }
    }
    if let Some(admin) = &context.file.admin {
        claim(&mut taken, "`admin`".to_owned(), admin.address, found);
    }
}

fn none(context: &Context<'_>) -> Diagnostic {
    let diagnostic = Diagnostic::error(code::NO_LISTENER, "no listener: nobody could connect")
        .help("add one, such as `web: { address: \"0.0.0.0:80\" }`");
    match context.section("listeners") {
        Some(span) => diagnostic.at(span).label("nothing in here"),
        None => diagnostic,
    }
}

fn claim(
    taken: &mut Vec<(String, Spanned<SocketAddr>)>,
    who: String,
    address: Spanned<SocketAddr>,
    found: &mut Vec<Diagnostic>,
) {
    if let Some((first, place)) = taken
        .iter()
        .find(|(_, other)| collide(other.value, address.value))
    {
        found.push(
            Diagnostic::error(
                code::SAME_PORT,
                format!("{first} and {who} would listen on the same port"),
            )
            .at(address.span)
            .label(overlap(place.value, address.value))
            .related(place.span, format!("{first} is here")),
        );
    }
    taken.push((who, address));
}

/// `0.0.0.0` stands for every IPv4 address, `[::]` for every address of both kinds (as Linux and macOS bind it).
/// Port 0 asks the system for a free one and meets nobody.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && a.port() != 0 && (a.ip() == b.ip() || covers(a, b) || covers(b, a))
}

fn covers(wide: SocketAddr, narrow: SocketAddr) -> bool {
    wide.ip().is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4())
}

fn overlap(first: SocketAddr, second: SocketAddr) -> String {
    match (first == second, covers(first, second)) {
        (true, _) => "the same address".to_owned(),
        (false, true) => format!("`{first}` takes this address as well"),
        (false, false) => format!("`{second}` takes the address of the other as well"),
    }
}
