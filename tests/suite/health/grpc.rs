//! `grpc`: a server that has the standard health service is asked by its protocol.

use tidegate_tests::{Gateway, GrpcHealth, Origin, PATIENCE, Says, eventually, refusing_address};

use super::{becomes, routing, state};

const QUICK: &str = "interval: 50ms, healthy_after: 1, unhealthy_after: 1";

#[tokio::test]
async fn a_server_is_asked_the_way_grpc_asks() {
    let server = GrpcHealth::start(Says::Status(1)).await;
    let check = format!("grpc: {{ service: shop.Orders, authority: shop.internal, {QUICK} }}");
    let gateway = Gateway::start(&routing(&[server.address()], &check)).await;
    becomes(&gateway, server.address(), "up").await;
    let asked = server.asked().remove(0);
    assert_eq!(asked.head.method, "POST");
    assert_eq!(
        asked.head.uri,
        "http://shop.internal/grpc.health.v1.Health/Check"
    );
    assert_eq!(asked.head.headers["content-type"], "application/grpc");
    assert_eq!(asked.head.headers["te"], "trailers");
    assert_eq!(asked.frame, b"\0\0\0\0\x0d\x0a\x0bshop.Orders");
    let more = async || server.asked().len() > 3;
    eventually("it is asked again and again", PATIENCE, more).await;
    assert!(
        server.accepted() >= server.asked().len(),
        "over a connection each"
    );
    // One may be under way.
    eventually("none is left open", PATIENCE, async || server.open() <= 1).await;
}

#[tokio::test]
async fn without_a_service_the_server_as_a_whole_is_asked_about() {
    let server = GrpcHealth::start(Says::Status(1)).await;
    let check = format!("grpc: {{ {QUICK} }}");
    let gateway = Gateway::start(&routing(&[server.address()], &check)).await;
    becomes(&gateway, server.address(), "up").await;
    let asked = server.asked().remove(0);
    assert_eq!(asked.head.uri.authority().unwrap(), "tidegate");
    assert_eq!(asked.frame, b"\0\0\0\0\0");
}

#[tokio::test]
async fn all_but_serving_is_down_and_the_reason_names_it() {
    let server = GrpcHealth::start(Says::Status(1)).await;
    let check = format!("grpc: {{ timeout: 1s, {QUICK} }}");
    let gateway = Gateway::start(&routing(&[server.address()], &check)).await;
    becomes(&gateway, server.address(), "up").await;
    for (says, expected) in [
        (Says::Status(2), "it answered NOT_SERVING, expected SERVING"),
        (Says::Status(0), "it answered UNKNOWN, expected SERVING"),
        (
            Says::Status(3),
            "it answered SERVICE_UNKNOWN, expected SERVING",
        ),
        (Says::Code("5"), "it answered NOT_FOUND, expected SERVING"),
        (
            Says::Code("12"),
            "it answered UNIMPLEMENTED, expected SERVING",
        ),
        (
            Says::ButThen("14"),
            "it answered UNAVAILABLE, expected SERVING",
        ),
        (
            Says::Http(404),
            "it answered HTTP status 404, and not in gRPC",
        ),
        (Says::Http(200), "it answered, but not in gRPC"),
        (
            Says::Bytes(b"<html>"),
            "it answered, but no `HealthCheckResponse`",
        ),
        (Says::Nothing, "no answer within 1s"),
    ] {
        server.says(says);
        let told = async || state(&gateway, server.address()).await["reason"] == expected;
        eventually(&format!("{says:?}: {expected}"), PATIENCE, told).await;
        becomes(&gateway, server.address(), "down").await;
    }
    server.says(Says::Status(1));
    becomes(&gateway, server.address(), "up").await;
}

#[tokio::test]
async fn a_server_that_does_not_speak_http_2_is_down_and_so_is_none() {
    let old = Origin::answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    let closes = Origin::start(|mut connection| async move {
        let answer = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
        connection.read_head().await;
        connection.write(answer).await;
    })
    .await;
    let mute = Origin::hanging().await;
    let refused = refusing_address();
    let servers = [old.address(), closes.address(), mute.address(), refused];
    let check = format!("grpc: {{ timeout: 500ms, {QUICK} }}");
    let gateway = Gateway::start(&routing(&servers, &check)).await;
    for (server, expected) in [
        (old.address(), ", over HTTP/2"),
        (closes.address(), ", over HTTP/2"),
        (mute.address(), "no answer within 500ms"),
        (refused, "connection refused"),
    ] {
        becomes(&gateway, server, "down").await;
        let reason = state(&gateway, server).await["reason"].to_string();
        assert!(reason.contains(expected), "{reason}");
    }
    let gone = async || old.open() <= 1 && mute.open() <= 1;
    eventually("their connections are closed", PATIENCE, gone).await;
}
