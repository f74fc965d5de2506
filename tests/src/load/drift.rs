//! The comparison of Redis with PostgreSQL: which holder has which seat, with which sessions.

use crate::World;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// A pool as one store has it.
#[derive(Debug, PartialEq, Eq)]
struct Picture {
    epoch: i64,
    /// Seats that are not retired.
    seats: BTreeSet<i64>,
    /// Seat → holder.
    held: BTreeMap<i64, String>,
    sessions: BTreeSet<(i64, String)>,
}

/// Every difference between the stores, and within Redis between its keys. Empty when all is as it should be.
pub async fn between(world: &World) -> Vec<String> {
    let recorded = recorded(world).await;
    let keys = Keys::read(world).await;
    let mut found = keys.inner();
    if keys.h.is_empty() && recorded.held.is_empty() && recorded.sessions.is_empty() {
        return found;
    }
    let known = keys.picture();
    if known != recorded {
        found.push(format!("drift: Redis says {known:?}\n    records say {recorded:?}"));
    }
    found
}

async fn recorded(world: &World) -> Picture {
    let mut truth = world.truth().await;
    let seats: Vec<i32> =
        sqlx::query_scalar("select seat_no from seats where not retired").fetch_all(&mut truth).await.unwrap();
    let sessions: Vec<(i32, Uuid)> = sqlx::query_as("select seat_no, session_id from sessions where ended_at is null")
        .fetch_all(&mut truth)
        .await
        .unwrap();
    Picture {
        epoch: world.epoch().await,
        seats: seats.into_iter().map(i64::from).collect(),
        held: world.held().await.into_iter().map(|(k, holder)| (k.into(), holder)).collect(),
        sessions: sessions
            .into_iter()
            .map(|(k, id)| (k.into(), BASE64_URL_SAFE_NO_PAD.encode(id.as_bytes())))
            .collect(),
    }
}

/// A pool's keys as they lie in Redis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keys {
    pub h: BTreeMap<String, String>,
    pub z: Vec<(String, f64)>,
    pub s: BTreeMap<String, String>,
    pub m: BTreeMap<String, String>,
    pub n: Vec<(String, f64)>,
}

impl Keys {
    /// Reads all keys of the world's pool.
    pub async fn read(world: &World) -> Self {
        let mut redis = world.redis().await;
        let key = |suffix: &str| world.key(suffix);
        let mut pipe = redis::pipe();
        pipe.hgetall(key("h")).zrange_withscores(key("z"), 0, -1).hgetall(key("s")).hgetall(key("m"));
        pipe.zrange_withscores(key("n"), 0, -1);
        let (h, z, s, m, n) = pipe.query_async(&mut redis).await.unwrap();
        Self { h, z, s, m, n }
    }

    fn number(&self, field: &str) -> i64 {
        self.h.get(field).and_then(|v| v.parse().ok()).unwrap_or(-1)
    }

    /// Redis's own counts and indexes against each other.
    fn inner(&self) -> Vec<String> {
        let mut found = Vec::new();
        let counts =
            [("seats", self.z.len()), ("held", self.s.len()), ("held", self.m.len()), ("sessions", self.n.len())];
        if !self.h.is_empty() {
            let wrong = counts.iter().filter(|(field, count)| self.number(field) != *count as i64);
            found.extend(
                wrong.map(|(field, count)| format!("h.{field} is {} and there are {count}", self.number(field))),
            );
        }
        let holders: BTreeMap<String, String> = self.s.keys().map(|k| (self.part(k, 0), k.clone())).collect();
        if holders != self.m {
            found.push(format!("s says {holders:?}, m says {:?}", self.m));
        }
        let listed: BTreeSet<String> = self.listed().into_iter().map(|(k, id)| format!("{k}/{id}")).collect();
        let named: BTreeSet<String> = self.n.iter().map(|(member, _)| member.clone()).collect();
        // Of a seat's only session n need not say anything.
        let alone = |member: &&String| {
            let seat = &member[..member.find('/').unwrap_or_default()];
            !self.part(seat, 4).contains(',') && self.part(seat, 1) == "L"
        };
        let missing: Vec<_> = listed.difference(&named).filter(|member| !alone(member)).collect();
        let strange: Vec<_> = named.difference(&listed).collect();
        if !missing.is_empty() || !strange.is_empty() {
            found.push(format!("n has no entry of sessions {missing:?}, and s lists none of {strange:?}"));
        }
        found
    }

    fn part(&self, seat: &str, index: usize) -> String {
        self.s[seat].splitn(6, '|').nth(index).unwrap_or_default().to_owned()
    }

    fn listed(&self) -> BTreeSet<(i64, String)> {
        let of = |k: &String| -> Vec<(i64, String)> {
            let list = self.part(k, 4);
            let ids = list.split(',').filter_map(|pair| pair.split_once(':'));
            ids.map(|(id, _)| (k.parse().unwrap(), id.to_owned())).collect()
        };
        self.s.keys().flat_map(of).collect()
    }

    fn picture(&self) -> Picture {
        Picture {
            epoch: self.number("epoch"),
            seats: self.z.iter().map(|(k, _)| k.parse().unwrap()).collect(),
            held: self.s.keys().map(|k| (k.parse().unwrap(), self.part(k, 0))).collect(),
            sessions: self.listed(),
        }
    }
}
