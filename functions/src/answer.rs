//! What several services say in the same words.

use crate::edge::{BearerCredential, Problem};
use license_core::{
    ProblemCode,
    clock::from_ms,
    domain::{
        handle::SessionHandle,
        id::{LicenseNumber, Nonce, SessionId},
        license::{LicenseFacts, LicenseRefusal, RefusalReason},
        secret::KeyRing,
    },
    protocol::SeatProtocol,
    seat_store::SilentHolder,
};
use serde::Serialize;
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::ToSchema;

/// The license as a client sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = LicenseFacts)]
pub(crate) struct ClientLicense<'a> {
    /// The public part of the license key: names the license and opens nothing.
    #[schema(value_type = String, example = "752KJY5EZQ1CW")]
    number: LicenseNumber,
    /// What it is a license of.
    #[schema(example = "demo")]
    product: &'a str,
    /// What was sold; also signed into the token.
    #[schema(example = "team")]
    tier: &'a str,
    /// `active`; where validate answers for one that gives no seat now: `suspended`, `revoked`, `expired` or
    /// `not_started`.
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

impl<'a> ClientLicense<'a> {
    /// Dresses the facts; `seats_used` where it is known, `refusal` where the license gives no seat now.
    pub(crate) fn new(facts: &'a LicenseFacts, seats_used: Option<u32>, refusal: Option<LicenseRefusal>) -> Self {
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

fn status(refusal: LicenseRefusal) -> &'static str {
    match refusal.why {
        RefusalReason::Suspended => "suspended",
        RefusalReason::Revoked => "revoked",
        RefusalReason::Expired => "expired",
        RefusalReason::NotStarted => "not_started",
    }
}

/// A holder of a seat as others may see it.
#[derive(Serialize, ToSchema)]
#[schema(as = SeatHolder)]
pub(crate) struct SeatHolder {
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

/// Up to five holders, longest silent first; none where the license hides them. `ttl_ms` tells when a holder was heard
/// from its lease's end.
pub(crate) fn holders(silent: &[SilentHolder], facts: &LicenseFacts, now_ms: i64, ttl_ms: i64) -> Vec<SeatHolder> {
    // Who took the seat was heard then, however short its lease.
    let seen = |holder: &SilentHolder| (now_ms - (holder.lease_end_ms - ttl_ms).max(holder.since_ms)).max(0) / 1000;
    let dress = |holder: &SilentHolder| SeatHolder {
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

/// The 403 of a license that gives no seat now. Only the vendor can change what it is refused for.
pub(crate) fn refused(refusal: LicenseRefusal, license: LicenseNumber, now_ms: i64) -> Problem {
    let since = (refusal.since_ms != 0).then(|| rfc3339(from_ms(refusal.since_ms)));
    let detail = match (refusal.why, &since) {
        (RefusalReason::Suspended, _) => {
            "The license is suspended and gives no seat. The vendor can say why, and resume it.".to_owned()
        }
        (RefusalReason::Revoked, _) => "The license was revoked for good. Ask the vendor for another.".to_owned(),
        (RefusalReason::Expired, _) => "The license's term is over. Ask the vendor to extend it.".to_owned(),
        (RefusalReason::NotStarted, Some(begins)) => {
            format!("The license's term has not begun: it begins at {begins}.")
        }
        (RefusalReason::NotStarted, None) => "The license's term has not begun.".to_owned(),
    };
    let mut problem = Problem::new(refusal.why.code(), detail).with("license", license.to_string());
    if refusal.why == RefusalReason::NotStarted && refusal.since_ms > now_ms {
        problem = problem.retry_after(seconds(refusal.since_ms - now_ms));
    }
    match since {
        Some(since) => problem.with("since", since),
        None => problem,
    }
}

/// The same for somebody who has a session, or had one.
pub(crate) fn while_seated(problem: Problem, refusal: LicenseRefusal) -> Problem {
    match refusal.why {
        RefusalReason::Suspended | RefusalReason::Expired | RefusalReason::NotStarted => problem.and(
            "Leases are not renewed meanwhile: a session goes on if the license gives seats again before its lease \
             ends, and else a new one begins. Keep asking.",
        ),
        RefusalReason::Revoked => problem,
    }
}

/// Whole seconds, rounded up and at least one: who waits exactly so long must not come too early.
pub(crate) fn seconds(ms: i64) -> u64 {
    ms.unsigned_abs().div_ceil(1000).max(1)
}

/// A time as people read it: `51 s`, `6 min 45 s`, `3 h`. Nothing is left out below an hour; above, the last minute
/// begun counts.
pub(crate) fn span(seconds: u64) -> String {
    let (whole, rest, unit, smaller) = match seconds {
        0..120 => return format!("{seconds} s"),
        120..3600 => (seconds / 60, seconds % 60, "min", "s"),
        _ => (seconds.div_ceil(60) / 60, seconds.div_ceil(60) % 60, "h", "min"),
    };
    if rest == 0 { format!("{whole} {unit}") } else { format!("{whole} {unit} {rest} {smaller}") }
}

pub(crate) fn bad_key() -> Problem {
    let detail = "No license has this key. It may have been replaced: ask whoever gave it to you for the present one.";
    Problem::new(ProblemCode::LicenseKeyInvalid, detail)
}

pub(crate) fn no_pool(pool: &str) -> Problem {
    Problem::new(ProblemCode::NotFound, format!("The license has no pool named {pool}."))
}

/// The session a bearer credential stands for; a forged one reaches no store.
pub(crate) fn open_handle(bearer: &BearerCredential, handles: &KeyRing) -> Result<SessionHandle, Problem> {
    let refused = |_| {
        Problem::token_invalid(
            "The credential is not a session of this server. Send the session that acquire answered.",
        )
    };
    SessionHandle::verify(&bearer.0, handles).map_err(refused)
}

/// Signs a refusal for a client that sent a nonce. If it cannot be signed, the client hears that instead: it would not
/// believe the rest.
pub(crate) async fn signed(
    problem: Problem,
    protocol: &SeatProtocol,
    nonce: Option<&Nonce>,
    license: LicenseNumber,
    session: Option<SessionId>,
) -> Problem {
    let Some(nonce) = nonce.filter(|_| (401..=410).contains(&problem.status())) else { return problem };
    match protocol.sign_refusal(problem.code(), problem.reason(), nonce, license, session).await {
        Ok((refusal, certificate)) => problem.with_refusal(&refusal, &certificate),
        Err(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_as_people_read_it_and_never_too_short() {
        for (ms, told) in [
            (1, "1 s"),
            (51_000, "51 s"),
            (51_001, "52 s"),
            (119_000, "119 s"),
            (404_900, "6 min 45 s"),
            (3_600_000, "1 h"),
        ] {
            assert_eq!(span(seconds(ms)), told);
        }
        assert_eq!(span(86_399), "24 h");
        assert_eq!(span(7_261), "2 h 2 min");
    }
}
