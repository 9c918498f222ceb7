//! Who may come in, and whose password was right already.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, OnceLock, PoisonError};

use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params};
use blake2::{Blake2s256, Digest};
use lru::LruCache;

/// bcrypt doubles its time with each step of its cost: this one takes some seconds.
const COST_MAX: u32 = 16;

/// Of Argon2: KiB, and passes over them.
const MEMORY_MAX: u32 = 256 * 1024;
const PASSES_MAX: u32 = 16;

/// So many users are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// Of a name, a password and the hash that it fits.
type Mark = [u8; 32];

/// A hash of a password.
#[derive(Debug, Clone)]
pub(super) enum Hash {
    Bcrypt(String),
    Argon2(String),
}

impl Hash {
    /// # Errors
    /// Why it is none.
    pub(super) fn read(written: &str) -> Result<Self, String> {
        let is_bcrypt = ["$2a$", "$2b$", "$2y$"]
            .iter()
            .any(|start| written.starts_with(start));
        if is_bcrypt {
            return match written.parse::<bcrypt::HashParts>() {
                Ok(parts) if parts.get_cost() > COST_MAX => Err(format!(
                    "a cost of {} takes too long, at most {COST_MAX}",
                    parts.get_cost()
                )),
                Ok(_) => Ok(Self::Bcrypt(written.to_owned())),
                Err(error) => Err(format!("no bcrypt hash: {error}")),
            };
        }
        if written.starts_with("$argon2") {
            return match PasswordHash::new(written) {
                Ok(hash) => argon2_cost(&hash).map(|_| Self::Argon2(written.to_owned())),
                Err(error) => Err(format!("no Argon2 hash: {error}")),
            };
        }
        Err("expected bcrypt (`$2y$...`) or Argon2 (`$argon2id$...`)".to_owned())
    }

    /// About how long it takes, in microseconds.
    fn cost(&self) -> u64 {
        match self {
            Self::Bcrypt(hash) => {
                let parts = hash.parse::<bcrypt::HashParts>();
                parts.map_or(0, |parts| 60 << parts.get_cost().min(COST_MAX))
            }
            Self::Argon2(hash) => PasswordHash::new(hash)
                .ok()
                .and_then(|hash| argon2_cost(&hash).ok())
                .unwrap_or(0),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Bcrypt(text) | Self::Argon2(text) => text,
        }
    }

    /// Both libraries compare in constant time.
    fn fits(&self, password: &str) -> bool {
        match self {
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Self::Argon2(hash) => PasswordHash::new(hash).is_ok_and(|hash| {
                Argon2::default()
                    .verify_password(password.as_bytes(), &hash)
                    .is_ok()
            }),
        }
    }
}

/// KiB times passes, which is about as many microseconds.
fn argon2_cost(hash: &PasswordHash) -> Result<u64, String> {
    let unread = |what: &str| format!("no Argon2 hash: {what}");
    Algorithm::try_from(hash.algorithm.as_str()).map_err(|_| unread("no such variant"))?;
    let params = Params::try_from(hash).map_err(|error| unread(&error.to_string()))?;
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(unread("it has no salt, or no hash"));
    }
    if params.m_cost() > MEMORY_MAX || params.t_cost() > PASSES_MAX {
        return Err(format!(
            "it takes too much, at most m={MEMORY_MAX} and t={PASSES_MAX}"
        ));
    }
    Ok(u64::from(params.m_cost()) * u64::from(params.t_cost()))
}

/// Who may come in.
pub(super) struct Users {
    hashes: HashMap<String, Hash>,
    /// For names that nobody has: the one that takes longest.
    slowest: Option<Hash>,
    right: Mutex<LruCache<Mark, ()>>,
}

impl Users {
    /// Of two with the same name the last one counts.
    pub(super) fn new(users: Vec<(String, Hash)>) -> Self {
        let hashes: HashMap<String, Hash> = users.into_iter().collect();
        Self {
            slowest: hashes.values().max_by_key(|hash| hash.cost()).cloned(),
            hashes,
            right: Mutex::new(LruCache::new(REMEMBERED)),
        }
    }

    /// Whether this was right already.
    pub(super) fn remembers(&self, name: &str, password: &str) -> bool {
        let Some(hash) = self.hashes.get(name) else {
            return false;
        };
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        mark(name, password, hash).is_some_and(|mark| right.get(&mark).is_some())
    }

    /// Whether it is right. Takes its time, also for a name that nobody has.
    pub(super) fn verify(&self, name: &str, password: &str) -> bool {
        let Some(hash) = self.hashes.get(name) else {
            if let Some(other) = &self.slowest {
                let _ = other.fits(password);
            }
            return false;
        };
        let is_right = hash.fits(password);
        if let Some(mark) = mark(name, password, hash).filter(|_| is_right) {
            let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
            right.put(mark, ());
        }
        is_right
    }

    /// What `before` remembers. It names the hash, too: a password that was changed is not right any more.
    pub(super) fn remember_what(&self, before: &Self) {
        let known = before.right.lock().unwrap_or_else(PoisonError::into_inner);
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        for (mark, ()) in known.iter().rev() {
            right.put(*mark, ());
        }
    }
}

/// A keyed digest: without the key, which never leaves the process, it says nothing about the password. Where the system
/// has no secret to give, nothing is remembered.
fn mark(name: &str, password: &str, hash: &Hash) -> Option<Mark> {
    static KEY: OnceLock<Option<[u8; 32]>> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let mut key = [0; 32];
        getrandom::fill(&mut key).ok().map(|()| key)
    });
    let key = key.as_ref()?;
    let mut digest = Blake2s256::new();
    digest.update(key);
    for part in [name, password, hash.text()] {
        digest.update(part.len().to_le_bytes());
        digest.update(part.as_bytes());
    }
    Some(digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_right_once_is_remembered_until_the_hash_changes() {
        let hash = |password| Hash::read(&bcrypt::hash(password, 4).unwrap()).unwrap();
        let users = Users::new(vec![("anna".to_owned(), hash("secret"))]);
        assert!(!users.remembers("anna", "secret"));
        assert!(users.verify("anna", "secret") && users.remembers("anna", "secret"));
        assert!(!users.verify("anna", "wrong") && !users.remembers("anna", "wrong"));
        assert!(!users.verify("eve", "secret") && !users.remembers("eve", "secret"));
        let same = Users::new(users.hashes.clone().into_iter().collect());
        same.remember_what(&users);
        assert!(same.remembers("anna", "secret"));
        let changed = Users::new(vec![("anna".to_owned(), hash("other"))]);
        changed.remember_what(&users);
        assert!(!changed.remembers("anna", "secret"));
    }
}
