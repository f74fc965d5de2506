//! Log lines as Cloud Logging reads them from standard output: one JSON object each, with the fields of the request's
//! span on top. <https://cloud.google.com/logging/docs/structured-logging>
//!
//! Nothing runs in the background: a line is written before the call that logs returns. What must never be in a line:
//! license keys, handles, tokens, raw hardware ids. They are all types that do not print.

use super::config::LogConfig;
use http::HeaderMap;
use license_core::{Clock, domain::id::draw_uuid};
use serde::Serialize;
use std::{fmt, io::Write, ops::Range};
use time::format_description::well_known::Rfc3339;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer, filter::Targets, fmt::MakeWriter, layer::Context, layer::SubscriberExt, registry::LookupSpan,
};

pub(super) const TRACE: &str = "logging.googleapis.com/trace";
pub(super) const SPAN_ID: &str = "logging.googleapis.com/spanId";
pub(super) const TRACE_SAMPLED: &str = "logging.googleapis.com/trace_sampled";

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident = $text:literal $(at $($path:literal)|+)?,)*) => {
        /// The metrics of the services. Each is a log-based metric over the field `metric`, labelled by `outcome`, with
        /// `latency_ms`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum MetricName { $($(#[$doc])* $name,)* }
        impl MetricName {
            /// Every metric there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
            /// The metric's name, its function first.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
            /// The metric that counts requests to a path; `None` is a path nobody serves.
            pub fn of_path(path: Option<&str>) -> Self {
                const ADMIN: [&str; 5] =
                    ["/api/v1/me", "/api/v1/organizations", "/api/v1/plans", "/api/v1/staff", "/api/v1/mail/"];
                match path {
                    $($(Some($($path)|+) => Self::$name,)?)*
                    Some(path) if ADMIN.iter().any(|start| path.starts_with(start)) => Self::AdminRequests,
                    _ => Self::OtherRequests,
                }
            }
        }
    };
}

metrics! {
    /// Seats asked for.
    AcquireRequests = "acquire/requests" at "/api/v1/licenses/acquire",
    /// Looks at a license without taking a seat.
    ValidateRequests = "acquire/validate_requests" at "/api/v1/licenses/validate",
    /// Fetches of the root's public keys.
    KeysRequests = "acquire/keys_requests" at "/.well-known/license-keys",
    /// Signs of life.
    HeartbeatRequests = "heartbeat/requests" at "/api/v1/licenses/heartbeat",
    /// Sessions given back.
    ReleaseRequests = "release/requests" at "/api/v1/licenses/release",
    /// Registrations.
    RegisterRequests = "register/requests" at "/api/v1/auth/register",
    /// Requests to the management API.
    AdminRequests = "admin/requests",
    /// Looks at the description of the API.
    DocumentRequests = "admin/document_requests" at "/openapi.json" | "/docs" | "/docs/page.js" | "/docs/page.css",
    /// Sweeps begun.
    TickRequests = "reaper/tick_requests" at "/tick",
    /// Shares of a sweep.
    ReapRequests = "reaper/reap_requests" at "/reap",
    /// Events on their way to webhooks.
    NotifyRequests = "notify/requests" at "/events",
    /// Looks for deliveries whose time has come.
    DueRequests = "notify/due_requests" at "/due",
    /// Health checks, and scrapes of metrics.
    HealthRequests = "health/requests" at "/health/started" | "/health/live" | "/health/ready" | "/metrics",
    /// Everything else.
    OtherRequests = "other/requests",
}

/// How a request ended that was no problem, as a metric label: a handler puts it into its response's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricOutcome(pub &'static str);

/// The trace a request belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// 32 hexadecimal digits.
    pub id: String,
    /// 16 hexadecimal digits.
    pub span: Option<String>,
    /// True if the caller keeps it.
    pub sampled: bool,
}

impl TraceContext {
    /// A new trace, which nobody keeps.
    pub fn draw() -> Self {
        Self { id: draw_uuid().simple().to_string(), span: None, sampled: false }
    }

    /// The trace in a text as `traceparent` has it (W3C Trace Context).
    pub fn of_traceparent(text: &str) -> Option<Self> {
        Self::w3c(text)
    }

    /// What is sent on, for work that belongs to this trace: the same trace, under a new span.
    pub fn traceparent(&self) -> String {
        let span = draw_uuid().simple().to_string();
        // Never all zeros, which would name no span: a UUID has fixed bits in this half.
        format!("00-{}-{}-{:02x}", self.id, &span[16..], u8::from(self.sampled))
    }

    /// From `traceparent` (W3C Trace Context) or else Google's older `X-Cloud-Trace-Context`; anything malformed is no
    /// trace.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        text("traceparent").and_then(Self::w3c).or_else(|| text("x-cloud-trace-context").and_then(Self::google))
    }

    fn w3c(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (_version, id, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let sampled = u8::from_str_radix(flags.get(..2)?, 16).ok()? & 1 == 1;
        Some(Self { id: hex(id, 32)?, span: Some(hex(span, 16)?), sampled })
    }

    /// `TRACE_ID/SPAN_ID;o=OPTIONS`, the span as a decimal number.
    fn google(text: &str) -> Option<Self> {
        let (path, options) = text.split_once(';').unwrap_or((text, ""));
        let (id, span) = path.split_once('/').unwrap_or((path, ""));
        let span = span.parse::<u64>().ok().map(|span| format!("{span:016x}"));
        Some(Self { id: hex(id, 32)?, span, sampled: options == "o=1" })
    }

    /// The name Cloud Logging links to: `projects/<project>/traces/<id>`, or the bare id where the project is not
    /// known.
    pub fn name(&self, project: Option<&str>) -> String {
        project.map_or_else(|| self.id.clone(), |project| format!("projects/{project}/traces/{}", self.id))
    }
}

fn hex(text: &str, length: usize) -> Option<String> {
    let fits = text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit()) && text.bytes().any(|b| b != b'0');
    fits.then(|| text.to_ascii_lowercase())
}

/// Starts logging for this process, panics included. Called a second time it changes nothing.
pub fn init(settings: &LogConfig, clock: Clock) {
    let filter: Targets = settings.filter.parse().unwrap_or_else(|_| Targets::new().with_default(Level::INFO));
    let text = settings.text.then(|| tracing_subscriber::fmt::layer().compact().with_ansi(false).with_target(false));
    let json = (!settings.text).then(|| CloudLogging::new(std::io::stdout, clock));
    if tracing::subscriber::set_global_default(tracing_subscriber::registry().with(filter).with(text).with(json))
        .is_err()
    {
        return;
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked: {}", panic.payload_as_str().unwrap_or("(no text)"));
    }));
}

/// Writes each event as one line of JSON.
#[derive(Debug)]
pub struct CloudLogging<W> {
    writer: W,
    clock: Clock,
}

impl<W> CloudLogging<W> {
    /// Lines go to `writer` and carry the time of `clock`.
    pub fn new(writer: W, clock: Clock) -> Self {
        Self { writer, clock }
    }
}

impl<S, W> Layer<S> for CloudLogging<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = LogLine::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().replace(fields);
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<LogLine>()
        {
            record.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = LogLine::default();
        line.set("time", &self.clock.now().format(&Rfc3339).unwrap_or_default());
        line.set("severity", severity(*event.metadata().level()));
        line.set("target", event.metadata().target());
        for span in context.event_scope(event).into_iter().flatten().collect::<Vec<_>>().iter().rev() {
            if let Some(fields) = span.extensions().get::<LogLine>() {
                line.add(fields);
            }
        }
        event.record(&mut line);
        // One write, so that lines of several threads never mix. Where standard output is gone nobody can be told.
        let _ = self.writer.make_writer().write_all(&line.json());
    }
}

fn severity(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        _ => "DEBUG",
    }
}

/// The fields of a line or a span, in one buffer: every request has a line, so it costs no more than it must. A later
/// field of the same name takes the place of the earlier one; names `httpRequest.…` become members of one object.
#[derive(Default)]
struct LogLine {
    fields: Vec<(&'static str, Range<usize>)>,
    /// The JSON of every value.
    values: Vec<u8>,
}

const REQUEST: &str = "httpRequest.";

impl LogLine {
    fn set(&mut self, name: &'static str, value: &(impl Serialize + ?Sized)) {
        let start = self.values.len();
        // Cannot fail: the values are texts, numbers and truths, and memory takes them.
        if serde_json::to_writer(&mut self.values, value).is_ok() {
            self.put(name, start);
        }
    }

    /// Gives a name to what was written from `start` on.
    fn put(&mut self, name: &'static str, start: usize) {
        let value = start..self.values.len();
        match self.fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, earlier)) => *earlier = value,
            None => self.fields.push((name, value)),
        }
    }

    fn add(&mut self, other: &Self) {
        for (name, value) in &other.fields {
            let start = self.values.len();
            self.values.extend_from_slice(&other.values[value.clone()]);
            self.put(name, start);
        }
    }

    /// The line with its end. Names are those of fields in code and need no escaping.
    fn json(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.values.len() + 32 * self.fields.len());
        let member = |text: &mut Vec<u8>, name: &str, value: &Range<usize>| {
            if !text.ends_with(b"{") {
                text.push(b',');
            }
            text.push(b'"');
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(b"\":");
            text.extend_from_slice(&self.values[value.clone()]);
        };
        text.push(b'{');
        for (name, value) in self.fields.iter().filter(|(name, _)| !name.starts_with(REQUEST)) {
            member(&mut text, name, value);
        }
        let mut inside =
            self.fields.iter().filter_map(|(name, value)| Some((name.strip_prefix(REQUEST)?, value))).peekable();
        if inside.peek().is_some() {
            // There is a field before it: the time.
            text.extend_from_slice(b",\"httpRequest\":{");
            for (name, value) in inside {
                member(&mut text, name, value);
            }
            text.push(b'}');
        }
        text.extend_from_slice(b"}\n");
        text
    }
}

/// A value as its `Debug` shows it, without a text of its own in between.
struct DebugValue<'a>(&'a dyn fmt::Debug);

impl Serialize for DebugValue<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:?}", self.0))
    }
}

impl Visit for LogLine {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), &DebugValue(value));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), &value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), &value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), &value);
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), &value);
    }
}
