//! What comes at once on a kept connection is of the time before the request; what comes later is about the request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Method, Response};
use tidegate_tests::{Connection, Gateway, Origin, client};

use crate::{Counting, End, OK, assert_failure, requests, routing};

/// Longer than any round trip.
const WORK: Duration = Duration::from_millis(500);

/// A server that answers the first request of each connection and works on the second one before it does what `then` says; how many it
/// has worked on.
async fn works_then<F>(
    then: impl Fn(Connection) -> F + Clone + Send + 'static,
) -> (Origin, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let works = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&works);
    let origin = Origin::start(move |mut connection| {
        let (counted, then) = (Arc::clone(&counted), then.clone());
        async move {
            connection.read_head().await;
            connection.write(OK).await;
            if connection.read_head().await.is_some() {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(WORK).await;
                then(connection).await;
            }
        }
    })
    .await;
    (origin, works)
}

/// The answer to the second of two requests on one connection, the first of which leaves a connection to the server.
async fn second(gateway: &Gateway, method: Method) -> Response {
    let client = client();
    let url = gateway.url("/");
    let first = client.get(&url).send().await.unwrap();
    assert_eq!(first.bytes().await.unwrap(), "ok");
    client.request(method, &url).send().await.unwrap()
}

#[tokio::test]
async fn a_server_that_worked_before_it_hung_up_has_failed_the_request() {
    let (bad, works) = works_then(|_| async {}).await;
    let gateway = Gateway::start(&routing(&[bad.address()], &[])).await;
    assert_failure(second(&gateway, Method::POST).await, 502, "upstream_closed").await;
    let counted = requests(&gateway).await;
    assert_eq!(counted["failures"]["upstream_closed"], 1, "{counted}");

    // Not even what may be repeated goes there again.
    assert_failure(second(&gateway, Method::GET).await, 502, "upstream_closed").await;
    assert_eq!(works.load(Ordering::SeqCst), 2);
    assert_eq!(requests(&gateway).await["retries"], 0);
    let server = &gateway.operator("/upstreams").await[0]["servers"][0];
    assert_eq!(server["attempts"]["failed"], 2, "{server}");
}

/// A client that is bound to its server, and another one that is ready.
#[tokio::test]
async fn it_is_left_for_another_one_on_the_budget() {
    let (bad, works) = works_then(|_| async {}).await;
    let good = Counting::start(End::Answer).await;
    let options = |budget: &str| {
        let servers = [bad.address(), good.address()];
        // The backup is asked when nobody else is left.
        routing(&servers, &[budget]).replace(
            &format!("\"{}\"", good.address()),
            &format!("{{ address: \"{}\", backup: true }}", good.address()),
        )
    };
    let gateway = Gateway::start(&options("retry: { budget: { share: 0%, min: 1 } }")).await;
    assert_eq!(second(&gateway, Method::GET).await.status(), 200);
    let counted = requests(&gateway).await;
    assert_eq!(counted["retries_after"]["perhaps_processed"], 1);
    assert_eq!((works.load(Ordering::SeqCst), good.requests()), (1, 1));

    let gateway = Gateway::start(&options("retry: { budget: { share: 0%, min: 0 } }")).await;
    assert_eq!(second(&gateway, Method::GET).await.status(), 502);
    assert_eq!(requests(&gateway).await["retries_denied"], 1);
}

/// It gave up working on it, as the time-outs of some frameworks say.
#[tokio::test]
async fn a_408_after_work_is_an_answer_and_the_work_is_not_done_twice() {
    const GIVEN_UP: &[u8] = b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n";
    const AND_GONE: &[u8] = b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for answer in [GIVEN_UP, AND_GONE] {
        let says = move |mut connection: Connection| async move {
            connection.write(answer).await;
        };
        let (origin, works) = works_then(says).await;
        let gateway = Gateway::start(&routing(&[origin.address()], &[])).await;
        assert_eq!(second(&gateway, Method::POST).await.status(), 408);
        assert_eq!(works.load(Ordering::SeqCst), 1);
    }
}

/// At once, but it does not say that it hangs up: it is one of its answers.
#[tokio::test]
async fn a_408_that_leaves_the_connection_open_is_an_answer() {
    let origin = Origin::start(|mut connection| async move {
        connection.read_head().await;
        connection.write(OK).await;
        while connection.read_head().await.is_some() {
            let late = b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n";
            connection.write(late).await;
        }
    })
    .await;
    let gateway = Gateway::start(&routing(&[origin.address()], &[])).await;
    assert_eq!(second(&gateway, Method::POST).await.status(), 408);
    assert_eq!(origin.accepted(), 1);
}
