//! `body_limit`: the largest body of a request. A larger one is answered 413.
//!
//! ```yaml
//! filters: [ { body_limit: 1MiB } ]
//! ```
//!
//! One that announces its length is refused before a server hears of it. One that does not is held back until it is whole,
//! as far as 64 KiB of it can be: up to that limit no server sees a byte of a body that is too large. Of a larger limit the
//! rest goes on as it comes, and the connection to the server ends in the middle when it turns out to be too much.

use std::sync::Arc;

use http::HeaderMap;
use http::header::CONTENT_LENGTH;

use super::{Filter, Request, Verdict};
use crate::component::{Kind, Options};
use crate::config::{Diagnostic, Size, Spanned};
use crate::error::Failure;

pub(super) const KIND: Kind<Arc<dyn Filter>> =
    Kind::new::<Spanned<Size>>("body_limit", "the largest body of a request", build);

struct BodyLimit(u64);

fn build(options: &Options<'_>) -> Result<Arc<dyn Filter>, Vec<Diagnostic>> {
    let size: Spanned<Size> = options.decode()?;
    Ok(Arc::new(BodyLimit(size.bytes())))
}

impl Filter for BodyLimit {
    fn request(&self, request: &mut Request<'_>) -> Verdict {
        let length = request.headers.get(CONTENT_LENGTH);
        let announced = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > self.0) {
            return Verdict::Refuse(Failure::BodyTooLarge, HeaderMap::new());
        }
        let most = request.body_size.map_or(self.0, |most| most.min(self.0));
        request.body_size = Some(most);
        Verdict::Continue
    }
}
