//! NONCE, `EXTEND_REBUILD_LOCK`, LOAD, REBUILD and INVALIDATE: only a rebuild creates or replaces a copy in Redis.

use super::{
    SeatStore,
    keys::PoolKey,
    reply::{ScriptReply, short},
    scripts,
};
use crate::{
    Result,
    domain::{
        pool::{PoolSnapshot, RebuiltSeat},
        secret,
    },
};

/// The most seats in one script call. A rebuild of more is done in chunks, so that no single call blocks Redis for
/// long.
const CHUNK: usize = 2000;

/// What NONCE answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NonceAnswer {
    /// The copy is warm: another instance was faster.
    Warm,
    /// Another instance rebuilds the copy: ask again in 20 to 50 ms.
    Wait,
    /// Leave to rebuild. PostgreSQL must be read after this answer.
    Nonce {
        /// Good for one rebuild, and for 2 s unless [`SeatStore::extend_rebuild_lock`] is called before they are over.
        nonce: String,
        /// The epoch of the copy of this node, from which no request is answered any more; 0: there is none. PostgreSQL
        /// must know whether the latest copy may still be alive on another node.
        frozen: u64,
    },
}

impl SeatStore {
    /// Asks for leave to rebuild a cold copy (nonce.lua). This must be asked before PostgreSQL is read.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer.
    pub async fn request_nonce(&self, pool: &PoolKey) -> Result<NonceAnswer> {
        let fresh = secret::base64url(&secret::random::<16>());
        let mut reply = self.run(&scripts::NONCE, pool, &[], &[fresh]).await?;
        match reply.word() {
            "WARM" => Ok(NonceAnswer::Warm),
            "WAIT" => Ok(NonceAnswer::Wait),
            "NONCE" => Ok(NonceAnswer::Nonce { nonce: reply.take()?, frozen: reply.take()? }),
            _ => Err(reply.unknown()),
        }
    }

    /// Keeps the lock of a rebuild that goes on, so that no other instance begins one (`extend_rebuild_lock.lua`).
    /// False if this rebuild has lost the lock.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer.
    pub async fn extend_rebuild_lock(&self, pool: &PoolKey, nonce: &str) -> Result<bool> {
        let reply = self.run(&scripts::EXTEND_REBUILD_LOCK, pool, &[], &[nonce.to_owned()]).await?;
        applied(&reply, "KEPT")
    }

    /// Replaces a pool's copy (rebuild.lua). False if the nonce is no longer good or a newer epoch stands: nothing was
    /// changed.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer. The copy may have been replaced all the same.
    pub async fn rebuild(&self, pool: &PoolKey, nonce: &str, snapshot: &PoolSnapshot) -> Result<bool> {
        self.rebuild_in_chunks(pool, nonce, snapshot, CHUNK).await
    }

    /// As [`SeatStore::rebuild`], with at most `size` seats in one script call (at least one).
    ///
    /// # Errors
    /// As [`SeatStore::rebuild`].
    pub async fn rebuild_in_chunks(
        &self,
        pool: &PoolKey,
        nonce: &str,
        snapshot: &PoolSnapshot,
        size: usize,
    ) -> Result<bool> {
        let held = snapshot.seats.iter().any(|seat| seat.holder.is_some());
        let (load, rebuild) =
            if held { (&scripts::LOAD_HELD, &scripts::REBUILD_HELD) } else { (&scripts::LOAD, &scripts::REBUILD) };
        let lease_ms = snapshot.lease_ms.max(self.timing.ttl_ms()) + self.timing.drain.as_millis() as i64;
        let common =
            [nonce.to_owned(), snapshot.epoch.to_string(), snapshot.previous_epoch.to_string(), lease_ms.to_string()];
        let mut chunks: Vec<&[RebuiltSeat]> = snapshot.seats.chunks(size.max(1)).collect();
        let last = chunks.pop().unwrap_or_default();
        let shadow = pool.shadow_keys(snapshot.epoch);
        for chunk in &chunks {
            let list: Vec<String> = chunk.iter().flat_map(seat_arguments).collect();
            let reply = self.run_with_list(load, pool, &shadow, &common, &list).await?;
            if !applied(&reply, "LOADED")? {
                return Ok(false);
            }
        }
        let settings = settings(snapshot, self.timing.ttl_ms());
        let [nonce, epoch, previous_epoch, lease] = common;
        let arguments = [
            nonce,
            epoch,
            previous_epoch,
            lease,
            snapshot.seats.len().to_string(),
            if chunks.is_empty() { "-1".into() } else { count_shared_sessions(&chunks).to_string() },
            (settings.len() / 2).to_string(),
        ];
        let list: Vec<String> = settings.into_iter().chain(last.iter().flat_map(seat_arguments)).collect();
        let ([z, s, m, n], [y, v, e]) = (shadow, pool.want_keys());
        let reply = self.run_with_list(rebuild, pool, &[z, s, m, n, y, v, e], &arguments, &list).await?;
        applied(&reply, "REBUILT")
    }

    /// Marks a copy stale if its epoch is not above `seen`, which the caller has proved old (invalidate.lua).
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer. The next grant is then refused for its old epoch.
    pub async fn invalidate(&self, pool: &PoolKey, seen: u64) -> Result<()> {
        let reply = self.run(&scripts::INVALIDATE, pool, &[], &[seen.to_string()]).await?;
        match reply.word() {
            "STALE" | "NEWER" => Ok(()),
            _ => Err(reply.unknown()),
        }
    }
}

/// How many sessions have an entry of their own: those that share a seat.
fn count_shared_sessions(chunks: &[&[RebuiltSeat]]) -> usize {
    let shared = chunks.iter().flat_map(|chunk| chunk.iter()).filter(|seat| seat.sessions.len() > 1);
    shared.map(|seat| seat.sessions.len()).sum()
}

/// Whether the script did what it was asked for, answering `word`, or had lost its nonce.
fn applied(reply: &ScriptReply, word: &str) -> Result<bool> {
    match reply.word() {
        "LOST" => Ok(false),
        answer if answer == word => Ok(true),
        _ => Err(reply.unknown()),
    }
}

/// The settings of a copy, as name and value in turn.
fn settings(snapshot: &PoolSnapshot, ttl_ms: i64) -> Vec<String> {
    let pairs = [
        ("lease", ttl_ms.to_string()),
        ("cap", snapshot.seats_total.to_string()),
        ("status", snapshot.status.clone()),
        ("status_since", snapshot.status_since_ms.to_string()),
        ("not_before", snapshot.not_before_ms.to_string()),
        ("expires", snapshot.expires_ms.to_string()),
        ("opens", snapshot.opens_ms.to_string()),
        ("holder_by", snapshot.holder_by.clone()),
        ("processes", snapshot.processes.to_string()),
        ("grace_before", snapshot.grace_before_ms.to_string()),
        ("key_hmacs", snapshot.key_hashes.clone()),
        ("tenant", snapshot.tenant.to_string()),
        ("pool", snapshot.pool_id.to_string()),
        ("product", snapshot.product.clone()),
        ("facts", snapshot.facts.clone()),
    ];
    pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
}

fn seat_arguments(seat: &RebuiltSeat) -> [String; 6] {
    let sessions: Vec<String> =
        seat.sessions.iter().map(|s| format!("{}:{}", short(s.session.0), s.attempt.short_hash())).collect();
    [
        seat.seat.to_string(),
        seat.holder.map(|h| h.to_string()).unwrap_or_default(),
        seat.since_ms.to_string(),
        seat.hold_epoch.map_or_else(|| "-1".to_owned(), |epoch| epoch.to_string()),
        seat.label.clone(),
        sessions.join(","),
    ]
}
