//! Errors that mean "we could not find out", and the codes every client-visible refusal or error has.
//!
//! A refusal ([`crate::protocol::acquire::AcquireOutcome::Refused`], say) is an answer and no error. The table from
//! [`ProblemCode`] to HTTP status, title and retry advice lives in `license-functions`, `edge/problem.rs`; nothing here
//! knows HTTP.

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc};

/// Shorthand for results that fail with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a question could not be answered. The text is for logs; clients see only what belongs to the [`ProblemCode`].
///
/// `Display` says what was done when it failed, and [`StdError::source`] is the library's error underneath.
/// [`chain`] prints both.
#[derive(Clone, Debug)]
pub enum Error {
    /// Redis did not answer, refused for memory, or answered what no script of ours says.
    Seats(ErrorContext),
    /// PostgreSQL did not answer or failed.
    Records(ErrorContext),
    /// The root key could not be asked (Cloud KMS away, key file unreadable).
    Signer(ErrorContext),
    /// The identity provider's keys could not be fetched.
    Identity(ErrorContext),
    /// Messages were not taken by the queue they are published to; they are published again.
    Events(ErrorContext),
    /// The request's deadline passed while this store was waited for.
    Deadline(StoreName),
    /// A bug of ours, or data nobody could have written through us.
    Internal(ErrorContext),
    /// A fail point cut the operation here, as a crash of the process would (test builds only).
    #[cfg(feature = "testing")]
    Cut(crate::steps::Step),
}

impl Error {
    /// [`Error::Seats`]: what was asked of Redis, and the client's error.
    pub fn seats(context: impl Into<Cow<'static, str>>, cause: impl StdError + Send + Sync + 'static) -> Self {
        Self::Seats(ErrorContext::new(context, cause))
    }

    /// [`Error::Records`]: what was asked of PostgreSQL, and the driver's error.
    pub fn records(context: impl Into<Cow<'static, str>>, cause: impl StdError + Send + Sync + 'static) -> Self {
        Self::Records(ErrorContext::new(context, cause))
    }

    /// [`Error::Signer`]: what was asked of the root key, and why it failed.
    pub fn signer(context: impl Into<Cow<'static, str>>, cause: impl StdError + Send + Sync + 'static) -> Self {
        Self::Signer(ErrorContext::new(context, cause))
    }

    /// [`Error::Identity`]: what was asked of the identity provider, and why it failed.
    pub fn identity(context: impl Into<Cow<'static, str>>, cause: impl StdError + Send + Sync + 'static) -> Self {
        Self::Identity(ErrorContext::new(context, cause))
    }

    /// [`Error::Events`]: what was published, and why it failed.
    pub fn events(context: impl Into<Cow<'static, str>>, cause: impl StdError + Send + Sync + 'static) -> Self {
        Self::Events(ErrorContext::new(context, cause))
    }

    /// [`Error::Internal`]: what could not be done, and why.
    pub fn internal(context: impl Into<Cow<'static, str>>, cause: impl StdError + Send + Sync + 'static) -> Self {
        Self::Internal(ErrorContext::new(context, cause))
    }

    /// The code a client sees for this error.
    pub fn code(&self) -> ProblemCode {
        match self {
            Self::Seats(_) | Self::Deadline(StoreName::Seats) => ProblemCode::SeatsUnavailable,
            Self::Records(_) | Self::Deadline(StoreName::Records) => ProblemCode::RecordsUnavailable,
            Self::Signer(_) => ProblemCode::SignerUnavailable,
            Self::Identity(_) => ProblemCode::IdentityUnavailable,
            Self::Events(_) => ProblemCode::EventsUnavailable,
            Self::Internal(_) => ProblemCode::Internal,
            #[cfg(feature = "testing")]
            Self::Cut(_) => ProblemCode::Internal,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seats(context) => write!(f, "seat store: {context}"),
            Self::Records(context) => write!(f, "records: {context}"),
            Self::Signer(context) => write!(f, "signer: {context}"),
            Self::Identity(context) => write!(f, "identity provider: {context}"),
            Self::Events(context) => write!(f, "events: {context}"),
            Self::Deadline(store) => write!(f, "deadline passed: {store}"),
            Self::Internal(context) => write!(f, "internal: {context}"),
            #[cfg(feature = "testing")]
            Self::Cut(step) => write!(f, "cut at {step:?}"),
        }
    }
}

impl StdError for Error {
    /// The error underneath, so that a caller can look at what the library said.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Seats(context)
            | Self::Records(context)
            | Self::Signer(context)
            | Self::Identity(context)
            | Self::Events(context)
            | Self::Internal(context) => context.source(),
            Self::Deadline(_) => None,
            #[cfg(feature = "testing")]
            Self::Cut(_) => None,
        }
    }
}

/// The stores that a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreName {
    /// Redis.
    Seats,
    /// PostgreSQL.
    Records,
}

impl StoreName {
    /// The word in logs, and in the answer to `/health/ready`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seats => "seats",
            Self::Records => "records",
        }
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was done when an error arose, and the error underneath it. Clones share the cause: callers that waited for one
/// request share its failure.
///
/// `Display` writes what was done, without the cause; [`chain`] writes both. Neither may hold a secret: a caller takes
/// out of the cause what must not be logged, such as the URL of a [`reqwest::Error`].
#[derive(Clone)]
pub struct ErrorContext {
    context: Cow<'static, str>,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

impl ErrorContext {
    /// What was done, without a full stop, and the error that came of it.
    pub fn new(context: impl Into<Cow<'static, str>>, cause: impl StdError + Send + Sync + 'static) -> Self {
        Self { context: context.into(), cause: Some(Arc::new(cause)) }
    }
}

/// What was found out here has no cause underneath.
impl From<&'static str> for ErrorContext {
    fn from(context: &'static str) -> Self {
        Self { context: context.into(), cause: None }
    }
}

impl From<String> for ErrorContext {
    fn from(context: String) -> Self {
        Self { context: context.into(), cause: None }
    }
}

impl fmt::Display for ErrorContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

/// As [`chain`] prints it: the `Debug` of a driver's error also shows rows and addresses.
impl fmt::Debug for ErrorContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", chain(self).to_string())
    }
}

impl StdError for ErrorContext {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

/// An error with every cause underneath it, for a log or for whoever started a program. Logs print errors only so.
pub fn chain<'a>(error: &'a (dyn StdError + 'static)) -> ErrorChain<'a> {
    ErrorChain(error)
}

/// What [`chain`] prints: the error, then each cause behind a colon, outermost first.
///
/// Many libraries repeat the text of a cause in their own text. What was written once is not written again.
pub struct ErrorChain<'a>(&'a (dyn StdError + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written = self.0.to_string();
        let mut next = self.0.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !written.contains(&text) {
                written.push_str(": ");
                written.push_str(&text);
            }
            next = cause.source();
        }
        f.write_str(&written)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The machine-readable word of every refusal and error, as clients see it in `code` (docs/ERRORS.md).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemCode { $($(#[$doc])* $name,)* }
        impl ProblemCode {
            /// Every code there is, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// The request is not JSON (400) or is JSON that says something wrong (422).
    InvalidRequest = "invalid_request",
    /// Well-formed, but unknown, with a wrong secret, or rotated away: one answer for all three.
    LicenseKeyInvalid = "license_key_invalid",
    /// The ID token's time is over.
    TokenExpired = "token_expired",
    /// A missing, malformed or forged bearer credential.
    TokenInvalid = "token_invalid",
    /// Signed in, but not as freshly or as strongly as the operation demands (RFC 9470).
    InsufficientUserAuthentication = "insufficient_user_authentication",
    /// The license's term is over.
    LicenseExpired = "license_expired",
    /// The vendor or an admin suspended the license; it may come back.
    LicenseSuspended = "license_suspended",
    /// The license was revoked for good.
    LicenseRevoked = "license_revoked",
    /// The license's term has not begun.
    LicenseNotStarted = "license_not_started",
    /// The license is for another product than the client names.
    ProductNotAllowed = "product_not_allowed",
    /// A person whose role here does not reach.
    InsufficientRole = "insufficient_role",
    /// An API token that is not good for this.
    InsufficientScope = "insufficient_scope",
    /// From where the request came the credential is not good.
    AddressNotAllowed = "address_not_allowed",
    /// Nothing of that name, or not yours.
    NotFound = "not_found",
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed",
    /// The client did not send the whole body in time.
    RequestTimeout = "request_timeout",
    /// The body is larger than 64 KiB.
    PayloadTooLarge = "payload_too_large",
    /// The body is not declared as `application/json`.
    UnsupportedMediaType = "unsupported_media_type",
    /// Every seat is held.
    NoSeatsAvailable = "no_seats_available",
    /// The holder's seat carries as many live processes as its license allows.
    TooManyProcesses = "too_many_processes",
    /// The state of the thing does not allow this.
    Conflict = "conflict",
    /// It was changed since it was read.
    PreconditionFailed = "precondition_failed",
    /// The idempotency key was used for another request.
    IdempotencyKeyReused = "idempotency_key_reused",
    /// Too many requests in too short a time.
    RateLimited = "rate_limited",
    /// The session is over; acquire again.
    SessionGone = "session_gone",
    /// Redis could not be asked.
    SeatsUnavailable = "seats_unavailable",
    /// PostgreSQL could not be asked.
    RecordsUnavailable = "records_unavailable",
    /// The signing key could not be asked.
    SignerUnavailable = "signer_unavailable",
    /// The identity provider's keys could not be fetched.
    IdentityUnavailable = "identity_unavailable",
    /// What happened could not be published; it waits in the records.
    EventsUnavailable = "events_unavailable",
    /// A bug of ours; nothing of the inside is shown.
    Internal = "internal",
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn an_error_prints_what_was_done_and_each_cause_once() {
        let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, "nobody listens");
        let error = Error::records("a query failed", sqlx::Error::Io(refused()));
        assert_eq!(error.to_string(), "records: a query failed");
        let text = "records: a query failed: error communicating with database: nobody listens";
        assert_eq!(chain(&error).to_string(), text);
        assert!(matches!(error.source().unwrap().downcast_ref(), Some(sqlx::Error::Io(_))));
        let deeper = Error::signer("no certificate", ErrorContext::new("no answer", refused()));
        assert_eq!(chain(&deeper).to_string(), "signer: no certificate: no answer: nobody listens");
        let clone = deeper.clone();
        assert_eq!((chain(&clone).to_string(), clone.code()), (chain(&deeper).to_string(), deeper.code()));
    }

    #[test]
    fn an_error_of_our_own_has_no_cause() {
        let error = Error::Internal("a query without rows that always has one".into());
        assert!(error.source().is_none());
        assert_eq!(chain(&error).to_string(), "internal: a query without rows that always has one");
        assert!(Error::Deadline(StoreName::Seats).source().is_none());
    }

    #[test]
    fn debug_shows_no_more_than_the_chain() {
        let url = "postgres://service:a-password@127.0.0.1:nowhere/license";
        let cause = url.parse::<sqlx::postgres::PgConnectOptions>().unwrap_err();
        let error = Error::records("the PostgreSQL URL cannot be read", cause);
        assert!(!format!("{error:?} {}", chain(&error)).contains("a-password"));
        assert_eq!(
            format!("{error:?}"),
            format!(
                "Records({:?})",
                "the PostgreSQL URL cannot be read: error with configuration: invalid port number"
            )
        );
    }
}
