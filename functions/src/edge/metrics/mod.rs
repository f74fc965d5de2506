//! What a process says of itself to Prometheus: `GET /metrics`, and what is counted for it.
//!
//! Names follow the semantic conventions of OpenTelemetry where there are any, in Prometheus' spelling; what is ours
//! begins with `license_`. docs/OPERATING.md lists all of them, and a test holds that list, the dashboard and the alert
//! rules of docs/monitoring against a scrape.
//!
//! * `access.rs`: who may scrape · `page.rs`: the path and its text
//! * `requests.rs`: the one thing that is done on the way of a request · `counts.rs`: what services count by themselves
//! * `stores.rs`: what is asked of the stores when somebody scrapes, at most once in ten seconds

mod access;
mod counts;
mod page;
mod requests;
mod stores;

pub use access::MetricsAccess;
pub(crate) use counts::{ATTEMPTS, count_attempt, count_published, count_sweep};
pub(super) use page::router;
pub(super) use requests::{RequestLabels, observe};
