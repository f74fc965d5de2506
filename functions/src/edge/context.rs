//! What is known about the request that is being answered: its id, its log span and where its problems point to.

use super::config;
use license_core::domain::id::{LicenseNumber, TenantId};
use std::{future::Future, sync::Arc};
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
