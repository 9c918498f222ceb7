//! What clients see while servers fail in every way that they know: each fault with real processes and sockets, a bounded
//! load of GETs and of POSTs, and what became of each of them.
//!
//! Every fault runs twice at the same time: as it is, and with edits of the file in the middle of the load, which must change
//! nothing. Each run prints a line that `docs/faults.md` has in its words:
//!
//! ```text
//! fault: killed             | GET 60/60 ok | POST 59/60 ok, 1x 502 upstream_closed | back in service: yes
//! fault: killed, and edits  | GET 60/60 ok | POST 60/60 ok | back in service: yes
//! ```

mod broken_off;
mod flapping;
mod half_open;
#[cfg(target_os = "linux")]
mod link;
mod names;
mod processes;
mod scene;
mod seen;
mod servers;
mod sockets;

use std::io::Write;

use crate::seen::Ends;

/// Whether the file is edited while requests are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edits {
    None,
    Under,
}

/// What was seen of one fault.
struct Line {
    get: Ends,
    post: Ends,
}

/// Both runs of a fault, at the same time. A run that returns has seen everything in service again.
async fn twice(fault: &str, run: impl AsyncFn(Edits) -> Line) {
    let (without, with) = tokio::join!(run(Edits::None), run(Edits::Under));
    print(fault, &without);
    print(&format!("{fault}, and edits"), &with);
}

/// Straight to the file descriptor: what a test that passes prints is thrown away otherwise.
fn print(fault: &str, line: &Line) {
    let _ = writeln!(
        std::io::stderr(),
        "fault: {fault:<50} | GET {} | POST {} | back in service: yes",
        line.get,
        line.post
    );
}
