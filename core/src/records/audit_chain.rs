//! The audit log as its chain: checked and exported in parts of bounded size, each from one snapshot.

use super::{
    chain::{ChainChecker, ChainFault, ChainHead, ChainLink, FaultKind},
    connect::{Records, TenantTransaction},
};
use crate::{
    Error, Result,
    domain::{
        id::TenantId,
        secret::{self, KeyRing},
    },
    refusal::UnreadableText,
};
use sqlx::{Row, postgres::PgRow};
use std::{collections::HashSet, str::FromStr};
use uuid::Uuid;

/// How many entries one request checks: some 5 MB out of the records and a tenth of a second of hashing.
const CHECKED: i64 = 5000;
/// How many entries outside of the chain are named.
const OUTSIDE: i64 = 20;

/// Where a request stopped. A client that makes one up only receives another part of its own log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainCursor(ChainHead);

impl std::fmt::Display for ChainCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = [&self.0.seq.to_be_bytes()[..], &self.0.hash].concat();
        f.write_str(&secret::base64url(&bytes))
    }
}

impl FromStr for ChainCursor {
    type Err = UnreadableText;

    fn from_str(text: &str) -> std::result::Result<Self, UnreadableText> {
        let read = || {
            let bytes = secret::from_base64url(text)?;
            let (seq, hash) = bytes.split_at_checked(8)?;
            let seq = i64::from_be_bytes(seq.try_into().ok()?);
            (seq >= 0).then(|| Self(ChainHead { seq, hash: hash.to_vec() }))
        };
        read().ok_or(UnreadableText::PageCursor)
    }
}

/// What was found in a stretch of an audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedStretch {
    /// How many entries were looked at.
    pub checked: i64,
    /// In how many of them something was blanked by an erasure.
    pub erased: i64,
    /// How many seals were made with a pepper that is not accepted any more; the seal of the newest entry vouches for
    /// those.
    pub past_peppers: i64,
    /// The first faults.
    pub faults: Vec<ChainFault>,
    /// The number of faults.
    pub found: i64,
    /// The newest entry.
    pub head: ChainHead,
    /// Its seal.
    pub head_seal: Option<String>,
    /// Where to go on; `None`: this was the end.
    pub next: Option<ChainCursor>,
}

/// A stretch of an audit log with everything that is needed to check it elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedStretch {
    /// The entries, the oldest first.
    pub links: Vec<ChainLink>,
    /// The newest entry of the log.
    pub head: ChainHead,
    /// Its seal.
    pub head_seal: Option<String>,
    /// Where to go on; `None`: this was the end.
    pub next: Option<ChainCursor>,
}

impl Records {
    /// Checks the next stretch of an organization's audit log: that nothing in it was changed, taken out, put in or
    /// moved, and that the service wrote it. `known`: a head that somebody kept, which the log must still have.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn verify_audit_log(
        &self,
        tenant: TenantId,
        peppers: &KeyRing,
        known: Option<&ChainHead>,
        after: Option<ChainCursor>,
    ) -> Result<CheckedStretch> {
        let mut transaction = self.begin(tenant).await?;
        let first = after.is_none();
        let part = stretch(&mut transaction, tenant, after.as_ref(), CHECKED).await?;
        let mut checker = ChainChecker::new(tenant, peppers, after.map(|cursor| cursor.0));
        if let Some(known) = known {
            compare(&mut transaction, tenant, known, &part.head, &mut checker).await?;
        }
        if first {
            outside(&mut transaction, tenant, &mut checker).await?;
        }
        let erasures = erasures(&mut transaction, tenant, &part.links).await?;
        for link in &part.links {
            checker.look(link, part.head.seq, &erasures);
        }
        if part.next.is_none() {
            checker.end(&part.head);
        }
        // The checker's hash, not the last row's: an entry that was put in is not what the next one follows.
        let next = part.next.map(|_| ChainCursor(checker.at.clone()));
        let ChainChecker { checked, erased, past_peppers, faults, found, .. } = checker;
        let found = i64::try_from(found).unwrap_or(i64::MAX);
        Ok(CheckedStretch {
            checked,
            erased,
            past_peppers,
            faults,
            found,
            head: part.head,
            head_seal: part.head_seal,
            next,
        })
    }

    /// The next stretch of an organization's audit log, at most `limit` entries.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn export_audit_log(
        &self,
        tenant: TenantId,
        after: Option<ChainCursor>,
        limit: u16,
    ) -> Result<ExportedStretch> {
        let mut transaction = self.begin(tenant).await?;
        stretch(&mut transaction, tenant, after.as_ref(), i64::from(limit)).await
    }
}

/// Entries and the head, from one snapshot. The text of the details is made here and by built-in functions alone: it is
/// what is hashed.
async fn stretch(
    sql: &mut TenantTransaction,
    tenant: TenantId,
    after: Option<&ChainCursor>,
    many: i64,
) -> Result<ExportedStretch> {
    let text = "-- stretch
        select h.seq as head_seq, h.hash as head_hash, h.seal as head_seal, a.*
        from (select 1) one
        left join audit_heads h on h.tenant_id = $1
        left join lateral (
          select e.seq, e.id, (extract(epoch from e.at) * 1000)::bigint as at_ms, e.actor_kind, e.actor, e.action, \
          e.target,
            jsonb_build_object('actor_name', e.actor_name, 'from_address', e.from_address, 'request_id', e.request_id,
              'before', e.before, 'after', e.after)::text as details,
            e.salt, e.details_hash, e.hash, e.seal, e.erased_by, e.erased_hash, e.erased_seal
          from audit_log e where e.tenant_id = $1 and e.seq > $2 order by e.seq limit $3) a on true
        order by a.seq";
    let query = sqlx::query(text).bind(tenant.0).bind(after.map_or(0, |after| after.0.seq)).bind(many + 1);
    let mut rows = query.fetch_all(&mut **sql).await?;
    let Some(row) = rows.first() else {
        return Err(crate::Error::Internal("a query without rows that always has one".into()));
    };
    let head = ChainHead { seq: filled(row, "head_seq")?, hash: filled(row, "head_hash")? };
    let head_seal = row.try_get("head_seal")?;
    rows.retain(|row| !matches!(row.try_get::<Option<Uuid>, _>("id"), Ok(None)));
    let mut links = rows.iter().map(link).collect::<Result<Vec<_>>>()?;
    let mut next = None;
    if links.len() as i64 > many {
        // One more than asked for stays where it is at the same place as the last, which only happens where somebody
        // put it there: the next stretch begins behind them.
        let rest = links.split_off(many as usize);
        let end = links.last().map(|last| ChainHead { seq: last.seq, hash: last.hash.clone() });
        links.extend(rest.into_iter().filter(|more| end.as_ref().is_some_and(|end| end.seq == more.seq)));
        next = end.map(ChainCursor);
    }
    Ok(ExportedStretch { links, head, head_seal, next })
}

/// A value that nothing may be missing of; where somebody made it so, an empty one.
fn filled<'r, T>(row: &'r PgRow, name: &str) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Default,
{
    row.try_get::<Option<T>, _>(name).map(Option::unwrap_or_default).map_err(Error::from)
}

fn link(row: &PgRow) -> Result<ChainLink> {
    Ok(ChainLink {
        seq: filled(row, "seq")?,
        id: filled(row, "id")?,
        at_ms: filled(row, "at_ms")?,
        actor_kind: filled(row, "actor_kind")?,
        actor: filled(row, "actor")?,
        action: filled(row, "action")?,
        target: filled(row, "target")?,
        details: filled(row, "details")?,
        salt: row.try_get("salt")?,
        details_hash: filled(row, "details_hash")?,
        hash: filled(row, "hash")?,
        seal: row.try_get("seal")?,
        erased_by: row.try_get("erased_by")?,
        erased_hash: row.try_get("erased_hash")?,
        erased_seal: row.try_get("erased_seal")?,
    })
}

/// Entries at no place of the chain, which no walk along it comes by.
async fn outside(sql: &mut TenantTransaction, tenant: TenantId, checker: &mut ChainChecker<'_>) -> Result<()> {
    let text = "(select id from audit_log where tenant_id = $1 and seq is null order by seq limit $2)
                union all (select id from audit_log where tenant_id = $1 and seq < 1 order by seq limit $2)";
    let query = sqlx::query_scalar(text).bind(tenant.0).bind(OUTSIDE);
    let ids: Vec<Uuid> = query.fetch_all(&mut **sql).await?;
    for id in ids {
        checker.fault(FaultKind::Added, None, Some(id), "An entry that the chain does not have was put in.");
    }
    Ok(())
}

/// Whether the log still has the entry that somebody kept the place and the hash of.
async fn compare(
    sql: &mut TenantTransaction,
    tenant: TenantId,
    known: &ChainHead,
    head: &ChainHead,
    checker: &mut ChainChecker<'_>,
) -> Result<()> {
    let text = "-- compare
        select hash from audit_log where tenant_id = $1 and seq = $2";
    let query = sqlx::query_scalar(text).bind(tenant.0).bind(known.seq);
    let hashes: Vec<Option<Vec<u8>>> = query.fetch_all(&mut **sql).await?;
    let there = hashes.iter().flatten().any(|hash| *hash == known.hash);
    if !there || known.seq > head.seq {
        let detail = "The log is not the one that this head was read from: what was written up to there was written \
            anew, or taken back.";
        checker.fault(FaultKind::Rewritten, Some(known.seq), None, detail);
    }
    Ok(())
}

/// Which of the erasures that entries name are in the log.
async fn erasures(sql: &mut TenantTransaction, tenant: TenantId, links: &[ChainLink]) -> Result<HashSet<Uuid>> {
    let named: HashSet<Uuid> = links.iter().filter_map(|link| link.erased_by).collect();
    if named.is_empty() {
        return Ok(named);
    }
    // Each by key, also where the plan was made before there were statistics: the order leaves no other index.
    let text = "-- erasures
        select a.id from unnest($2) n (id), lateral (
          select e.id, e.action from audit_log e where e.tenant_id = $1 and e.id >= n.id and e.id <= n.id order by \
          e.id limit 1) a
        where a.action in ('person.erased', 'machine.erased')";
    let query = sqlx::query_scalar(text).bind(tenant.0).bind(named.into_iter().collect::<Vec<_>>());
    Ok(query.fetch_all(&mut **sql).await?.into_iter().collect())
}
