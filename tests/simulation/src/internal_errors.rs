//! Why functions of this process answered with an internal error. A run that was not asked for one says so.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, Once, PoisonError},
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

/// How often which cause was logged, in all runs of this process.
static CAUSES: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

/// Listens from now on to what all functions of this process log.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing_subscriber::registry().with(Listener.with_filter(LevelFilter::ERROR)).init());
}

/// Each cause that is no operation cut at a step, and how often it was logged.
pub(crate) fn causes() -> Vec<String> {
    let causes = CAUSES.lock().unwrap_or_else(PoisonError::into_inner);
    causes
        .iter()
        .filter(|(cause, _)| !cause.starts_with("cut at "))
        .map(|(cause, n)| format!("{n} × {cause}"))
        .collect()
}

struct Listener;

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        if line.message == "internal error" {
            *CAUSES.lock().unwrap_or_else(PoisonError::into_inner).entry(line.error).or_default() += 1;
        }
    }
}

#[derive(Default)]
struct Line {
    message: String,
    error: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "error" => self.error = format!("{value:?}"),
            _ => {}
        }
    }
}
