//! How a connection to PostgreSQL proves who it is: as the service's own role with whatever password the URL has, or as
//! the URL's user with an access token for its password (`DATABASE_AUTH=iam`).

use super::DatabaseRole;
use crate::{
    Error, Result,
    access_token::AccessTokens,
    domain::secret::Secret,
    error::{ErrorContext, chain},
};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgSslMode},
};
use std::{
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

/// Where PostgreSQL is, and how a connection proves who it is.
#[derive(Clone)]
pub struct RecordsAddress {
    options: PgConnectOptions,
    tokens: Option<AccessTokens>,
}

impl RecordsAddress {
    /// The server at `url`. `ca`: the certificates, as PEM, of those whom the server must have its certificate from
    /// (`sslmode=verify-ca`; the name is compared only where the URL says `verify-full`). `tokens`: the URL's user
    /// stays, its password is an access token, and the connection takes on its role by itself.
    ///
    /// # Errors
    /// If the URL is none.
    pub fn new(url: &str, ca: Option<&str>, tokens: Option<AccessTokens>) -> Result<Self> {
        let options =
            PgConnectOptions::from_str(url).map_err(|e| Error::records("the PostgreSQL URL cannot be read", e))?;
        let Some(ca) = ca else { return Ok(Self { options, tokens }) };
        let mode = match options.get_ssl_mode() {
            PgSslMode::VerifyFull => PgSslMode::VerifyFull,
            _ => PgSslMode::VerifyCa,
        };
        Ok(Self { options: options.ssl_mode(mode).ssl_root_cert_from_pem(ca.as_bytes().to_vec()), tokens })
    }

    /// How to connect now as the URL's own user, which owns the schema or may act as its owner.
    ///
    /// # Errors
    /// If there is no access token.
    pub async fn as_own_user(&self) -> Result<PgConnectOptions> {
        let Some(tokens) = &self.tokens else { return Ok(self.options.clone()) };
        let token = tokens.token().await.map_err(Error::Records)?;
        Ok(self.options.clone().password(token.reveal()))
    }

    /// How a pool connects as `role`, without the password that [`TokenLogin`] adds.
    pub(super) fn into_role(self, role: DatabaseRole) -> (PgConnectOptions, Option<TokenLogin>) {
        match self.tokens {
            None => (self.options.username(role.name()), None),
            // A role that was set at the start is what RESET ROLE goes back to, so a connection never is its user.
            Some(tokens) => (self.options.options([("role", role.name())]), Some(TokenLogin::new(tokens))),
        }
    }
}

/// Without the rest of the options: the `Debug` of the driver's writes the password.
impl fmt::Debug for RecordsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordsAddress").field("host", &self.options.get_host()).finish_non_exhaustive()
    }
}

impl From<PgConnectOptions> for RecordsAddress {
    /// An address that was taken apart already.
    fn from(options: PgConnectOptions) -> Self {
        Self { options, tokens: None }
    }
}

/// The access token that new connections of a pool log in with. Open connections stay, since a token counts at the login
/// only.
/// Clones share it.
#[derive(Clone, Debug)]
pub(super) struct TokenLogin {
    tokens: AccessTokens,
    /// The token that the pool was given last.
    used: Arc<Mutex<Option<Secret<String>>>>,
}

impl TokenLogin {
    fn new(tokens: AccessTokens) -> Self {
        Self { tokens, used: Arc::default() }
    }

    /// Gives the pool the present token if it has another one. If no token can be fetched, open connections may still
    /// work, so this is an error only if the pool never had a token.
    pub(super) async fn renew(&self, pool: &PgPool) -> std::result::Result<(), ErrorContext> {
        let token = match self.tokens.token().await {
            Ok(token) => token,
            Err(error) if self.last_used().is_none() => return Err(error),
            Err(error) => {
                tracing::debug!(error = %chain(&error), "the access token for PostgreSQL was not renewed");
                return Ok(());
            }
        };
        self.set_password(pool, token);
        Ok(())
    }

    /// Gives the pool a newly fetched token after its present one was refused. If another caller has replaced the
    /// refused token already, the new one stays.
    pub(super) async fn replace(
        &self,
        pool: &PgPool,
        refused: Option<&Secret<String>>,
    ) -> std::result::Result<(), ErrorContext> {
        if let Some(token) = refused {
            self.tokens.forget(token).await;
        }
        self.set_password(pool, self.tokens.token().await?);
        Ok(())
    }

    fn set_password(&self, pool: &PgPool, token: Secret<String>) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.as_ref() != Some(&token) {
            pool.set_connect_options(PgConnectOptions::clone(&pool.connect_options()).password(token.reveal()));
            *used = Some(token);
        }
    }

    /// The token that the pool logs in with at present.
    pub(super) fn last_used(&self) -> Option<Secret<String>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether a login was refused: the password (28P01), or as PostgreSQL says it of checks that are none of its own
/// (28000).
pub(super) fn is_refused(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(e) if matches!(e.code().as_deref(), Some("28P01" | "28000")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_printed_without_its_password() {
        let address = RecordsAddress::new("postgres://user:hunter2@10.0.0.4/license", None, None).unwrap();
        let printed = format!("{address:?}");
        assert!(printed.contains("10.0.0.4") && !printed.contains("hunter2"), "{printed}");
    }
}
