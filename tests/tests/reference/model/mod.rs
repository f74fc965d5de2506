//! What the whole engine should answer, one request after the other: docs/PROTOCOL.md without Redis, PostgreSQL and time between steps.
//!
//! A seat is one thing here and a copy of it is either believed (`warm`) or rebuilt by whoever asks next. Two clocks, tickets, fences
//! and claims have no place: nothing overlaps.

mod changes;
mod ends;
mod rebuild;

use crate::command::{Command, Key, License, Odd, Who};
use std::collections::{BTreeMap, HashMap};

pub(crate) const TTL: i64 = 360_000;
/// The lease of a new process on a seat that carries many.
const FIRST: i64 = 20_000;
/// What an instance that saw Redis away lets pass before it takes anything from anybody: a heartbeat and a bit.
const SPARE: i64 = 115_200;

/// What a caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Seat { seat: u32, session: usize, renewed: bool, used: u32 },
    Full { held: u32, total: u32, next: i64, silent: Vec<(String, i64)> },
    Valid { held: u32, total: u32, mine: bool, silent: Vec<(String, i64)> },
    BadKey,
    NoPool,
    Suspended,
    Expired { since: i64 },
    WrongProduct,
    NeedsInstance,
    TooMany { processes: u32, wait: i64 },
    Alive,
    Gone(String),
    Released,
    Swept { seats: usize, sessions: usize },
    Changed(bool),
    Ended { reason: &'static str, free_in: Option<i64> },
    Done,
}

/// A session, open until it has a reason not to be.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) seat: u32,
    attempt: (Who, u8),
    pub(crate) end: i64,
    pub(crate) over: Option<&'static str>,
    /// Which kick ended it.
    kick: Option<usize>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Seat {
    pub(crate) holder: Option<Who>,
    /// When its lease or quarantine ends, as Redis has it; 0: free.
    pub(crate) end: i64,
    /// Kicked free by this kick, and not granted or swept since.
    pub(crate) kicked: Option<usize>,
    pub(crate) retired: bool,
    /// Sessions that a join found lapsed: over, and listed in Redis until the seat is swept or changes hands.
    pub(crate) left: usize,
    /// Has or had several sessions since it was granted or rebuilt: Redis names them one by one.
    pub(super) several: bool,
}

/// What one instance has seen and remembers.
#[derive(Clone, Debug, Default)]
struct Instance {
    heard: Option<i64>,
    cut_off: bool,
    /// Since when it lets its clock stand still, and until when.
    spares: Option<(i64, i64)>,
    gone: HashMap<usize, i64>,
    wrong: HashMap<usize, i64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) now: i64,
    license: License,
    pub(crate) total: u32,
    pub(crate) surplus: u32,
    pub(crate) seats: BTreeMap<u32, Seat>,
    pub(crate) sessions: Vec<Session>,
    /// Until when each key is good; the last is the current one.
    keys: Vec<i64>,
    suspended: bool,
    expires: i64,
    /// Redis has a copy, and it is believed.
    copy: bool,
    pub(crate) warm: bool,
    kept: Option<bool>,
    /// What the latest copy knows of its seats, also once it is stale; `None`: it was lost, or is another node's.
    known: Option<BTreeMap<u32, Seat>>,
    /// Something was changed without asking Redis.
    changed: bool,
    kicks: usize,
    /// Changes of a seat's holder: one event each.
    pub(crate) told: usize,
    instances: [Instance; 2],
}

impl Model {
    pub(crate) fn new(license: License, now: i64) -> Self {
        Self {
            now,
            license,
            total: license.seats,
            surplus: 0,
            seats: (0..license.seats).map(|no| (no, Seat::default())).collect(),
            sessions: Vec::new(),
            keys: vec![i64::MAX],
            suspended: false,
            expires: license.term_ms.map_or(i64::MAX, |term| now + term),
            copy: false,
            warm: false,
            kept: None,
            known: None,
            changed: false,
            kicks: 0,
            told: 0,
            instances: Default::default(),
        }
    }

    /// Does a command and says what the engine should answer.
    pub(crate) fn answer(&mut self, command: &Command) -> Answer {
        self.know();
        match *command {
            Command::Acquire { at, who, attempt, key, odd } => {
                self.admit(at, key, odd == Odd::Pool).and_then(|()| self.acquire(at, who, attempt, odd))
            }
            Command::Validate { at, machine, key } => {
                self.admit(at, key, false).and_then(|()| self.validate(at, machine))
            }
            Command::Heartbeat { at, session } => {
                self.session(session).map_or(Ok(Answer::Done), |s| Ok(self.heartbeat(at, s)))
            }
            Command::Release { at, session } => {
                self.session(session).map_or(Ok(Answer::Done), |s| Ok(self.release(at, s)))
            }
            Command::Sweep => Ok(self.sweep()),
            Command::End { session, force } => {
                self.session(session).map_or(Ok(Answer::Done), |s| Ok(self.end_session(s, force)))
            }
            Command::Resize { seats } => Ok(self.resize(seats)),
            Command::Suspend => Ok(self.set_suspended(true)),
            Command::Resume => Ok(self.set_suspended(false)),
            Command::Rotate { grace_ms } => Ok(self.rotate(grace_ms)),
            _ => Ok(self.fault(command)),
        }
        .unwrap_or_else(|refusal| refusal)
    }

    /// The session that a command means.
    pub(crate) fn session(&self, back: usize) -> Option<usize> {
        let given = self.sessions.len();
        (given > 0).then(|| given - 1 - back % given)
    }

    pub(crate) fn key(&self, key: Key) -> Option<usize> {
        let current = self.keys.len() - 1;
        match key {
            Key::Current => Some(current),
            Key::Old(back) => Some(current.saturating_sub(1 + usize::from(back))),
            Key::Wrong => None,
        }
    }

    fn holder(&self, who: Who) -> Who {
        Who { process: who.process.filter(|_| self.license.by_process), ..who }
    }

    /// What is over by this time is over: an instance that saw Redis away goes by the time it lost it.
    fn clock(&self, at: usize) -> i64 {
        self.instances[at].spares.filter(|(_, until)| self.now < *until).map_or(self.now, |(since, _)| since)
    }

    fn ask(&mut self, at: usize) {
        let (now, clock) = (self.now, self.clock(at));
        let it = &mut self.instances[at];
        if std::mem::take(&mut it.cut_off) {
            let heard = it.heard.unwrap_or(i64::MIN).max(now - TTL);
            it.spares = Some((if clock < now { clock } else { heard }, now + SPARE));
        }
        it.heard = Some(now);
    }

    fn open(&self, seat: u32) -> impl Iterator<Item = (usize, &Session)> {
        self.sessions.iter().enumerate().filter(move |(_, s)| s.seat == seat && s.over.is_none())
    }

    pub(crate) fn held(&self) -> u32 {
        self.seats.values().filter(|seat| seat.holder.is_some()).count() as u32
    }

    /// The key, the pool, the license's status and term.
    fn admit(&mut self, at: usize, key: Key, other_pool: bool) -> Result<(), Answer> {
        let key = self.key(key);
        let name = key.unwrap_or(usize::MAX);
        let now = self.now;
        if self.instances[at].wrong.get(&name).is_some_and(|since| now - since < 60_000) {
            return Err(Answer::BadKey);
        }
        self.ask(at);
        let until = key.map_or(0, |key| self.keys[key]);
        // The records' clock is real and behind: a key that was given time is good to them for ever.
        let recorded = until > 0;
        if !recorded {
            self.instances[at].wrong.insert(name, now);
            return Err(Answer::BadKey);
        }
        if other_pool {
            return Err(Answer::NoPool);
        }
        self.warm_up();
        if until <= self.clock(at) {
            // Redis does not know it and the records do: the copy is taken for an old one.
            self.rebuild();
            return Err(Answer::BadKey);
        }
        self.refused(at).map_or(Ok(()), Err)
    }

    fn refused(&self, at: usize) -> Option<Answer> {
        if self.suspended {
            return Some(Answer::Suspended);
        }
        (self.expires <= self.clock(at)).then_some(Answer::Expired { since: self.expires })
    }

    fn acquire(&mut self, at: usize, who: Who, attempt: u8, odd: Odd) -> Result<Answer, Answer> {
        if odd == Odd::Product {
            return Ok(Answer::WrongProduct);
        }
        if self.license.by_process && who.process.is_none() {
            return Ok(Answer::NeedsInstance);
        }
        let holder = self.holder(who);
        let mine = self.seats.iter().find(|(_, seat)| seat.holder == Some(holder)).map(|(no, _)| *no);
        match mine {
            Some(seat) => self.join(at, seat, (who, attempt)),
            None => self.take(at, holder, (who, attempt)),
        }
    }

    fn join(&mut self, at: usize, seat: u32, attempt: (Who, u8)) -> Result<Answer, Answer> {
        let clock = self.clock(at);
        let live: Vec<usize> = self.open(seat).filter(|(_, s)| s.end > clock).map(|(id, _)| id).collect();
        if let Some(&session) = live.iter().find(|id| self.sessions[**id].attempt == attempt) {
            let lease = self.trusted(seat, 1, FIRST);
            self.raise(session, lease);
            return Ok(Answer::Seat { seat, session, renewed: true, used: self.held() });
        }
        if live.len() as u32 >= self.license.processes {
            let first = live.iter().map(|id| self.sessions[*id].end).min().unwrap_or(clock);
            return Ok(Answer::TooMany { processes: self.license.processes, wait: first - clock });
        }
        let lapsed: Vec<usize> = self.open(seat).map(|(id, _)| id).filter(|id| !live.contains(id)).collect();
        self.seat(seat).left += lapsed.len();
        self.seat(seat).several = true;
        lapsed.into_iter().for_each(|id| self.sessions[id].over = Some("expired"));
        let lease = self.trusted(seat, 0, FIRST);
        Ok(self.give(seat, attempt, lease))
    }

    fn take(&mut self, at: usize, holder: Who, attempt: (Who, u8)) -> Result<Answer, Answer> {
        let (clock, held) = (self.clock(at), self.held());
        let order = self.by_end();
        // The dead keep nobody out: counted are those whose lease, or quarantine, goes on.
        let live = order.iter().filter(|no| self.seats[no].end > clock).count() as u32;
        let free = order.first().filter(|no| self.seats[no].end <= clock && live < self.total);
        let Some(&no) = free else {
            // Where the pool was shrunk, more than one must end; a pool of no seats gives none.
            let mut ends = order.iter().map(|no| self.seats[no].end).filter(|end| *end > clock);
            let next = ends.nth(live.saturating_sub(self.total) as usize).filter(|_| self.total > 0).unwrap_or(0);
            return Ok(Answer::Full { held, total: self.total, next, silent: self.silent() });
        };
        self.end_all(no, "expired");
        let seat = self.seat(no);
        *seat = Seat { holder: Some(holder), ..Seat::default() };
        self.told += 1;
        Ok(self.give(no, attempt, TTL))
    }

    fn give(&mut self, seat: u32, attempt: (Who, u8), lease: i64) -> Answer {
        self.sessions.push(Session { seat, attempt, end: 0, over: None, kick: None });
        let session = self.sessions.len() - 1;
        self.raise(session, lease);
        Answer::Seat { seat, session, renewed: false, used: self.held() }
    }

    /// The lease of a session, `mine` of those that its seat lists: where it lists others (here no license allows more than three) it is short.
    fn trusted(&self, seat: u32, mine: usize, lease: i64) -> i64 {
        let others = self.open(seat).count() + self.seats[&seat].left - mine;
        if others == 0 { TTL } else { lease.clamp(FIRST, TTL) }
    }

    fn raise(&mut self, session: usize, lease: i64) {
        let until = self.now + lease;
        let it = &mut self.sessions[session];
        it.end = it.end.max(until);
        let seat = it.seat;
        let seat = self.seat(seat);
        seat.end = seat.end.max(until);
    }

    fn seat(&mut self, no: u32) -> &mut Seat {
        self.seats.get_mut(&no).unwrap()
    }

    fn end_all(&mut self, seat: u32, why: &'static str) {
        let open: Vec<usize> = self.open(seat).map(|(id, _)| id).collect();
        open.into_iter().for_each(|id| self.sessions[id].over = Some(why));
    }

    /// Seats that are not retired, the one whose lease ends first in front; Redis puts equals in the order of their digits.
    fn by_end(&self) -> Vec<u32> {
        let mut order: Vec<u32> = self.seats.iter().filter(|(_, s)| !s.retired).map(|(no, _)| *no).collect();
        order.sort_by_key(|no| (self.seats[no].end, no.to_string()));
        order
    }

    fn silent(&self) -> Vec<(String, i64)> {
        let known = self.by_end().into_iter().map(|no| &self.seats[&no]).filter(|seat| seat.end > 0).take(5);
        known.filter_map(|seat| Some((format!("machine-{}", seat.holder?.machine), seat.end))).collect()
    }

    fn validate(&mut self, _: usize, machine: u8) -> Result<Answer, Answer> {
        let mine = self.seats.values().any(|seat| seat.holder == Some(Who { machine, process: None }));
        Ok(Answer::Valid { held: self.held(), total: self.total, mine, silent: self.silent() })
    }

    fn heartbeat(&mut self, at: usize, session: usize) -> Answer {
        let now = self.now;
        let remembered = self.instances[at].gone.get(&session).is_some_and(|since| now - since < 10 * TTL);
        if !remembered {
            self.ask(at);
            self.warm_up();
        }
        if let Some(why) = self.sessions[session].over {
            // A lease that nobody could renew is no fault of its client's.
            if !remembered
                && why == "expired"
                && let Some(refused) = self.refused(at)
            {
                return refused;
            }
            if !remembered {
                self.instances[at].gone.insert(session, now);
            }
            return Answer::Gone(why.into());
        }
        if let Some(refused) = self.refused(at) {
            return refused;
        }
        let Session { seat, end, .. } = self.sessions[session];
        let lease = self.trusted(seat, 1, 4 * (end - now));
        self.raise(session, lease);
        Answer::Alive
    }

    fn release(&mut self, at: usize, session: usize) -> Answer {
        self.ask(at);
        self.warm_up();
        if self.sessions[session].over.is_some() {
            return Answer::Released;
        }
        self.sessions[session].over = Some("released");
        let seat = self.sessions[session].seat;
        let latest = self.open(seat).map(|(_, s)| s.end).max().unwrap_or(0);
        if latest > self.clock(at) {
            self.seat(seat).end = latest;
        } else {
            self.vacate(vec![seat], "expired");
        }
        Answer::Released
    }
}
