//! Where the two stores are, and how the service proves to them who it is.

use super::{
    driver::{REFUSED_VARIABLES, unmoved_by_the_driver},
    env::{ConfigResult, Environment, wrong},
};
use license_core::{domain::secret::Secret, seat_store::ReplicationId};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// How a store learns who the service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreAuth {
    /// By the password in its URL, if there is one.
    Password,
    /// By an access token of the service account, in place of a password.
    Iam,
}

impl StoreAuth {
    fn from_env(env: &Environment, name: &'static str) -> ConfigResult<Self> {
        match env.said(name, "password or iam")?.as_deref() {
            None | Some("password") => Ok(Self::Password),
            Some("iam") => Ok(Self::Iam),
            Some(other) => wrong(name, format!("must be password or iam, and is {other:?}")),
        }
    }

    /// Whether access tokens are shown.
    pub fn is_iam(self) -> bool {
        self == Self::Iam
    }
}

/// Reads certificates as PEM. They are no secret, but what else is put there by mistake may be one: it is not repeated.
fn ca(env: &Environment, name: &'static str) -> ConfigResult<Option<String>> {
    let Some(text) = env.get(name) else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        if !certificate.is_ok_and(|certificate| roots.add(certificate).is_ok()) {
            return wrong(name, "has something between BEGIN CERTIFICATE and END CERTIFICATE that is no certificate");
        }
    }
    if roots.is_empty() {
        return wrong(name, "must be the text of certificates (PEM), from -----BEGIN CERTIFICATE----- on");
    }
    Ok(Some(text))
}

/// The part of a URL between `//` and `@`: the user, and whether a password follows.
fn user(url: &str) -> Option<(&str, bool)> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    Some(user.split_once(':').map_or((user, false), |(name, _)| (name, true)))
}

/// The seat store.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// `REDIS_URL`: `redis://host:port`, `rediss://host:port` (TLS) or `redis+unix:///path`. A secret because it may
    /// carry a password.
    pub url: Secret<String>,
    /// `REDIS_AUTH`: `password` (default) or `iam`.
    pub auth: StoreAuth,
    /// `REDIS_CA`: whom the server must have its certificate from.
    pub ca: Option<String>,
    /// `REDIS_REPLID_SOURCE`: `script` (default) or `connection`.
    pub replication_id: ReplicationId,
}

impl RedisConfig {
    /// Reads `REDIS_URL`, `REDIS_AUTH`, `REDIS_CA` and `REDIS_REPLID_SOURCE`.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        const SCHEMES: [&str; 4] = ["redis://", "rediss://", "redis+unix://", "unix://"];
        let url = env.required("REDIS_URL", "redis://host:port or redis+unix:///path/to/socket")?;
        let (auth, ca) = (StoreAuth::from_env(env, "REDIS_AUTH")?, ca(env, "REDIS_CA")?);
        if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
            return wrong("REDIS_URL", "must begin with redis://, rediss:// or redis+unix://");
        }
        let tls = url.starts_with("rediss://");
        if url.contains('#') {
            return wrong("REDIS_URL", "must not have a part behind #: the certificate is always verified");
        }
        if tls && ca.is_none() {
            return wrong("REDIS_CA", "is not set, and REDIS_URL wants TLS; it must be the CA of that server (PEM)");
        }
        if !tls && ca.is_some() {
            return wrong("REDIS_CA", "is set, and REDIS_URL does not begin with rediss://, so there is no TLS");
        }
        if auth.is_iam() && !tls {
            return wrong("REDIS_AUTH", "is iam, which needs TLS: REDIS_URL must begin with rediss://");
        }
        if auth.is_iam() && user(&url).is_some() {
            return wrong("REDIS_URL", "must have no user and no password, because REDIS_AUTH is iam");
        }
        let replication_id = match env.get("REDIS_REPLID_SOURCE").as_deref() {
            None | Some("script") => ReplicationId::Script,
            Some("connection") => ReplicationId::Connection,
            Some(other) => {
                return wrong("REDIS_REPLID_SOURCE", format!("must be script or connection, and is {other:?}"));
            }
        };
        Ok(Self { url: Secret::new(url), auth, ca, replication_id })
    }
}

/// The records.
#[derive(Clone, Debug)]
pub struct RecordsConfig {
    /// `DATABASE_URL`: `postgres://…`. A secret because it may carry a password.
    pub url: Secret<String>,
    /// `DATABASE_AUTH`: `password` (default) or `iam`.
    pub auth: StoreAuth,
    /// `DATABASE_CA`: whom the server must have its certificate from.
    pub ca: Option<String>,
    /// `DATABASE_POOL_SIZE`: connections this instance may hold, 4 unless set.
    pub pool_size: u32,
}

impl RecordsConfig {
    /// Reads `DATABASE_URL`, `DATABASE_AUTH`, `DATABASE_CA` and `DATABASE_POOL_SIZE`.
    ///
    /// # Errors
    /// Also where one of [`REFUSED_VARIABLES`] is set.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        unmoved_by_the_driver(env, REFUSED_VARIABLES)?;
        let url = env.required("DATABASE_URL", "postgres://user@host/database")?;
        let (auth, ca) = (StoreAuth::from_env(env, "DATABASE_AUTH")?, ca(env, "DATABASE_CA")?);
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return wrong("DATABASE_URL", "must begin with postgres://");
        }
        let parameter = |name: &str| {
            let query = url.split_once('?')?.1;
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
        };
        let mode = parameter("sslmode").or_else(|| parameter("ssl-mode"));
        let verifies = mode.as_deref().is_some_and(|mode| mode.starts_with("verify-"));
        if ca.is_some() && mode.is_some() && !verifies {
            return wrong(
                "DATABASE_URL",
                "must have no sslmode but verify-ca or verify-full, because DATABASE_CA is set",
            );
        }
        if ca.is_none() && verifies && parameter("sslrootcert").or_else(|| parameter("ssl-root-cert")).is_none() {
            return wrong("DATABASE_CA", "is not set, and sslmode in DATABASE_URL wants it: no CA is trusted unasked");
        }
        if auth.is_iam() && ca.is_none() {
            return wrong(
                "DATABASE_CA",
                "is not set, and DATABASE_AUTH is iam, which needs TLS; it must be the CA (PEM)",
            );
        }
        if auth.is_iam() && (user(&url).is_none_or(|(name, password)| name.is_empty() || password)) {
            return wrong(
                "DATABASE_URL",
                "must have a user and no password, because DATABASE_AUTH is iam: \
                 postgres://account%40project.iam@host/database",
            );
        }
        let pool_size = env.number("DATABASE_POOL_SIZE", 4, 1, 1000, " of connections")?;
        Ok(Self { url: Secret::new(url), auth, ca, pool_size: u32::try_from(pool_size).unwrap_or(4) })
    }
}

/// Reads `GCE_METADATA_HOST`: the address of whoever gives access tokens, Google's unless set.
pub fn token_source(env: &Environment) -> String {
    let host = env.get("GCE_METADATA_HOST").unwrap_or_else(|| "metadata.google.internal".to_owned());
    format!("http://{host}")
}
