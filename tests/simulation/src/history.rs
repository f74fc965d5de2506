//! What the records went through: every change of a seat and of a session, written down by triggers in the transaction that made it, and
//! the history checker over it.

use license_tests::{
    World,
    load::{check::Resized, log::BeliefLog},
};
use sqlx::Executor;
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

const TRIGGERS: &str = "
create schema audit;
create table audit.changes (
  n bigserial primary key, at timestamptz not null default clock_timestamp(),
  kind text not null, seat int, session uuid, before text, after text);
create function audit.seat() returns trigger language plpgsql security definer set search_path = audit as $$
begin
  if tg_op = 'DELETE' then
    insert into changes (kind, seat) values ('seat deleted', old.seat_no);
  elsif tg_op = 'INSERT' then
    insert into changes (kind, seat) values ('seat added', new.seat_no);
  else
    if old.retired and not new.retired then insert into changes (kind, seat) values ('seat added', new.seat_no); end if;
    if new.retired and not old.retired then insert into changes (kind, seat) values ('seat retired', new.seat_no); end if;
    if old.holder is distinct from new.holder then
      insert into changes (kind, seat, before, after) values ('holder', new.seat_no, old.holder, new.holder);
    end if;
  end if;
  return null;
end $$;
create function audit.session() returns trigger language plpgsql security definer set search_path = audit as $$
begin
  if tg_op = 'DELETE' then
    insert into changes (kind, session) values ('session deleted', old.session_id);
  elsif tg_op = 'INSERT' then
    insert into changes (kind, seat, session, after) values ('opened', new.seat_no, new.session_id, new.holder);
    if new.ended_at is not null then insert into changes (kind, session) values ('ended', new.session_id); end if;
  else
    if (old.session_id, old.seat_no, old.holder, old.attempt) is distinct from (new.session_id, new.seat_no, new.holder, new.attempt) then
      insert into changes (kind, session) values ('session changed', new.session_id);
    end if;
    if old.ended_at is null and new.ended_at is not null then
      insert into changes (kind, session, after) values ('ended', new.session_id, new.end_reason);
    elsif old.ended_at is distinct from new.ended_at then
      insert into changes (kind, session) values ('ended again', new.session_id);
    end if;
  end if;
  return null;
end $$;
create trigger audit after insert or update or delete on seats for each row execute function audit.seat();
create trigger audit after insert or update or delete on sessions for each row execute function audit.session();";

/// Begins to write down.
pub async fn install(world: &World) {
    world.truth().await.execute(TRIGGERS).await.expect("the triggers are made");
}

/// Kind, seat, session, before, after, and when, in microseconds since 1970.
type Row = (String, Option<i32>, Option<Uuid>, Option<String>, Option<String>, i64);

/// Everything that was written down, in order.
pub struct History(Vec<Row>);

/// What a history came to.
#[derive(Debug, Default)]
pub struct Told {
    pub sessions: usize,
    pub holder_changes: usize,
    pub broken: Vec<String>,
}

impl History {
    pub async fn read(world: &World) -> Self {
        let all = "select kind, seat, session, before, after, (extract(epoch from at) * 1000000)::bigint
            from audit.changes order by n";
        Self(sqlx::query_as(all).fetch_all(&mut world.truth().await).await.unwrap())
    }

    /// All of it, a line each, on the log's clock.
    pub fn lines(&self, log: &BeliefLog) -> String {
        let line = |(kind, seat, session, before, after, at): &Row| {
            let seat = seat.map(|seat| format!(" seat {seat}")).unwrap_or_default();
            let session = session.map(|session| format!(" session {session}")).unwrap_or_default();
            let of = |holder: &Option<String>| holder.clone().unwrap_or_else(|| "nobody".into());
            format!("{} {kind}{seat}{session} {} -> {}\n", log.from_unix_us(*at), of(before), of(after))
        };
        self.0.iter().map(line).collect()
    }

    /// When seats came and went.
    pub fn resized(&self, log: &BeliefLog) -> Vec<Resized> {
        let change = |row: &Row| match row.0.as_str() {
            "seat added" => Some((log.from_unix_us(row.5), 1)),
            "seat retired" => Some((log.from_unix_us(row.5), -1)),
            _ => None,
        };
        self.0.iter().filter_map(change).collect()
    }

    /// The history checker: each session opens once and ends once and is never changed; no row is ever deleted; the events of the outbox
    /// are exactly the changes of holders; and everything in the outbox was published.
    pub async fn check(&self, world: &World, published: &HashSet<Uuid>) -> Told {
        let mut told = Told::default();
        self.sessions(world, &mut told).await;
        self.holders(world, &mut told).await;
        self.events(world, published, &mut told).await;
        told
    }

    async fn sessions(&self, world: &World, told: &mut Told) {
        let mut lives: HashMap<Uuid, Vec<&str>> = HashMap::new();
        for (kind, seat, session, ..) in &self.0 {
            match (kind.as_str(), session) {
                ("session deleted" | "session changed" | "ended again" | "seat deleted", _) => {
                    told.broken.push(format!("S10: {kind}: seat {seat:?}, session {session:?}"));
                }
                ("opened" | "ended", Some(session)) => lives.entry(*session).or_default().push(kind),
                _ => {}
            }
        }
        told.sessions = lives.len();
        let open = "select session_id from sessions where ended_at is null";
        let open: HashSet<Uuid> =
            sqlx::query_scalar(open).fetch_all(&mut world.truth().await).await.unwrap().into_iter().collect();
        for (session, life) in lives {
            let whole = if open.contains(&session) { life == ["opened"] } else { life == ["opened", "ended"] };
            if !whole {
                told.broken.push(format!("S10: the life of session {session} was {life:?}"));
            }
        }
    }

    async fn holders(&self, world: &World, told: &mut Told) {
        let mut changes: BTreeMap<(i32, Option<String>, Option<String>), i64> = BTreeMap::new();
        let mut present: HashMap<i32, Option<String>> = HashMap::new();
        for (kind, seat, _, before, after, _) in &self.0 {
            let (true, Some(seat)) = (kind == "holder", *seat) else { continue };
            told.holder_changes += 1;
            let holder = present.entry(seat).or_default();
            if holder != before {
                told.broken.push(format!("S5: seat {seat} was {holder:?}'s and went from {before:?} to {after:?}"));
            }
            holder.clone_from(after);
            *changes.entry((seat, before.clone(), after.clone())).or_default() += 1;
        }
        let events: Vec<(i32, Option<String>, Option<String>)> = sqlx::query_as(
            "select (payload->>'seat')::int, payload->>'from', payload->>'to' from outbox
             where kind in ('seat.granted', 'seat.freed')",
        )
        .fetch_all(&mut world.truth().await)
        .await
        .unwrap();
        for event in events {
            *changes.entry(event).or_default() -= 1;
        }
        for ((seat, before, after), missing) in changes.into_iter().filter(|(_, missing)| *missing != 0) {
            told.broken
                .push(format!("S12: {missing} events too few of seat {seat} going from {before:?} to {after:?}"));
        }
    }

    async fn events(&self, world: &World, published: &HashSet<Uuid>, told: &mut Told) {
        let outbox: Vec<(Uuid, bool)> = sqlx::query_as("select id, published_at is not null from outbox")
            .fetch_all(&mut world.truth().await)
            .await
            .unwrap();
        let unpublished = outbox.iter().filter(|(id, marked)| !marked || !published.contains(id)).count();
        if unpublished > 0 {
            told.broken.push(format!("{unpublished} events of {} were not published", outbox.len()));
        }
        let known: HashSet<Uuid> = outbox.into_iter().map(|(id, _)| id).collect();
        let invented = published.difference(&known).count();
        if invented > 0 {
            told.broken.push(format!("{invented} events were published that are not in the outbox"));
        }
    }
}
