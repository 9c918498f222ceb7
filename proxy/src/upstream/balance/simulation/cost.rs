//! What a pick costs: the figures of `docs/upstreams.md`.

use super::*;

/// `cargo test --release -p tidegate --lib what_a_pick_costs -- --ignored --nocapture`
#[test]
#[ignore = "prints figures; they mean something in a release build only"]
fn what_a_pick_costs() {
    const PICKS: u32 = 2_000_000;
    for count in [2, 10, 1000] {
        for (name, policy) in ALL {
            let ready = servers(&vec![1; count]);
            let policy = policy();
            let picker = policy.picker(&ready);
            let now = Instant::now();
            if let Some(learner) = policy.learner() {
                for server in &ready {
                    let outcome = Outcome {
                        end: End::Answered,
                        took: Duration::from_millis(10),
                        at: now - DECAY,
                    };
                    learner.note(server, &ready, &outcome);
                }
            }
            let _busy: Vec<InFlight> = ready.iter().map(|server| server.enter()).collect();
            let asked = Asked {
                tried: Tried::NONE,
                purpose: Purpose::Serve,
                key: None,
                now,
            };
            let start = Instant::now();
            for _ in 0..PICKS {
                std::hint::black_box(picker.pick(&ready, &asked));
            }
            let each = start.elapsed().as_nanos() as f64 / f64::from(PICKS);
            println!("{count:>5} servers {name:<14} {each:6.1} ns");
        }
    }
}
