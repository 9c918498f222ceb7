//! The normal form of any path: it is normal, it means what the path means, and an encoded slash divides nothing.

#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use tidegate::route::path::normalise;

/// What a path means, the slow and obvious way: its segments decoded, then taken one after the other. None if it leads above
/// the root.
fn segments(path: &str) -> Option<Vec<Cow<'_, [u8]>>> {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        let decoded = Cow::from(percent_decode_str(segment));
        match &*decoded {
            b"" | b"." => {}
            b".." => drop(segments.pop()?),
            _ => segments.push(decoded),
        }
    }
    Some(segments)
}

/// No other spelling of the same path is left to choose.
fn is_spelled_normally(normal: &str) -> bool {
    let mut pieces = normal.split('%');
    let is_plain = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte))
    };
    let is_escape = |piece: &str| {
        piece.split_at_checked(2).is_some_and(|(digits, rest)| {
            let byte = u8::from_str_radix(digits, 16);
            let needs_it = byte.is_ok_and(|byte| {
                byte != 0 && !byte.is_ascii_alphanumeric() && !b"-._~".contains(&byte)
            });
            needs_it && digits == digits.to_ascii_uppercase() && is_plain(rest)
        })
    };
    pieces.next().is_some_and(is_plain) && pieces.all(is_escape)
}

fuzz_target!(|path: &str| {
    let normal = normalise(path);
    if !path.starts_with('/') {
        assert_eq!(normal.as_deref(), Ok(path), "no path, and not left alone");
        return;
    }

    // As if an encoded slash were a letter, errors included.
    let letter = path.replace("%2f", "x").replace("%2F", "x");
    let without = normal.clone().map(|normal| normal.replace("%2F", "x"));
    assert_eq!(without, normalise(&letter).map(Cow::into_owned));

    let Ok(normal) = normal else { return };
    assert!(
        normal.starts_with('/') && !normal.contains("//"),
        "{normal:?}"
    );
    assert!(
        !normal
            .split('/')
            .any(|segment| matches!(segment, "." | "..")),
        "{normal:?}"
    );
    assert!(is_spelled_normally(&normal), "{normal:?}");
    assert_eq!(normalise(&normal).as_deref(), Ok(&*normal));

    let meant = segments(path);
    assert!(meant.is_some(), "{normal:?} leads above the root");
    assert_eq!(segments(&normal), meant, "{normal:?}");
    let last = percent_decode_str(path.rsplit('/').next().unwrap_or_default());
    let names_a_folder = matches!(&*Cow::from(last), b"" | b"." | b"..");
    assert_eq!(
        normal.ends_with('/'),
        names_a_folder || normal == "/",
        "{normal:?}"
    );
});
