//! What `docs/upstreams.md` says about answers is what becomes of servers that give them.

use tidegate_tests::{Gateway, Origin, PATIENCE, eventually, examples};

use super::{becomes, state};

/// Answers everything with a status and a body, which a line of the page begins with.
async fn answering(line: &str) -> Origin {
    let (status, body) = line.split_once(' ').unwrap_or((line, ""));
    let length = body.len();
    let answer = format!("HTTP/1.1 {status} Status\r\nContent-Length: {length}\r\n\r\n{body}");
    Origin::answering(answer.as_bytes()).await
}

#[tokio::test]
async fn the_servers_of_the_page_are_what_it_says() {
    let mut count = 0;
    for (piece, lines) in examples("upstreams.md") {
        if !piece.starts_with("health_check:") {
            continue;
        }
        for (line, expected) in lines {
            let server = answering(&line).await;
            // The page names a port that a test does not have.
            let piece: String = piece
                .lines()
                .filter(|line| !line.trim_start().starts_with("port:"))
                .map(|line| format!("    {line}\n"))
                .collect();
            let gateway = Gateway::start(&format!(
                "upstreams:\n  api:\n    servers: [ \"{}\" ]\n{piece}routes: {{ all: {{ upstream: api }} }}\n",
                server.address()
            ))
            .await;
            if expected == "up" {
                becomes(&gateway, server.address(), "up").await;
            } else {
                let told = async || state(&gateway, server.address()).await["reason"] == expected;
                eventually(&format!("{line}: {expected}"), PATIENCE, told).await;
            }
            count += 1;
        }
    }
    assert!(count >= 8, "only {count} answers");
}
