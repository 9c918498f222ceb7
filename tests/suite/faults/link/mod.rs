//! A link between two networks of the test's own that delays, loses and cuts: the proxy and its clients on the near side, servers
//! on the far one.
//!
//! Both are network namespaces of Linux, and TCP on them is the kernel's. What joins them are two TUN devices, whose packets a thread
//! carries across: `tc netem` does the same where the kernel has it, and many do not. Nothing of it has a name, so nothing is left that
//! a later run could stumble over.

mod carrier;
mod faults;
mod namespace;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tidegate_tests::Api;

use self::carrier::{Carrier, Quality};
use self::namespace::Namespace;
use crate::scene::Scene;
use crate::{Edits, Line, print};

/// The proxy's side.
const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// Three servers. The addresses are nobody else's: both networks are the test's own.
const FAR: [Ipv4Addr; 3] = [
    Ipv4Addr::new(10, 77, 0, 2),
    Ipv4Addr::new(10, 77, 0, 3),
    Ipv4Addr::new(10, 77, 0, 4),
];

const PORT: u16 = 5252;

/// Runs a fault of the link twice at the same time, each on a link of its own; see [`crate::twice`].
fn twice<R>(fault: &'static str, quality: Quality, options: &'static [&str], run: R)
where
    R: AsyncFn(&Scene, &Carrier) -> Line + Copy + Send + 'static,
{
    if !Namespace::is_possible(fault) {
        return;
    }
    let start = |edits| {
        std::thread::spawn(move || {
            let line = across(quality, options, edits, run);
            print(fault, edits, &line);
        })
    };
    let both = [start(Edits::None), start(Edits::Under)];
    for run in both {
        if let Err(panic) = run.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// This thread, and all that it starts, is on the near side from here on.
fn across(
    quality: Quality,
    options: &[&str],
    edits: Edits,
    run: impl AsyncFn(&Scene, &Carrier) -> Line,
) -> Line {
    let (near, far) = (Arc::new(Namespace::make()), Arc::new(Namespace::make()));
    let carrier = Carrier::start(&near, &far, quality);
    let _apis = far.within(start_apis);
    near.enter();
    runtime().block_on(async {
        let servers = FAR.map(|ip| SocketAddr::from((ip, PORT)));
        let scene = Scene::start(&servers, options, edits).await;
        scene.ready(3).await;
        let line = run(&scene, &carrier).await;
        scene.in_service(&["a", "b", "c"]).await;
        line
    })
}

fn start_apis() -> [Api; 3] {
    runtime().block_on(async {
        let [a, b, c] = FAR.map(|ip| SocketAddr::from((ip, PORT)));
        [
            Api::start_at("a", a).await,
            Api::start_at("b", b).await,
            Api::start_at("c", c).await,
        ]
    })
}

/// On this thread only: its sockets are those of the thread's network.
fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}
