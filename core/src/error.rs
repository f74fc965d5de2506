//! Errors that mean "we could not find out", and the codes every client-visible refusal or error has.
//!
//! A refusal ([`crate::protocol::acquire::AcquireOutcome::Full`], say) is an answer and no error. The table from
//! [`ProblemCode`] to HTTP status, title and retry advice lives in `license-functions`, `edge/problem.rs`; nothing here
//! knows HTTP.

/// Shorthand for results that fail with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a question could not be answered. The text is for logs; clients see only what belongs to the [`ProblemCode`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Redis did not answer, refused for memory, or answered what no script of ours says.
    #[error("seat store: {0}")]
    Seats(String),
    /// PostgreSQL did not answer or failed.
    #[error("records: {0}")]
    Records(String),
    /// The root key could not be asked (Cloud KMS away, key file unreadable).
    #[error("signer: {0}")]
    Signer(String),
    /// The identity provider's keys could not be fetched.
    #[error("identity provider: {0}")]
    Identity(String),
    /// Messages were not taken by the queue they are published to; they are published again.
    #[error("events: {0}")]
    Events(String),
    /// The request's deadline passed while a repair was still under way; `0` names the room that was waited for.
    #[error("deadline passed: {0}")]
    Deadline(&'static str),
    /// A bug of ours, or data nobody could have written through us.
    #[error("internal: {0}")]
    Internal(String),
    /// A fail point cut the move here, as a crash of the process would (test builds only).
    #[cfg(feature = "testing")]
    #[error("cut at {0:?}")]
    Cut(crate::steps::Step),
}

impl Error {
    /// The code a client sees for this error.
    pub fn code(&self) -> ProblemCode {
        match self {
            Self::Seats(_) | Self::Deadline("seats") => ProblemCode::SeatsUnavailable,
            Self::Records(_) | Self::Deadline(_) => ProblemCode::RecordsUnavailable,
            Self::Signer(_) => ProblemCode::SignerUnavailable,
            Self::Identity(_) => ProblemCode::IdentityUnavailable,
            Self::Events(_) => ProblemCode::EventsUnavailable,
            Self::Internal(_) => ProblemCode::Internal,
            #[cfg(feature = "testing")]
            Self::Cut(_) => ProblemCode::Internal,
        }
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
