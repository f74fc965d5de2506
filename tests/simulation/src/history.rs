//! What the records went through: every change of a seat and of a session, written down by triggers in the transaction that made it, and
//! the history checker over it.

use license_tests::{
    World,
    load::{check::Resized, log::BeliefLog},
};
use sqlx::{Executor, Row as _, postgres::PgRow};
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

const TRIGGERS: &str = "
create schema audit;
create table audit.changes (
  n bigserial primary key, at timestamptz not null default clock_timestamp(),
  kind text not null, seat int, session uuid, before text, after text, ticket bigint[], tx bigint not null default txid_current());
create index on audit.changes (session, n);
create function audit.seat() returns trigger language plpgsql security definer set search_path = audit as $$
begin
  if tg_op = 'DELETE' then
    insert into changes (kind, seat) values ('seat deleted', old.seat_no);
  elsif tg_op = 'INSERT' then
    insert into changes (kind, seat) values ('seat added', new.seat_no);
  else
    if old.retired and not new.retired then insert into changes (kind, seat) values ('seat added', new.seat_no); end if;
    if new.retired and not old.retired then insert into changes (kind, seat) values ('seat retired', new.seat_no); end if;
    if old.hold_until is distinct from new.hold_until and (old.hold_until is null or new.hold_until is null) then
      insert into changes (kind, seat) values (case when new.hold_until is null then 'lifted' else 'held back' end, new.seat_no);
    end if;
    if old.holder is distinct from new.holder then
      insert into changes (kind, seat, before, after, ticket) values ('holder', new.seat_no, old.holder, new.holder, array[
        old.fence_epoch, old.fence_seq, new.fence_epoch, new.fence_seq,
        (select p.epoch from public.pools p where p.tenant_id = new.tenant_id and p.pool_id = new.pool_id)]);
    end if;
  end if;
  return null;
end $$;
create function audit.session() returns trigger language plpgsql security definer set search_path = audit as $$
begin
  -- A session that ends moves to the table of its month: to triggers that is a row that goes and one that comes, in one statement.
  if tg_op = 'DELETE' then
    insert into changes (kind, seat, session, before)
    values (case when old.ended_at is null then 'open session deleted' else 'session deleted' end, old.seat_no, old.session_id, old.holder || ' ' || old.attempt);
  elsif tg_op = 'INSERT' then
    if new.ended_at is not null then
      update changes set kind = 'ended', after = new.end_reason
      where n = (select max(c.n) from changes c where c.session = new.session_id) and kind = 'open session deleted' and tx = txid_current()
        and seat = new.seat_no and before = new.holder || ' ' || new.attempt;
      if found then return null; end if;
    end if;
    insert into changes (kind, seat, session, after) values ('opened', new.seat_no, new.session_id, new.holder);
    if new.ended_at is not null then insert into changes (kind, session) values ('ended', new.session_id); end if;
  else
    if (old.session_id, old.seat_no, old.holder, old.attempt) is distinct from (new.session_id, new.seat_no, new.holder, new.attempt) then
      insert into changes (kind, session) values ('session changed', new.session_id);
    end if;
    if old.ended_at is distinct from new.ended_at then
      insert into changes (kind, session) values ('ended again', new.session_id);
    end if;
  end if;
  return null;
end $$;
create function audit.pool() returns trigger language plpgsql security definer set search_path = audit as $$
begin
  if old.epoch <> new.epoch then insert into changes (kind, after) values ('epoch', new.epoch::text); end if;
  if old.rebuilt_epoch < new.rebuilt_epoch then
    insert into changes (kind, after) values ('rebuilt', new.rebuilt_epoch::text);
  end if;
  if (old.seats_total, old.status) is distinct from (new.seats_total, new.status) then
    insert into changes (kind, before, after) values ('pool', new.status, new.seats_total::text);
  end if;
  return null;
end $$;
create trigger audit after update on pools for each row execute function audit.pool();
create trigger audit after insert or update or delete on seats for each row execute function audit.seat();
create trigger audit after insert or update or delete on sessions for each row execute function audit.session();";

/// Begins to write down.
pub async fn install(world: &World) {
    world.truth().await.execute(TRIGGERS).await.expect("the triggers are made");
}

/// One change.
#[derive(Clone, Debug)]
pub struct Row {
    pub kind: String,
    pub seat: Option<i32>,
    pub session: Option<Uuid>,
    pub before: Option<String>,
    pub after: Option<String>,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// Of a change of holder: the seat's last ticket before and after it (epoch, seq each), and the pool's epoch then.
    ticket: Option<Vec<i64>>,
    /// The transaction.
    tx: i64,
}

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
        let all =
            "select kind, seat, session, before, after, (extract(epoch from at) * 1000000)::bigint as at, ticket, tx
            from audit.changes order by n";
        let rows = sqlx::query(all).fetch_all(&mut world.truth().await).await.unwrap();
        let row = |row: &PgRow| Row {
            kind: row.get("kind"),
            seat: row.get("seat"),
            session: row.get("session"),
            before: row.get("before"),
            after: row.get("after"),
            at: row.get("at"),
            ticket: row.get("ticket"),
            tx: row.get("tx"),
        };
        Self(rows.iter().map(row).collect())
    }

    /// All of it.
    pub fn rows(&self) -> &[Row] {
        &self.0
    }

    /// Whether a change was made in the transaction of a new epoch that is no rebuild's: by people.
    pub fn is_peoples(&self, row: &Row) -> bool {
        self.0.iter().any(|other| other.tx == row.tx && other.kind == "epoch")
    }

    /// All of it, a line each, on the log's clock.
    pub fn lines(&self, log: &BeliefLog) -> String {
        let line = |Row { kind, seat, session, before, after, at, .. }: &Row| {
            let seat = seat.map(|seat| format!(" seat {seat}")).unwrap_or_default();
            let session = session.map(|session| format!(" session {session}")).unwrap_or_default();
            let of = |holder: &Option<String>| holder.clone().unwrap_or_else(|| "nobody".into());
            format!("{} {kind}{seat}{session} {} -> {}\n", log.from_unix_us(*at), of(before), of(after))
        };
        self.0.iter().map(line).collect()
    }

    /// When seats came and went.
    pub fn resized(&self, log: &BeliefLog) -> Vec<Resized> {
        let change = |row: &Row| match row.kind.as_str() {
            "seat added" => Some((log.from_unix_us(row.at), 1)),
            "seat retired" => Some((log.from_unix_us(row.at), -1)),
            _ => None,
        };
        self.0.iter().filter_map(change).collect()
    }

    /// Every change of a pool's row, and whether its license is suspended then.
    pub fn suspended(&self, log: &BeliefLog) -> Vec<(i64, bool)> {
        let pools = self.0.iter().filter(|row| row.kind == "pool");
        pools.map(|row| (log.from_unix_us(row.at), row.before.as_deref() == Some("suspended"))).collect()
    }

    /// The longest that a seat had a holder and no open session, in microseconds: nobody believes in it (S3), and nobody is given it.
    pub fn abandoned(&self) -> i64 {
        let mut seats: HashMap<i32, (bool, HashSet<Uuid>, Option<i64>)> = HashMap::new();
        let mut of: HashMap<Uuid, i32> = HashMap::new();
        let mut worst = 0;
        let end = self.0.last().map_or(0, |row| row.at);
        let mut note = |seats: &mut HashMap<i32, (bool, HashSet<Uuid>, Option<i64>)>, seat: i32, at: i64| {
            let Some((held, open, since)) = seats.get_mut(&seat) else { return };
            let abandoned = *held && open.is_empty();
            match *since {
                Some(began) if !abandoned => (worst, *since) = (worst.max(at - began), None),
                None if abandoned => *since = Some(at),
                _ => {}
            }
        };
        // What one transaction did is seen at once.
        for tx in self.0.chunk_by(|a, b| a.tx == b.tx) {
            let mut touched = HashSet::new();
            for row in tx {
                match (row.kind.as_str(), row.session, row.seat) {
                    ("holder", _, Some(seat)) => {
                        seats.entry(seat).or_default().0 = row.after.is_some();
                        touched.insert(seat);
                    }
                    ("opened", Some(session), Some(seat)) => {
                        of.insert(session, seat);
                        seats.entry(seat).or_default().1.insert(session);
                        touched.insert(seat);
                    }
                    ("ended", Some(session), _) => {
                        if let Some(&seat) = of.get(&session) {
                            seats.entry(seat).or_default().1.remove(&session);
                            touched.insert(seat);
                        }
                    }
                    _ => {}
                }
            }
            touched.into_iter().for_each(|seat| note(&mut seats, seat, tx[0].at));
        }
        let still = seats.values().filter_map(|(_, _, since)| *since).map(|since| end - since).max();
        worst.max(still.unwrap_or(0))
    }

    /// The history checker: each session opens once and ends once and is never changed; no row is ever deleted; the events of the outbox
    /// are exactly the changes of holders, each by a ticket or a new epoch; and everything in the outbox was published.
    pub async fn check(&self, world: &World, published: &HashSet<Uuid>) -> Told {
        let mut told = Told::default();
        self.sessions(world, &mut told).await;
        self.holders(world, &mut told).await;
        self.events(world, published, &mut told).await;
        told
    }

    async fn sessions(&self, world: &World, told: &mut Told) {
        let mut lives: HashMap<Uuid, Vec<&str>> = HashMap::new();
        for Row { kind, seat, session, .. } in &self.0 {
            match (kind.as_str(), session) {
                (
                    "session deleted" | "open session deleted" | "session changed" | "ended again" | "seat deleted",
                    _,
                ) => {
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

    /// S5: by a higher ticket of the pool's epoch then, or in the transaction of a new epoch; or its holder sits down elsewhere, rightly.
    fn rightly(&self, row: &Row) -> bool {
        let by_ticket = |row: &Row| match row.ticket.as_deref() {
            Some(&[old_epoch, old_seq, epoch, seq, pools]) => (epoch, seq) > (old_epoch, old_seq) && epoch == pools,
            _ => false,
        };
        let mut beside = self.0.iter().filter(|other| other.tx == row.tx);
        let moves_to = |other: &Row| other.kind == "holder" && other.after == row.before && by_ticket(other);
        by_ticket(row) || beside.any(|other| other.kind == "epoch" || row.after.is_none() && moves_to(other))
    }

    async fn holders(&self, world: &World, told: &mut Told) {
        let mut changes: BTreeMap<(i32, Option<String>, Option<String>), i64> = BTreeMap::new();
        for row in &self.0 {
            let (Row { before, after, .. }, true, Some(seat)) = (row, row.kind == "holder", row.seat) else { continue };
            told.holder_changes += 1;
            if !self.rightly(row) {
                told.broken.push(format!(
                    "S5: seat {seat} went from {before:?} to {after:?} without a higher ticket or a new epoch: {:?}",
                    row.ticket
                ));
            }
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
