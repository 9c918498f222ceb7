//! The 404 page: the site's own `404.html`, with the status it stands for. Read when needed, so that it can be edited
//! like any other page; a site without one gets a line of text.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;

use crate::contained::Root;

/// Puts the page where the files had nothing.
pub async fn page(State(root): State<Root>, request: Request, next: Next) -> Response {
    // `//elsewhere.test` names no file, and a redirect built from it would leave for another host.
    if !request.uri().path().starts_with("//") {
        let answer = next.run(request).await;
        if answer.status() != StatusCode::NOT_FOUND {
            return answer;
        }
    }
    match tokio::fs::read(root.path().join("404.html")).await {
        Ok(page) => (StatusCode::NOT_FOUND, Html(page)).into_response(),
        Err(_) => (StatusCode::NOT_FOUND, "There is nothing here.\n").into_response(),
    }
}
