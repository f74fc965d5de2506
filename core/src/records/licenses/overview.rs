//! Licenses with their pools, page by page, without what Redis knows.

use crate::{
    Result,
    domain::{
        id::{LicenseId, LicenseNumber, PoolId, PoolName, TenantId},
        license::Status,
    },
    records::{
        Records,
        page::{ListedRows, PageRequest},
        row::{count, word},
    },
};
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// A license in short, with its pools.
#[derive(Clone, Debug, PartialEq)]
pub struct LicenseInShort<P> {
    /// The license.
    pub id: LicenseId,
    /// Its public number.
    pub number: LicenseNumber,
    /// The product it is for.
    pub product: String,
    /// The plan it was made from.
    pub plan: String,
    /// What was sold.
    pub tier: String,
    /// Whether it is active, suspended or revoked.
    pub status: Status,
    /// The end of its term.
    pub expires_at: Option<OffsetDateTime>,
    /// Its pools, by name.
    pub pools: Vec<P>,
}

/// A pool of a license in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolInShort {
    /// The pool.
    pub id: PoolId,
    /// Its name.
    pub name: PoolName,
    /// The number of licensed seats.
    pub seats_total: u32,
    /// Seats above that number which are still held since it was reduced.
    pub surplus: u32,
    /// Its epoch: an older copy in Redis is stale.
    pub epoch: u64,
    /// Whether no copy of it was ever made: then no seat of it was ever granted.
    pub never_used: bool,
}

// Pools are read one by one and by key, as in the list of licenses.
const OVERVIEW: &str = "-- overview
    select l.license_id, l.number, l.product, l.plan, l.tier, l.status, l.expires_at,
      p.pool_id, p.name, p.seats_total, p.surplus, p.epoch, p.rebuilt_epoch = 0 as never_used
    from (select * from licenses where tenant_id = $1 and license_id < $2 order by license_id desc limit $3) l
    left join lateral (
      select p.* from pools p where p.tenant_id = $1 and p.license_id = l.license_id order by p.name) p on true
    order by l.license_id desc, p.name";

impl Records {
    /// The licenses of an organization with their pools, the newest first. One statement.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn overview(
        &self,
        tenant: TenantId,
        page: PageRequest,
    ) -> Result<ListedRows<LicenseInShort<PoolInShort>>> {
        let query = sqlx::query(OVERVIEW).bind(tenant.0).bind(page.below()).bind(page.fetch());
        let rows = query.fetch_all(&mut *self.begin(tenant).await?).await?;
        let mut licenses: Vec<Vec<PgRow>> = Vec::new();
        let mut latest = None;
        for row in rows {
            let id: Uuid = row.try_get("license_id")?;
            match licenses.last_mut().filter(|_| latest == Some(id)) {
                Some(license) => license.push(row),
                None => licenses.push(vec![row]),
            }
            latest = Some(id);
        }
        page.cut(licenses, |it: &LicenseInShort<PoolInShort>| it.id.0, |rows| license(rows))
    }

    /// Which of these pools nobody holds a seat of, and none of whose seats waits: what a copy of them would say is
    /// known without one.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn idle_pools(&self, tenant: TenantId, pools: &[PoolId]) -> Result<Vec<PoolId>> {
        if pools.is_empty() {
            return Ok(Vec::new());
        }
        let idle = "-- idle_pools
            select p.pool_id from pools p
            where p.tenant_id = $1 and p.pool_id = any ($2) and not coalesce(p.opens_at > now(), false)
              and not exists (select from seats s
                where s.tenant_id = p.tenant_id and s.pool_id = p.pool_id and s.holder is not null)
              and not exists (select from seats s
                where s.tenant_id = p.tenant_id and s.pool_id = p.pool_id and s.hold_until is not null
                  and not s.retired)";
        let ids: Vec<Uuid> = pools.iter().map(|pool| pool.0).collect();
        let query = sqlx::query_scalar(idle).bind(tenant.0).bind(ids);
        let found: Vec<Uuid> = query.fetch_all(&mut *self.begin(tenant).await?).await?;
        Ok(found.into_iter().map(PoolId).collect())
    }
}

/// The license of its rows, of which there is one for each pool, and one if it has none.
fn license(rows: &[PgRow]) -> sqlx::Result<LicenseInShort<PoolInShort>> {
    let first = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let pooled = rows.iter().filter(|row| row.try_get::<Uuid, _>("pool_id").is_ok());
    Ok(LicenseInShort {
        id: LicenseId(first.try_get("license_id")?),
        number: word(first, "number")?,
        product: first.try_get("product")?,
        plan: first.try_get("plan")?,
        tier: first.try_get("tier")?,
        status: word(first, "status")?,
        expires_at: first.try_get("expires_at")?,
        pools: pooled.map(pool).collect::<sqlx::Result<_>>()?,
    })
}

fn pool(row: &PgRow) -> sqlx::Result<PoolInShort> {
    Ok(PoolInShort {
        id: PoolId(row.try_get("pool_id")?),
        name: word(row, "name")?,
        seats_total: count(row, "seats_total")?,
        surplus: count(row, "surplus")?,
        epoch: row.try_get::<i64, _>("epoch")?.unsigned_abs(),
        never_used: row.try_get("never_used")?,
    })
}
