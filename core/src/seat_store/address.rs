//! Where Redis is, and what a connection shows it: a password of the address, or an access token.

use crate::{Error, Result, access_token::AccessTokens, domain::secret::Secret, error::ErrorContext};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, IntoConnectionInfo, TlsCertificates,
    aio::MultiplexedConnection,
};

/// Whose password an access token is: Memorystore has no other user.
const TOKEN_USER: &str = "default";

/// Where Redis is, and how a connection proves who it is.
#[derive(Clone, Debug)]
pub struct RedisAddress {
    info: ConnectionInfo,
    tokens: Option<AccessTokens>,
}

impl RedisAddress {
    /// The server at `url`: `redis://host:port`, `rediss://host:port` (TLS), `redis+unix:///path`. `ca`: the
    /// certificates, as PEM, of those whom a server with TLS must have its certificate from; the name in it is not
    /// compared, because a managed server is called by a bare address. `tokens`: what is shown as the password.
    ///
    /// # Errors
    /// If the text is not a Redis URL, or the certificates cannot be read.
    pub fn new(url: &str, ca: Option<&str>, tokens: Option<AccessTokens>) -> Result<Self> {
        let unreadable = |e| Error::seats("the Redis URL cannot be read", e);
        let mut info = url.into_connection_info().map_err(unreadable)?;
        if let Some(ca) = ca {
            let certificates = TlsCertificates { client_tls: None, root_cert: Some(ca.as_bytes().to_vec()) };
            let client = Client::build_with_tls(info, certificates);
            let client = client.map_err(|e| Error::seats("the CA of Redis cannot be used", e))?;
            info = client.get_connection_info().clone();
            let mut at = info.addr().clone();
            at.set_danger_accept_invalid_hostnames(true);
            info = info.set_addr(at);
        }
        // Managed servers do not know CLIENT SETINFO, and nobody reads what it says.
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        // Calls of many requests share a connection: none of them waits until the one before it was acknowledged.
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        Ok(Self { info: info.set_redis_settings(settings).set_tcp_settings(tcp), tokens })
    }

    /// A new connection. A token that is refused is fetched anew, once.
    pub(super) async fn connect(
        &self,
        config: &AsyncConnectionConfig,
    ) -> std::result::Result<MultiplexedConnection, ErrorContext> {
        let Some(tokens) = &self.tokens else { return Ok(open(self.info.clone(), config).await?) };
        let token = tokens.token().await?;
        match self.log_in(&token, config).await {
            Err(error) if error.kind() == ErrorKind::AuthenticationFailed => {
                tokens.forget(&token).await;
                Ok(self.log_in(&tokens.token().await?, config).await?)
            }
            answer => Ok(answer?),
        }
    }

    async fn log_in(
        &self,
        token: &Secret<String>,
        config: &AsyncConnectionConfig,
    ) -> redis::RedisResult<MultiplexedConnection> {
        let settings = self.info.redis_settings().clone().set_username(TOKEN_USER).set_password(token.reveal());
        open(self.info.clone().set_redis_settings(settings), config).await
    }
}

async fn open(info: ConnectionInfo, config: &AsyncConnectionConfig) -> redis::RedisResult<MultiplexedConnection> {
    Client::open(info)?.get_multiplexed_async_connection_with_config(config).await
}

impl From<redis::RedisError> for ErrorContext {
    fn from(error: redis::RedisError) -> Self {
        Self::new("the server could not be entered", error)
    }
}
