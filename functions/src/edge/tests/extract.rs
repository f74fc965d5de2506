use super::{Answer, post, send};
use crate::edge::{BearerCredential, FieldChecks, JsonBody, JsonOrEmpty, Problem};
use axum::{Router, body::Body, routing};
use http::{Request, StatusCode};
use license_core::domain::key::LicenseKey;
use serde::Deserialize;
use serde_json::{Value, json};
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: Option<String>,
    count: Option<u32>,
    #[serde(default)]
    inner: Inner,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    deep: Option<bool>,
}

async fn strict(JsonBody(wanted): JsonBody<Wanted>) -> String {
    format!("{:?} {:?} {:?}", wanted.name, wanted.count, wanted.inner.deep)
}

async fn lenient(JsonOrEmpty(wanted): JsonOrEmpty<Wanted>) -> String {
    strict(JsonBody(wanted)).await
}

fn router() -> Router {
    Router::new().route("/strict", routing::post(strict)).route("/lenient", routing::post(lenient))
}

async fn sent(body: impl Into<Body>) -> Answer {
    send(router(), post("/strict", "application/json", body)).await
}

fn first_error(answer: &Answer) -> (&str, &str) {
    let error = &answer.body["errors"][0];
    (error["field"].as_str().unwrap(), error["problem"].as_str().unwrap())
}

#[tokio::test]
async fn json_is_read_whether_declared_exactly_loosely_or_not_at_all() {
    for content_type in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json", ""] {
        let answer = send(router(), post("/strict", content_type, r#"{"name":"n"}"#)).await;
        assert_eq!(answer.status, StatusCode::OK, "{content_type}");
    }
}

#[tokio::test]
async fn another_content_type_is_415_and_curl_users_are_told_how() {
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json"] {
        let answer = send(router(), post("/strict", content_type, "{}")).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (415, &"unsupported_media_type".into()));
        assert_eq!(answer.body["detail"].as_str().unwrap().contains("curl --json"), content_type.contains("form"));
    }
}

#[tokio::test]
async fn what_is_not_json_is_400_even_after_a_wrong_field() {
    for body in [
        "",
        "  ",
        "{",
        "nonsense",
        r#"{"name":}"#,
        r#"{"unknown":1, oops}"#,
        r#"{"name":"a"} more"#,
        "{\"name\":\"\u{1}\"}",
    ] {
        let answer = sent(body).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (400, &"invalid_request".into()), "{body:?}");
    }
    assert_eq!(sent(&b"{\"name\":\"\xff\"}"[..]).await.status, 400);
}

#[tokio::test]
async fn a_very_deep_body_is_refused_and_breaks_nothing() {
    let answer = sent(format!(r#"{{"name":{}{}}}"#, "[".repeat(30_000), "]".repeat(30_000))).await;
    assert!(matches!(answer.status.as_u16(), 400 | 422));
}

#[tokio::test]
async fn json_that_says_something_wrong_is_422_with_the_field_and_never_the_value() {
    let cases = [
        (r#"{"name":5}"#, "name", "must be a string"),
        (r#"{"count":"CODI-SECRET"}"#, "count", "must be u32"),
        (r#"{"count":-1}"#, "count", "must be u32"),
        (r#"{"nam":"CODI-SECRET"}"#, "nam", "is not a field of this request"),
        (r#"{"name":"a","name":"b"}"#, "name", "is given twice"),
        (r#"{"inner":{"deep":"CODI-SECRET"}}"#, "inner.deep", "must be a boolean"),
        (r#"{"inner":{"else":1}}"#, "inner.else", "is not a field of this request"),
        (r#"["CODI-SECRET"]"#, "body", "must be a JSON object"),
        (r#""CODI-SECRET""#, "body", "must be a JSON object"),
        ("null", "body", "must be a JSON object"),
    ];
    for (body, field, problem) in cases {
        let answer = sent(body).await;
        assert_eq!((answer.status.as_u16(), first_error(&answer)), (422, (field, problem)), "{body}");
        assert!(!answer.body.to_string().contains("SECRET"), "{}", answer.body);
    }
}

#[tokio::test]
async fn where_every_field_is_optional_an_empty_body_is_an_empty_object() {
    for content_type in ["", "application/json", "application/x-www-form-urlencoded"] {
        assert_eq!(send(router(), post("/lenient", content_type, "")).await.status, StatusCode::OK, "{content_type}");
    }
    assert_eq!(send(router(), post("/lenient", "text/plain", "{}")).await.status, 415);
    assert_eq!(send(router(), post("/lenient", "application/json", r#"{"x":1}"#)).await.status, 422);
}

#[tokio::test]
async fn a_body_over_64_kib_is_413_whether_it_says_its_length_or_not() {
    let body = |length: usize| format!(r#"{{"name":"{}"}}"#, "a".repeat(length - 11));
    assert_eq!(sent(body(64 * 1024)).await.status, StatusCode::OK);
    let large = body(64 * 1024 + 1);
    let mut declared = post("/strict", "application/json", large.clone());
    declared.headers_mut().insert("content-length", large.len().into());
    for request in [declared, post("/strict", "application/json", large)] {
        let answer = send(router(), request).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (413, &"payload_too_large".into()));
    }
}

fn bearer() -> Router {
    Router::new()
        .route("/me", routing::get(|bearer: BearerCredential| async move { format!("{bearer:?} {}", bearer.0) }))
}

#[tokio::test]
async fn a_bearer_credential_is_taken_from_its_header_and_never_printed() {
    for value in ["Bearer abc-._~+/=", "bearer abc-._~+/=", "BEARER  abc-._~+/= "] {
        let request = Request::get("/me").header("authorization", value).body(Body::empty()).unwrap();
        assert_eq!(send(bearer(), request).await.body, "[bearer] abc-._~+/=");
    }
}

#[tokio::test]
async fn a_bearer_credential_is_read_as_it_was_pasted() {
    for value in [
        "Bearer \"abc-._~+/=\"",
        "Bearer “abc-._~+/=”",
        "Bearer abc\u{2011}._~+/=\u{A0}",
        "Bearer \u{FEFF}abc-._~+/=\u{200B}",
    ] {
        let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
        let request = Request::get("/me").header("authorization", value).body(Body::empty()).unwrap();
        assert_eq!(send(bearer(), request).await.body, "[bearer] abc-._~+/=");
    }
}

#[tokio::test]
async fn a_missing_or_malformed_credential_is_401_with_a_challenge() {
    let twice: &[&str] = &["Bearer a", "Bearer b"];
    for values in
        [&[] as &[&str], &["Basic YTpi"], &["Bearer"], &["Bearer "], &["Bearer a b"], &["Bearer a,b"], &["abc"], twice]
    {
        let request = values.iter().fold(Request::get("/me"), |request, value| request.header("authorization", *value));
        let answer = send(bearer(), request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (401, &"token_invalid".into()), "{values:?}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
    }
}

#[tokio::test]
async fn one_answer_names_every_wrong_field() {
    async fn check() -> Result<String, Problem> {
        let mut fields = FieldChecks::new();
        let key = fields.required("license_key", Some("CODI-1"), LicenseKey::parse);
        let size = fields.required("size", None, str::parse::<u8>);
        let rest = fields.optional("rest", None, str::parse::<u8>);
        fields.check(key.zip(size)).map(|(key, size)| format!("{key:?}{size}{rest:?}"))
    }
    let answer = send(Router::new().route("/x", routing::get(check)), super::get("/x")).await;
    let fields: Vec<&Value> = answer.body["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!((answer.status.as_u16(), fields), (422, vec![&json!("license_key"), &json!("size")]));
}
