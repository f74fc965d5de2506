//! A tick, the shares that it asks for and the events that are published then are one trace in the log.

use super::Watched;
use license_core::Clock;
use license_pubsub::{Message, Topic, bus::deliver_once, push::PushDelivery};
use serde_json::Value;
use std::time::{Duration, Instant};

const TRACE: &str = "logging.googleapis.com/trace";
const PATIENCE: Duration = Duration::from_secs(60);

/// The JSON lines that are there so far.
fn lines(watched: &Watched) -> Vec<Value> {
    watched.local.said().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The traces of the lines with this value of this field.
fn traces(watched: &Watched, field: &str, value: &str) -> Vec<String> {
    let lines = lines(watched);
    let fitting = lines.iter().filter(|line| line[field] == value);
    fitting.map(|line| line[TRACE].as_str().unwrap_or("none").to_owned()).collect()
}

/// Waits until the lines have a request of this metric in this trace.
async fn until_traced(watched: &Watched, metric: &str, trace: &str) {
    let until = Instant::now() + PATIENCE;
    while !traces(watched, "metric", metric).iter().any(|found| found == trace) {
        assert!(Instant::now() < until, "no {metric} of {trace}: {}", watched.local.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_a_tick_causes_has_its_trace_down_to_the_events() {
    // The first tick comes at the start; the next one is this test's.
    let quiet = [("REAPER_PERIOD_SECONDS", "3600"), ("LOG_LEVEL", "info"), ("LOG_FORMAT", "json")];
    let watched = Watched::start(&quiet);
    let (status, answer) = watched.acquire(0).await;
    assert_eq!(status, 201, "{answer}");
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let caused = format!("00-{trace}-b7ad6b7169203331-01");
    let tick = PushDelivery::new(Topic::Tick, Message::tick().of_trace(Some(&caused)), &Clock::system());
    let url = format!("{}/tick", watched.local.endpoint("reaper"));
    let status = deliver_once(&url, &tick, &watched.local.push_token()).await.unwrap();
    assert_eq!(status.as_u16(), 204);
    for metric in ["reaper/tick_requests", "reaper/reap_requests", "notify/requests"] {
        until_traced(&watched, metric, trace).await;
    }
    assert!(traces(&watched, "message", "swept").iter().any(|found| found == trace), "the lines between too");
    // A request of a client is none of it.
    assert!(traces(&watched, "metric", "acquire/requests").iter().all(|found| found != trace));
}

#[tokio::test]
async fn a_tick_without_a_trace_begins_one_where_it_causes_anything() {
    let often = [("REAPER_PERIOD_SECONDS", "1"), ("LOG_LEVEL", "info"), ("LOG_FORMAT", "json")];
    let watched = Watched::start(&often);
    let (status, answer) = watched.acquire(0).await;
    assert_eq!(status, 201, "{answer}");
    let until = Instant::now() + PATIENCE;
    let trace = loop {
        let found = traces(&watched, "metric", "notify/requests");
        if let Some(trace) = found.first() {
            break trace.clone();
        }
        assert!(Instant::now() < until, "no event was pushed: {}", watched.local.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(trace.len() == 32 && trace.bytes().all(|b| b.is_ascii_hexdigit()), "{trace}");
    until_traced(&watched, "reaper/reap_requests", &trace).await;
    until_traced(&watched, "reaper/tick_requests", &trace).await;
}
