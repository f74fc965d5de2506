use super::{Answer, get, logging, send_through};
use crate::edge::{
    config::{Environment, LayersConfig},
    layers::LayerSettings,
    metrics::MetricsAccess,
    serve::{Service, StoreCheck, app},
    telemetry::MetricOutcome,
};
use axum::{Extension, Router, body::Body, routing};
use http::Request;
use license_core::{
    Clock, domain::lease::LeaseTiming, error::StoreName, protocol::reap::SeatReaper, records, seat_store,
};

const TOKEN: &str = "0123456789abcdef";

fn layers(token: &str) -> Result<LayersConfig, String> {
    let values = [("METRICS_TOKEN".to_owned(), token.to_owned())];
    LayersConfig::from_env(&Environment::map(values.into())).map_err(|error| error.to_string())
}

fn settings(token: &str) -> LayerSettings {
    LayerSettings::new(&layers(token).unwrap(), &logging())
}

fn served(settings: &LayerSettings, checks: Vec<StoreCheck>) -> Router {
    let router = Router::new()
        .route("/things/{thing}", routing::get(|| async { Extension(MetricOutcome("found")) }))
        .route("/other/{thing}", routing::post(|| async { "" }));
    app(Service { router, checks }, settings)
}

async fn scrape(app: &Router, authorization: Option<&str>) -> Answer {
    let mut request = Request::get("/metrics");
    if let Some(text) = authorization {
        request = request.header("authorization", text);
    }
    send_through(app.clone(), request.body(Body::empty()).unwrap()).await
}

fn text(answer: &Answer) -> &str {
    assert_eq!(answer.status, 200);
    answer.body.as_str().unwrap()
}

#[tokio::test]
async fn without_a_token_there_is_no_page_and_with_one_only_its_bearer_reads_it() {
    assert_eq!(scrape(&served(&settings(""), Vec::new()), None).await.status, 404);
    let page = served(&settings(TOKEN), Vec::new());
    for wrong in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic 0123456789abcdef"), Some(TOKEN)] {
        assert_eq!(scrape(&page, wrong).await.status, 401, "{wrong:?}");
    }
    for wrong in
        ["Bearer 0123456789abcdeg", "Bearer 0123456789abcde", "Bearer 0123456789abcdef0", "Bearer  0123456789abcdef"]
    {
        assert_eq!(scrape(&page, Some(wrong)).await.status, 401, "{wrong}");
    }
    let refused = scrape(&page, None).await;
    assert_eq!(refused.body["code"], "token_invalid");
    assert!(!refused.body.to_string().contains(TOKEN));
    for right in ["Bearer 0123456789abcdef", "bearer 0123456789abcdef"] {
        let answer = scrape(&page, Some(right)).await;
        assert!(text(&answer).ends_with("# EOF\n"));
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[test]
fn a_token_that_could_be_guessed_or_not_be_sent_is_refused_by_its_name_and_never_shown() {
    for wrong in ["0123456789abcde", "0123456789abcdef ghi", "0123456789abcdeé"] {
        let error = layers(wrong).unwrap_err();
        assert!(error.starts_with("METRICS_TOKEN must be at least 16 visible"), "{error}");
        assert!(!error.contains(wrong), "{error}");
    }
    assert!(!format!("{:?}", settings(TOKEN)).contains(TOKEN));
}

#[tokio::test]
async fn a_client_makes_no_series_of_its_own() {
    let page = served(&settings(TOKEN), Vec::new());
    for path in ["/things/1", "/things/2", "/nowhere/5f1d", "/elsewhere/77aa"] {
        send_through(page.clone(), get(path)).await;
    }
    let odd = Request::builder().method("SECRET").uri("/things/3").body(Body::empty()).unwrap();
    send_through(page.clone(), odd).await;
    let answer = scrape(&page, Some("Bearer 0123456789abcdef")).await;
    let all = text(&answer);
    let counted = |labels: &str| {
        let start = format!("http_server_request_duration_seconds_count{{{labels}}} ");
        all.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
    };
    let labels = |method: &str, route: &str, status: u16, outcome: &str| {
        let route = format!("http_route=\"{route}\",http_response_status_code=\"{status}\"");
        format!("http_request_method=\"{method}\",{route},outcome=\"{outcome}\"")
    };
    assert_eq!(counted(&labels("GET", "/things/{thing}", 200, "found")).as_deref(), Some("2"));
    assert_eq!(counted(&labels("_OTHER", "/things/{thing}", 405, "method_not_allowed")).as_deref(), Some("1"));
    assert!(counted(&labels("GET", "", 404, "not_found")).is_some(), "{all}");
    for own in ["5f1d", "77aa", "SECRET", "things/1"] {
        assert!(!all.contains(own), "{own}");
    }
}

#[tokio::test]
async fn where_nobody_may_scrape_nothing_is_counted() {
    let silent = served(&settings(""), Vec::new());
    let request = Request::post("/other/1").body(Body::empty()).unwrap();
    assert_eq!(send_through(silent, request).await.status, 200);
    let open = settings("").with_metrics(MetricsAccess::Off.open_unless_told());
    let answer = scrape(&served(&open, Vec::new()), None).await;
    assert!(!text(&answer).contains("/other/{thing}"), "by no other test either");
    assert!(!MetricsAccess::Off.elsewhere().is_counting() && MetricsAccess::Open.elsewhere().is_counting());
}

#[tokio::test]
async fn stores_that_are_away_fail_no_scrape_and_are_counted() {
    let (clock, timing) = (Clock::system(), LeaseTiming::default());
    let nobody = records::RecordsAddress::new("postgres://127.0.0.1:1/license", None, None).unwrap();
    let records = records::Records::new(nobody, records::DatabaseRole::Reaper, 3);
    let id = seat_store::ReplicationId::Script;
    let seats = seat_store::SeatStore::new("redis://127.0.0.1:1", id, timing, clock).unwrap();
    let check = StoreCheck::of_reaper(SeatReaper::new(seats, records, timing));
    assert_eq!(check.store(), StoreName::Records);
    let page = served(&settings(TOKEN), vec![check]);
    let answer = scrape(&page, Some("Bearer 0123456789abcdef")).await;
    let first = text(&answer).to_owned();
    // Seats and events were asked for; of which pools Redis is to be asked nobody knows then.
    assert!(first.contains("license_scrape_errors_total{store=\"records\"} 2\n"), "{first}");
    for absent in ["license_seats", "license_pool_seats", "license_outbox"] {
        assert!(!first.contains(absent), "{absent} is absent and not zero");
    }
    assert!(first.contains("db_client_connection_max{db_client_connection_pool_name=\"reaper\"} 3\n"), "{first}");
    // Who scrapes all the time asks the stores no more often.
    let again = scrape(&page, Some("Bearer 0123456789abcdef")).await;
    assert!(text(&again).contains("license_scrape_errors_total{store=\"records\"} 2\n"));
}
