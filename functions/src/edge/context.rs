//! What is known about the request that is being answered: its id, its log span and where its problems point to.

use super::{
    config,
    telemetry::{self, TraceContext},
};
use http::{Extensions, HeaderMap};
use license_core::domain::{
    id::{LicenseNumber, TenantId},
    lease::LeaseTiming,
};
use std::{cell::RefCell, future::Future, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};
use tracing::Span;

/// What the layers know about one request. It is there for everything that runs while the request is being answered.
pub(super) struct RequestContext {
    /// The client's id for the request, or the one that it was given.
    pub(super) request_id: String,
    /// The address under which `<code>` is explained, without a slash at its end.
    pub(super) problems: Arc<str>,
    /// The span of the request's log lines.
    pub(super) span: Span,
    /// The trace of the request, as the span has it.
    pub(super) trace: RequestTrace,
}

/// The trace that a request belongs to, in its context and in the span of its log lines.
pub(super) struct RequestTrace {
    /// `GOOGLE_CLOUD_PROJECT`, which makes the ids in log lines links.
    project: Option<Arc<str>>,
    current: RefCell<Option<TraceContext>>,
}

impl RequestTrace {
    /// That of a request with these headers, which may have none.
    pub(super) fn of(headers: &HeaderMap, project: Option<Arc<str>>, span: &Span) -> Self {
        let trace = Self { project, current: RefCell::default() };
        if let Some(of_headers) = TraceContext::of(headers) {
            trace.follow(of_headers, span);
        }
        trace
    }

    /// From here on the request belongs to that trace.
    fn follow(&self, trace: TraceContext, span: &Span) {
        span.record(telemetry::TRACE, trace.name(self.project.as_deref()));
        span.record(telemetry::TRACE_SAMPLED, trace.sampled);
        if let Some(id) = &trace.span {
            span.record(telemetry::SPAN_ID, id);
        }
        *self.current.borrow_mut() = Some(trace);
    }
}

/// When the answer to a request must be there, at the latest: an extension of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestDeadline(Instant);

impl RequestDeadline {
    /// So long from now on.
    pub(crate) fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// That of a request; where no layer gave it one, as if it had come just now.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_else(|| Self::after(LeaseTiming::DEADLINE))
    }

    /// So much earlier.
    pub(crate) fn earlier_by(self, time: Duration) -> Self {
        Self(self.0 - time)
    }

    /// How much time is left.
    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// What `work` comes to; `None` if the time is over before. Then it is given up.
    pub(crate) async fn wait<T>(self, work: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.0, work).await.ok()
    }
}

tokio::task_local! {
    static CONTEXT: RequestContext;
}

impl RequestContext {
    /// Runs `answer` with this context.
    pub(super) async fn scope<F: Future>(self, answer: F) -> F::Output {
        CONTEXT.scope(self, answer).await
    }
}

/// The id of the request being answered; `None` outside of one.
pub fn request_id() -> Option<String> {
    CONTEXT.try_with(|context| context.request_id.clone()).ok()
}

/// Says whom the request is about: every later log line of it carries tenant and license number.
pub fn about(tenant: Option<TenantId>, license: Option<LicenseNumber>) {
    let _ = CONTEXT.try_with(|context| {
        if let Some(tenant) = tenant {
            context.span.record("tenant", tracing::field::display(tenant));
        }
        if let Some(license) = license {
            context.span.record("license", tracing::field::display(license));
        }
    });
}

/// Has the request that is being answered belong to the trace of whoever caused it: every later log line of it has that
/// trace. A text that names no trace changes nothing.
pub(crate) fn follow_trace(traceparent: &str) {
    let Some(trace) = TraceContext::of_traceparent(traceparent) else { return };
    let _ = CONTEXT.try_with(|context| context.trace.follow(trace, &context.span));
}

/// What is sent along with messages that the request being answered causes, as `traceparent` has it (W3C Trace
/// Context). A request without a trace begins one here, and its later log lines have it; `None` outside of a request.
pub(crate) fn traceparent() -> Option<String> {
    let of_context = |context: &RequestContext| {
        let current = context.trace.current.borrow().clone();
        let trace = current.unwrap_or_else(|| {
            let drawn = TraceContext::draw();
            context.trace.follow(drawn.clone(), &context.span);
            drawn
        });
        trace.traceparent()
    };
    CONTEXT.try_with(of_context).ok()
}

/// The URL of the page that explains a code.
pub(super) fn problem_type(code: &str) -> String {
    let under = |base: &str| format!("{base}/{code}");
    let unset = |_| under(&config::LayersConfig::default().problems);
    CONTEXT.try_with(|context| under(&context.problems)).unwrap_or_else(unset)
}
