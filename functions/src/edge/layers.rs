//! The layers around every service: request id, log context, body limit, deadline, panics, paths, the access log line.

use super::{
    Problem, config,
    context::{RequestContext, RequestDeadline, RequestTrace},
    extract::{MAX_BODY, read, too_large},
    metrics::{MetricsAccess, RequestLabels, observe},
    pages::PageSettings,
    problem::AnsweredProblem,
    telemetry::{MetricName, MetricOutcome},
};
use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{MatchedPath, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use license_core::{
    ProblemCode,
    domain::{credential, id::draw_uuid, lease::LeaseTiming},
};
use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};
use tower_http::{catch_panic::CatchPanicLayer, normalize_path::NormalizePath};
use tracing::{Instrument, Span, field::Empty};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Less than the shortest time after which a push comes again, 60 s in `local`; subscriptions must wait at least as
/// long.
const PUSH_DEADLINE: Duration = Duration::from_secs(55);

/// How long a body may take: 64 KiB at the speed of a modem.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// What the layers need to know. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LayerSettings {
    problems: Arc<str>,
    project: Option<Arc<str>>,
    deadline: Duration,
    body: Duration,
    pub(super) security: Option<Arc<config::SecurityTxt>>,
    pub(super) start_patience: Duration,
    pages: PageSettings,
    metrics: MetricsAccess,
}

impl LayerSettings {
    /// Layers whose problems point to the page that `layers` names, whose traces belong to the project of `logging`,
    /// and whose deadline is the protocol's.
    pub fn new(layers: &config::LayersConfig, logging: &config::LogConfig) -> Self {
        let project = logging.project.as_deref().map(Arc::from);
        Self {
            problems: layers.problems.as_str().into(),
            project,
            deadline: LeaseTiming::DEADLINE,
            body: BODY_PATIENCE,
            security: layers.security.clone().map(Arc::new),
            start_patience: layers.start_patience,
            pages: PageSettings { front: layers.front.as_str().into(), start: None, no_health: false },
            metrics: MetricsAccess::of_token(layers.metrics_token.clone()),
        }
    }

    /// The same with a page for newcomers, in Markdown, at `/start`.
    #[must_use]
    pub fn with_start_page(mut self, text: &'static str) -> Self {
        self.pages.start = Some(text);
        self
    }

    /// What the pages for people need to know ([`super::pages::router`]).
    pub fn pages(&self) -> &PageSettings {
        &self.pages
    }

    /// Whether requests are counted, and who may read the counts.
    pub fn metrics(&self) -> &MetricsAccess {
        &self.metrics
    }

    /// The same with other rules for that.
    #[must_use]
    pub fn with_metrics(self, metrics: MetricsAccess) -> Self {
        Self { metrics, ..self }
    }

    /// The same with another deadline, for tests.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The same with another time for bodies to arrive in, for tests.
    #[must_use]
    pub fn with_body_patience(self, body: Duration) -> Self {
        Self { body, ..self }
    }
}

/// Puts the layers around a router of paths without a slash at their end: what clients see is the same in the cloud, in
/// `local` and in tests.
///
/// Paths or methods the router does not know are answered with a problem.
pub fn layers(router: Router, settings: &LayerSettings) -> Router {
    let inner = router
        .fallback(no_path)
        .method_not_allowed_fallback(no_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(settings.clone(), handle_request));
    // The slash must be gone before the router looks at the path, so this cannot be one more layer of it.
    Router::new().fallback_service(NormalizePath::trim_trailing_slash(inner))
}

async fn no_path() -> Problem {
    Problem::no_such_path()
}

async fn no_method() -> Problem {
    Problem::new(ProblemCode::MethodNotAllowed, "The path exists, but not for this method; see the Allow header.")
}

/// The panic hook has logged it already.
fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    Problem::internal().into_response()
}

async fn handle_request(State(settings): State<LayerSettings>, request: Request, next: Next) -> Response {
    let mut started = Instant::now();
    let request_id = request_id_of(request.headers());
    let span = span(&request_id);
    let trace = RequestTrace::of(request.headers(), settings.project.clone(), &span);
    let seen = AccessLogEntry::of(&request);
    let (deadline, patience, is_counted) = (seen.deadline(&settings), settings.body, settings.metrics.is_counting());
    let header = HeaderValue::from_str(&request_id).ok();
    let context = RequestContext { request_id, problems: settings.problems, span: span.clone(), trace };
    let answered = async {
        if declared_length(request.headers()) > MAX_BODY as u64 {
            return too_large().into_response();
        }
        // The deadline is for what we do: it begins when the client has said all it has to say. Pushes come from the
        // queue alone, and are read once it is known that they do.
        let request = if seen.is_push() { Ok(request) } else { whole(request, patience).await };
        let mut request = match request {
            Ok(request) => request,
            Err(problem) => return problem.into_response(),
        };
        started = Instant::now();
        request.extensions_mut().insert(RequestDeadline::after(deadline));
        let late = || {
            let detail =
                "The answer took too long and was given up. Keep what you have and try again after Retry-After.";
            Problem::new(ProblemCode::RecordsUnavailable, detail).into_response()
        };
        tokio::time::timeout(deadline, next.run(request)).await.unwrap_or_else(|_| late())
    };
    let mut response = context.scope(answered.instrument(span.clone())).await;
    if let Some(id) = header {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    // Keys and tokens are in here: nothing on the way may keep a copy unless the handler said so.
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let took = started.elapsed();
    if is_counted {
        observe(&seen.labels(&response), took);
    }
    span.in_scope(|| seen.log(&response, took));
    response
}

/// A request whose body is here, so that whoever answers it waits for no client.
async fn whole(request: Request, patience: Duration) -> Result<Request, Problem> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let late = || {
        let seconds = patience.as_secs();
        let detail =
            format!("The whole body had not arrived after {seconds} s, and nothing was done. Send the request again.");
        Problem::new(ProblemCode::RequestTimeout, detail)
    };
    let body = tokio::time::timeout(patience, read(Request::new(body))).await.map_err(|_| late())??;
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// The client's id if it is short and plain, else a new one. A credential pasted there must not reach the log.
fn request_id_of(headers: &HeaderMap) -> String {
    let plain = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let given = headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    let given = given.filter(plain).filter(|id| !credential::looks_like_credential(id));
    given.map_or_else(|| draw_uuid().to_string(), str::to_owned)
}

fn declared_length(headers: &HeaderMap) -> u64 {
    headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

/// At error level, so that its fields are there whatever level is being logged.
fn span(request_id: &str) -> Span {
    tracing::error_span!(
        "request",
        request_id,
        tenant = Empty,
        license = Empty,
        "logging.googleapis.com/trace" = Empty,
        "logging.googleapis.com/spanId" = Empty,
        "logging.googleapis.com/trace_sampled" = Empty,
    )
}

/// A method's name where it is one that HTTP knows. Any other word is the client's own, and may be a secret.
fn known(method: &Method) -> &'static str {
    const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or(OTHER)
}

/// In place of a method that HTTP does not know.
const OTHER: &str = "(other)";

/// How a request ended: the code of a problem, or what its handler said.
fn outcome(response: &Response) -> &'static str {
    let refused = response.extensions().get::<AnsweredProblem>().map(|refused| refused.0.as_str());
    refused.or_else(|| response.extensions().get::<MetricOutcome>().map(|outcome| outcome.0)).unwrap_or("ok")
}

/// What the access log line says of a request: never its raw path or headers, which may carry what must not be logged.
struct AccessLogEntry {
    method: Method,
    path: Option<MatchedPath>,
    size: u64,
}

impl AccessLogEntry {
    fn of(request: &Request) -> Self {
        let path = request.extensions().get::<MatchedPath>().cloned();
        Self { method: request.method().clone(), path, size: declared_length(request.headers()) }
    }

    fn metric(&self) -> MetricName {
        MetricName::of_path(self.path.as_ref().map(MatchedPath::as_str))
    }

    fn is_push(&self) -> bool {
        use MetricName::{DueRequests, NotifyRequests, ReapRequests, TickRequests};
        matches!(self.metric(), TickRequests | ReapRequests | NotifyRequests | DueRequests)
    }

    /// Nobody waits for what a push asks for: it has until just before a push that was not acknowledged comes again.
    fn deadline(&self, settings: &LayerSettings) -> Duration {
        if self.is_push() { PUSH_DEADLINE } else { settings.deadline }
    }

    /// What it is counted under.
    fn labels(&self, response: &Response) -> RequestLabels {
        let (status, outcome) = (response.status().as_u16(), outcome(response));
        let method = Some(known(&self.method)).filter(|method| *method != OTHER).unwrap_or("_OTHER");
        RequestLabels { route: self.path.clone(), method, status, outcome }
    }

    fn log(&self, response: &Response, latency: Duration) {
        let path = self.path.as_ref().map_or("(no such path)", MatchedPath::as_str);
        let metric = self.metric();
        let status = response.status().as_u16();
        let outcome = outcome(response);
        let method = known(&self.method);
        // A start that waits for its stores is asked once a second, and is no fault.
        if metric == MetricName::HealthRequests && (status == 200 || path == "/health/started") {
            tracing::debug!(outcome, "{method} {path} {status}");
            return;
        }
        tracing::info!(
            severity = if status >= 500 { "WARNING" } else { "INFO" },
            metric = metric.as_str(),
            outcome,
            latency_ms = latency.as_secs_f64() * 1000.0,
            "httpRequest.requestMethod" = method,
            "httpRequest.requestUrl" = path,
            "httpRequest.requestSize" = self.size.to_string(),
            "httpRequest.status" = status,
            "httpRequest.latency" = format!("{:.6}s", latency.as_secs_f64()),
            "{method} {path} {status} {outcome}"
        );
    }
}
