//! The public keys that tokens are verified with, kept up to date.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use spanlake_model::{Clock, Code, Fault, Timestamp};
use spanlake_proto::auth::Auth;
use tokio::sync::{Mutex, MutexGuard};

use crate::token::{TokenError, Verified, Verifier};

/// The key set is read again when it is older than this, so that a key that was withdrawn ends.
const GOOD_FOR: Duration = Duration::from_secs(60);
/// And at most this often, whatever tokens strangers make up.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Verifies tokens. One call to auth a minute, and one when a token names a key that is new.
pub(super) struct Tokens {
    auth: Arc<dyn Auth>,
    clock: Arc<dyn Clock>,
    current: RwLock<Option<Loaded>>,
    /// Held while asking, so that many requests make one call; inside, when the last one ended.
    asking: Mutex<Option<Timestamp>>,
}

#[derive(Clone)]
struct Loaded {
    verifier: Arc<Verifier>,
    at: Timestamp,
}

impl Tokens {
    pub(super) fn new(auth: Arc<dyn Auth>, clock: Arc<dyn Clock>) -> Self {
        Self { auth, clock, current: RwLock::new(None), asking: Mutex::new(None) }
    }

    /// What the token says.
    ///
    /// # Errors
    /// `unauthenticated`, or `service_unavailable` when there has been no key set yet.
    pub(super) async fn verify(&self, token: &str) -> Result<Verified, Fault> {
        let verifier = self.up_to_date().await?;
        match verifier.verify(token, self.clock.now()) {
            Err(TokenError::UnknownKey) => {
                let known = self.loaded();
                let newer = self.load(self.asking.lock().await, known).await?;
                newer.verify(token, self.clock.now()).map_err(refused)
            }
            outcome => outcome.map_err(refused),
        }
    }

    async fn up_to_date(&self) -> Result<Arc<Verifier>, Fault> {
        let now = self.clock.now();
        match self.loaded() {
            Some(loaded) if loaded.at <= now && now < loaded.at.plus(GOOD_FOR) => Ok(loaded.verifier),
            None => self.load(self.asking.lock().await, None).await,
            Some(stale) => match self.asking.try_lock() {
                Ok(asking) => self.load(asking, Some(stale)).await,
                // Somebody is asking, and perhaps auth does not answer: whoever is known does not wait for that.
                Err(_) => Ok(stale.verifier),
            },
        }
    }

    /// Asks auth, unless that was done a moment ago; then, or when auth is away, `known` has to do.
    async fn load(
        &self,
        mut last_asked: MutexGuard<'_, Option<Timestamp>>,
        known: Option<Loaded>,
    ) -> Result<Arc<Verifier>, Fault> {
        let now = self.clock.now();
        let newer = self.loaded().filter(|newer| known.as_ref().is_none_or(|known| newer.at > known.at));
        if let Some(newer) = newer {
            return Ok(newer.verifier);
        }
        if last_asked.is_some_and(|last| last <= now && now < last.plus(ASK_AGAIN_AFTER)) {
            return known.map(|known| known.verifier).ok_or_else(unavailable);
        }
        let answer = self.ask().await;
        *last_asked = Some(self.clock.now());
        match answer {
            Ok(verifier) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) =
                    Some(Loaded { verifier: Arc::clone(&verifier), at: now });
                Ok(verifier)
            }
            Err(fault) => known.map(|known| known.verifier).ok_or(fault),
        }
    }

    async fn ask(&self) -> Result<Arc<Verifier>, Fault> {
        let text = self.auth.jwks().await?;
        Verifier::from_jwks(&text).map(Arc::new).map_err(|error| {
            tracing::error!(error = %error, "auth sent a key set that does not read");
            unavailable()
        })
    }

    fn loaded(&self) -> Option<Loaded> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn unavailable() -> Fault {
    Fault::unavailable("Tokens cannot be verified right now; try again.")
}

fn refused(error: TokenError) -> Fault {
    let message = match error {
        TokenError::Expired => "The access token has expired; get a new one from POST /v1/token/refresh.",
        _ => "The access token is not valid; log in again.",
    };
    Fault::new(Code::Unauthenticated, message)
}
