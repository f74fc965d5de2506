//! Every refusal that a client of seats may be given, made by the code that gives it. `sdk/vectors` shows them to the
//! authors of clients.

use super::{AcquireBody, full, needs_instance, wrong_product};
use crate::{
    answer,
    edge::{BearerCredential, Problem, rate::limited},
    heartbeat::session_gone,
};
use license_core::{
    Error, ProblemCode,
    domain::{
        id::{LicenseNumber, SessionId},
        license::{LicenseFacts, LicenseRefusal, RefusalReason},
        rate::RateLimit,
        secret::KeyRing,
        session::GoneReason,
    },
    error::StoreName,
    seat_store::{PoolFull, SilentHolder, TooManyProcesses, WaitReason},
};

/// One refusal.
pub struct ProblemSample {
    /// What tells it from the others.
    pub name: &'static str,
    /// The operation that answers so: `acquire`, `heartbeat` or `validate`.
    pub operation: &'static str,
    /// The answer, without its signature.
    pub problem: Problem,
}

/// The refusals, as of `now_ms`, of a license with these facts and of one of its sessions.
pub fn problem_samples(facts: &LicenseFacts, session: SessionId, now_ms: i64) -> Vec<ProblemSample> {
    let mut samples = Vec::new();
    for (operation, group) in [
        ("acquire", acquire_samples(facts, now_ms)),
        ("heartbeat", heartbeat_samples(facts.number, session, now_ms)),
        ("acquire", fault_samples()),
        ("validate", vec![("validate with an unknown key", answer::bad_key())]),
    ] {
        samples.extend(group.into_iter().map(|(name, problem)| ProblemSample { name, operation, problem }));
    }
    samples
}

type NamedProblem = (&'static str, Problem);

fn acquire_samples(facts: &LicenseFacts, now_ms: i64) -> Vec<NamedProblem> {
    let number = facts.number;
    let state = |why, since_ms| answer::refused(LicenseRefusal { why, since_ms }, number, now_ms);
    let full = |total, held, waiting, until, wait_ms| {
        full::no_seat(&pool(facts, total, held, waiting, until, wait_ms, now_ms), LEASE_MS)
    };
    let many = |processes| full::too_many(&TooManyProcesses { processes, by_process: false, wait_ms: 51_000 });
    vec![
        ("a key that no license has", answer::bad_key()),
        ("a pool that the license lacks", answer::no_pool("beta")),
        ("suspended", state(RefusalReason::Suspended, now_ms - 90_000)),
        ("expired", state(RefusalReason::Expired, now_ms - 90_000)),
        ("revoked", state(RefusalReason::Revoked, now_ms - 90_000)),
        ("not started", state(RefusalReason::NotStarted, now_ms + 90_000)),
        ("suspended, nobody knows since when", state(RefusalReason::Suspended, 0)),
        ("another product", wrong_product("another", number)),
        ("all seats are in use", full(5, 5, 0, WaitReason::Lease, 41_000)),
        ("the only seat is in use", full(1, 1, 0, WaitReason::Lease, 41_000)),
        ("a seat waits after a kick", full(5, 4, 1, WaitReason::Wait, 200_000)),
        ("no seats at all", full(0, 0, 0, WaitReason::Never, 0)),
        ("a full seat", many(32)),
        ("a seat of one process", many(1)),
        ("a license that counts processes", needs_instance()),
        ("nothing that is needed", unread(AcquireBody::default())),
        (
            "a mistyped key",
            unread(AcquireBody { license_key: Some("CODI-752KJ-Y5EZQ-1CW0A-1B2C3-D4EHJ-KMNP9".into()), ..complete() }),
        ),
        ("a short nonce", unread(AcquireBody { nonce: Some("short".into()), ..complete() })),
        ("a body that is not JSON", Problem::not_json("is not JSON; the error is at line 1, column 1")),
    ]
}

fn heartbeat_samples(license: LicenseNumber, session: SessionId, now_ms: i64) -> Vec<NamedProblem> {
    let seated = |why| {
        let refusal = LicenseRefusal { why, since_ms: now_ms - 90_000 };
        answer::while_seated(answer::refused(refusal, license, now_ms), refusal)
    };
    let gone = |reason: &str| session_gone(&GoneReason::from(reason), session);
    let forged = answer::open_handle(&BearerCredential("forged".into()), &KeyRing::single(vec![1; 32]));
    let mut samples = vec![
        ("suspended meanwhile", seated(RefusalReason::Suspended)),
        ("expired meanwhile", seated(RefusalReason::Expired)),
        ("revoked meanwhile", seated(RefusalReason::Revoked)),
        ("released", gone("released")),
        ("lapsed", gone("expired")),
        ("kicked", gone("kicked")),
        ("forgotten", gone("unknown")),
        ("a reason of a later version", gone("evicted")),
        ("too early", limited("heartbeat", "heartbeats of this session", RateLimit::per_minute(30), 1_500)),
    ];
    samples.extend(forged.err().map(|problem| ("a handle of nobody", problem)));
    samples
}

/// What any request may be answered; none of it is about the license.
fn fault_samples() -> Vec<NamedProblem> {
    let plain = |code| Problem::new(code, "Nothing was done. Send the request again.");
    vec![
        ("a method that is none", plain(ProblemCode::MethodNotAllowed)),
        ("a slow body", plain(ProblemCode::RequestTimeout)),
        ("a large body", plain(ProblemCode::PayloadTooLarge)),
        ("a form", plain(ProblemCode::UnsupportedMediaType)),
        ("Redis is away", Error::Deadline(StoreName::Seats).into()),
        ("PostgreSQL is away", Error::Deadline(StoreName::Records).into()),
        ("the root key is away", Error::Signer("away".into()).into()),
        ("a fault of the server", Error::Internal("a fault".into()).into()),
    ]
}

/// The lease of the deployment that these are of, in milliseconds.
const LEASE_MS: i64 = 360_000;

fn pool(
    facts: &LicenseFacts,
    total: u32,
    held: u32,
    waiting: u32,
    until: WaitReason,
    wait_ms: i64,
    now_ms: i64,
) -> PoolFull {
    let holder = |n: i64| SilentHolder {
        label: format!("host-{n}"),
        since_ms: now_ms - 3_600_000,
        lease_end_ms: now_ms + 41_000 * n,
    };
    PoolFull {
        held,
        seats_total: total,
        waiting,
        until,
        next_lease_end_ms: now_ms + wait_ms,
        wait_ms,
        now_ms,
        facts: LicenseFacts { seats_total: total, ..facts.clone() },
        silent: (1..=i64::from(held.min(2))).map(holder).collect(),
    }
}

fn complete() -> AcquireBody {
    AcquireBody {
        license_key: Some("CODI-752KJ-Y5EZQ-1CW0A-1B2C3-D4EHJ-KMNP8".into()),
        hardware_id: Some("machine-0001".into()),
        attempt: Some("5a9d6c1e-2f64-4d53-9a0b-1f1c3f0f2f6d".into()),
        ..AcquireBody::default()
    }
}

/// What is said of a body that cannot be read.
fn unread(body: AcquireBody) -> Problem {
    body.read().map_or_else(|problem| problem, |_| Problem::internal())
}
