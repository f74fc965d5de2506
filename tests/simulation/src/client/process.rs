//! One client: its present process, what it does, and how it takes what it is told.

use super::{Shared, wire::Answer};
use crate::{asked::Verb, operations::Deed};
use license_core::domain::id::{Attempt, ClientPart, Holder, SessionId};
use license_tests::{
    claims,
    load::{Dice, log::Belief},
    world::License,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// How often a heartbeat is tried.
const BEATS: usize = 4;
/// How often a release is tried.
const RELEASES: usize = 3;

pub(super) struct Client {
    hardware: String,
    holder: Holder,
    pub(super) label: String,
    pub(super) number: usize,
    process: Mutex<Process>,
    pub(super) dice: Mutex<Dice>,
}

/// The present process of a client.
struct Process {
    generation: u64,
    attempt: Attempt,
    session: Option<Session>,
    /// The session of the process before, if it ended without giving it back.
    earlier: Option<Session>,
    /// Whether it wants a seat.
    wants: bool,
    /// Whether its machine is off, and whether it wanted a seat before.
    off: Option<bool>,
}

#[derive(Clone)]
struct Session {
    id: SessionId,
    handle: String,
    /// When it last asked, and the longest it has been silent since its last lease was asked for. Who is answered late has been silent for
    /// as long as the answer took: its lease counts from its question.
    asked: Instant,
    mute: Duration,
    /// When the request was sent by which it has its lease, and what was answered since then instead of another.
    leased: Instant,
    instead: BTreeSet<&'static str>,
}

/// No answer of its own explains it: the server owed this client a lease.
pub const UNEXPLAINED: &str = "UNEXPLAINED";

/// Why the session of a client that kept asking had expired: what it was answered instead of a lease since its last one
/// was asked for.
///
/// The lease must be over by then, and something must have stood in the way of another: an answer, or the way of the heartbeat that was told so,
/// if it was sent within the lease. Times count from when that last lease was asked for.
pub fn cause(sent: Duration, told: Duration, lease: Duration, instead: &BTreeSet<&'static str>) -> String {
    let mut causes: Vec<&str> = instead.iter().copied().collect();
    if sent < lease {
        causes.push("under way until its lease was over");
    }
    if told < lease || causes.is_empty() {
        return UNEXPLAINED.into();
    }
    causes.join(" and ")
}

impl Process {
    fn new() -> Self {
        Self { generation: 0, attempt: Attempt(Uuid::new_v4()), session: None, earlier: None, wants: false, off: None }
    }

    /// Whatever is still under way is not for us any more.
    fn leave(&mut self) -> Option<Session> {
        self.generation += 1;
        self.session.take()
    }
}

impl Client {
    /// The `n`th client, with no process yet.
    pub(super) fn new(license: &License, n: usize, machines: usize, dice: Dice) -> Self {
        let hardware = format!("machine-{:04}", n % machines);
        let part: ClientPart = hardware.parse().unwrap();
        Self {
            holder: Holder::machine(license.key.number(), &part),
            hardware,
            label: format!("client {n}"),
            number: n,
            process: Mutex::new(Process::new()),
            dice: Mutex::new(dice),
        }
    }

    pub(super) fn holder(&self) -> Holder {
        self.holder
    }

    /// Whether it wants a seat.
    pub(super) fn wants(&self) -> bool {
        self.process().wants
    }

    pub(super) fn has_seat(&self) -> bool {
        self.process().session.is_some()
    }

    pub(super) fn switch_off(&self) {
        let mut process = self.process();
        let wanted = std::mem::take(&mut process.wants);
        process.off = process.off.or(Some(wanted));
        process.leave();
        process.earlier = None;
    }

    pub(super) fn switch_on(&self) {
        let mut process = self.process();
        process.wants = process.off.take().unwrap_or(false);
        process.attempt = Attempt(Uuid::new_v4());
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap()
    }

    pub(super) async fn act(&self, shared: &Shared, deed: Deed) {
        if self.process().off.is_some() {
            return;
        }
        match deed {
            Deed::Start => {
                {
                    let mut process = self.process();
                    // It may have stopped rather than ended: its belief stands to its end.
                    let earlier = process.leave();
                    process.earlier = earlier.or(process.earlier.take());
                    process.attempt = Attempt(Uuid::new_v4());
                    process.wants = true;
                }
                self.acquire(shared).await;
            }
            Deed::Ask => self.ask(shared).await,
            Deed::Again if self.process().wants => self.acquire(shared).await,
            Deed::Again => {}
            Deed::Twice => {
                tokio::join!(self.ask(shared), self.ask(shared));
            }
            Deed::Release => {
                let session = {
                    let mut process = self.process();
                    process.wants = false;
                    process.leave()
                };
                self.release(shared, session).await;
            }
            Deed::ReleaseEarlier => {
                let session = self.process().earlier.take();
                self.release(shared, session).await;
            }
            Deed::Die => {
                let mut process = self.process();
                process.wants = false;
                let earlier = process.leave();
                process.earlier = earlier.or(process.earlier.take());
            }
        }
    }

    async fn ask(&self, shared: &Shared) {
        let (wants, session) = {
            let process = self.process();
            (process.wants, process.session.clone())
        };
        match session {
            Some(session) => {
                // Who is not answered asks again soon, not at the next heartbeat.
                for _ in 0..BEATS {
                    if self.beat(shared, &session).await {
                        return;
                    }
                    tokio::time::sleep(shared.ttl / 25).await;
                }
            }
            None if wants => self.acquire(shared).await,
            None => {}
        }
    }

    async fn acquire(&self, shared: &Shared) {
        let (generation, attempt) = {
            let mut process = self.process();
            if process.off.is_some() {
                process.wants = false;
                return;
            }
            (process.generation, process.attempt)
        };
        let key = shared.key(&mut self.dice.lock().unwrap());
        let nonce = Uuid::new_v4().simple().to_string();
        let body = json!({
            "license_key": key.reveal(), "hardware_id": self.hardware, "attempt": attempt.0,
            "nonce": nonce, "client": { "hostname": self.label },
        });
        let sent = Instant::now();
        let answer = self.send(shared, Verb::Acquire, None, &body, &nonce).await;
        shared.count("acquire: asked");
        let note = |what: &str| self.note(shared, sent, attempt.0, what);
        match answer {
            Answer::Json(200 | 201, body) => self.seated(shared, generation, attempt, sent, &nonce, &body),
            Answer::Json(_, body) => match body["code"].as_str().unwrap_or_default() {
                code @ ("no_seats_available" | "too_many_processes" | "license_suspended") => {
                    note(&format!("acquire: {code}"));
                }
                _ => shared.log.broke(format!("{} has a good key and was answered {body}", self.label)),
            },
            Answer::Nothing(why) => note(&format!("acquire: {why}")),
        }
    }

    fn seated(&self, shared: &Shared, generation: u64, attempt: Attempt, sent: Instant, nonce: &str, body: &Value) {
        let id = body["session_id"].as_str().and_then(|id| id.parse().ok()).map(SessionId).expect("a session's id");
        let token = claims(body["token"].as_str().expect("a token"));
        if token["nonce"] != nonce
            || token["session_id"] != body["session_id"]
            || token["sub"] != self.holder.to_string()
        {
            shared.log.broke(format!("{} was given a token that is not its own: {token}", self.label));
            return;
        }
        let mut process = self.process();
        if process.generation != generation {
            self.note(shared, sent, id.0, "acquire: answered too late");
            return;
        }
        self.note(shared, sent, id.0, "acquire: seat");
        let seat = body["seat"].as_u64().expect("a seat") as u32;
        let belief = Belief { session: id, holder: self.holder, seat, label: self.label.clone(), spans: Vec::new() };
        shared.log.seated(&belief, attempt, sent, shared.lease);
        let handle = body["session"].as_str().expect("a handle").to_owned();
        let instead = BTreeSet::new();
        process.session = Some(Session { id, handle, asked: sent, mute: Duration::ZERO, leased: sent, instead });
    }

    /// Sends a heartbeat; false where it has to be sent again.
    async fn beat(&self, shared: &Shared, session: &Session) -> bool {
        let generation = {
            let mut process = self.process();
            if let Some(present) = process.session.as_mut() {
                present.mute = present.mute.max(present.asked.elapsed());
                present.asked = Instant::now();
            }
            process.generation
        };
        let nonce = Uuid::new_v4().simple().to_string();
        let body = json!({ "nonce": nonce });
        let sent = Instant::now();
        let answer = self.send(shared, Verb::Heartbeat, Some(&session.handle), &body, &nonce).await;
        shared.count("heartbeat: asked");
        let note = |what: &str| self.note(shared, sent, session.id.0, what);
        let mut process = self.process();
        if process.generation != generation || process.session.as_ref().is_none_or(|present| present.id != session.id) {
            note("heartbeat: answered too late");
            return true;
        }
        match answer {
            Answer::Json(200, body) => {
                let token = claims(body["token"].as_str().expect("a token"));
                if token["nonce"] != nonce || token["session_id"] != session.id.to_string() {
                    shared.log.broke(format!("{} was given a token that is not its own: {token}", self.label));
                    return true;
                }
                note("heartbeat: alive");
                shared.beat(sent, true);
                shared.log.extended(session.id, sent, shared.lease);
                if let Some(present) = process.session.as_mut() {
                    present.mute = Duration::ZERO;
                    present.leased = present.leased.max(sent);
                    present.instead.clear();
                }
            }
            Answer::Json(403, _) => {
                note("heartbeat: suspended");
                shared.beat(sent, false);
                shared.log.dropped(session.id);
                if let Some(present) = process.session.as_mut() {
                    present.instead.insert("suspended");
                }
            }
            Answer::Json(410, body) => {
                let reason = body["reason"].as_str().unwrap_or_default();
                let mute = process.session.as_ref().map_or(Duration::ZERO, |present| present.mute);
                let lost = if mute < shared.ttl / 2 { "though it asked" } else { "after silence" };
                note(&format!("heartbeat: gone ({reason}) {lost}"));
                if let Some(present) = process.session.as_ref().filter(|_| reason == "expired" && mute < shared.ttl / 2)
                {
                    let (since, told) = (sent - present.leased, present.leased.elapsed());
                    let cause = cause(since, told, shared.lease, &present.instead);
                    note(&format!("expired though it asked: {cause}"));
                    if cause == UNEXPLAINED {
                        shared.log.broke(format!(
                            "L: {} ({}) was told expired though it asked: {cause}",
                            self.label, session.id
                        ));
                    }
                }
                shared.log.gone(session.id, reason);
                process.leave();
                // Who was kicked does not come back by itself.
                process.wants &= reason != "kicked";
            }
            Answer::Json(status, body) => {
                shared.log.broke(format!("{} has a good session and was answered {status} {body}", self.label));
            }
            Answer::Nothing(why) => {
                note(&format!("heartbeat: {why}"));
                if let Some(present) = process.session.as_mut() {
                    present.instead.insert(why);
                }
                return false;
            }
        }
        true
    }

    /// Stops believing, and says so.
    async fn release(&self, shared: &Shared, session: Option<Session>) {
        let Some(session) = session else { return };
        shared.log.dropped(session.id);
        for _ in 0..RELEASES {
            shared.count("release: asked");
            let sent = Instant::now();
            let note = |what: &str| self.note(shared, sent, session.id.0, what);
            match self.send(shared, Verb::Release, Some(&session.handle), &json!({}), "").await {
                Answer::Json(200, _) => return note("release: done"),
                Answer::Json(status, body) => {
                    return shared.log.broke(format!("a release was answered {status} {body}"));
                }
                Answer::Nothing(why) => note(&format!("release: {why}")),
            }
        }
    }

    /// Counts an answer and writes it down.
    fn note(&self, shared: &Shared, sent: Instant, about: Uuid, what: &str) {
        shared.count(what);
        let (asked, answered) = (shared.log.at(sent), shared.log.at(Instant::now()));
        shared.trace.lock().unwrap().push(format!("{asked} {answered} {} {about} {what}", self.label));
    }
}
