//! What a client can read: `Accept-Encoding` (RFC 9110, section 12.5.3).

use http::HeaderValue;

use super::Algorithm;

/// Qualities in thousandths, as far as they were given.
#[derive(Debug, Default)]
pub(super) struct Accepted {
    given: [Option<u16>; Algorithm::ALL.len()],
    identity: Option<u16>,
    others: Option<u16>,
}

impl Accepted {
    pub(super) fn read<'v>(values: impl IntoIterator<Item = &'v HeaderValue>) -> Self {
        let mut accepted = Self::default();
        for value in values {
            for item in value.to_str().unwrap_or_default().split(',') {
                accepted.note(item);
            }
        }
        accepted
    }

    fn note(&mut self, item: &str) {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        let name = name.trim().to_ascii_lowercase();
        let quality = quality(parameters);
        // `x-gzip` is an older word for the same (section 8.4.1.3).
        let name = name
            .strip_prefix("x-")
            .filter(|name| *name == "gzip")
            .unwrap_or(&name);
        let known = Algorithm::ALL.iter().position(|one| one.name() == name);
        match (known, name) {
            (Some(place), _) => {
                if let Some(given) = self.given.get_mut(place) {
                    *given = Some(quality);
                }
            }
            (None, "identity") => self.identity = Some(quality),
            (None, "*") => self.others = Some(quality),
            (None, _) => {}
        }
    }

    /// The one of these that the client likes best; of equals, the first. None if it likes none, or likes the bytes as they are
    /// better.
    pub(super) fn best(&self, algorithms: &[Algorithm]) -> Option<Algorithm> {
        let mut best: Option<(Algorithm, u16)> = None;
        for algorithm in algorithms {
            let place = Algorithm::ALL.iter().position(|one| one == algorithm);
            let given = place.and_then(|place| self.given.get(place).copied().flatten());
            let quality = given.or(self.others).unwrap_or(0);
            if quality > best.map_or(0, |(_, quality)| quality) {
                best = Some((*algorithm, quality));
            }
        }
        let plain = self.identity.unwrap_or(0);
        best.filter(|(_, quality)| *quality >= plain)
            .map(|(algorithm, _)| algorithm)
    }
}

/// `q=0.5` is 500. What cannot be read is taken for no.
fn quality(parameters: &str) -> u16 {
    let Some(value) = parameters
        .split(';')
        .filter_map(|parameter| parameter.trim().split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
        .map(|(_, value)| value.trim())
    else {
        return 1000;
    };
    match value.parse::<f32>() {
        Ok(quality) if (0.0..=1.0).contains(&quality) => {
            let thousandths = (quality * 1000.0).round();
            (0..=1000)
                .find(|whole| f32::from(*whole) >= thousandths)
                .unwrap_or(0)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses_and_among_equals_the_file() {
        use Algorithm::{Br, Gzip, Zstd};
        for (accept, best) in [
            ("", None),
            ("gzip", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("GZip, BR", Some(Br)),
            ("gzip, deflate, br, zstd", Some(Zstd)),
            ("gzip;q=1.0, br;q=0.5", Some(Gzip)),
            ("gzip;q=0.001, br;q=0", Some(Gzip)),
            ("*", Some(Zstd)),
            ("*;q=0.5, zstd;q=0", Some(Br)),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip", Some(Gzip)),
            ("identity;q=0", None),
            ("deflate", None),
            ("gzip;q=x", None),
            ("gzip ; Q = 0.8", Some(Gzip)),
            ("gzip;q=2", None),
        ] {
            let value = HeaderValue::from_static(accept);
            let found = Accepted::read([&value]).best(&Algorithm::ALL);
            assert_eq!(found, best, "{accept:?}");
        }
        let value = HeaderValue::from_static("gzip, br");
        assert_eq!(Accepted::read([&value]).best(&[Gzip, Br]), Some(Gzip));
    }
}
