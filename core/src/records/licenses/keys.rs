//! The keys of a license, and the end of sessions that began with one that is not valid any more.

use crate::{
    Result,
    domain::id::{KeyId, LicenseId, TenantId},
    records::{
        AuditedChange, PoolChange, Records,
        licenses::changed_pools,
        page::{ListedRows, PageRequest},
    },
};
use serde_json::Value;
use sqlx::{Row, postgres::PgRow, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

/// On how many seats one transaction ends sessions: clients that ask for a seat meanwhile wait no longer than for any
/// other change.
const SEATS_AT_ONCE: i32 = 200;

/// What one step of ending sessions did.
#[derive(Clone, Debug, Default)]
pub(crate) struct EndedSessions {
    /// The sessions that ended, each with its id and what the audit log shows of it.
    pub sessions: Vec<(String, Value)>,
    /// Pools whose copies in Redis are stale.
    pub pools: Vec<PoolChange>,
}

/// A key of a license, without the key: only its hash is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LicenseKeyRow {
    /// What names it; opens nothing.
    pub id: KeyId,
    /// Since when it is valid.
    pub created_at: OffsetDateTime,
    /// Until when it is valid; `None` for the current key.
    pub valid_until: Option<OffsetDateTime>,
    /// Whether that time is not past.
    pub is_valid: bool,
}

impl Records {
    /// The keys of a license, the newest first, those that are not valid any more among them. `None`: the organization
    /// has no license of that id.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn license_keys(
        &self,
        tenant: TenantId,
        license: LicenseId,
        page: PageRequest,
    ) -> Result<Option<ListedRows<LicenseKeyRow>>> {
        let mut transaction = self.begin(tenant).await?;
        let there = "-- license_is_there
            select exists (select from licenses where tenant_id = $1 and license_id = $2)";
        let query = sqlx::query_scalar(there).bind(tenant.0).bind(license.0);
        let there: bool = query.fetch_one(&mut *transaction).await?;
        if !there {
            return Ok(None);
        }
        let sql = "-- license_keys
            select key_id, created_at, valid_until, valid_until is null or valid_until > now() as is_valid
            from license_keys where tenant_id = $1 and license_id = $2 and key_id < $3
            order by key_id desc limit $4";
        let query = sqlx::query(sql).bind(tenant.0).bind(license.0).bind(page.below()).bind(page.fetch());
        let rows = query.fetch_all(&mut *transaction).await?;
        let listed = page.cut(
            rows,
            |key: &LicenseKeyRow| key.id.0,
            |row: &PgRow| {
                Ok(LicenseKeyRow {
                    id: KeyId(row.try_get("key_id")?),
                    created_at: row.try_get("created_at")?,
                    valid_until: row.try_get("valid_until")?,
                    is_valid: row.try_get("is_valid")?,
                })
            },
        )?;
        Ok(Some(listed))
    }
}

impl AuditedChange<'_> {
    /// The id of the current key of a license, which is the one without an end.
    pub(crate) async fn current_key(&mut self, id: LicenseId) -> Result<Option<KeyId>> {
        let sql = "-- current_key
            select key_id from license_keys where tenant_id = $1 and license_id = $2 and valid_until is null";
        let tenant = self.tenant().0;
        let found: Option<Uuid> = sqlx::query_scalar(sql).bind(tenant).bind(id.0).fetch_optional(self.sql()).await?;
        Ok(found.map(KeyId))
    }

    /// How many keys of a license are valid now, the current one among them.
    pub(crate) async fn count_valid_keys(&mut self, id: LicenseId) -> Result<i64> {
        let sql = "-- count_valid_keys
            select cardinality(good_keys($1, $2))::bigint";
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar(sql).bind(tenant).bind(id.0).fetch_one(self.sql()).await?)
    }

    /// The time of PostgreSQL in so many seconds from now.
    pub(crate) async fn time_in(&mut self, seconds: u32) -> Result<OffsetDateTime> {
        let sql = "-- time_in
            select now() + make_interval(secs => $1)";
        Ok(sqlx::query_scalar(sql).bind(f64::from(seconds)).fetch_one(self.sql()).await?)
    }

    /// Writes a license's new key; earlier ones are valid until `old_until` and never longer than they were to be.
    pub(crate) async fn rotate_license_key(
        &mut self,
        id: LicenseId,
        key_hash: &str,
        old_until: OffsetDateTime,
    ) -> Result<Vec<PoolChange>> {
        let tenant = self.tenant().0;
        let query = sqlx::query("select * from rotate_license_key($1, $2, $3, $4)");
        let rows = query.bind(tenant).bind(id.0).bind(key_hash).bind(old_until).fetch_all(self.sql()).await?;
        changed_pools(&rows)
    }

    /// How many open sessions of a license began with a key that is not valid any more.
    pub(crate) async fn count_sessions_of_old_keys(&mut self, id: LicenseId) -> Result<u64> {
        let sql = "-- count_sessions_of_old_keys
            select count(*) from sessions s where s.tenant_id = $1 and s.license_id = $2 and s.ended_at is null
              and (s.key_id is null or s.key_id <> all (good_keys($1, $2)))";
        let tenant = self.tenant().0;
        let count: i64 = sqlx::query_scalar(sql).bind(tenant).bind(id.0).fetch_one(self.sql()).await?;
        Ok(count as u64)
    }

    /// Ends sessions of a license that began with a key that is not valid any more, on up to 200 seats.
    pub(crate) async fn end_sessions_of_old_keys(&mut self, id: LicenseId) -> Result<EndedSessions> {
        let (tenant, by) = (self.tenant().0, self.principal().kind_and_name());
        let query = sqlx::query("select * from end_sessions_of_old_keys($1, $2, $3, $4)");
        let rows = query.bind(tenant).bind(id.0).bind(SEATS_AT_ONCE).bind(by).fetch_all(self.sql()).await?;
        let mut ended = EndedSessions { sessions: Vec::new(), pools: changed_pools(&rows)? };
        for row in &rows {
            let number: String = row.try_get("number")?;
            for mut session in row.try_get::<Json<Vec<Value>>, _>("ended")?.0 {
                let id = session["id"].take();
                session["license"] = number.clone().into();
                if let Some(described) = session.as_object_mut() {
                    described.remove("id");
                }
                ended.sessions.push((id.as_str().unwrap_or_default().to_owned(), session));
            }
        }
        Ok(ended)
    }
}
