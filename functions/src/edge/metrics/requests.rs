//! How long requests took, by route, method, status and outcome. This is on the way of every request: two uncontended
//! locks and no allocation, but for the first request of its kind.

use axum::extract::MatchedPath;
use prometheus_client::{
    encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder},
    metrics::{family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::LazyLock,
    time::Duration,
};

/// Upper ends of the buckets, in seconds: those that OpenTelemetry advises, with finer ones where a heartbeat is and one
/// for pushes, which may take 55 s.
const BUCKETS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

type Durations = Family<RequestLabels, Histogram, fn() -> Histogram>;

static DURATIONS: LazyLock<Durations> = LazyLock::new(|| Family::new_with_constructor(|| Histogram::new(BUCKETS)));

/// What a request is counted under. All of it is of our own making, so that no client can make a series.
#[derive(Clone, Debug)]
pub(in crate::edge) struct RequestLabels {
    /// The route as the router spells it; `None`: nobody serves the path.
    pub(in crate::edge) route: Option<MatchedPath>,
    /// A method that HTTP knows, or `_OTHER`.
    pub(in crate::edge) method: &'static str,
    /// The HTTP status.
    pub(in crate::edge) status: u16,
    /// The outcome, as the log line of the request has it.
    pub(in crate::edge) outcome: &'static str,
}

impl RequestLabels {
    fn fields(&self) -> (&str, &'static str, u16, &'static str) {
        (self.route.as_ref().map_or("", MatchedPath::as_str), self.method, self.status, self.outcome)
    }
}

impl PartialEq for RequestLabels {
    fn eq(&self, other: &Self) -> bool {
        self.fields() == other.fields()
    }
}

impl Eq for RequestLabels {}

impl Hash for RequestLabels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fields().hash(state);
    }
}

impl EncodeLabelSet for RequestLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let (route, method, status, outcome) = self.fields();
        ("http_request_method", method).encode(encoder.encode_label())?;
        ("http_route", route).encode(encoder.encode_label())?;
        ("http_response_status_code", u32::from(status)).encode(encoder.encode_label())?;
        ("outcome", outcome).encode(encoder.encode_label())
    }
}

/// A request was answered.
pub(in crate::edge) fn observe(labels: &RequestLabels, took: Duration) {
    DURATIONS.get_or_create(labels).observe(took.as_secs_f64());
}

pub(super) fn register(registry: &mut Registry) {
    registry.register_with_unit(
        "http_server_request_duration",
        "Time from the whole body of a request to its answer",
        Unit::Seconds,
        DURATIONS.clone(),
    );
}
