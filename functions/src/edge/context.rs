//! What is known about the request that is being answered: its id, its log span and where its problems point to.

use super::config;
use http::Extensions;
use license_core::domain::{
    id::{LicenseNumber, TenantId},
    lease::LeaseTiming,
};
use std::{future::Future, sync::Arc, time::Duration};
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

/// The URL of the page that explains a code.
pub(super) fn problem_type(code: &str) -> String {
    let under = |base: &str| format!("{base}/{code}");
    let unset = |_| under(&config::LayersConfig::default().problems);
    CONTEXT.try_with(|context| under(&context.problems)).unwrap_or_else(unset)
}
