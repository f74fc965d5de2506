//! Who may scrape.

use license_core::domain::secret::Secret;
use std::sync::Arc;

/// Whether requests are counted, and who may read the counts.
#[derive(Clone, Debug, Default)]
pub enum MetricsAccess {
    /// Nothing is counted, and there is no `/metrics`.
    #[default]
    Off,
    /// Requests are counted, and another listener of the process has the page.
    Elsewhere,
    /// Whoever asks. Only for listeners that nobody but this machine reaches.
    Open,
    /// Whoever brings this token.
    Bearer(Arc<Secret<String>>),
}

impl MetricsAccess {
    /// That of `METRICS_TOKEN`.
    pub fn of_token(token: Option<Secret<String>>) -> Self {
        token.map_or(Self::Off, |token| Self::Bearer(Arc::new(token)))
    }

    /// The same for a process that nobody but this machine reaches: it needs no token.
    #[must_use]
    pub fn open_unless_told(self) -> Self {
        if self.is_counting() { self } else { Self::Open }
    }

    /// The same for a listener beside the one that has the page.
    #[must_use]
    pub fn elsewhere(self) -> Self {
        if self.is_counting() { Self::Elsewhere } else { Self::Off }
    }

    /// Whether requests are counted.
    pub fn is_counting(&self) -> bool {
        !matches!(self, Self::Off)
    }
}
