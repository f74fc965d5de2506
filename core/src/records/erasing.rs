//! Erasing a person or a machine: names, addresses and labels are blanked wherever the records have them; ids, times
//! and counts stay (migrations/0310_erase_names.sql to 0317_erase_people.sql).
//!
//! It is written into the audit log first. Then come short calls one after the other, each a transaction of its own
//! over a bounded number of rows, so that nobody who asks for a seat waits for it; a request makes as many as fit into
//! its time, and says where the next one goes on. Blanking what is blank changes nothing, so an erasure that was cut is
//! simply asked for again.

use super::{
    act::{AuditedChange, ChangeRefusal, ChangeResult, open},
    audit::{AuditStatement, seal_blanked, write},
    caller::Caller,
    connect::{Records, failed, worth_repeating},
    licenses::{PoolChange, changes},
    subject::{SubjectAddress, SubjectIdentifiers, know, nobody},
};
use crate::domain::{
    id::{Hw, InvalidText, TenantId},
    secret::{self, KeyRing},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Row, postgres::PgRow, types::Json};
use std::{
    str::FromStr,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// How long one request goes on. The rest of its time is for telling Redis and for a call that takes as long as it may.
const TIME: Duration = Duration::from_secs(2);
/// Between two tries of a call that somebody was in the way of.
const PAUSE: Duration = Duration::from_millis(20);

/// Who or what is erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErasureSubject {
    /// A person, by their address or whatever clients say their user is called.
    Person(SubjectAddress),
    /// A machine, by its public hash under one license.
    Machine(Hw),
}

/// What was blanked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureReport {
    /// The entry of the audit log that says it was done.
    pub id: Uuid,
    /// Sessions, open and ended.
    pub sessions: i64,
    /// Events, waiting and published.
    pub events: i64,
    /// Entries of the audit log.
    pub audit_entries: i64,
    /// People who left.
    pub people: i64,
    /// Invitations.
    pub invitations: i64,
    /// API tokens.
    pub api_tokens: i64,
    /// Projects.
    pub projects: i64,
    /// 1 where the organization was called like the person.
    pub organizations: i64,
    /// Where the next request goes on; `None`: all is done.
    pub next: Option<ErasureCursor>,
    /// Pools whose copies in Redis have labels that were blanked.
    pub tell: Vec<PoolChange>,
}

/// How far an erasure has come. Names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureCursor {
    erasure: Uuid,
    stage: ErasureStage,
    key: u8,
    after: Uuid,
}

/// What is looked through, in this order. A session that ends meanwhile is found among the ended ones, and who a person
/// is stays known to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ErasureStage {
    Open,
    Ended,
    Events,
    Entries,
    Acts,
    People,
}

const STAGES: [ErasureStage; 6] = [
    ErasureStage::Open,
    ErasureStage::Ended,
    ErasureStage::Events,
    ErasureStage::Entries,
    ErasureStage::Acts,
    ErasureStage::People,
];

impl std::fmt::Display for ErasureCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let head = [self.stage as u8, self.key];
        f.write_str(&secret::base64url(&[&head[..], self.erasure.as_bytes(), self.after.as_bytes()].concat()))
    }
}

impl FromStr for ErasureCursor {
    type Err = InvalidText;

    fn from_str(text: &str) -> std::result::Result<Self, InvalidText> {
        let read = || {
            let bytes: [u8; 34] = secret::from_base64url(text)?.try_into().ok()?;
            let id = |at: usize| Uuid::from_slice(&bytes[at..at + 16]).ok();
            let stage = *STAGES.get(usize::from(bytes[0]))?;
            Some(Self { stage, key: bytes[1], erasure: id(2)?, after: id(18)? })
        };
        read().ok_or(InvalidText("must be a next_cursor that an earlier request of this erasure answered"))
    }
}

impl Records {
    /// Blanks what names a person or a machine. `cursor`: goes on where an earlier request ended.
    ///
    /// # Errors
    /// [`crate::Error::Records`]; part of it may have been done. The same request again does the rest.
    pub async fn erase(
        &self,
        act: &Caller,
        whom: &ErasureSubject,
        cursor: Option<ErasureCursor>,
        peppers: &KeyRing,
    ) -> ChangeResult<ErasureReport> {
        let began = Instant::now();
        // Only looked at: what was answered before is answered again. The key is taken with the last transaction.
        let seen: AuditedChange<'_> = open!(self, act);
        seen.abandon().await?;
        let (known, mut erased) = match self.write_down(act, whom, cursor, peppers).await? {
            Ok(begun) => begun,
            Err(refused) => return Ok(Err(refused)),
        };
        let first = ErasureCursor { erasure: erased.id, stage: ErasureStage::Open, key: 0, after: Uuid::nil() };
        let mut at = cursor.unwrap_or(first);
        while at.stage != ErasureStage::People {
            if began.elapsed() >= TIME {
                erased.next = Some(at);
                break;
            }
            match self.step(act.tenant, &known, &mut erased, at, peppers).await {
                Ok(next) => at = next,
                // Nothing happened: a lock was not to be had, a row moved to its month, rows of the history are being
                // moved.
                Err(e) if worth_repeating(&e) => tokio::time::sleep(PAUSE).await,
                Err(e) => return Err(failed(e)),
            }
        }
        let mut work = open!(self, act);
        if erased.next.is_none() && known.hw.is_none() {
            let sql = "select people from history.erase_people($1, $2, $3)";
            let people =
                sqlx::query_scalar(sql).bind(act.tenant.0).bind(erased.id).bind(&known.users).fetch_one(work.sql());
            match people.await {
                Ok(people) => erased.people = people,
                Err(e) if worth_repeating(&e) => {
                    drop(work);
                    erased.next = Some(at);
                    work = open!(self, act);
                }
                Err(e) => return Err(failed(e)),
            }
        }
        work.is_told();
        work.commit(erased).await
    }

    /// Who it is and the entry in the audit log in one transaction, and then what people manage.
    async fn write_down(
        &self,
        act: &Caller,
        whom: &ErasureSubject,
        cursor: Option<ErasureCursor>,
        peppers: &KeyRing,
    ) -> ChangeResult<(SubjectIdentifiers, ErasureReport)> {
        let mut transaction = self.patient(act.tenant).await?;
        let sql = &mut *transaction;
        let (action, target, known) = match whom {
            ErasureSubject::Machine(hw) => {
                let hw = hw.to_string();
                (
                    "machine.erased",
                    hw.clone(),
                    SubjectIdentifiers { keys: vec![hw.clone()], hw: Some(hw), ..SubjectIdentifiers::default() },
                )
            }
            ErasureSubject::Person(address) => {
                let known = match know(sql, act, address).await? {
                    Ok(known) => known,
                    Err(refused) => return Ok(Err(refused)),
                };
                let target = known.users.first().map_or_else(|| nobody(act.tenant, address, peppers), Uuid::to_string);
                ("person.erased", target, known)
            }
        };
        let mut erased = ErasureReport {
            id: Uuid::nil(),
            sessions: 0,
            events: 0,
            audit_entries: 0,
            people: 0,
            invitations: 0,
            api_tokens: 0,
            projects: 0,
            organizations: 0,
            next: None,
            tell: Vec::new(),
        };
        if let Some(cursor) = cursor {
            let entry =
                "select exists (select from audit_log where tenant_id = $1 and id = $2 and action = $3 and target = $4
                         and at > now() - interval '23 hours')";
            let of_this: bool = sqlx::query_scalar(entry)
                .bind(act.tenant.0)
                .bind(cursor.erasure)
                .bind(action)
                .bind(target)
                .fetch_one(sql)
                .await
                .map_err(failed)?;
            if !of_this {
                return Ok(Err(ChangeRefusal::Invalid("cursor", "is not of an erasure of this that began today")));
            }
            erased.id = cursor.erasure;
            return Ok(Ok((known, erased)));
        }
        let said = AuditStatement { action, target, before: Value::Null, after: Value::Null };
        erased.id = write(sql, act, said, Some(peppers)).await?;
        transaction.commit().await.map_err(failed)?;
        if known.hw.is_none() {
            // In another transaction: nobody who has the end of the log's chain may wait for a row that somebody else
            // has.
            let mut transaction = self.patient(act.tenant).await?;
            let things =
                "select invitations, api_tokens, projects, organizations from history.erase_things($1, $2, $3, $4, $5)";
            let row = sqlx::query(things)
                .bind(act.tenant.0)
                .bind(erased.id)
                .bind(&known.keys)
                .bind(&known.names)
                .bind(&known.users)
                .fetch_one(&mut *transaction)
                .await
                .map_err(failed)?;
            transaction.commit().await.map_err(failed)?;
            let count = |name| row.try_get(name).map_err(failed);
            (erased.invitations, erased.api_tokens) = (count("invitations")?, count("api_tokens")?);
            (erased.projects, erased.organizations) = (count("projects")?, count("organizations")?);
        }
        Ok(Ok((known, erased)))
    }

    /// One short call; answers where the next one begins.
    async fn step(
        &self,
        tenant: TenantId,
        known: &SubjectIdentifiers,
        erased: &mut ErasureReport,
        at: ErasureCursor,
        peppers: &KeyRing,
    ) -> sqlx::Result<ErasureCursor> {
        let on = |key: u8, stage: ErasureStage, after: Option<Uuid>, keys: usize| {
            let index = STAGES.iter().position(|it| *it == stage).unwrap_or_default();
            match after {
                Some(after) => ErasureCursor { after, ..at },
                None if usize::from(key) + 1 < keys => ErasureCursor { key: key + 1, after: Uuid::nil(), ..at },
                None => ErasureCursor { stage: STAGES[index + 1], key: 0, after: Uuid::nil(), ..at },
            }
        };
        let by = if known.hw.is_some() { "hw" } else { "person" };
        let whom = known.keys.get(usize::from(at.key));
        let user = known.users.get(usize::from(at.key)).map(Uuid::to_string);
        let users: Vec<String> = known.users.iter().map(Uuid::to_string).collect();
        let (text, keys) = match at.stage {
            ErasureStage::Open => (
                "select pool_id, name, number, epoch_before, sessions, events, null::uuid as after from \
                 history.erase_open($1, $2, $3, $4)",
                known.keys.len(),
            ),
            ErasureStage::Ended => {
                ("select after, sessions, events from history.erase_ended($1, $2, $3, $4, $5)", known.keys.len())
            }
            ErasureStage::Events => ("select after, events from history.erase_events($1, $2, $3, $4, $5)", 1),
            ErasureStage::Entries => {
                ("select after, entries, blanked, earlier from history.erase_entries($1, $2, $3, $4, $5, $6, $7)", 1)
            }
            ErasureStage::Acts if user.is_none() => return Ok(on(at.key, at.stage, None, 0)),
            ErasureStage::Acts | ErasureStage::People => {
                ("select after, entries, blanked, earlier from history.erase_acts($1, $2, $3, $4)", known.users.len())
            }
        };
        let query = sqlx::query(text).bind(tenant.0).bind(at.erasure);
        let people = if known.hw.is_some() { &[][..] } else { &known.keys };
        let query = match at.stage {
            ErasureStage::Open => query.bind(by).bind(whom),
            ErasureStage::Ended => query.bind(by).bind(whom).bind(at.after),
            ErasureStage::Events => query.bind(people).bind(&known.hw).bind(at.after),
            ErasureStage::Entries => query.bind(people).bind(&known.names).bind(users).bind(&known.hw).bind(at.after),
            ErasureStage::Acts | ErasureStage::People => query.bind(user).bind(at.after),
        };
        let mut transaction = self.pool.begin().await?;
        let row = query.fetch_one(&mut *transaction).await?;
        let blanked = row.try_get::<Vec<i64>, _>("blanked").unwrap_or_default();
        let earlier = row.try_get::<Json<Vec<_>>, _>("earlier").map(|it| it.0).unwrap_or_default();
        seal_blanked(&mut transaction, tenant, at.erasure, &blanked, &earlier, peppers).await?;
        transaction.commit().await?;
        erased.sessions += count(&row, "sessions");
        erased.events += count(&row, "events");
        erased.audit_entries += count(&row, "entries");
        if at.stage == ErasureStage::Open && row.try_get::<Option<Uuid>, _>("pool_id")?.is_some() {
            let told = changes(std::slice::from_ref(&row)).map_err(|e| sqlx::Error::Decode(e.into()))?;
            // Of a pool the newest is enough: a copy of it or an older one is stale.
            erased.tell.retain(|before| told.iter().all(|now| now.pool_id != before.pool_id));
            erased.tell.extend(told);
            return Ok(at); // until none is left
        }
        Ok(on(at.key, at.stage, row.try_get("after")?, keys))
    }
}

/// A number of the row, where it has one of this name.
fn count(row: &PgRow, name: &str) -> i64 {
    row.try_get::<Option<i64>, _>(name).ok().flatten().unwrap_or(0)
}
