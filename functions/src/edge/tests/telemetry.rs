use super::{get, post, rim, send_through};
use crate::edge::{
    Problem,
    layers::{about, layers},
    telemetry::{CloudLogging, MetricName, MetricOutcome, TraceContext},
};
use axum::{Extension, Router, body::Body, routing};
use http::{HeaderMap, Request};
use license_core::{
    Clock, Error,
    domain::{id::LicenseNumber, id::TenantId},
};
use serde_json::Value;
use std::{cell::RefCell, io::Write, sync::Once};
use tracing_subscriber::layer::SubscriberExt;

const NUMBER: LicenseNumber = LicenseNumber(42);
const TENANT: TenantId = TenantId(uuid::Uuid::nil());

fn router() -> Router {
    Router::new()
        .route(
            "/api/v1/licenses/acquire",
            routing::post(|| async {
                about(Some(TENANT), Some(NUMBER));
                tracing::info!(seat = 3, "granted");
                Extension(MetricOutcome("granted"))
            }),
        )
        .route("/reap", routing::post(|| async { Problem::from(Error::Seats("refused".into())) }))
        .route("/health/live", routing::get(|| async { "" }))
}

thread_local! {
    /// What this thread's test has logged: each runs on its own thread, its runtime included.
    static WRITTEN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Written;

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        WRITTEN.with_borrow_mut(|written| written.write(bytes))
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines that answering `request` writes. One subscriber for the whole process: a call site that is first reached
/// on a thread without one would be switched off for all.
async fn lines_of(request: Request<Body>) -> Vec<Value> {
    static SUBSCRIBER: Once = Once::new();
    SUBSCRIBER.call_once(|| {
        let layer = CloudLogging::new(|| Written, Clock::system());
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
    });
    WRITTEN.take();
    send_through(layers(router(), &rim()), request).await;
    let text = String::from_utf8(WRITTEN.take()).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["target"].as_str().unwrap().starts_with("license_functions")).collect()
}

#[tokio::test]
async fn every_line_of_a_request_says_which_request_trace_tenant_and_license() {
    let mut request = post("/api/v1/licenses/acquire/", "", "");
    request.headers_mut().insert("x-request-id", "r1".parse().unwrap());
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.headers_mut().insert("traceparent", trace.parse().unwrap());
    let lines = lines_of(request).await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in &lines {
        assert_eq!((&line["severity"], &line["request_id"]), (&"INFO".into(), &"r1".into()));
        assert_eq!((&line["tenant"], &line["license"]), (&TENANT.to_string().into(), &NUMBER.to_string().into()));
        assert_eq!(line["logging.googleapis.com/trace"], "projects/a-project/traces/4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(line["logging.googleapis.com/spanId"], "00f067aa0ba902b7");
        assert_eq!(line["logging.googleapis.com/trace_sampled"], true);
        assert!(line["time"].as_str().unwrap().ends_with('Z'));
    }
    assert_eq!((&lines[0]["message"], &lines[0]["seat"]), (&"granted".into(), &3.into()));
}

#[tokio::test]
async fn a_request_ends_in_one_access_line_with_its_metric_and_outcome() {
    let lines = lines_of(post("/api/v1/licenses/acquire", "", "")).await;
    let line = lines.last().unwrap();
    assert_eq!((&line["metric"], &line["outcome"]), (&"acquire/requests".into(), &"granted".into()));
    let http = &line["httpRequest"];
    assert_eq!((&http["requestMethod"], &http["status"]), (&"POST".into(), &200.into()));
    assert_eq!(http["requestUrl"], "/api/v1/licenses/acquire");
    assert!(http["latency"].as_str().unwrap().ends_with('s') && line["latency_ms"].is_f64());
}

#[tokio::test]
async fn an_error_is_told_to_the_log_with_its_inside_and_the_code_as_outcome() {
    let lines = lines_of(post("/reap", "", "")).await;
    assert_eq!((&lines[0]["severity"], &lines[0]["error"]), (&"WARNING".into(), &"seat store: refused".into()));
    assert_eq!((&lines[1]["severity"], &lines[1]["outcome"]), (&"WARNING".into(), &"seats_unavailable".into()));
}

#[tokio::test]
async fn a_method_that_http_does_not_know_never_reaches_the_log() {
    for (method, said) in [("CODI-SECRET", "(other)"), ("get", "(other)"), ("TRACE", "TRACE"), ("HEAD", "HEAD")] {
        let mut request = post("/api/v1/licenses/acquire", "", "");
        *request.method_mut() = method.parse().unwrap();
        let lines = lines_of(request).await;
        let line = lines.last().unwrap();
        assert_eq!(line["httpRequest"]["requestMethod"], said);
        assert!(!line.to_string().contains("SECRET"), "{line}");
    }
}

#[tokio::test]
async fn a_raw_path_or_query_never_reaches_the_log() {
    for path in ["/CODI-SECRET", "/api/v1/licenses/acquire?key=CODI-SECRET", "/api/CODI-SECRET/"] {
        let lines = lines_of(get(path)).await;
        assert_eq!(lines.len(), 1);
        assert!(!lines[0].to_string().contains("SECRET"), "{}", lines[0]);
    }
}

#[test]
fn both_trace_headers_are_understood_and_nonsense_is_no_trace() {
    let of = |name: &'static str, value: &str| {
        TraceContext::of(&HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())]))
    };
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let trace = of("x-cloud-trace-context", &format!("{id}/255;o=1")).unwrap();
    assert_eq!(trace, TraceContext { id: id.into(), span: Some("00000000000000ff".into()), sampled: true });
    assert_eq!(of("x-cloud-trace-context", id).unwrap().name(None), id);
    assert!(!of("traceparent", &format!("00-{id}-00f067aa0ba902b7-00")).unwrap().sampled);
    for nonsense in
        ["", "x", "00-short-00f067aa0ba902b7-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-é"]
    {
        assert_eq!(of("traceparent", nonsense), None, "{nonsense}");
        assert_eq!(of("x-cloud-trace-context", nonsense), None, "{nonsense}");
    }
}

#[test]
fn metrics_are_named_after_their_function_and_none_twice() {
    let mut names: Vec<_> = MetricName::ALL.iter().map(|metric| metric.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), MetricName::ALL.len());
    assert!(names.iter().all(|name| name.split('/').count() == 2));
    assert_eq!(MetricName::of_path(Some("/health/ready")), MetricName::HealthRequests);
    assert_eq!(MetricName::of_path(None), MetricName::OtherRequests);
}

/// A body of which something comes, and then nothing (`None`) or the news that the client went away.
struct Half(Option<std::io::ErrorKind>, bool);

impl http_body::Body for Half {
    type Data = bytes::Bytes;
    type Error = std::io::Error;
    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<std::io::Result<http_body::Frame<bytes::Bytes>>>> {
        use std::task::Poll;
        if !std::mem::replace(&mut self.1, true) {
            return Poll::Ready(Some(Ok(http_body::Frame::data(bytes::Bytes::from_static(b"{\"a\"")))));
        }
        self.0.map_or(Poll::Pending, |kind| Poll::Ready(Some(Err(kind.into()))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_and_one_that_breaks_off_are_no_outage_of_ours() {
    for (broken, status, outcome) in
        [(None, 408, "request_timeout"), (Some(std::io::ErrorKind::ConnectionReset), 400, "invalid_request")]
    {
        let request = post("/api/v1/licenses/acquire", "application/json", Body::new(Half(broken, false)));
        let lines = lines_of(request).await;
        assert_eq!(lines.len(), 1, "the handler saw nothing of it: {lines:?}");
        assert_eq!((&lines[0]["outcome"], &lines[0]["severity"]), (&outcome.into(), &"INFO".into()), "{lines:?}");
        assert_eq!(lines[0]["httpRequest"]["status"], status, "{lines:?}");
        assert!(lines[0]["latency_ms"].as_f64().unwrap() < 5_000.0, "{lines:?}");
    }
}
