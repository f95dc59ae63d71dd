//! Hashing passwords: argon2id, off the async threads, a bounded number at once.

use std::sync::Arc;

use argon2::password_hash::{self, PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use spanlake_model::{Entropy, Fault};
use tokio::sync::Semaphore;

use crate::config::Config;

/// Why a password was neither hashed nor compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too many are waiting already.
    #[error("too many logins at once")]
    Busy,
    /// The parameters are out of argon2's range.
    #[error("the argon2 parameters are refused: {0}")]
    Parameters(argon2::Error),
    /// Hashing failed, or what is stored is no argon2 hash.
    #[error("a password hash failed: {0}")]
    Hash(password_hash::Error),
    /// The thread that hashed died; how has been logged.
    #[error("the hashing thread ended early")]
    Thread,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Busy => Self::unavailable("Too many people are logging in right now; try again."),
            Error::Parameters(_) | Error::Hash(_) | Error::Thread => Self::internal(),
        }
    }
}

/// Hashes and compares passwords.
///
/// Bounded: so many run at once, which bounds memory, and so many wait; one more is told to come back.
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    entropy: Arc<dyn Entropy>,
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
    /// Turns of those who sign up: half of the others, so that logins always find one.
    sign_ups: Semaphore,
    sign_ups_admitted: Semaphore,
    /// The hash of a password nobody has, so that an unknown person costs what a known one does.
    decoy: String,
}

impl Passwords {
    pub(crate) fn new(config: &Config, entropy: Arc<dyn Entropy>) -> Result<Self, Error> {
        let costs = &config.argon2;
        let params =
            Params::new(costs.memory_kib, costs.iterations, costs.parallelism, None).map_err(Error::Parameters)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = hash(&argon2, &random::<32>(&*entropy), random(&*entropy))?;
        let running = config.hashing_permits.max(1) as usize;
        let admitted = running + config.hashing_queue_max as usize;
        Ok(Self {
            argon2,
            entropy,
            running: Arc::new(Semaphore::new(running)),
            admitted: Arc::new(Semaphore::new(admitted)),
            sign_ups: Semaphore::new(running.div_ceil(2)),
            sign_ups_admitted: Semaphore::new(admitted.div_ceil(2)),
            decoy,
        })
    }

    /// An argon2id string for somebody nobody knows yet.
    pub(crate) async fn hash_for_sign_up(&self, password: String) -> Result<String, Error> {
        let _admitted = self.sign_ups_admitted.try_acquire().map_err(|_| Error::Busy)?;
        let _turn = self.sign_ups.acquire().await.map_err(|_| Error::Busy)?;
        self.hash(password).await
    }

    /// An argon2id string for storing.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Error> {
        let (argon2, salt) = (self.argon2.clone(), random(&*self.entropy));
        self.run(move || hash(&argon2, password.as_bytes(), salt)).await
    }

    /// Whether `password` is the one behind `stored`.
    pub(crate) async fn matches(&self, password: String, stored: String) -> Result<bool, Error> {
        Ok(self.first_match(password, vec![stored], 1).await?.is_some())
    }

    /// Which of the `stored` is the first that `password` is behind. When it is behind none, that costs `compared` comparisons, however
    /// many are stored: at least one, and more of them are not looked at.
    pub(crate) async fn first_match(
        &self,
        password: String,
        stored: Vec<String>,
        compared: u32,
    ) -> Result<Option<usize>, Error> {
        let (argon2, decoy) = (self.argon2.clone(), self.decoy.clone());
        self.run(move || {
            for index in 0..compared as usize {
                let hash = stored.get(index);
                if compare(&argon2, password.as_bytes(), hash.unwrap_or(&decoy))? && hash.is_some() {
                    return Ok(Some(index));
                }
            }
            Ok(None)
        })
        .await
    }

    /// The permits move into the thread: one whose caller has left still counts until it is done.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let admitted = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| Error::Busy)?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Error::Busy)?;
        let thread = tokio::task::spawn_blocking(move || {
            let _held = (admitted, running);
            work()
        });
        thread.await.map_err(|_| Error::Thread)?
    }
}

fn hash(argon2: &Argon2<'_>, password: &[u8], salt: [u8; 16]) -> Result<String, Error> {
    let salt = SaltString::encode_b64(&salt).map_err(Error::Hash)?;
    Ok(argon2.hash_password(password, &salt).map_err(Error::Hash)?.to_string())
}

fn compare(argon2: &Argon2<'_>, password: &[u8], stored: &str) -> Result<bool, Error> {
    let stored = PasswordHash::new(stored).map_err(Error::Hash)?;
    match argon2.verify_password(password, &stored) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::Password) => Ok(false),
        Err(error) => Err(Error::Hash(error)),
    }
}

fn random<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use spanlake_model::SystemEntropy;

    use super::*;
    use crate::config::Argon2Config;

    fn passwords(queue: u32) -> Passwords {
        let argon2 = Argon2Config { memory_kib: 64, iterations: 1, parallelism: 1 };
        let config = Config { argon2, hashing_permits: 1, hashing_queue_max: queue, ..Config::default() };
        Passwords::new(&config, Arc::new(SystemEntropy)).unwrap()
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let passwords = passwords(1);
        let stored = passwords.hash("hunter22".to_owned()).await.unwrap();
        assert!(stored.starts_with("$argon2id$"));
        assert!(passwords.matches("hunter22".to_owned(), stored.clone()).await.unwrap());
        assert!(!passwords.matches("hunter23".to_owned(), stored.clone()).await.unwrap());
        assert_ne!(stored, passwords.hash("hunter22".to_owned()).await.unwrap(), "salted");
    }

    #[tokio::test]
    async fn the_first_hash_that_fits_is_found_and_none_where_none_is() {
        let passwords = passwords(1);
        let (one, two) = ("hunter22".to_owned(), "hunter23".to_owned());
        let stored = vec![passwords.hash(one.clone()).await.unwrap(), passwords.hash(two.clone()).await.unwrap()];
        for (password, compared, found) in [(&one, 4, Some(0)), (&two, 4, Some(1)), (&two, 1, None)] {
            let first = passwords.first_match(password.clone(), stored.clone(), compared).await.unwrap();
            assert_eq!(first, found, "{password} {compared}");
        }
        assert_eq!(passwords.first_match(one, Vec::new(), 4).await.unwrap(), None);
    }

    #[tokio::test]
    async fn one_more_than_may_wait_is_told_to_come_back() {
        let passwords = passwords(1);
        let _busy = passwords.running.acquire().await.unwrap();
        let _both = passwords.admitted.acquire_many(2).await.unwrap();
        assert!(matches!(passwords.hash("hunter22".to_owned()).await, Err(Error::Busy)));
    }

    #[tokio::test]
    async fn sign_ups_leave_turns_for_logins() {
        let argon2 = Argon2Config { memory_kib: 64, iterations: 1, parallelism: 1 };
        let config = Config { argon2, hashing_permits: 4, hashing_queue_max: 4, ..Config::default() };
        let passwords = Passwords::new(&config, Arc::new(SystemEntropy)).unwrap();
        let crowd = passwords.sign_ups.acquire_many(2).await.unwrap();
        let waiting = passwords.sign_ups_admitted.acquire_many(4).await.unwrap();
        assert!(matches!(passwords.hash_for_sign_up("hunter22".to_owned()).await, Err(Error::Busy)));
        let stored = passwords.hash("hunter22".to_owned()).await.unwrap();
        assert!(passwords.matches("hunter22".to_owned(), stored).await.unwrap());
        drop((crowd, waiting));
        passwords.hash_for_sign_up("hunter22".to_owned()).await.unwrap();
    }

    #[test]
    fn a_stored_hash_that_does_not_read_is_our_mistake_and_no_wrong_password() {
        let argon2 = Argon2::default();
        assert!(matches!(compare(&argon2, b"x", "plain"), Err(Error::Hash(_))));
    }

    #[test]
    fn the_default_cost_is_the_least_that_owasp_recommends() {
        let costs = Config::default().argon2;
        assert_eq!((costs.memory_kib, costs.iterations, costs.parallelism), (19_456, 2, 1));
    }
}
