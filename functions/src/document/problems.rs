//! Refusals and errors in the document: which codes an operation can give, each with its status, headers and an
//! example.

use super::management;
use crate::{
    answer::SeatHolder,
    edge::{config::LayersConfig, problem::table},
};
use license_core::ProblemCode;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use utoipa::{
    ToSchema,
    openapi::{
        Components, Header, HeaderBuilder, Ref, RefOr, Response,
        content::Content,
        example::ExampleBuilder,
        path::Operation,
        response::ResponseBuilder,
        schema::{ObjectBuilder, SchemaFormat, Type},
    },
};

/// A refusal or an error (RFC 9457). Each code has a section in docs/ERRORS.md; members that a code does not name are
/// absent.
// In the words of the document: `edge::Problem` writes it member by member.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemSchema {
    /// The page that explains the code: on this server, unless it was told of another. It may be relative to the address
    /// that was asked.
    #[schema(format = "uri-reference")]
    r#type: String,
    /// The same for every occurrence of the code.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened and what to do, for this request. It may change: programs go by `code`.
    detail: String,
    /// The code, for programs.
    code: String,
    /// What the log has it under.
    #[schema(nullable = false)]
    request_id: Option<String>,
    /// `invalid_request`: what is wrong with which field.
    #[schema(nullable = false)]
    errors: Option<Vec<FieldProblem>>,
    /// `insufficient_role` and `insufficient_scope`: what it takes.
    #[schema(nullable = false)]
    required: Option<String>,
    /// `insufficient_user_authentication`: how many seconds ago the sign-in may be, where that is demanded.
    #[schema(nullable = false)]
    max_age: Option<u32>,
    /// `insufficient_user_authentication`: one of these must be the ID token's `acr`, where that is demanded.
    #[schema(nullable = false)]
    acr_values: Option<Vec<String>>,
    /// `address_not_allowed`: from where the request came, as far as it is known.
    #[schema(nullable = false)]
    address: Option<String>,
    /// `license_suspended` and the like, `product_not_allowed`: the license's number.
    #[schema(nullable = false)]
    license: Option<String>,
    /// `license_suspended` and the like: since when, where it is known.
    #[schema(nullable = false, format = DateTime)]
    since: Option<String>,
    /// `product_not_allowed`: what the license is for.
    #[schema(nullable = false)]
    product: Option<String>,
    /// `no_seats_available`: how many there are.
    #[schema(nullable = false)]
    seats_total: Option<u32>,
    /// `no_seats_available`: how many are held. Below `seats_total` where a seat waits for a lease to be over.
    #[schema(nullable = false)]
    seats_used: Option<u32>,
    /// `no_seats_available`: how many nobody holds and nobody is given yet, because whoever had them may still believe
    /// in them.
    #[schema(nullable = false)]
    seats_waiting: Option<u32>,
    /// `no_seats_available`: at most five, longest silent first; none where the license hides them.
    #[schema(nullable = false)]
    holders: Option<Vec<SeatHolder>>,
    /// `no_seats_available`: when the next lease ends if its holder stays silent, in seconds, where it is known.
    #[schema(nullable = false)]
    next_seat_in: Option<u64>,
    /// `too_many_processes`: how many are allowed.
    #[schema(nullable = false)]
    processes: Option<u32>,
    /// `too_many_processes`: when the first of them is over if it gives no sign of life, in seconds.
    #[schema(nullable = false)]
    next_process_in: Option<u64>,
    /// `session_gone`: `released`, `expired`, `kicked` or `unknown`.
    #[schema(nullable = false)]
    reason: Option<String>,
    /// `session_gone`: the session.
    #[schema(nullable = false, format = Uuid)]
    session_id: Option<String>,
    /// Of `/health/ready` and `/health/started`: each store, `ok` or `unavailable`.
    #[schema(nullable = false)]
    stores: Option<BTreeMap<String, String>>,
    /// Where the request sent a `nonce`, from 401 to 410: a signed statement that the answer is ours.
    #[schema(nullable = false)]
    refusal: Option<String>,
    /// The certificate of the key that signed `refusal`.
    #[schema(nullable = false)]
    certificate: Option<String>,
}

/// A field of the request and what is wrong with it.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"field": "name", "problem": "is required"}))]
pub(super) struct FieldProblem {
    /// The field, header or parameter.
    field: String,
    /// What is wrong with it.
    problem: String,
}

/// A `detail`, and what members a code has besides those of all, as an example.
pub(super) type ProblemSample = (&'static str, Value);

/// The samples by what they are about. Each code is in one of them.
pub(super) const SAMPLES: [fn(ProblemCode) -> Option<ProblemSample>; 3] = [caller_sample, request_sample, state_sample];

fn sample(code: ProblemCode) -> ProblemSample {
    SAMPLES.iter().find_map(|samples| samples(code)).unwrap_or_default()
}

/// Refusals because of who asks: the credential, and the license it stands for.
fn caller_sample(code: ProblemCode) -> Option<ProblemSample> {
    let license = || json!({"license": "752KJY5EZQ1CW", "since": "2026-11-21T03:31:22.034Z"});
    Some(match code {
        ProblemCode::LicenseKeyInvalid => (
            "No license has this key. It may have been replaced: ask whoever gave it to you for the present one.",
            json!({}),
        ),
        ProblemCode::TokenExpired => ("The token's time is over.", json!({})),
        ProblemCode::TokenInvalid => {
            ("Send the credential as a header: Authorization: Bearer <credential>.", json!({}))
        }
        ProblemCode::InsufficientUserAuthentication => (
            "You are signed in, but not freshly or not strongly enough for this. \
             Sign in again as acr_values and max_age ask for, and send the request again with the new ID token.",
            json!({"acr_values": ["phr"], "max_age": 900}),
        ),
        ProblemCode::LicenseExpired => ("The license's term is over. Ask the vendor to extend it.", license()),
        ProblemCode::LicenseSuspended => {
            ("The license is suspended and gives no seat. The vendor can say why, and resume it.", license())
        }
        ProblemCode::LicenseRevoked => ("The license was revoked for good. Ask the vendor for another.", license()),
        ProblemCode::LicenseNotStarted => {
            ("The license's term has not begun: it begins at 2026-11-21T03:31:22.034Z.", license())
        }
        ProblemCode::ProductNotAllowed => (
            "The license is for demo. Use the license of the product you started.",
            json!({"license": "752KJY5EZQ1CW", "product": "demo"}),
        ),
        ProblemCode::InsufficientRole => {
            ("This needs the role admin. Ask somebody who has it.", json!({"required": "admin"}))
        }
        ProblemCode::InsufficientScope => {
            ("No API token may do this: sign in yourself.", json!({"required": "person"}))
        }
        ProblemCode::AddressNotAllowed => (
            "This API token may be used from certain networks only, and the request came from 198.51.100.7. \
             Use it from there, or make another token.",
            json!({"address": "198.51.100.7"}),
        ),
        _ => return None,
    })
}

/// Refusals because of what is asked, and how.
fn request_sample(code: ProblemCode) -> Option<ProblemSample> {
    Some(match code {
        ProblemCode::InvalidRequest => {
            ("name: is required", json!({"errors": [{"field": "name", "problem": "is required"}]}))
        }
        ProblemCode::NotFound => ("Nothing with this id exists here, or you may not see it.", json!({})),
        ProblemCode::MethodNotAllowed => ("The path exists, but not for this method; see the Allow header.", json!({})),
        ProblemCode::RequestTimeout => {
            ("The whole body had not arrived after 10 s, and nothing was done. Send the request again.", json!({}))
        }
        ProblemCode::PayloadTooLarge => {
            ("The body is larger than 64 KiB, which no request of this API needs.", json!({}))
        }
        ProblemCode::UnsupportedMediaType => (
            "The body is declared as something else than JSON. Send JSON with Content-Type: application/json.",
            json!({}),
        ),
        ProblemCode::PreconditionFailed => (
            "Somebody changed this since you read it, and nothing was written. \
             Read it again, and send your edit with the new ETag.",
            json!({}),
        ),
        ProblemCode::IdempotencyKeyReused => (
            "This Idempotency-Key was sent with another request in the last 24 hours. \
             Use a new key for each request.",
            json!({}),
        ),
        ProblemCode::Conflict => {
            ("The present state does not allow this. Look at it again and decide anew.", json!({}))
        }
        ProblemCode::RateLimited => {
            ("More than 60 requests a minute (60 at once). This one was not looked at; come back in 1 s.", json!({}))
        }
        _ => return None,
    })
}

/// Refusals because of how things stand: the seats, the session and the stores.
fn state_sample(code: ProblemCode) -> Option<ProblemSample> {
    Some(match code {
        ProblemCode::NoSeatsAvailable => (
            "All 5 seats are in use. Close the program where it is not needed, or try again later.",
            json!({"seats_total": 5, "seats_used": 5, "seats_waiting": 0,
            "next_seat_in": 214,
            "holders": [{"label": "host-1", "since": "2026-11-21T03:31:22.034Z", "seen_in": 146}]}),
        ),
        ProblemCode::TooManyProcesses => (
            "4 processes of this machine share its seat already, as many as the license allows. Close one. \
             One that ended without giving its place back keeps it until its lease ends: the first is over in 17 s, \
             unless it gives a sign of life.",
            json!({"processes": 4, "next_process_in": 17}),
        ),
        ProblemCode::SessionGone => (
            "This session was released. Acquire again to go on.",
            json!({"reason": "released", "session_id": "01a1fc28-9b31-70be-8112-4bfdb0eab109"}),
        ),
        ProblemCode::SeatsUnavailable
        | ProblemCode::RecordsUnavailable
        | ProblemCode::SignerUnavailable
        | ProblemCode::IdentityUnavailable
        | ProblemCode::EventsUnavailable => (
            "The answer could not be found out just now; a change that was asked for may have been made. \
             Keep what you have and try again after Retry-After.",
            json!({}),
        ),
        ProblemCode::Internal => (
            "The request could not be completed because of a fault on our side. \
             Report the request_id if it happens again.",
            json!({}),
        ),
        _ => return None,
    })
}

fn example(code: ProblemCode) -> Value {
    let (detail, members) = sample(code);
    let (row, word) = (table(code), code.as_str());
    let mut problem = json!({
        "type": format!("{}/{word}", LayersConfig::default().problems), "title": row.title,
        "status": row.status.as_u16(), "detail": detail,
        "code": word, "request_id": "01a1fc28-9c4b-7096-b2f2-f5d5a5372872",
    });
    if let (Some(problem), Value::Object(members)) = (problem.as_object_mut(), members) {
        problem.extend(members);
    }
    problem
}

/// The codes of an operation by status, each once, and what the operation says of them.
type OperationRefusals = BTreeMap<String, (Vec<ProblemCode>, Option<String>)>;

/// Reads `codes: explanation`, where codes are words with commas between them. Words that are no codes are left out; a
/// test looks for them.
fn note(refusals: &mut OperationRefusals, status: &str, text: &str) {
    let (words, explanation) = text.split_once(": ").map_or((text, None), |(words, rest)| (words, Some(rest)));
    let (codes, said) = refusals.entry(status.to_owned()).or_default();
    for word in words.split(", ") {
        if let Some(&code) = ProblemCode::ALL.iter().find(|code| code.as_str() == word)
            && !codes.contains(&code)
        {
            codes.push(code);
        }
    }
    *said = said.take().or(explanation.map(str::to_owned));
}

/// Adds the refusals of the layers to every operation, and completes each refusal with its headers and examples.
pub(super) fn describe(operation: &mut Operation) {
    let mut refusals = OperationRefusals::new();
    for (status, response) in &operation.responses.responses {
        if let RefOr::T(response) = response
            && status.as_str() >= "400"
        {
            note(&mut refusals, status, &response.description);
        }
    }
    for (status, codes) in layer_refusals(operation) {
        note(&mut refusals, status, codes);
    }
    for (status, (codes, explanation)) in refusals {
        let response = refusal_response(&status, &codes, explanation);
        operation.responses.responses.insert(status, RefOr::T(response));
    }
}

/// What every service refuses before a handler sees the request, and what can always happen.
fn layer_refusals(operation: &Operation) -> Vec<(&'static str, &'static str)> {
    let mut refusals = vec![("500", "internal")];
    let uses = |name: &str| {
        let security = operation.security.iter().flatten();
        security.filter_map(|it| serde_json::to_value(it).ok()).any(|it| it.get(name).is_some())
    };
    if uses("session") {
        refusals.push(("401", "token_invalid"));
    }
    let managed = operation
        .responses
        .responses
        .values()
        .any(|it| matches!(it, RefOr::T(it) if it.headers.contains_key("RateLimit")));
    if managed {
        refusals.extend(management::refusals(operation));
    }
    if operation.request_body.is_some() {
        refusals.extend([
            ("400", "invalid_request: the body is not JSON"),
            ("408", "request_timeout"),
            ("413", "payload_too_large"),
            ("415", "unsupported_media_type"),
            ("422", "invalid_request"),
        ]);
    }
    refusals
}

fn refusal_response(status: &str, codes: &[ProblemCode], explanation: Option<String>) -> Response {
    let mut lines: Vec<String> =
        codes.iter().map(|code| format!("`{}`: {}", code.as_str(), table(*code).title)).collect();
    if let (1, Some(text)) = (lines.len(), &explanation) {
        lines[0] = format!("{} ({text})", lines[0]);
    } else if let Some(text) = explanation {
        lines.push(text);
    }
    let mut response = ResponseBuilder::new().description(lines.join(" · ")).build();
    let mut content = Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem"))));
    for code in codes {
        let word = if status == "400" { "not_json" } else { code.as_str() };
        content.examples.insert(word.to_owned(), RefOr::Ref(Ref::new(format!("#/components/examples/{word}"))));
    }
    response.content.insert("application/problem+json".to_owned(), RefOr::T(content));
    let headers: &[&str] = match status {
        "401" => &["WWW-Authenticate"],
        "403" if codes.contains(&ProblemCode::LicenseNotStarted) => &["Retry-After"],
        "409" if codes.contains(&ProblemCode::NoSeatsAvailable) => &["Retry-After"],
        "429" => &["Retry-After", "RateLimit", "RateLimit-Policy"],
        "503" => &["Retry-After"],
        _ => &[],
    };
    response.headers = headers.iter().map(|name| ((*name).to_owned(), management::header(name))).collect();
    response
}

/// What the refusals refer to: an example for each code in `used`, and the headers.
pub(super) fn components(components: &mut Components, used: &str) {
    for &code in ProblemCode::ALL.iter().filter(|code| used.contains(&format!("/examples/{}\"", code.as_str()))) {
        let built = ExampleBuilder::new().summary(table(code).title).value(Some(example(code))).build();
        components.examples.insert(code.as_str().to_owned(), RefOr::T(built));
    }
    let mut not_json = example(ProblemCode::InvalidRequest);
    let problem = "is not JSON; the error is at line 1, column 9";
    let members =
        json!({"status": 400, "detail": format!("body: {problem}"), "errors": [{"field": "body", "problem": problem}]});
    if let (Some(body), Value::Object(members)) = (not_json.as_object_mut(), members) {
        body.extend::<Map<String, Value>>(members);
    }
    let built = ExampleBuilder::new().summary("The body is not JSON").value(Some(not_json)).build();
    components.examples.insert("not_json".to_owned(), RefOr::T(built));
    for (name, text, example) in [
        (
            "RateLimit",
            "How many requests are left (`r`), and in how many seconds all are there again (`t`).",
            "\"admin\";r=59;t=1",
        ),
        ("RateLimit-Policy", "The limit: so many requests (`q`) within so many seconds (`w`).", "\"admin\";q=60;w=60"),
        (
            "Link",
            "Of CSV that leaves rows out: where to go on, as `rel=\"next\"` (RFC 8288), relative to the request.",
            "<?cursor=AZofwoyXcL6BEkv9sOqxCQ>; rel=\"next\"",
        ),
        (
            "WWW-Authenticate",
            "The credential that is asked for (RFC 9110, section 11.6.1).",
            "Bearer error=\"invalid_token\"",
        ),
    ] {
        components.headers.insert(name.to_owned(), RefOr::T(header(text, Type::String, example.into())));
    }
    let text = "After how many seconds asking again makes sense.";
    components.headers.insert("Retry-After".to_owned(), RefOr::T(header(text, Type::Integer, 2.into())));
}

fn header(text: &str, kind: Type, example: Value) -> Header {
    let format = (kind == Type::Integer).then(|| SchemaFormat::Custom("int64".into()));
    let schema = ObjectBuilder::new().schema_type(kind).format(format).examples([example]).build();
    HeaderBuilder::new().schema(Some(schema)).description(Some(text)).build()
}
