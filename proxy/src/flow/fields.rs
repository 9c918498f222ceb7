//! The fields of a request, changed where they are.
//!
//! Pingora keeps the spelling of each name in a second map, and every change through it costs two look-ups, two insertions
//! and, as the maps grow, two reallocations. What goes to a server has its names in lower case, as everything that comes
//! over HTTP/2 has; an answer to a client keeps the spelling of its server.

use http::HeaderMap;
use http::request::Parts;
use pingora::http::RequestHeader;

/// From here on the names are in lower case, and there is one map.
///
/// # Errors
/// As for [`change`].
pub fn forget_spelling(request: &mut RequestHeader) -> pingora::Result<()> {
    if request.has_case() {
        change(request, |_| ())?;
    }
    Ok(())
}

/// Changes the fields of `request`.
///
/// # Errors
/// Only if its target cannot be written again, which is a mistake of ours.
pub fn change<T>(
    request: &mut RequestHeader,
    change: impl FnOnce(&mut HeaderMap) -> T,
) -> pingora::Result<T> {
    let (nothing, ()) = http::Request::new(()).into_parts();
    let ends = request.send_end_stream();
    // One that is no path, or not text, is not in the URI.
    let in_uri = request.uri.path_and_query();
    let is_in_uri = in_uri.is_some_and(|target| target.as_str().as_bytes() == request.raw_path());
    let target = (!is_in_uri).then(|| request.raw_path().to_vec());
    let mut parts = Parts::from(std::mem::replace(request, RequestHeader::from(nothing)));
    let result = change(&mut parts.headers);
    *request = RequestHeader::from(parts);
    if let Some(target) = target {
        request.set_raw_path(&target)?;
    }
    if let Some(ends) = ends {
        request.set_send_end_stream(ends);
    }
    Ok(result)
}
