//! Which of several a key falls to, today and after a restart, on this proxy and on the one beside it.

use std::hash::Hasher;

use fnv::FnvHasher;

/// FNV-1a, its bits mixed by the finaliser of MurmurHash3: alone it changes too little with the last bytes of the key. No
/// secret is in it: whoever chooses keys can choose where they fall.
pub fn hash(seed: u64, key: &[u8]) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(&seed.to_le_bytes());
    hasher.write(key);
    mix(hasher.finish())
}

/// The finaliser of MurmurHash3: every bit of the outcome depends on every bit of the input.
fn mix(mut bits: u64) -> u64 {
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        bits = (bits ^ (bits >> 33)).wrapping_mul(factor);
    }
    bits ^ (bits >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fall_where_they_fell_before_a_restart() {
        assert_eq!(hash(0, b"alice"), 15_593_073_311_531_477_116);
        assert_ne!(hash(0, b"alice"), hash(1, b"alice"));
    }
}
