use super::send;
use crate::edge::{Problem, problem::table};
use axum::{Router, response::IntoResponse, routing::get};
use http::StatusCode;
use license_core::{Error, ProblemCode, error::StoreName};

#[test]
fn every_code_has_an_honest_row() {
    for &code in ProblemCode::ALL {
        let row = table(code);
        assert!(row.status.is_client_error() || row.status.is_server_error(), "{code:?}");
        assert!(!row.title.is_empty() && !row.title.ends_with('.'), "{code:?}");
        assert_eq!(
            row.status == StatusCode::UNAUTHORIZED,
            row.challenge.is_some(),
            "{code:?}: RFC 9110 wants a challenge"
        );
        let later = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&row.status);
        assert_eq!(later, row.retry_after.is_some(), "{code:?}");
        assert_eq!(code.as_str().ends_with("_unavailable"), row.status == StatusCode::SERVICE_UNAVAILABLE, "{code:?}");
    }
}

#[tokio::test]
async fn a_problem_says_what_happened_what_to_do_and_which_request_it_was() {
    let refuse = || async {
        let problem = Problem::new(ProblemCode::NoSeatsAvailable, "All 5 seats are in use.").with("seats_total", 5);
        problem.with_refusal("a.b.c", "d.e.f").retry_after(17)
    };
    let answer = send(Router::new().route("/x", get(refuse)), super::get("/x")).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("retry-after"), "17");
    let body = &answer.body;
    assert_eq!(body["type"], "/problems/no_seats_available");
    assert_eq!((&body["title"], &body["status"]), (&"No seat is free".into(), &409.into()));
    assert_eq!((&body["detail"], &body["code"]), (&"All 5 seats are in use.".into(), &"no_seats_available".into()));
    assert_eq!((&body["seats_total"], &body["refusal"]), (&5.into(), &"a.b.c".into()));
    assert_eq!(body["request_id"], answer.header("x-request-id"));
}

#[tokio::test]
async fn an_error_of_a_store_is_503_and_shows_nothing_of_the_inside() {
    type Case = (fn() -> Error, u16, &'static str);
    let cases: [Case; 7] = [
        (|| Error::Seats("host 10.0.0.7 refused".into()), 503, "seats_unavailable"),
        (|| Error::Records("host 10.0.0.7 refused".into()), 503, "records_unavailable"),
        (|| Error::Signer("host 10.0.0.7 refused".into()), 503, "signer_unavailable"),
        (|| Error::Identity("host 10.0.0.7 refused".into()), 503, "identity_unavailable"),
        (|| Error::Events("host 10.0.0.7 refused".into()), 503, "events_unavailable"),
        (|| Error::Deadline(StoreName::Seats), 503, "seats_unavailable"),
        (|| Error::Internal("host 10.0.0.7 refused".into()), 500, "internal"),
    ];
    for (error, status, code) in cases {
        let fail = move || async move { Problem::from(error()).into_response() };
        let answer = send(Router::new().route("/x", get(fail)), super::get("/x")).await;
        assert_eq!((answer.status.as_u16(), answer.body["code"].as_str()), (status, Some(code)));
        assert_eq!(answer.headers.contains_key("retry-after"), status == 503, "{code}");
        assert!(!answer.body.to_string().contains("10.0.0.7"), "{}", answer.body);
    }
}
