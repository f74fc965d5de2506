//! How the seats of a license were used: a series of minutes, hours or days.

use super::{AdminService, answer::not_found, callers::OrganizationCaller, filters::ListFilters, lists::ListFormat};
use crate::edge::{Problem, QueryParameters};
use axum::{extract::State, response::Response};
use license_core::records::{UsageFilter, UsagePoint, UsageStep};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use time::{Duration, OffsetDateTime, UtcOffset};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// The longest series.
const MOST_POINTS: i64 = 1500;
/// The years that are asked for: a time of another one, and a hundred days before it, may be none that can be written.
const YEARS: RangeInclusive<i32> = 1970..=9998;

/// Which series.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UsageQuery {
    /// The id of a license. Required.
    #[param(value_type = Uuid)]
    license: Option<String>,
    /// The name of one of its pools; all of its pools together, unless said.
    pool: Option<String>,
    /// `minute`, `hour` (unless said) or `day` of UTC. Minutes are kept for 90 days, hours for three years.
    #[param(value_type = Option<String>)]
    step: Option<String>,
    /// The series begins with the point that this time is in (RFC 3339; a `+` in it is written `%2B`); a hundred points
    /// before its end, unless said.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// It ends with the point that this time is in, or that ends then; now, unless said. At most 1,500 points.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
}

/// A series, in columns: the first value of each belongs to the first time in `at`. A time that is missing was not
/// counted, which does not mean that nothing was used.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"license": "01a1fc28-9b31-70be-8112-4bfdb0eab10b", "pool": "default", "step": "hour",
    "from": "2026-11-21T03:00:00Z", "to": "2026-11-21T05:00:00Z", "at": ["2026-11-21T03:00:00Z", "2026-11-21T04:00:00Z"],
    "used": [3.5, 5.0], "peak": [5, 5], "total": [5, 5], "denied": [0, 12], "refused": [0, 3], "minutes": [60, 60], "seen": [60, 60],
    "pools": [1, 1], "seat_hours": {"used": 8.5, "total": 10.0}}))]
pub(super) struct Usage {
    /// The license.
    license: Uuid,
    /// The pool; null: all of its pools.
    pool: Option<String>,
    /// `minute`, `hour` or `day`.
    step: &'static str,
    /// When the first point could begin.
    #[serde(with = "time::serde::rfc3339")]
    from: OffsetDateTime,
    /// When the last one could end.
    #[serde(with = "time::serde::rfc3339")]
    to: OffsetDateTime,
    /// When each point begins.
    #[serde(serialize_with = "times")]
    #[schema(value_type = Vec<String>, format = DateTime)]
    at: Vec<OffsetDateTime>,
    /// The seats that were held as a minute ended: the mean of its counted minutes, of several pools the sum of each
    /// one's.
    used: Vec<f64>,
    /// The most seats that were held at once; of several pools the sum of each one's.
    peak: Vec<i64>,
    /// The most seats that each counted pool had, added up.
    total: Vec<i64>,
    /// How many requests were refused because no seat was free, repetitions included.
    denied: Vec<i64>,
    /// How many of them were the first ask of somebody who wanted a seat: a denial each (`GET …/denials`).
    refused: Vec<i64>,
    /// How many of its minutes were counted, of the pool that was counted least.
    minutes: Vec<i64>,
    /// How many of its minutes were counted from beginning to end, of the pool that was counted least.
    seen: Vec<i64>,
    /// How many pools were counted.
    pools: Vec<i64>,
    /// Sums over all counted minutes. A change of the number of seats counts from the first request or sweep after it.
    seat_hours: SeatHours,
}

/// A point of a series, as a row of CSV; what its columns say is said of [`Usage`].
#[derive(Serialize, ToSchema)]
struct UsageRow {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    used: f64,
    peak: i64,
    total: i64,
    denied: i64,
    refused: i64,
    minutes: i64,
    seen: i64,
    pools: i64,
}

/// How many hours of seats.
#[derive(Serialize, ToSchema)]
pub(super) struct SeatHours {
    /// That were held.
    used: f64,
    /// That could have been.
    total: f64,
}

pub(super) fn times<S: serde::Serializer>(times: &[OffsetDateTime], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Rfc3339(#[serde(with = "time::serde::rfc3339")] OffsetDateTime);
    serializer.collect_seq(times.iter().map(|at| Rfc3339(*at)))
}

impl UsageQuery {
    /// The series that is asked for at `now`, or everything that is wrong with it.
    fn read(&self, now: OffsetDateTime) -> Result<UsageFilter, Problem> {
        let mut filters = ListFilters::new();
        let license = filters.read("license", self.license.as_ref(), str::parse);
        if self.license.is_none() {
            filters.wrong("license", "is required: the id of a license");
        }
        let step = filters.read("step", self.step.as_ref(), |text| match text {
            "minute" => Ok(UsageStep::Minute),
            "hour" => Ok(UsageStep::Hour),
            "day" => Ok(UsageStep::Day),
            _ => Err("must be minute, hour or day"),
        });
        let step = step.unwrap_or(UsageStep::Hour);
        let pool = filters.read("pool", self.pool.as_ref(), str::parse);
        let length = Duration::minutes(step.minutes());
        let until = time_of(&mut filters, "to", self.to.as_ref()).unwrap_or(now);
        // Up to the end of the point that it is in, so that a series that is asked for in parts has no point twice.
        let until = beginning(until + length - Duration::NANOSECOND, step);
        let from = time_of(&mut filters, "from", self.from.as_ref()).unwrap_or(until - length * 100);
        let from = beginning(from, step);
        if from >= until {
            filters.wrong("to", "must be later than from");
        } else if until - from > length * (MOST_POINTS as i32) {
            filters.wrong(
                "from",
                format!("a series has at most {MOST_POINTS} points: ask for a longer step, or in parts"),
            );
        }
        filters
            .check(license)?
            .map_or_else(|| Err(not_found()), |license| Ok(UsageFilter { license, pool, step, from, until }))
    }
}

/// A time that is asked for, if it is one that a series may have.
pub(super) fn time_of(filters: &mut ListFilters, name: &str, value: Option<&String>) -> Option<OffsetDateTime> {
    let time = filters.time(name, value)?;
    let is_known = YEARS.contains(&time.to_offset(UtcOffset::UTC).year());
    if !is_known {
        filters.wrong(name, "must be a time of the years from 1970 to 9998");
    }
    is_known.then_some(time)
}

/// When the point begins that a time is in.
fn beginning(at: OffsetDateTime, step: UsageStep) -> OffsetDateTime {
    let length = step.minutes() * 60;
    let start = at.unix_timestamp().div_euclid(length) * length;
    OffsetDateTime::from_unix_timestamp(start).unwrap_or(at)
}

/// Read how seats were used
///
/// What the scripts of each minute counted. A point that is missing was not counted, which is no zero.
/// The minute under way is not there yet.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/usage", tag = "Usage", params(UsageQuery),
    responses((status = 200, description = "The series", body = Usage)))]
pub(super) async fn read_usage(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    format: ListFormat,
    QueryParameters(query): QueryParameters<UsageQuery>,
) -> Result<Response, Problem> {
    let filter = query.read(service.clock.now())?;
    let points = service.records.usage(&caller, &filter).await?.ok_or_else(not_found)?;
    format.answer_whole(Usage::of(filter, &points), points.iter().map(UsageRow::from))
}

impl From<&UsagePoint> for UsageRow {
    fn from(point: &UsagePoint) -> Self {
        let UsagePoint { at, used, peak, total, denied, refused, minutes, seen, pools, .. } = *point;
        Self { at, used, peak, total, denied, refused, minutes, seen, pools }
    }
}

impl Usage {
    fn of(filter: UsageFilter, points: &[UsagePoint]) -> Self {
        let column = |value: fn(&UsagePoint) -> i64| points.iter().map(value).collect::<Vec<_>>();
        let hours = |value: fn(&UsagePoint) -> i64| points.iter().map(value).sum::<i64>() as f64 / 60.0;
        Self {
            license: filter.license.0,
            pool: filter.pool.map(|pool| pool.as_str().to_owned()),
            step: match filter.step {
                UsageStep::Minute => "minute",
                UsageStep::Hour => "hour",
                UsageStep::Day => "day",
            },
            from: filter.from,
            to: filter.until,
            at: points.iter().map(|point| point.at).collect(),
            used: points.iter().map(|point| point.used).collect(),
            peak: column(|point| point.peak),
            total: column(|point| point.total),
            denied: column(|point| point.denied),
            refused: column(|point| point.refused),
            minutes: column(|point| point.minutes),
            seen: column(|point| point.seen),
            pools: column(|point| point.pools),
            seat_hours: SeatHours {
                used: hours(|point| point.used_minutes),
                total: hours(|point| point.total_minutes),
            },
        }
    }
}
