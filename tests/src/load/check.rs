//! The comparison of the belief log with PostgreSQL.

use super::{
    drift,
    log::{Belief, BeliefLog},
};
use crate::World;
use license_core::domain::id::Holder;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// By how much two readings of one machine's clocks may differ, in microseconds.
const CLOCKS: i64 = 5_000;
const FOREVER: i64 = i64::MAX;

/// What a run came to.
#[derive(Debug)]
pub struct Findings {
    pub sessions: usize,
    /// Most holders that believed at one instant.
    pub most: usize,
    /// Everything that must not be.
    pub broken: Vec<String>,
}

/// Looks at a run whose processes have stopped and whose faults are over: two sweeps, then every invariant.
///
/// # Panics
/// If one is broken, naming each.
pub async fn holds(world: &World, log: &BeliefLog) -> Findings {
    let found = look(world, log).await;
    println!("sessions {}, most believing at once {}", found.sessions, found.most);
    assert!(found.broken.is_empty(), "{}", found.broken.join("\n"));
    found
}

/// The same without judging.
pub async fn look(world: &World, log: &BeliefLog) -> Findings {
    settle(world).await;
    look_settled(world, log, None).await
}

/// Two sweeps, after which nothing is left unfinished.
pub async fn settle(world: &World) {
    for _ in 0..2 {
        // What a release left unfinished is taken up again after this long.
        tokio::time::sleep(world.timing.ttl / 10).await;
        world.sweep().await;
    }
}

/// A change of how many seats there are, and when, in microseconds since the log began.
pub type Resized = (i64, i64);

/// Looks at stores that have settled. `resized`: how the pool came to its present size; `None` if it always had it.
pub async fn look_settled(world: &World, log: &BeliefLog, resized: Option<&[Resized]>) -> Findings {
    let (beliefs, mut broken) = log.read();
    let most = oversold(world, &beliefs, resized, &mut broken).await;
    records(world, log, &beliefs, &mut broken).await;
    broken.extend(drift::between(world).await);
    Findings { sessions: beliefs.len(), most, broken }
}

/// S1, S2: at no instant more believing holders than seats, nor two on one seat.
async fn oversold(world: &World, beliefs: &[Belief], resized: Option<&[Resized]>, broken: &mut Vec<String>) -> usize {
    let rows = world.count("select count(*) from seats where not retired").await;
    let sized = world.count("select seats_total + surplus::bigint from pools").await;
    if rows != sized {
        broken.push(format!("S1: {rows} seats, {sized} sold"));
    }
    let all = most_at_once(beliefs.iter());
    match resized {
        Some(resized) => broken.extend(above_size(beliefs, rows, resized)),
        None if all as i64 > rows => broken.push(format!("S2: {all} holders believed at once, {rows} seats")),
        None => {}
    }
    let seats: HashSet<u32> = beliefs.iter().map(|b| b.seat).collect();
    for seat in seats {
        let here = most_at_once(beliefs.iter().filter(|b| b.seat == seat));
        if here > 1 {
            broken.push(format!("S2: {here} holders believed at once in seat {seat}"));
        }
    }
    all
}

/// The instant at which most holders more than there were seats believed, if there is one.
fn above_size(beliefs: &[Belief], seats: i64, resized: &[Resized]) -> Option<String> {
    // At one instant: beliefs end, seats come, beliefs begin, seats go; and by what clocks differ the pool was larger.
    let mut edges: Vec<(i64, u8, i64, Option<Holder>)> = Vec::new();
    for belief in beliefs {
        for &(from, until) in belief.spans.iter().filter(|s| s.0 < s.1) {
            edges.push((from, 2, 1, Some(belief.holder)));
            edges.push((until, 0, -1, Some(belief.holder)));
        }
    }
    for &(at, change) in resized {
        let (at, order) = if change > 0 { (at - CLOCKS, 1) } else { (at + CLOCKS, 3) };
        edges.push((at, order, change, None));
    }
    edges.sort_by_key(|(at, order, ..)| (*at, *order));
    let mut size = seats - resized.iter().map(|(_, change)| change).sum::<i64>();
    let mut believing: HashMap<Holder, i64> = HashMap::new();
    let mut worst: Option<(i64, i64, i64)> = None;
    for (at, _, change, holder) in edges {
        match holder {
            Some(holder) => *believing.entry(holder).or_insert(0) += change,
            None => size += change,
        }
        let now = believing.values().filter(|n| **n > 0).count() as i64;
        if now > size && worst.is_none_or(|(_, then, of)| now - size > then - of) {
            worst = Some((at, now, size));
        }
    }
    worst.map(|(at, now, size)| format!("S2: {now} holders believed at {at}, {size} seats"))
}

/// Most distinct holders among `beliefs` that believed at one instant.
fn most_at_once<'a>(beliefs: impl Iterator<Item = &'a Belief>) -> usize {
    let mut edges = Vec::new();
    for belief in beliefs {
        for &(from, until) in belief.spans.iter().filter(|s| s.0 < s.1) {
            edges.push((from, 1, belief.holder));
            edges.push((until, -1, belief.holder));
        }
    }
    // Ends come before beginnings of the same instant.
    edges.sort_by_key(|(at, step, _)| (*at, *step));
    let mut now = HashMap::new();
    let mut most = 0;
    for (_, step, holder) in edges {
        *now.entry(holder).or_insert(0) += step;
        most = most.max(now.values().filter(|n| **n > 0).count());
    }
    most
}

/// Id, seat, holder, began, ended, why.
type SessionRow = (Uuid, i32, String, i64, i64, Option<String>);

/// S3, S9, S12: each belief within its session's and its holder's time; the events tell the same story as the seats.
async fn records(world: &World, log: &BeliefLog, beliefs: &[Belief], broken: &mut Vec<String>) {
    let rows: Vec<SessionRow> = sqlx::query_as(
        "select session_id, seat_no, holder, (extract(epoch from started_at) * 1000000)::bigint as began,
           coalesce((extract(epoch from ended_at) * 1000000)::bigint, 9223372036854775807) as ended, end_reason from sessions",
    )
    .fetch_all(&mut world.truth().await)
    .await
    .unwrap();
    let rows: HashMap<Uuid, SessionRow> = rows.into_iter().map(|row| (row.0, row)).collect();
    let kicked = |id: &Uuid| rows.get(id).is_some_and(|row| row.5.as_deref() == Some("kicked"));
    broken.extend(log.renamed().into_iter().filter(|(first, _)| !kicked(&first.0)).map(|(_, what)| what));
    let holders = replay(world, broken).await;
    let clocks = CLOCKS + log.clocks_apart();
    for belief in beliefs {
        let name = format!("{} ({})", belief.label, belief.session);
        let Some((_, seat, holder, began, ended, _)) = rows.get(&belief.session.0) else {
            broken.push(format!("S11: {name} was told of and never written down"));
            continue;
        };
        if (*seat as u32, holder.as_str()) != (belief.seat, belief.holder.to_string().as_str()) {
            broken.push(format!("S3: {name} believes in seat {}, the records say {}", belief.seat, seat));
        }
        // Who was kicked believes until it is told or its lease is over, and its seat waits so long.
        for &(from, until) in belief.spans.iter().filter(|_| !kicked(&belief.session.0)) {
            let on_log = |us: i64| if us == FOREVER { FOREVER } else { log.from_unix_us(us) };
            if from + clocks < on_log(*began) || until > on_log(*ended).saturating_add(clocks) {
                broken.push(format!(
                    "S3: {name} believed from {from} to {until}, its session was open from {} to {}",
                    on_log(*began),
                    on_log(*ended)
                ));
            }
            let held = holders.get(seat).into_iter().flatten().any(|(reigning, began, ended)| {
                reigning == holder && from + clocks >= on_log(*began) && until <= on_log(*ended).saturating_add(clocks)
            });
            if !held {
                broken.push(format!("S3: {name} believed from {from} to {until} while another held seat {seat}"));
            }
        }
    }
    let strays = "select count(*) from sessions s left join seats k using (tenant_id, pool_id, seat_no)
         where s.ended_at is null and s.holder is distinct from k.holder";
    let strays = world.count(strays).await;
    if strays > 0 {
        broken.push(format!("{strays} open sessions are not their seat's holder's"));
    }
}

/// Who held a seat from when to when, in microseconds since 1970.
type Reigns = HashMap<i32, Vec<(String, i64, i64)>>;

/// A change of a seat's holder.
struct Change {
    before: Option<String>,
    after: Option<String>,
    at: i64,
}

/// Replays the outbox: each event must begin where another ended, and the last must be what the seat says.
async fn replay(world: &World, broken: &mut Vec<String>) -> Reigns {
    let events: Vec<(i32, Option<String>, Option<String>, i64)> = sqlx::query_as(
        "select (payload->>'seat')::int as seat, payload->>'from' as before, payload->>'to' as after,
           (extract(epoch from created_at) * 1000000)::bigint as at
         from outbox where kind in ('seat.granted', 'seat.freed') order by id",
    )
    .fetch_all(&mut world.truth().await)
    .await
    .unwrap();
    let mut by_seat: HashMap<i32, Vec<Change>> = HashMap::new();
    for (seat, before, after, at) in events {
        by_seat.entry(seat).or_default().push(Change { before, after, at });
    }
    let held: HashMap<i32, String> = world.held().await.into_iter().collect();
    let mut reigns = Reigns::new();
    for (seat, mut events) in by_seat {
        let mut holder: Option<String> = None;
        let mut since = 0;
        while !events.is_empty() {
            // Events of one millisecond have no order of their own.
            let Some(at) = events.iter().position(|e| e.before == holder) else {
                broken.push(format!("S12: seat {seat} is {holder:?} and {} events follow from another", events.len()));
                break;
            };
            let event = events.remove(at);
            if let Some(holder) = holder {
                reigns.entry(seat).or_default().push((holder, since, event.at));
            }
            (holder, since) = (event.after, event.at);
        }
        if holder.as_ref() != held.get(&seat) {
            broken.push(format!(
                "S12: the events say that {holder:?} holds seat {seat}, the seat says {:?}",
                held.get(&seat)
            ));
        }
        if let Some(holder) = holder {
            reigns.entry(seat).or_default().push((holder, since, FOREVER));
        }
    }
    reigns
}
