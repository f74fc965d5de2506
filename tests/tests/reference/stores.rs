//! The comparison of what the stores contain with what the model knows.

use crate::{command::Who, engine::Engine, model::Model};
use license_core::domain::id::Holder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

const RECORDS: &str = "select jsonb_build_object(
  'total', p.seats_total, 'surplus', p.surplus,
  'seats', (select coalesce(jsonb_agg(jsonb_build_array(seat_no, holder, retired, hold_until is not null) order by seat_no), '[]') from seats),
  'sessions', (select coalesce(jsonb_object_agg(session_id, jsonb_build_array(seat_no, end_reason)), '{}') from sessions),
  'astray', (select count(*) from sessions s join seats k using (tenant_id, pool_id, seat_no)
             where s.ended_at is null and k.holder is distinct from s.holder),
  'told', (select count(*) from outbox where kind like 'seat.%')) from pools p";

impl Engine {
    /// What differs between the stores and the model; empty when nothing does.
    pub(crate) async fn differences(&mut self, model: &Model) -> Vec<String> {
        let recorded: Value = sqlx::query_scalar(RECORDS).fetch_one(&mut self.truth).await.unwrap();
        let expected = self.records(model);
        let mut found = Vec::new();
        if recorded != expected {
            found.push(format!("the records say {recorded}\n  the model {expected}"));
        }
        if model.warm {
            let (known, expected) = (self.copy().await, self.expected_copy(model));
            if known != expected {
                found.push(format!("Redis says {known:?}\n  the model {expected:?}"));
            }
        }
        found
    }

    fn holder(&self, who: Who) -> String {
        let machine = self.world.machine(&format!("machine-{}", who.machine)).hardware;
        let number = self.world.license.pool.license;
        let process = |process| Holder::process(number, &machine, &format!("instance-{process}").parse().unwrap());
        who.process.map_or_else(|| Holder::machine(number, &machine), process).to_string()
    }

    fn records(&self, model: &Model) -> Value {
        let seat = |(no, seat): (&u32, &crate::model::Seat)| {
            json!([no, seat.holder.map(|who| self.holder(who)), seat.retired, seat.kicked.is_some()])
        };
        let sessions = model.sessions.iter().zip(&self.given);
        let sessions: BTreeMap<String, Value> =
            sessions.map(|(session, given)| (given.session.to_string(), json!([session.seat, session.over]))).collect();
        json!({
            "total": model.total, "surplus": model.surplus, "seats": model.seats.iter().map(seat).collect::<Vec<_>>(),
            "sessions": sessions, "astray": 0, "told": model.told,
        })
    }

    async fn copy(&mut self) -> Copied {
        let key = |suffix: &str| self.world.key(suffix);
        let mut pipe = redis::pipe();
        pipe.zrange_withscores(key("z"), 0, -1).hgetall(key("m")).zrange_withscores(key("n"), 0, -1).hgetall(key("s"));
        type Read = (Vec<(String, f64)>, BTreeMap<String, String>, Vec<(String, f64)>, BTreeMap<String, String>);
        let (z, holders, n, s): Read = pipe.query_async(&mut self.redis).await.unwrap();
        assert_eq!(s.len(), holders.len(), "each holder has one seat");
        let ends = |set: Vec<(String, f64)>| set.into_iter().map(|(member, end)| (member, end as i64)).collect();
        let (seats, named): (BTreeMap<_, _>, BTreeMap<_, _>) = (ends(z), ends(n));
        let (mut open, mut left) = (BTreeMap::new(), 0);
        for (no, seat) in &s {
            for pair in seat.split('|').nth(4).unwrap_or_default().split(',') {
                let member = format!("{no}/{}", pair.split(':').next().unwrap_or_default());
                // A seat's only session has the seat's lease.
                match named.get(&member).unwrap_or(&seats[no]) {
                    0 => left += 1,
                    end => drop(open.insert(member, *end)),
                }
            }
        }
        Copied { seats, holders, open, left }
    }

    fn expected_copy(&self, model: &Model) -> Copied {
        let seats = || model.seats.iter().filter(|(_, seat)| !seat.retired);
        let open = model.sessions.iter().zip(&self.given).filter(|(session, _)| session.over.is_none());
        let name = |id: Uuid| {
            use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
            BASE64_URL_SAFE_NO_PAD.encode(id.as_bytes())
        };
        Copied {
            seats: seats().map(|(no, seat)| (no.to_string(), seat.end)).collect(),
            holders: seats().filter_map(|(no, seat)| Some((self.holder(seat.holder?), no.to_string()))).collect(),
            open: open.map(|(s, given)| (format!("{}/{}", s.seat, name(given.session.0)), s.end)).collect(),
            left: seats().map(|(_, seat)| seat.left).sum(),
        }
    }
}

/// A pool's copy in Redis, as far as answers depend on it.
#[derive(Debug, PartialEq, Eq)]
struct Copied {
    /// Seat → the end of its lease.
    seats: BTreeMap<String, i64>,
    holders: BTreeMap<String, String>,
    /// Session → the end of its lease.
    open: BTreeMap<String, i64>,
    /// Sessions that are over and still listed.
    left: usize,
}
