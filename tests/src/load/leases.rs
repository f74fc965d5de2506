//! S4, checked while a run goes on: no client relies on a lease for longer than Redis keeps it.

use super::log::BeliefLog;
use crate::World;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use license_core::domain::id::SessionId;
use redis::{AsyncConnectionConfig, Client, RedisResult, Script};
use std::{collections::HashMap, time::Duration};
use uuid::Uuid;

/// By how much two readings of one machine's clocks may differ, in microseconds. A lease of 3 s leaves 41 ms between the two ends.
const CLOCKS: i64 = 5_000;
/// A store that is away is looked at again later.
const PATIENCE: Duration = Duration::from_millis(500);

/// Session leases of a copy that is warm, read in one step; false for any other copy, which nobody is answered from.
const LEASES: &str = "
    local id = redis.call('INFO', 'replication'):match('master_replid:(%w+)')
    local h = redis.call('HMGET', KEYS[1], 'stamp', 'stale', 'seats', 'held', 'sessions')
    local counts = {redis.call('ZCARD', KEYS[2]), redis.call('HLEN', KEYS[3]), redis.call('ZCARD', KEYS[5])}
    if h[1] ~= id or h[2] == '1' or redis.call('HLEN', KEYS[4]) ~= counts[2] then return false end
    for i = 1, 3 do if tonumber(h[i + 2]) ~= counts[i] then return false end end
    local leases = redis.call('ZRANGE', KEYS[5], 0, -1, 'WITHSCORES')
    local seats = redis.call('HGETALL', KEYS[3])
    for i = 1, #seats, 2 do -- a seat's only session has the seat's lease, unless an entry of its own says otherwise
        local only = seats[i + 1]:match('^[^|]*|L|%d+|%x+|([^:|,]+):[^|,]+|')
        if only and not redis.call('ZSCORE', KEYS[5], seats[i] .. '/' .. only) then
            leases[#leases + 1] = seats[i] .. '/' .. only
            leases[#leases + 1] = redis.call('ZSCORE', KEYS[2], seats[i])
        end
    end
    return leases";

/// What the watch needs of a world, so that it can outlive a borrow of it.
pub(super) struct Watch {
    url: String,
    keys: Vec<String>,
}

impl Watch {
    pub(super) fn over(world: &World) -> Self {
        Self { url: world.redis.url(), keys: ["h", "z", "s", "m", "n"].map(|suffix| world.key(suffix)).into() }
    }

    /// Compares once. Judged is who believed the same before and after Redis was asked: whoever leaves meanwhile has no lease to compare.
    pub(super) async fn look(&self, log: &BeliefLog) {
        let before = log.believed();
        let Ok(Some(leases)) = self.leases().await else { return };
        let after = log.believed();
        log.leases_compared(leases.len());
        for (session, until) in before.iter().filter(|(session, _)| after.contains_key(session)) {
            let kept = leases.get(session).map_or(0, |ms| log.from_unix_us(ms * 1000));
            if *until > kept + CLOCKS {
                log.broke(format!("S4: {session} believes until {until}, Redis keeps its lease until {kept}"));
            }
        }
    }

    /// Lease ends by session, ms since 1970; `None` from a copy that is not warm.
    async fn leases(&self) -> RedisResult<Option<HashMap<SessionId, i64>>> {
        let patience = Some(PATIENCE);
        let config = AsyncConnectionConfig::new().set_connection_timeout(patience).set_response_timeout(patience);
        let mut redis = Client::open(self.url.as_str())?.get_multiplexed_async_connection_with_config(&config).await?;
        let script = Script::new(LEASES);
        let mut call = script.prepare_invoke();
        for key in &self.keys {
            call.key(key);
        }
        let listed: Option<Vec<(String, f64)>> = call.invoke_async(&mut redis).await?;
        let read = |(member, end): (String, f64)| {
            let (_, session) = member.split_once('/').expect("seat/session");
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(session).expect("a session as scripts keep it");
            (SessionId(Uuid::from_slice(&bytes).expect("a UUID")), end as i64)
        };
        Ok(listed.map(|listed| listed.into_iter().map(read).collect()))
    }
}
