//! The stack of `docker-compose.yml`, built and run for real, and seen through its published port only.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use tidegate_tests::{Load, PATIENCE, client, eventually, skip};
use tokio::time::{Instant, timeout};

mod docker;

use docker::{Container, Stack, compose_command, docker};

/// From a change among the containers to the proxy's use of it: a look at the name server every 2 s, a probe.
const NOTICED: Duration = Duration::from_secs(10);

/// By then a failed server was probed: every 2 s, with jitter.
const FIRST_PROBE: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn the_stack_serves_scales_survives_and_follows_its_file() {
    let compose = match compose_command() {
        Ok(compose) => compose,
        Err(missing) => return skip("the compose test", &missing),
    };
    let begin = Instant::now();
    let step = |name: &str| println!("{:>6.1} s  {name}", begin.elapsed().as_secs_f32());
    step("build and start");
    let stack = Stack::start(compose);
    step("it serves the page and the API, from two instances by turns");
    serves(&stack).await;
    step("every container is confined and says that it is well");
    is_confined(&stack);
    is_healthy(&stack).await;
    step("only the proxy can be reached");
    is_closed(&stack).await;
    step("four instances");
    scales(&stack).await;
    step("one is killed, and comes back");
    survives(&stack).await;
    step("the routing file is edited");
    follows_its_file(&stack).await;
    step("the proxy ends when it is asked to");
    ends(&stack);
    step("tear down");
    drop(stack);
    step("done");
}

async fn serves(stack: &Stack) {
    eventually("the API answers through the proxy", PATIENCE, async || {
        get(&stack.url("/api/hello"))
            .await
            .is_ok_and(|answer| answer == (200, "Hello, World!".into()))
    })
    .await;
    eventually("the page is served", PATIENCE, async || {
        is_page(&get(&stack.url("/")).await.unwrap())
    })
    .await;
    eventually("two instances by turns", NOTICED, async || {
        let report = Load::run(&stack.url("/api/whoami"), 1, 10).await;
        let even =
            report.instances.len() == 2 && report.instances.values().all(|count| *count == 5);
        if even { Ok(()) } else { Err(report) }
    })
    .await;
    assert_eq!(get(&stack.admin_url("/ready")).await.unwrap().0, 200);
}

fn is_confined(stack: &Stack) {
    for service in ["proxy", "api", "frontend"] {
        for container in stack.containers(service) {
            assert_eq!(container.shell("id -u").trim(), "10001", "{service}");
            assert!(
                container
                    .shell("echo > /probe")
                    .contains("Read-only file system"),
                "{service}"
            );
            let status = container.shell("cat /proc/1/status");
            let says = |line: &str| {
                status
                    .lines()
                    .any(|found| found.split_whitespace().eq(line.split(' ')))
            };
            assert!(
                says("CapEff: 0000000000000000") && says("CapBnd: 0000000000000000"),
                "{service}: {status}"
            );
            assert!(says("NoNewPrivs: 1"), "{service}: {status}");
        }
    }
}

async fn is_healthy(stack: &Stack) {
    for service in ["proxy", "api", "frontend"] {
        eventually(
            &format!("{service} is healthy"),
            Duration::from_secs(40),
            async || {
                let all = stack.containers(service);
                let well = |container: &Container| {
                    container.facts["State"]["Health"]["Status"] == "healthy"
                };
                !all.is_empty() && all.iter().all(well)
            },
        )
        .await;
    }
}

async fn is_closed(stack: &Stack) {
    // What is asked for, not whether somebody accepts: there are gateways that accept for every address.
    for (service, place) in [("api", ":5252/api/whoami"), ("frontend", ":9000/health")] {
        for container in stack.containers(service) {
            assert_eq!(container.published(), [""; 0], "{service}");
            for address in container.addresses() {
                let answer = timeout(
                    Duration::from_secs(2),
                    get(&format!("http://{address}{place}")),
                )
                .await;
                let reached = matches!(answer, Ok(Ok((200, _))));
                assert!(
                    !reached,
                    "{service} can be reached at {address}{place}: {answer:?}"
                );
            }
        }
    }
    let [proxy] = &stack.containers("proxy")[..] else {
        panic!("not one proxy")
    };
    let published: BTreeSet<SocketAddr> = proxy
        .published()
        .iter()
        .map(|host| host.parse().unwrap())
        .collect();
    assert!(
        published.len() == 2 && published.iter().all(|host| host.ip().is_loopback()),
        "{published:?}"
    );
}

async fn scales(stack: &Stack) {
    let load = Load::start(&stack.url("/api/hello"), 4);
    stack.compose(&["up", "-d", "--no-recreate", "--scale", "api=4"]);
    answers_from(stack, &stack.containers("api"), 4).await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
}

async fn survives(stack: &Stack) {
    let before = stack.containers("api");
    let load = Load::start(&stack.url("/api/hello"), 4);
    load.more(100).await;
    docker(&["kill", &before[0].id]);
    let killed = Instant::now();
    eventually("requests go on past the first probe", NOTICED, async || {
        Load::run(&stack.url("/api/whoami"), 4, 20).await.failures() == 0
            && killed.elapsed() > FIRST_PROBE
    })
    .await;
    let during = load.stop().await;
    println!(
        "          while one was killed: {} requests, {} failed {:?}",
        during.total(),
        during.failures(),
        during.errors
    );
    // After the first probe at the latest, nobody notices.
    let after = Load::run(&stack.url("/api/whoami"), 8, 1000).await;
    assert_eq!(after.failures(), 0, "{after:?}");
    assert!(
        !after.instances.contains_key(before[0].hostname()),
        "{after:?}"
    );
    docker(&["start", &before[0].id]);
    answers_from(stack, &before, 4).await;
}

async fn follows_its_file(stack: &Stack) {
    let file = stack.routing_file();
    let good = std::fs::read_to_string(&file).unwrap();
    let other = good.replace("upstream: frontend }", "upstream: api }");
    assert_ne!(good, other);
    let load = Load::start(&stack.url("/api/hello"), 4);
    // As an editor that writes the file in place...
    std::fs::write(&file, &other).unwrap();
    let shows_page = async |wanted: bool| is_page(&get(&stack.url("/")).await.unwrap()) == wanted;
    eventually("the page is gone", NOTICED, async || {
        shows_page(false).await
    })
    .await;
    // ...and as one that puts a new one in its place. A mistake in between changes nothing.
    replace(&file, "listeners: [ this is no routing file");
    load.more(100).await;
    assert!(shows_page(false).await);
    replace(&file, &good);
    eventually("the page is back", NOTICED, async || shows_page(true).await).await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
}

/// In time, and with a good exit code: the program is the container's first process and handles SIGTERM itself.
fn ends(stack: &Stack) {
    let [proxy] = &stack.containers("proxy")[..] else {
        panic!("not one proxy")
    };
    let begin = Instant::now();
    stack.compose(&["stop", "proxy"]);
    let state = &Container::inspect(&proxy.id).facts["State"];
    assert_eq!(state["ExitCode"], 0, "{state}");
    assert!(
        begin.elapsed() < Duration::from_secs(25),
        "{:?}",
        begin.elapsed()
    );
}

/// Waits until exactly these containers answer, each of them.
async fn answers_from(stack: &Stack, containers: &[Container], count: usize) {
    let names: BTreeSet<&str> = containers.iter().map(Container::hostname).collect();
    assert_eq!(names.len(), count);
    let begin = Instant::now();
    eventually("all instances answer, and no other", NOTICED, async || {
        let report = Load::run(&stack.url("/api/whoami"), 1, 20).await;
        let found: BTreeSet<&str> = report.instances.keys().map(String::as_str).collect();
        if found == names {
            Ok(())
        } else {
            Err(format!("{found:?} of {names:?}"))
        }
    })
    .await;
    println!(
        "          seen after {:.1} s",
        begin.elapsed().as_secs_f32()
    );
}

fn is_page(answer: &(u16, String)) -> bool {
    answer.0 == 200 && answer.1.contains("id=\"dynamic-content\"")
}

async fn get(url: &str) -> reqwest::Result<(u16, String)> {
    let response = client().get(url).send().await?;
    Ok((response.status().as_u16(), response.text().await?))
}

fn replace(file: &std::path::Path, text: &str) {
    let beside = file.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, file).unwrap();
}
