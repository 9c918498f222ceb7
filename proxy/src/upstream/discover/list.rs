//! Servers as a list writes them, which is how the routing file writes them: for every source whose answer is a text.

use crate::config::{self, Report};
use crate::upstream::ServerSpec;

/// The servers of a list, in YAML or JSON. `name` is what it is called where something is wrong with it.
///
/// # Errors
/// Why it cannot be used, in words that go on from a source's label. An empty list is no list.
pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Vec<ServerSpec>, String> {
    let listed = config::servers(name, bytes).map_err(|report| useless(&report))?;
    Ok(listed
        .iter()
        .map(|server| ServerSpec::from(&server.value))
        .collect())
}

/// One server that stands by itself: `10.0.0.7:80`, or `{ address: "10.0.0.7:80", weight: 2 }`.
///
/// # Errors
/// Those of [`read`].
pub(super) fn one(name: &str, bytes: &[u8]) -> Result<ServerSpec, String> {
    let server = config::server(name, bytes).map_err(|report| useless(&report))?;
    Ok(ServerSpec::from(&server))
}

/// The first mistake with its place, in one line, and how many more there are.
fn useless(report: &Report) -> String {
    let Some(first) = report.diagnostics.first() else {
        return "cannot be used".to_owned();
    };
    let place = first.span.map_or_else(
        || report.source.name().to_owned(),
        |span| {
            let place = report.source.place(span);
            format!("{}:{}:{}", place.file, place.line, place.column)
        },
    );
    let more = match report.errors().saturating_sub(1) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    format!("cannot be used: {place}: {}{more}", first.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_one_line_with_its_place() {
        let wrong = read("servers.yaml", b"- a:80\n- b\n- c\n").unwrap_err();
        assert_eq!(
            wrong,
            "cannot be used: servers.yaml:2:3: `b` has no port (and 1 more)"
        );
        let wrong = one("/servers/a", b"{ address: a:80, weight: 2000 }").unwrap_err();
        assert!(
            wrong.starts_with("cannot be used: /servers/a:1:"),
            "{wrong}"
        );
        let empty = read("servers.yaml", b"\n").unwrap_err();
        assert_eq!(
            empty,
            "cannot be used: servers.yaml: the list names no server"
        );
    }

    #[test]
    fn a_server_has_all_that_the_list_says_of_it() {
        let listed = read(
            "x",
            b"- { address: api:80, weight: 3, backup: true, state: drain }\n- 10.0.0.7:81\n",
        );
        let told: Vec<String> = listed
            .unwrap()
            .iter()
            .map(|one| format!("{one} {:?}", one.seat))
            .collect();
        let plain = one("x", b"10.0.0.7:81").unwrap();
        assert!(
            told[0].starts_with("api:80")
                && told[0].contains("weight: 3")
                && told[0].contains("Draining"),
            "{told:?}"
        );
        assert_eq!(told[1], format!("{plain} {:?}", plain.seat));
    }
}
