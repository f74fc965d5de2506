//! ACQUIRE, which takes a seat, and VALIDATE, which says what ACQUIRE would answer.

use super::{
    PoolReply, SeatStore,
    keys::PoolKey,
    rate,
    reply::{ScriptReply, short},
    scripts,
};
use crate::{
    Result,
    domain::{
        claimant::Claimant,
        id::{Holder, SessionId},
        license::{LicenseFacts, LicenseRefusal},
        pool::{GrantedSeat, SeatLease},
        rate::{LimitKind, RateLimit, RateLimited},
    },
};

/// The pool gives no seat to a new holder now.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolFull {
    /// Seats held.
    pub held: u32,
    /// The seats of the pool.
    pub seats_total: u32,
    /// Seats that have no holder and cannot be granted yet.
    pub waiting: u32,
    /// What must end before a seat can be granted.
    pub until: WaitReason,
    /// When that ends at the latest if no holder sends a heartbeat before, ms; 0 if it is not known.
    pub next_lease_end_ms: i64,
    /// How long until then, ms, by the clock that decides whether a seat is taken away.
    pub wait_ms: i64,
    /// Redis time of the answer, ms.
    pub now_ms: i64,
    /// What the license says.
    pub facts: LicenseFacts,
    /// Up to five holders, longest silent first.
    pub silent: Vec<SilentHolder>,
}

/// What must end before a full pool can grant a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// The lease of a holder.
    Lease,
    /// The wait of a seat whose holder was ended by an administrator, or may be unknown to restored records.
    Wait,
    /// The wait of a pool whose records were restored: present holders continue, and no other holder is granted a seat.
    Opening,
    /// Waiting does not help: the pool has no seats.
    Never,
}

/// The holder's seat carries as many live processes as its license allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyProcesses {
    /// How many processes that are.
    pub processes: u32,
    /// Whether the license counts processes. The processes are then starts of one named process, and not all processes
    /// of the machine.
    pub by_process: bool,
    /// How long until the first of their leases ends if it sends no heartbeat, ms.
    pub wait_ms: i64,
}

/// A holder, as other claimants may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilentHolder {
    /// The label that its client gave.
    pub label: String,
    /// Since when it has held the seat, ms.
    pub since_ms: i64,
    /// When its lease ends, ms.
    pub lease_end_ms: i64,
}

/// What ACQUIRE answers when the copy is warm.
#[derive(Clone, Debug, PartialEq)]
pub enum AcquireAnswer {
    /// A seat, which PostgreSQL must confirm before the client is told.
    Granted(Box<GrantedSeat>),
    /// The key is not among those this copy knows.
    BadKey {
        /// The epoch of the copy.
        epoch: u64,
    },
    /// No seat.
    Refused(AcquireRefusal),
}

/// Why an acquire gets no seat.
#[derive(Clone, Debug, PartialEq)]
pub enum AcquireRefusal {
    /// Every seat is held, or waits.
    Full(Box<PoolFull>),
    /// The license gives no seat now.
    License(LicenseRefusal),
    /// The license is for the product named here, not for the one that the client names.
    WrongProduct(String),
    /// The holder asked too often, or too many new sessions were begun on the license. The limit is as it is for this
    /// license.
    Limited(RateLimited),
    /// The license counts processes, and the client did not name its instance.
    NeedsInstance,
    /// The holder's seat carries as many live processes as its license allows.
    TooMany(TooManyProcesses),
}

/// Whether an acquire would get a seat now. The lines of `acquire_decision.lua` decide this for ACQUIRE too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatProspect {
    /// It would get one.
    Seat,
    /// Every seat is held or waits for a lease to end.
    Full,
    /// The holder's seat carries as many live processes as allowed.
    TooMany,
}

/// What VALIDATE answers about a license that gives seats.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidateReply {
    /// Whether an acquire would get one.
    pub prospect: SeatProspect,
    /// What the license says.
    pub facts: LicenseFacts,
    /// Seats held.
    pub held: u32,
    /// Seats there are.
    pub seats_total: u32,
    /// Whether the holder asked about holds one of them.
    pub has_seat: bool,
    /// How long until it would get one if no holder sends a heartbeat before, ms; 0 where it would get one now, or this
    /// is not known.
    pub wait_ms: i64,
    /// Redis time of the answer, ms.
    pub now_ms: i64,
    /// Up to five holders, longest silent first.
    pub silent: Vec<SilentHolder>,
}

/// What VALIDATE answers when the copy is warm.
#[derive(Clone, Debug, PartialEq)]
pub enum ValidateAnswer {
    /// The license gives seats.
    Valid(Box<ValidateReply>),
    /// The key is not among those this copy knows.
    BadKey {
        /// The epoch of the copy.
        epoch: u64,
    },
    /// The license gives no seat now.
    Refused(LicenseRefusal, Box<LicenseFacts>),
}

impl SeatStore {
    /// Takes a seat, joins the holder's seat, or repeats an answer (acquire.lua). `key_hashes` is the license key under
    /// every accepted pepper; `new_session` is the id that a new session gets.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer. It may have decided all the same.
    pub async fn acquire(
        &self,
        pool: &PoolKey,
        key_hashes: &[String],
        claimant: &Claimant,
        new_session: SessionId,
    ) -> Result<PoolReply<AcquireAnswer>> {
        let by_machine = claimant.holder_by_machine.to_string();
        let by_process = spelt(claimant.holder_by_process);
        let [wants, want_ends, changes] = pool.want_keys();
        let (machine_limit, process_limit) = (pool.limit_key(&by_machine), pool.limit_key(&by_process));
        let keys = [machine_limit, process_limit, pool.new_sessions_key(), wants, want_ends, changes];
        let [every, burst] = rate::limit_arguments(self.rates.acquire);
        let [seat_every, seat_burst] = rate::limit_arguments(self.rates.license);
        let arguments = [
            key_hashes.join(" "),
            by_machine,
            by_process,
            claimant.attempt.short_hash(),
            short(new_session.0),
            claimant.label.clone(),
            claimant.hw.to_string(),
            claimant.person().unwrap_or_default(),
            claimant.product.clone().unwrap_or_default(),
            every,
            burst,
            seat_every,
            seat_burst,
        ];
        acquire_reply(self.run(&scripts::ACQUIRE, pool, &keys, &arguments).await?)
    }

    /// What an acquire would say, taking no seat (validate.lua).
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer.
    pub async fn validate(
        &self,
        pool: &PoolKey,
        key_hashes: &[String],
        by_machine: Option<Holder>,
        by_process: Option<Holder>,
    ) -> Result<PoolReply<ValidateAnswer>> {
        let arguments = [key_hashes.join(" "), spelt(by_machine), spelt(by_process)];
        let mut reply = self.run(&scripts::VALIDATE, pool, &[], &arguments).await?;
        Ok(PoolReply::Answer(match reply.word() {
            "COLD" => return Ok(PoolReply::NeedsRebuild { epoch: reply.take()? }),
            "BADKEY" => ValidateAnswer::BadKey { epoch: reply.take()? },
            "REFUSED" => ValidateAnswer::Refused(reply.refusal()?, Box::new(reply.facts()?)),
            "VALID" => ValidateAnswer::Valid(Box::new(ValidateReply {
                prospect: match reply.take::<String>()?.as_str() {
                    "JOINED" | "TAKEN" => SeatProspect::Seat,
                    "FULL" => SeatProspect::Full,
                    "TOOMANY" => SeatProspect::TooMany,
                    other => return Err(crate::Error::Seats(format!("unknown prospect {other}").into())),
                },
                facts: reply.facts()?,
                held: reply.take()?,
                seats_total: reply.take()?,
                has_seat: reply.take::<u8>()? == 1,
                wait_ms: reply.take()?,
                now_ms: reply.take()?,
                silent: silent(reply)?,
            })),
            _ => return Err(reply.unknown()),
        }))
    }
}

/// A holder as a script takes it: an empty text where the client did not say.
fn spelt(holder: Option<Holder>) -> String {
    holder.map(|holder| holder.to_string()).unwrap_or_default()
}

fn acquire_reply(mut reply: ScriptReply) -> Result<PoolReply<AcquireAnswer>> {
    Ok(PoolReply::Answer(AcquireAnswer::Refused(match reply.word() {
        "COLD" => return Ok(PoolReply::NeedsRebuild { epoch: reply.take()? }),
        "GRANTED" | "RENEWED" => return Ok(PoolReply::Answer(AcquireAnswer::Granted(Box::new(granted(reply)?)))),
        "BADKEY" => return Ok(PoolReply::Answer(AcquireAnswer::BadKey { epoch: reply.take()? })),
        "FULL" => AcquireRefusal::Full(Box::new(full(reply)?)),
        "REFUSED" => AcquireRefusal::License(reply.refusal()?),
        "PRODUCT" => AcquireRefusal::WrongProduct(reply.take()?),
        "RATED" => AcquireRefusal::Limited(limited(&mut reply)?),
        "NEEDS" => AcquireRefusal::NeedsInstance,
        "TOOMANY" => AcquireRefusal::TooMany(TooManyProcesses {
            processes: reply.take()?,
            by_process: reply.take::<u8>()? == 1,
            wait_ms: reply.take()?,
        }),
        _ => return Err(reply.unknown()),
    })))
}

fn granted(mut reply: ScriptReply) -> Result<GrantedSeat> {
    let (seat, session) = (reply.take()?, reply.session()?);
    let (epoch, seq) = (reply.take()?, reply.take()?);
    let (tenant, pool_id) = (reply.parse()?, reply.parse()?);
    let (holder, facts) = (reply.parse()?, reply.facts()?);
    let (held, displaced_lease_end_ms) = (reply.take()?, reply.take()?);
    let lease = SeatLease { holder, facts, lease_ms: reply.take()?, held_ms: reply.held_ms()? };
    let mut live = Vec::new();
    while !reply.is_empty() {
        live.push(reply.session()?);
    }
    Ok(GrantedSeat { tenant, pool_id, seat, session, epoch, seq, live, displaced_lease_end_ms, held, lease })
}

fn full(mut reply: ScriptReply) -> Result<PoolFull> {
    Ok(PoolFull {
        held: reply.take()?,
        seats_total: reply.take()?,
        waiting: reply.take()?,
        until: match reply.take::<String>()?.as_str() {
            "HELD" => WaitReason::Lease,
            "WAITS" => WaitReason::Wait,
            "OPENS" => WaitReason::Opening,
            "NONE" => WaitReason::Never,
            other => return Err(crate::Error::Seats(format!("unknown reason of a full pool {other}").into())),
        },
        next_lease_end_ms: reply.take()?,
        wait_ms: reply.take()?,
        now_ms: reply.take()?,
        facts: reply.facts()?,
        silent: silent(reply)?,
    })
}

fn limited(reply: &mut ScriptReply) -> Result<RateLimited> {
    let by = match reply.take::<String>()?.as_str() {
        "holder" => LimitKind::Holder,
        "license" => LimitKind::License,
        other => return Err(crate::Error::Seats(format!("unknown limit {other}").into())),
    };
    let wait_ms = reply.take()?;
    Ok(RateLimited { by, wait_ms, rate: RateLimit { per_minute: reply.take()?, burst: reply.take()? } })
}

fn silent(mut reply: ScriptReply) -> Result<Vec<SilentHolder>> {
    let mut holders = Vec::new();
    while !reply.is_empty() {
        holders.push(SilentHolder { label: reply.take()?, since_ms: reply.take()?, lease_end_ms: reply.take()? });
    }
    Ok(holders)
}
