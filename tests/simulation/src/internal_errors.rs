//! Why functions of this process answered with an internal error. A run that was not asked for one says so.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

/// How often which cause was logged, and how many answers were internal errors, in all runs of this process. What is logged of an answer is logged
/// before it is counted.
static CAUSES: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());
static ANSWERS: AtomicUsize = AtomicUsize::new(0);

/// Listens from now on to what all functions of this process log.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing_subscriber::registry().with(Listener.with_filter(LevelFilter::ERROR)).init());
}

/// A function answered with an internal error.
pub(crate) fn answered() {
    ANSWERS.fetch_add(1, Ordering::SeqCst);
}

/// What no plan asked for. An operation that a plan ends at a step is an internal error of everybody who waited for it.
pub(crate) fn unasked() -> Option<String> {
    let answers = ANSWERS.load(Ordering::SeqCst);
    let causes = CAUSES.lock().unwrap_or_else(PoisonError::into_inner);
    let silent = answers.saturating_sub(causes.values().sum());
    let others = causes.iter().filter(|(cause, _)| !cause.starts_with("cut at "));
    let mut told: Vec<String> = others.map(|(cause, n)| format!("{n} × {cause}")).collect();
    if silent > 0 {
        told.push(format!("{silent} without a cause in the log, as of a panic"));
    }
    (!told.is_empty()).then(|| told.join("; "))
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
