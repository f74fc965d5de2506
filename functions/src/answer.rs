//! What several services say in the same words.

use crate::edge::{Bearer, Problem};
use license_core::{
    Code,
    clock::from_ms,
    domain::{
        handle::SessionHandle,
        id::{LicenseNumber, Nonce, SessionId},
        license::{Facts, Refusal, Why},
    },
    moves::Moves,
    seats::SilentHolder,
};
use serde::Serialize;
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::ToSchema;

/// The license as a client sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = LicenseFacts)]
pub(crate) struct License<'a> {
    /// The public part of the license key: names the license and opens nothing.
    #[schema(value_type = String, example = "752KJY5EZQ1CW")]
    number: LicenseNumber,
    /// What it is a license of.
    #[schema(example = "demo")]
    product: &'a str,
    /// What was sold; also signed into the token.
    #[schema(example = "team")]
    tier: &'a str,
    /// `active`; where validate answers for one that gives no seat now: `suspended`, `revoked`, `expired` or `not_started`.
    #[schema(example = "active")]
    status: &'static str,
    /// How many seats the pool has.
    #[schema(example = 5)]
    seats_total: u32,
    /// How many of them are held; null where the license gives no seat now.
    #[schema(example = 1)]
    seats_used: Option<u32>,
    /// What it switches on, as the vendor named it; also signed into the token.
    #[schema(value_type = Object)]
    features: &'a Map<String, Value>,
    /// The end of the term; null for none.
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    /// Rises when anything the license says changes.
    #[schema(example = 1)]
    facts_version: u64,
}

impl<'a> License<'a> {
    /// Dresses the facts; `seats_used` where it is known, `refusal` where the license gives no seat now.
    pub(crate) fn new(facts: &'a Facts, seats_used: Option<u32>, refusal: Option<Refusal>) -> Self {
        Self {
            number: facts.number,
            product: &facts.product,
            tier: &facts.tier,
            status: refusal.map_or("active", status),
            seats_total: facts.seats_total,
            seats_used,
            features: &facts.features,
            expires_at: facts.expires_at,
            facts_version: facts.facts_version,
        }
    }
}

fn status(refusal: Refusal) -> &'static str {
    match refusal.why {
        Why::Suspended => "suspended",
        Why::Revoked => "revoked",
        Why::Expired => "expired",
        Why::NotStarted => "not_started",
    }
}

/// A holder of a seat as others may see it.
#[derive(Serialize, ToSchema)]
#[schema(as = SeatHolder)]
pub(crate) struct Holder {
    /// The host name that its client told, else `machine` and eight characters of its hash.
    #[schema(example = "host-1")]
    label: String,
    /// When it took the seat.
    #[schema(format = DateTime)]
    since: String,
    /// Seconds since it was last heard of.
    #[schema(example = 4, minimum = 0)]
    seen_in: i64,
}

/// Up to five holders, longest silent first; none where the license hides them. `ttl_ms` tells when a holder was heard from its lease's end.
pub(crate) fn holders(silent: &[SilentHolder], facts: &Facts, now_ms: i64, ttl_ms: i64) -> Vec<Holder> {
    let seen = |holder: &SilentHolder| (now_ms - (holder.lease_end_ms - ttl_ms)).max(0) / 1000;
    let dress = |holder: &SilentHolder| Holder {
        label: holder.label.clone(),
        since: rfc3339(from_ms(holder.since_ms)),
        seen_in: seen(holder),
    };
    if facts.hide_holders { Vec::new() } else { silent.iter().take(5).map(dress).collect() }
}

/// A time as answers write it: UTC, whole milliseconds.
pub(crate) fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

/// The 403 of a license that gives no seat now.
pub(crate) fn refused(refusal: Refusal, license: LicenseNumber) -> Problem {
    let detail = match refusal.why {
        Why::Suspended => {
            "The license is suspended. A session goes on if it is resumed within its lease: keep asking. Its owner can say more."
        }
        Why::Revoked => "The license was revoked for good. Ask its owner for another.",
        Why::Expired => "The license's term is over. Ask its owner to extend it.",
        Why::NotStarted => "The license's term has not begun yet.",
    };
    let problem = Problem::new(refusal.why.code(), detail).with("license", license.to_string());
    match refusal.since_ms {
        0 => problem,
        since => problem.with("since", rfc3339(from_ms(since))),
    }
}

pub(crate) fn bad_key() -> Problem {
    let detail = "No license has this key. It may have been replaced: ask whoever gave it to you for the present one.";
    Problem::new(Code::LicenseKeyInvalid, detail)
}

pub(crate) fn no_pool(pool: &str) -> Problem {
    Problem::new(Code::NotFound, format!("The license has no pool named {pool}."))
}

/// The session a bearer credential stands for; a forged one reaches no store.
pub(crate) fn open(bearer: &Bearer, moves: &Moves) -> Result<SessionHandle, Problem> {
    let refused = |_| {
        Problem::token_invalid(
            "The credential is not a session of this server. Send the session that acquire answered.",
        )
    };
    SessionHandle::open(&bearer.0, &moves.settings().handles).map_err(refused)
}

/// Signs a refusal for a client that sent a nonce. If it cannot be signed, the client hears that instead: it would not believe the rest.
pub(crate) async fn signed(
    problem: Problem,
    moves: &Moves,
    nonce: Option<&Nonce>,
    license: LicenseNumber,
    session: Option<SessionId>,
) -> Problem {
    let Some(nonce) = nonce.filter(|_| (401..=410).contains(&problem.status())) else { return problem };
    match moves.sign_refusal(problem.code(), problem.reason(), nonce, license, session).await {
        Ok((refusal, certificate)) => problem.with_refusal(&refusal, &certificate),
        Err(error) => error.into(),
    }
}
