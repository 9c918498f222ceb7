//! The head of a request, changed where it is.
//!
//! Pingora keeps the spelling of each name in a second map, and every change through it costs two look-ups, two insertions
//! and, as the maps grow, two reallocations. So a server gets the names as it gets those that came over HTTP/2: a dozen of
//! the usual ones in Pingora's title case (`Host`, `Content-Type`), the others in lower case. An answer to a client keeps
//! the spelling of its server.

use http::request::Parts;
use pingora::http::RequestHeader;

/// Changes the head; from here on there is one map of names.
///
/// # Errors
/// Only if its target cannot be written again, which is a mistake of ours.
pub fn change<T>(
    request: &mut RequestHeader,
    change: impl FnOnce(&mut Parts) -> T,
) -> pingora::Result<T> {
    let (nothing, ()) = http::Request::new(()).into_parts();
    // One that is no path, or not text, is not in the URI.
    let in_uri = request.uri.path_and_query();
    let is_in_uri = in_uri.is_some_and(|target| target.as_str().as_bytes() == request.raw_path());
    let target = (!is_in_uri).then(|| (request.raw_path().to_vec(), request.uri.clone()));
    let mut parts = Parts::from(std::mem::replace(request, RequestHeader::from(nothing)));
    let result = change(&mut parts);
    *request = RequestHeader::from(parts);
    if let Some((target, _)) = target.filter(|(_, before)| *before == request.uri) {
        request.set_raw_path(&target)?;
    }
    Ok(result)
}
