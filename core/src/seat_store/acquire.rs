//! ACQUIRE and VALIDATE.

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
        id::{Attempt, Holder, PoolId, SeatNo, SessionId, TenantId},
        license::{LicenseFacts, LicenseRefusal},
        rate::{LimitKind, RateLimit, RateLimited},
    },
};

/// What ACQUIRE is asked.
#[derive(Clone, Debug)]
pub struct SeatRequest {
    /// The key under every accepted pepper.
    pub key_hashes: Vec<String>,
    /// The holder if the license counts machines.
    pub by_machine: Holder,
    /// The holder if it counts processes; `None` if the client did not say which instance it is.
    pub by_process: Option<Holder>,
    /// The client's process start.
    pub attempt: Attempt,
    /// The id a new session gets.
    pub session: SessionId,
    /// What people are shown: a hostname, say.
    pub label: String,
    /// The product the client says it is, if it says so.
    pub product: Option<String>,
}

/// A decision that the records must confirm before anybody is told.
#[derive(Clone, Debug, PartialEq)]
pub struct SeatTicket {
    /// True if this attempt already had its session.
    pub renewed: bool,
    /// The seat.
    pub seat: SeatNo,
    /// The session.
    pub session: SessionId,
    /// First half of the ticket.
    pub epoch: u64,
    /// Second half of the ticket.
    pub seq: u64,
    /// The organization.
    pub tenant: TenantId,
    /// The pool's id in the records.
    pub pool_id: PoolId,
    /// Who holds the seat now, by the license's policy.
    pub holder: Holder,
    /// What the license says.
    pub facts: LicenseFacts,
    /// Seats held, this one included.
    pub held: u32,
    /// Lease end (ms) of the holder that lost the seat; 0 if there was none.
    pub displaced_lease_end_ms: i64,
    /// The lease that was given, ms: shorter than the setting for a new process on a seat that carries many
    /// (lease_length.lua).
    pub lease_ms: i64,
    /// How long the holder has held its seat, ms: what grace is earned by; `None` where tokens of it carry none
    /// (lease_length.lua).
    pub held_ms: Option<i64>,
    /// The seat's sessions that are not ending.
    pub live: Vec<SessionId>,
}

/// Nobody who holds no seat is given one now.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolFull {
    /// Seats held.
    pub held: u32,
    /// Seats there are.
    pub seats_total: u32,
    /// Seats that nobody holds and nobody is given yet.
    pub waiting: u32,
    /// What must be over before somebody is seated.
    pub until: WaitReason,
    /// When that is over at the latest, if no holder gives a sign of life before; ms, 0 if nothing is known.
    pub next_lease_end_ms: i64,
    /// How long until then, ms, by the clock that takes seats away.
    pub wait_ms: i64,
    /// Redis time of the answer, ms.
    pub now_ms: i64,
    /// What the license says.
    pub facts: LicenseFacts,
    /// Up to five holders, longest silent first.
    pub silent: Vec<SilentHolder>,
}

/// What must be over before somebody is seated in a full pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// The lease of a holder.
    Lease,
    /// The wait of a seat whose holder was ended by somebody, or of whom restored records may know nothing.
    Wait,
    /// The wait of a pool whose records were restored: who holds a seat goes on, and nobody else sits down.
    Opening,
    /// Nothing: the pool has no seats.
    Never,
}

/// The holder's seat carries as many live processes as its license allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// How many that are.
    pub processes: u32,
    /// Whether the license counts processes: then they are starts of one named process, and not all of the machine's.
    pub by_process: bool,
    /// Until the first of them is over if it gives no sign of life, ms.
    pub wait_ms: i64,
}

/// A holder as others may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilentHolder {
    /// What its client called itself.
    pub label: String,
    /// Since when it has held the seat, ms.
    pub since_ms: i64,
    /// When its lease ends, ms.
    pub lease_end_ms: i64,
}

/// What ACQUIRE answers when the copy is warm.
#[derive(Clone, Debug, PartialEq)]
pub enum AcquireAnswer {
    /// A seat, subject to the records.
    Granted(Box<SeatTicket>),
    /// None free.
    Full(Box<PoolFull>),
    /// The key is not among those this copy knows, under this epoch.
    BadKey(u64),
    /// The license gives no seat now.
    Refused(LicenseRefusal),
    /// The license is for the product named here, not for the client's.
    WrongProduct(String),
    /// The holder asked too often, or too many new sessions were begun on the license. The limit is as it is for this
    /// license.
    Limited(RateLimited),
    /// The license counts processes and the client did not name its instance.
    NeedsInstance,
    /// The seat carries as many live processes as allowed.
    TooMany(TooMany),
}

/// Whether an acquire would get a seat now, by the lines that ACQUIRE itself decides by (acquire_decision.lua).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatProspect {
    /// It would.
    Seat,
    /// Every seat is held or waits for a lease to end.
    Full,
    /// The holder's seat carries as many live processes as allowed.
    TooMany,
}

/// What VALIDATE says of a license that gives seats.
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
    /// Whether the holder asked about has one of them.
    pub has_seat: bool,
    /// Until it would get one, ms, if nobody gives a sign of life before; 0 where it would now, or nothing is known.
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
    /// As for ACQUIRE.
    BadKey(u64),
    /// It would not.
    Refused(LicenseRefusal, Box<LicenseFacts>),
}

impl SeatStore {
    /// Takes a seat, joins the holder's, or repeats an answer (acquire.lua).
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer; it may have decided all the same.
    pub async fn acquire(&self, pool: &PoolKey, ask: &SeatRequest) -> Result<PoolReply<AcquireAnswer>> {
        let by_machine = ask.by_machine.to_string();
        let by_process = ask.by_process.map(|h| h.to_string()).unwrap_or_default();
        let turns = [pool.turns_key(&by_machine), pool.turns_key(&by_process), pool.begun_key()];
        let [every, burst] = rate::arguments(self.rates.acquire);
        let [seat_every, seat_burst] = rate::arguments(self.rates.license);
        let arguments = [
            ask.key_hashes.join(" "),
            by_machine,
            by_process,
            ask.attempt.short(),
            short(ask.session.0),
            ask.label.clone(),
            ask.product.clone().unwrap_or_default(),
            every,
            burst,
            seat_every,
            seat_burst,
        ];
        let mut reply = self.run(&scripts::ACQUIRE, pool, &turns, &arguments).await?;
        Ok(PoolReply::Said(match reply.word() {
            "COLD" => return Ok(PoolReply::Cold(reply.take()?)),
            "GRANTED" | "RENEWED" => AcquireAnswer::Granted(Box::new(granted(reply)?)),
            "FULL" => AcquireAnswer::Full(Box::new(full(reply)?)),
            "BADKEY" => AcquireAnswer::BadKey(reply.take()?),
            "REFUSED" => AcquireAnswer::Refused(reply.refusal()?),
            "PRODUCT" => AcquireAnswer::WrongProduct(reply.take()?),
            "RATED" => AcquireAnswer::Limited(limited(&mut reply)?),
            "NEEDS" => AcquireAnswer::NeedsInstance,
            "TOOMANY" => AcquireAnswer::TooMany(TooMany {
                processes: reply.take()?,
                by_process: reply.take::<u8>()? == 1,
                wait_ms: reply.take()?,
            }),
            _ => return Err(reply.unknown()),
        }))
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
        let spelt = |holder: Option<Holder>| holder.map(|h| h.to_string()).unwrap_or_default();
        let arguments = [key_hashes.join(" "), spelt(by_machine), spelt(by_process)];
        let mut reply = self.run(&scripts::VALIDATE, pool, &[], &arguments).await?;
        Ok(PoolReply::Said(match reply.word() {
            "COLD" => return Ok(PoolReply::Cold(reply.take()?)),
            "BADKEY" => ValidateAnswer::BadKey(reply.take()?),
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

fn granted(mut reply: ScriptReply) -> Result<SeatTicket> {
    let renewed = reply.is("RENEWED");
    let mut granted = SeatTicket {
        renewed,
        seat: reply.take()?,
        session: reply.session()?,
        epoch: reply.take()?,
        seq: reply.take()?,
        tenant: reply.parse()?,
        pool_id: reply.parse()?,
        holder: reply.parse()?,
        facts: reply.facts()?,
        held: reply.take()?,
        displaced_lease_end_ms: reply.take()?,
        lease_ms: reply.take()?,
        held_ms: reply.held_ms()?,
        live: Vec::new(),
    };
    while !reply.is_empty() {
        granted.live.push(reply.session()?);
    }
    Ok(granted)
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
