//! A server that resets the connection within its answer. The client has a part of it, so nothing can be sent again: what is
//! left is that no client takes the part for the whole.

use std::sync::Arc;

use tidegate_tests::{Connection, Origin, PATIENCE, eventually};
use tokio::sync::Notify;

use crate::scene::{LOAD, Scene};
use crate::seen::{BREAKS_OFF, CUT_OFF, Method};
use crate::servers::{Failing, two_well};
use crate::{Line, twice};

/// Half of an answer, by its length and in pieces in turn. The first half is well-formed for all that a client can tell.
async fn failing(first_piece: Arc<Notify>) -> Failing {
    Failing::start(move |mut connection: Connection, number| {
        let first_piece = Arc::clone(&first_piece);
        async move {
            let framing = [
                "Content-Length: 100\r\n\r\n",
                "Transfer-Encoding: chunked\r\n\r\n12\r\n",
            ];
            let framing = framing[number % 2];
            let half = format!(
                "HTTP/1.1 200 OK\r\n{BREAKS_OFF}: yes\r\n{framing}{{\"instance\":\"a\"}}  "
            );
            connection.write(half.as_bytes()).await;
            if number % 2 == 1 {
                connection.write(b"\r\n").await;
            }
            // A reset overtakes what was not read yet.
            first_piece.notified().await;
            connection.reset();
            None
        }
    })
    .await
}

/// By length and chunked, on HTTP/1 and on HTTP/2: `seen` takes nothing for whole whose end did not come.
#[tokio::test]
async fn resetting_within_the_answer() {
    twice("resetting within the answer", async |edits| {
        let told = Arc::new(Notify::new());
        let (failing, others) = (failing(Arc::clone(&told)).await, two_well().await);
        let all = [&failing.origin, &others[0], &others[1]];
        let scene = Scene::start(&all.map(Origin::address), &[], edits).await;
        // One at a time: the piece that came is that of the server that waits.
        let scene = scene.in_single_file(told);
        let line = Line {
            get: scene.load(Method::Get).await,
            post: scene.load(Method::Post).await,
        };
        for ends in [&line.get, &line.post] {
            ends.all_but(&[(CUT_OFF, LOAD / 3 - 2..=LOAD / 3 + 2)]);
        }
        let cut = line.get.of(CUT_OFF) + line.post.of(CUT_OFF);
        eventually("the log has it", PATIENCE, async || {
            let lines = scene.gateway.log_lines();
            let told = lines.iter().filter(|it| it["failure"] == "upstream_closed");
            told.count() == cut
        })
        .await;
        failing.heal();
        scene.in_service(&["a", "b", "c"]).await;
        line
    })
    .await;
}
