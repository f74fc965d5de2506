//! The instance's own Ed25519 key: drawn in memory, certified by the root, used for every token and refusal.

use super::{PublicKeySet, RootSigner};
use crate::{
    Clock, Error, Result,
    domain::token::{
        CertificateClaims, ConfirmationClaim, InstanceJwk, JwsKind, MAX_CERTIFICATE_LIFE, RefusalClaims, TokenClaims,
        assemble, signing_input,
    },
    error::chain,
};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A certificate begins this much before it is made. Not for clients' clocks (they hold it against the token's `iat`,
/// which is ours) but for our own: an NTP step back of some seconds must not put the next token before its certificate.
const BACKDATED: i64 = 60;

/// A certificate about to end is not used: a request that took it may still sign this much later (its deadline is 5 s).
const MARGIN: i64 = 10;

/// After a failed renewal, how long to go on with the old key before the root is asked again; every try costs one
/// request its patience.
const RETRY_AFTER: i64 = 60;

/// How long a request waits for a renewal while the old key would still do.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the certificates of this server say.
#[derive(Clone, Debug)]
pub struct SignerSettings {
    /// `iss` of all three kinds.
    pub issuer: String,
    /// How long a certificate holds; capped at 24 h. It is renewed after half of this.
    pub certificate_life: Duration,
    /// The longest lease a token may state. Must cover the lease after a rebuild (TTL + drain; 405 s by default).
    pub max_token_ttl: Duration,
    /// The longest time without contact a token may grant. No license can have more.
    pub max_grace: Duration,
}

impl SignerSettings {
    /// 24 h certificates, tokens up to 15 minutes, grace up to 168 h.
    pub fn new(issuer: impl Into<String>) -> Self {
        let hours = |h: u64| Duration::from_secs(h * 3600);
        let max_token_ttl = Duration::from_secs(900);
        Self { issuer: issuer.into(), certificate_life: hours(24), max_token_ttl, max_grace: hours(168) }
    }
}

/// Signs for this instance. Clones share one key.
#[derive(Clone)]
pub struct LeaseSigner {
    inner: Arc<SignerInner>,
}

struct SignerInner {
    root: Arc<dyn RootSigner>,
    settings: SignerSettings,
    clock: Clock,
    state: Mutex<SigningKeys>,
    /// Held by the one caller that asks the root.
    flight: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct SigningKeys {
    key: Option<Arc<InstanceKey>>,
    /// Finished requests to the root; a caller that waited sees from it that the answer it waited for has come.
    attempts: u64,
    /// How the last one failed: an [`Error::Signer`].
    failure: Option<Error>,
    /// Until when (Unix seconds) a failed renewal is not repeated.
    retry_at: i64,
}

impl LeaseSigner {
    /// A signer that has asked nobody yet: the root is asked when the first token is wanted.
    pub fn new(root: Arc<dyn RootSigner>, settings: SignerSettings, clock: Clock) -> Self {
        Self {
            inner: Arc::new(SignerInner {
                root,
                settings,
                clock,
                state: Mutex::default(),
                flight: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// The instance's key under a certificate that is valid now. Asks the root only when there is none, or when half
    /// its life is over; then one caller asks. Where the old key still does, the others go on with it, and so does
    /// everybody if the renewal fails.
    ///
    /// # Errors
    /// [`Error::Signer`] if there is no valid certificate and the root gave none. Callers that waited for the same
    /// request share its failure.
    pub async fn certified(&self) -> Result<Arc<InstanceKey>> {
        let inner = &*self.inner;
        let now = inner.clock.now_seconds();
        let (held, seen, retry_at) = {
            let state = inner.state();
            (state.key.clone().filter(|key| key.valid_at(now)), state.attempts, state.retry_at)
        };
        match held {
            Some(key) if now < key.renew_at || now < retry_at => Ok(key),
            Some(key) => Ok(inner.renew(seen).await.unwrap_or(key)),
            None => {
                let _one = inner.flight.lock().await;
                inner.obtain(seen).await
            }
        }
    }

    /// A certified key that is given by its seed instead of drawn, so that what it signs can be made again byte by byte
    /// (`sdk/vectors`). This signer goes on with its own key.
    ///
    /// # Errors
    /// [`Error::Signer`] as [`LeaseSigner::certified`], and if the seed is none.
    #[cfg(feature = "testing")]
    pub async fn certified_seed(&self, seed: &[u8; 32]) -> Result<InstanceKey> {
        let key = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Error::Signer("the seed is none".into()))?;
        self.inner.certify(key).await
    }

    /// The public keys clients pin, for `/.well-known/license-keys`.
    ///
    /// # Errors
    /// [`Error::Signer`] if the root could not be asked.
    pub async fn jwks(&self) -> Result<PublicKeySet> {
        Ok(PublicKeySet { keys: self.inner.root.public_keys().await? })
    }

    /// What this signer's certificates say.
    pub fn settings(&self) -> &SignerSettings {
        &self.inner.settings
    }
}

impl SignerInner {
    fn state(&self) -> MutexGuard<'_, SigningKeys> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new key while the old one still does; `None` when another caller is at it already, or it failed.
    async fn renew(&self, seen: u64) -> Option<Arc<InstanceKey>> {
        let _one = self.flight.try_lock().ok()?;
        let result = match tokio::time::timeout(PATIENCE, self.obtain(seen)).await {
            Ok(result) => result,
            Err(_) => self.settle(Err(Error::Signer("the root key did not answer in time".into()))),
        };
        result
            .inspect_err(|error| tracing::warn!(error = %chain(error), "certificate not renewed; the old one is used"))
            .ok()
    }

    /// Asks the root, unless somebody did since the caller looked. Call it with `flight` held.
    async fn obtain(&self, seen: u64) -> Result<Arc<InstanceKey>> {
        let answered = {
            let state = self.state();
            (state.attempts != seen).then(|| match (&state.failure, &state.key) {
                (None, Some(key)) => Ok(key.clone()),
                (failure, _) => {
                    Err(failure.clone().unwrap_or_else(|| Error::Signer("there is no certified key".into())))
                }
            })
        };
        match answered {
            Some(answer) => answer,
            None => {
                let result = self.certify_new().await;
                self.settle(result)
            }
        }
    }

    fn settle(&self, result: Result<InstanceKey>) -> Result<Arc<InstanceKey>> {
        let mut state = self.state();
        state.attempts += 1;
        match result {
            Ok(key) => {
                let key = Arc::new(key);
                (state.key, state.failure) = (Some(key.clone()), None);
                Ok(key)
            }
            Err(error) => {
                let error = match error {
                    Error::Signer(_) => error,
                    other => Error::signer("the instance key was not certified", other),
                };
                state.retry_at = self.clock.now_seconds() + RETRY_AFTER;
                state.failure = Some(error.clone());
                Err(error)
            }
        }
    }

    /// A new key each time, never a new certificate for the old one: clients say which `kid` they hold a certificate of
    /// and are then sent none, so one `kid` must mean one certificate.
    async fn certify_new(&self) -> Result<InstanceKey> {
        let key = Ed25519KeyPair::generate().map_err(|_| Error::Signer("no instance key could be drawn".into()))?;
        self.certify(key).await
    }

    async fn certify(&self, key: Ed25519KeyPair) -> Result<InstanceKey> {
        let roots = self.root.public_keys().await?;
        let root = roots.first().ok_or_else(|| Error::Signer("there is no root key".into()))?;
        let mut x = [0; 32];
        x.copy_from_slice(key.public_key().as_ref());
        let jwk = InstanceJwk::new(x);
        let (now, kid) = (self.clock.now_seconds(), jwk.kid());
        let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
        let life = seconds(self.settings.certificate_life).min(MAX_CERTIFICATE_LIFE);
        let claims = CertificateClaims {
            iss: self.settings.issuer.clone(),
            iat: now,
            nbf: now - BACKDATED,
            exp: now - BACKDATED + life,
            cnf: ConfirmationClaim { jwk },
            max_token_ttl: seconds(self.settings.max_token_ttl),
            max_grace: seconds(self.settings.max_grace),
        };
        let input = signing_input(JwsKind::Certificate, root.kid(), &claims)?;
        let signature = self.root.sign(input.as_bytes()).await?;
        // 0.1 ms against handing out what no client can verify.
        if !root.verifies(input.as_bytes(), &signature) {
            return Err(Error::Signer("the root's signature does not fit the public key it publishes".into()));
        }
        // Half of the life from now, not from `nbf`: counted from there a third request would fall into the same 24
        // hours.
        Ok(InstanceKey { key, kid, certificate: assemble(input, &signature), claims, renew_at: now + life / 2 })
    }
}

/// A key of this instance and its certificate.
pub struct InstanceKey {
    key: Ed25519KeyPair,
    kid: String,
    certificate: String,
    claims: CertificateClaims,
    renew_at: i64,
}

impl InstanceKey {
    /// The key's name, an RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The certificate clients need beside a token of this key.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Signs a license token.
    ///
    /// # Errors
    /// [`Error::Internal`] if no client could accept the token under this key's certificate: another issuer, signed
    /// outside its time, a longer lease than [`SignerSettings::max_token_ttl`] or more grace than
    /// [`SignerSettings::max_grace`].
    pub fn sign_token(&self, claims: &TokenClaims) -> Result<String> {
        let limits = &self.claims;
        let grace_end = claims.exp.max(claims.iat.saturating_add(limits.max_grace));
        let wrong = if !(0..=limits.max_token_ttl).contains(&claims.exp.saturating_sub(claims.iat)) {
            Some("its lease is longer than max_token_ttl")
        } else if claims.offline_until > grace_end {
            Some("its grace is longer than max_grace")
        } else {
            None
        };
        self.sign(JwsKind::Token, &claims.iss, claims.iat, wrong, claims)
    }

    /// Signs a refusal.
    ///
    /// # Errors
    /// [`Error::Internal`] likewise.
    pub fn sign_refusal(&self, claims: &RefusalClaims) -> Result<String> {
        self.sign(JwsKind::Refusal, &claims.iss, claims.iat, None, claims)
    }

    fn sign(
        &self,
        kind: JwsKind,
        iss: &str,
        iat: i64,
        wrong: Option<&str>,
        claims: &impl serde::Serialize,
    ) -> Result<String> {
        let limits = &self.claims;
        let wrong = wrong
            .or((iss != limits.iss).then_some("its issuer is not the certificate's"))
            .or((!(limits.nbf..limits.exp).contains(&iat)).then_some("its certificate is not valid at iat"));
        if let Some(wrong) = wrong {
            return Err(Error::Internal(format!("{kind} not signed: {wrong}").into()));
        }
        let input = signing_input(kind, &self.kid, claims)?;
        let signature = self.key.sign(input.as_bytes());
        Ok(assemble(input, signature.as_ref()))
    }

    fn valid_at(&self, now: i64) -> bool {
        (self.claims.nbf..self.claims.exp - MARGIN).contains(&now)
    }
}
