//! How many seats a pool needs, by what happened to those who wanted one.

use super::{
    AdminService,
    answer::not_found,
    callers::OrganizationCaller,
    filters::ListFilters,
    usage::{time_of, times},
};
use crate::edge::{Problem, QueryParameters};
use axum::extract::State;
use license_core::{
    domain::{
        demand::SeatsNeeded,
        id::{LicenseId, PoolName},
    },
    management::{AdviceOutcome, AdviceWithheld, SeatsAdvice},
    records::MOST_ROWS,
};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// The time that is asked about unless said.
const USUAL: Duration = Duration::days(28);
/// The longest, of which each hour is answered.
const LONGEST: Duration = Duration::days(62);

/// Which pool, and which time.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SeatsNeededQuery {
    /// The id of a license. Required.
    #[param(value_type = Uuid)]
    license: Option<String>,
    /// The name of one of its pools; `default`, unless said.
    pool: Option<String>,
    /// From this time on (RFC 3339; a `+` in it is written `%2B`); 28 days before its end, unless said.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// Up to this time; now, unless said. At most 62 days.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
}

/// How many seats a pool needs, so that few who want one are refused when they ask first.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"license": "01a1fc28-9b31-70be-8112-4bfdb0eab10b", "pool": "default",
    "from": "2026-10-24T00:00:00Z", "to": "2026-11-21T00:00:00Z", "days": 20, "wants": 812, "refused": 14,
    "replayed": 15, "drawn": 3, "needed": [{"percent": 0.1, "seats": 12}, {"percent": 1.0, "seats": 11},
    {"percent": 5.0, "seats": 9}], "withheld": null, "peak": 12, "at": ["2026-10-26T08:00:00Z"], "wanted": [12],
    "assumptions": ["Who never asks because the pool is always full is in no history."]}))]
pub(super) struct Advice {
    /// The license.
    license: Uuid,
    /// The pool.
    pool: String,
    /// From this time on …
    #[serde(with = "time::serde::rfc3339")]
    from: OffsetDateTime,
    /// … up to this one.
    #[serde(with = "time::serde::rfc3339")]
    to: OffsetDateTime,
    /// In how many days the pool was used.
    days: i64,
    /// How many wanted a seat.
    wants: usize,
    /// How many of them were refused when they asked first.
    refused: usize,
    /// How many are refused if the same is played again with the seats that there were.
    replayed: usize,
    /// Of how many it was drawn how long they would have held a seat, since they got none.
    drawn: usize,
    /// For 0.1, 1 and 5 percent, the least number of seats of which at most so many wants are refused; empty where it
    /// is withheld.
    needed: Vec<SeatsForShare>,
    /// Why no number of seats is said; null where it is.
    withheld: Option<String>,
    /// The most seats that were wanted at once: held, or asked for in vain.
    peak: u32,
    /// The hours in which any was wanted.
    #[serde(serialize_with = "times")]
    #[schema(value_type = Vec<String>, format = DateTime)]
    at: Vec<OffsetDateTime>,
    /// The most that were wanted at once in each of them.
    wanted: Vec<u32>,
    /// What the numbers rest on.
    assumptions: Vec<&'static str>,
}

/// The seats for one share of refusals.
#[derive(Serialize, ToSchema)]
pub(super) struct SeatsForShare {
    /// The share of wants that may be refused.
    percent: f64,
    /// The least number of seats with which no more are; nor with any larger number.
    seats: u32,
}

const ASSUMPTIONS: [&str; 4] = [
    "Who never asks because the pool is always full is in no history.",
    "Whoever got a seat holds it for as long as it did; whoever gave up, for as long as its machine did another time, \
     or else anybody.",
    "Whoever is refused waits and is seated in the order of first asks: who got a seat for as long as it takes, who \
     gave up for as long as it asked.",
    "Seats that were held for more than eight days before the beginning are not seen.",
];

impl SeatsNeededQuery {
    /// What is asked at `now`, or everything that is wrong with it.
    fn read(&self, now: OffsetDateTime) -> Result<(LicenseId, PoolName, [OffsetDateTime; 2]), Problem> {
        let mut filters = ListFilters::new();
        let license = filters.read("license", self.license.as_ref(), str::parse);
        if self.license.is_none() {
            filters.wrong("license", "is required: the id of a license");
        }
        let pool = filters.read("pool", self.pool.as_ref(), str::parse).unwrap_or_else(PoolName::default_pool);
        let to = time_of(&mut filters, "to", self.to.as_ref()).unwrap_or(now).min(now);
        let from = time_of(&mut filters, "from", self.from.as_ref()).unwrap_or(to - USUAL);
        if from >= to {
            filters.wrong("to", "must be later than from, which is not later than now");
        } else if to - from > LONGEST {
            filters.wrong("from", "must be at most 62 days before to");
        }
        filters.check(license)?.map_or_else(|| Err(not_found()), |license| Ok((license, pool, [from, to])))
    }
}

/// Read how many seats are needed
///
/// Plays again what happened, with other numbers of seats. No number is said where it was used on fewer than 14 days,
/// or where what is played again with the seats there were misses what happened by more than 2 percent of all wants.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/seats-needed", tag = "Usage", params(SeatsNeededQuery),
    responses((status = 200, description = "The advice", body = Advice)))]
pub(super) async fn read_seats_needed(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    QueryParameters(query): QueryParameters<SeatsNeededQuery>,
) -> Result<axum::Json<Advice>, Problem> {
    let (license, pool, times) = query.read(service.clock.now())?;
    match service.management.seats_needed(&caller, license, &pool, times).await? {
        AdviceOutcome::Advice(advice) => Ok(axum::Json(Advice::of(license, &pool, times, *advice))),
        AdviceOutcome::NoPool => Err(not_found()),
        AdviceOutcome::TooLong => {
            let mut filters = ListFilters::new();
            filters
                .wrong("from", format!("there are more than {MOST_ROWS} sessions, or denials: ask for a shorter time"));
            Err(filters.check(()).err().unwrap_or_else(Problem::internal))
        }
    }
}

impl Advice {
    fn of(license: LicenseId, pool: &PoolName, [from, to]: [OffsetDateTime; 2], advice: SeatsAdvice) -> Self {
        let SeatsAdvice { days, wants, refused, replayed, drawn, needed, peaks } = advice;
        let withheld = needed.as_ref().err().map(|why| match why {
            AdviceWithheld::FewDays => {
                format!("The pool was used on {days} days of this time; it takes {}.", SeatsAdvice::LEAST_DAYS)
            }
            AdviceWithheld::Unexplained => format!(
                "Played again with the seats that there were, {replayed} of {wants} wants are refused, and {refused} \
                 were: the history does not explain itself."
            ),
        });
        let of_share = |it: SeatsNeeded| SeatsForShare { percent: f64::from(it.per_mille) / 10.0, seats: it.seats };
        let hour = |hour: &i64| OffsetDateTime::from_unix_timestamp(hour * 3600).unwrap_or(from);
        Self {
            license: license.0,
            pool: pool.as_str().to_owned(),
            from,
            to,
            days,
            wants,
            refused,
            replayed,
            drawn,
            needed: needed.into_iter().flatten().map(of_share).collect(),
            withheld,
            peak: peaks.values().copied().max().unwrap_or_default(),
            at: peaks.keys().map(hour).collect(),
            wanted: peaks.into_values().collect(),
            assumptions: ASSUMPTIONS.to_vec(),
        }
    }
}
