//! The one table from [`ProblemCode`] to HTTP, and [`Problem`], the answer every refusal and error is dressed in (RFC
//! 9457).

use super::context;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use license_core::{Error, ProblemCode, error::chain};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// What HTTP says for a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeRow {
    /// The status.
    pub status: StatusCode,
    /// The short text for people, the same for every occurrence.
    pub title: &'static str,
    /// Seconds after which asking again makes sense; `None` where repeating changes nothing.
    pub retry_after: Option<u64>,
    /// The challenge of a 401 (RFC 9110, section 11.6.1).
    pub challenge: Option<&'static str>,
}

const fn row(status: StatusCode, title: &'static str) -> CodeRow {
    CodeRow { status, title, retry_after: None, challenge: None }
}

const fn later(title: &'static str, seconds: u64) -> CodeRow {
    CodeRow { retry_after: Some(seconds), ..row(StatusCode::SERVICE_UNAVAILABLE, title) }
}

const fn who(title: &'static str, challenge: &'static str) -> CodeRow {
    CodeRow { challenge: Some(challenge), ..row(StatusCode::UNAUTHORIZED, title) }
}

/// The challenge for a token that is not good, or good no more.
const INVALID_TOKEN: &str = "Bearer error=\"invalid_token\"";
/// The challenge for a sign-in that is too old or too weak (RFC 9470).
const WEAK_SIGN_IN: &str = "Bearer error=\"insufficient_user_authentication\"";

/// The table. The metric label of a code is its word, [`ProblemCode::as_str`].
pub const fn table(code: ProblemCode) -> CodeRow {
    use StatusCode as S;
    match code {
        ProblemCode::InvalidRequest => row(S::UNPROCESSABLE_ENTITY, "The request is not valid"),
        ProblemCode::LicenseKeyInvalid => who("The license key is not valid", "LicenseKey"),
        ProblemCode::TokenExpired => who("The token has expired", INVALID_TOKEN),
        ProblemCode::TokenInvalid => who("The token is not valid", INVALID_TOKEN),
        ProblemCode::InsufficientUserAuthentication => who("A fresher or stronger sign-in is needed", WEAK_SIGN_IN),
        ProblemCode::LicenseExpired => row(S::FORBIDDEN, "The license has expired"),
        ProblemCode::LicenseSuspended => row(S::FORBIDDEN, "The license is suspended"),
        ProblemCode::LicenseRevoked => row(S::FORBIDDEN, "The license is revoked"),
        ProblemCode::LicenseNotStarted => row(S::FORBIDDEN, "The license has not started"),
        ProblemCode::ProductNotAllowed => row(S::FORBIDDEN, "The license is for another product"),
        ProblemCode::InsufficientRole => row(S::FORBIDDEN, "Your role does not allow this"),
        ProblemCode::InsufficientScope => row(S::FORBIDDEN, "The API token is not good for this"),
        ProblemCode::AddressNotAllowed => row(S::FORBIDDEN, "Not from this address"),
        ProblemCode::NotFound => row(S::NOT_FOUND, "Not found"),
        ProblemCode::MethodNotAllowed => row(S::METHOD_NOT_ALLOWED, "Method not allowed"),
        ProblemCode::RequestTimeout => row(S::REQUEST_TIMEOUT, "The request body did not arrive in time"),
        ProblemCode::PayloadTooLarge => row(S::PAYLOAD_TOO_LARGE, "The request body is too large"),
        ProblemCode::UnsupportedMediaType => row(S::UNSUPPORTED_MEDIA_TYPE, "The request body is not declared as JSON"),
        // 409 is an answer, not a fault: Retry-After is set only where it is known when the next seat comes free.
        ProblemCode::NoSeatsAvailable => row(S::CONFLICT, "No seat is free"),
        ProblemCode::TooManyProcesses => row(S::CONFLICT, "Too many processes on one seat"),
        ProblemCode::Conflict => row(S::CONFLICT, "The request conflicts with the present state"),
        ProblemCode::PreconditionFailed => row(S::PRECONDITION_FAILED, "It was changed meanwhile"),
        ProblemCode::IdempotencyKeyReused => {
            row(S::UNPROCESSABLE_ENTITY, "The idempotency key was used for another request")
        }
        ProblemCode::RateLimited => CodeRow { retry_after: Some(1), ..row(S::TOO_MANY_REQUESTS, "Too many requests") },
        ProblemCode::SessionGone => row(S::GONE, "The session is over"),
        ProblemCode::SeatsUnavailable => later("The seat store cannot be reached", 2),
        ProblemCode::RecordsUnavailable => later("The records cannot be reached", 2),
        ProblemCode::SignerUnavailable => later("The signing key cannot be reached", 5),
        ProblemCode::IdentityUnavailable => later("The identity provider cannot be reached", 5),
        ProblemCode::EventsUnavailable => later("Events cannot be published", 5),
        ProblemCode::Internal => row(S::INTERNAL_SERVER_ERROR, "Internal error"),
    }
}

/// A refusal or an error on its way to the client: `application/problem+json`.
#[derive(Clone, Debug)]
pub struct Problem {
    code: ProblemCode,
    status: StatusCode,
    detail: Cow<'static, str>,
    members: Map<String, Value>,
    retry_after: Option<u64>,
    challenge: Option<&'static str>,
    headers: Vec<(HeaderName, String)>,
}

/// What the layers learn about an answer: it was this problem.
#[derive(Clone, Copy, Debug)]
pub struct AnsweredProblem(pub ProblemCode);

impl Problem {
    /// A problem with its code's status and retry advice. `detail` says what happened and what to do, without secrets.
    pub fn new(code: ProblemCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let CodeRow { status, retry_after, challenge, .. } = table(code);
        Self { code, status, detail: detail.into(), members: Map::new(), retry_after, challenge, headers: Vec::new() }
    }

    /// 400: the body is not JSON at all.
    pub fn not_json(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, ..Self::invalid("body", detail) }
    }

    /// 422: one field is wrong. For several, collect them with [`super::FieldChecks`].
    pub fn invalid(field: &str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self::invalid_fields(vec![(field.to_owned(), problem.into())])
    }

    /// 422: these fields are wrong, each with what is wrong about it.
    pub fn invalid_fields(errors: Vec<(String, Cow<'static, str>)>) -> Self {
        let sentence: Vec<String> = errors.iter().map(|(field, problem)| format!("{field}: {problem}")).collect();
        let errors: Vec<Value> =
            errors.iter().map(|(field, problem)| json!({ "field": field, "problem": problem })).collect();
        Self::new(ProblemCode::InvalidRequest, sentence.join("; ")).with("errors", errors)
    }

    /// The one answer for every bearer credential that is missing, malformed or forged.
    pub fn token_invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemCode::TokenInvalid, detail)
    }

    /// 404: what is answered at a path that nobody serves.
    pub(super) fn no_such_path() -> Self {
        Self::new(ProblemCode::NotFound, "There is nothing at this path. The paths of this API begin with /api/v1/.")
    }

    /// 500: a fault of ours, which is in the log already.
    pub fn internal() -> Self {
        Self::new(ProblemCode::Internal, "The request could not be completed because of a fault on our side.")
    }

    /// Says one sentence more.
    #[must_use]
    pub fn and(mut self, sentence: &str) -> Self {
        self.detail = format!("{} {sentence}", self.detail).into();
        self
    }

    /// Adds a member, such as `seats_total`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds the signed refusal that tells a client that the answer is ours, and the certificate of the key that signed
    /// it.
    #[must_use]
    pub fn with_refusal(self, refusal: &str, certificate: &str) -> Self {
        self.with("refusal", refusal).with("certificate", certificate)
    }

    /// Says after how many seconds asking again makes sense.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The code.
    pub fn code(&self) -> ProblemCode {
        self.code
    }

    /// The member `reason`, where there is one.
    pub fn reason(&self) -> Option<&str> {
        self.members.get("reason").and_then(Value::as_str)
    }

    /// The HTTP status, as a number.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    fn body(&self) -> Vec<u8> {
        let code = self.code.as_str();
        let mut body = json!({
            "type": context::problem_type(code),
            "title": table(self.code).title,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": code,
        });
        if let Some(body) = body.as_object_mut() {
            if let Some(id) = context::request_id() {
                body.insert("request_id".into(), id.into());
            }
            body.extend(self.members.clone());
        }
        body.to_string().into_bytes()
    }
}

impl From<Error> for Problem {
    /// Logs what happened inside, and tells the client only what its code says.
    fn from(error: Error) -> Self {
        let code = error.code();
        let detail = match code {
            ProblemCode::Internal => {
                tracing::error!(error = %chain(&error), "internal error");
                "The request could not be completed because of a fault on our side. \
                 Report the request_id if it happens again."
            }
            _ => {
                tracing::warn!(error = %chain(&error), "could not find out");
                "The answer could not be found out just now; a change that was asked for may have been made. \
                 Keep what you have and try again after Retry-After."
            }
        };
        Self::new(code, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        response.extensions_mut().insert(AnsweredProblem(self.code));
        response
    }
}
