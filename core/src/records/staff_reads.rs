//! What the vendor's staff read of an organization, written into its audit log.

use super::{
    audit::{AuditStatement, write},
    caller::Caller,
    connect::Records,
};
use crate::{
    Result,
    domain::{id::TenantId, secret::KeyRing},
};
use serde_json::{Value, json};
use sqlx::PgConnection;

impl Records {
    /// Writes into the audit log that staff read something, with the operation and its target. There is one entry in
    /// each hour of the clock for the same person, operation and target: an entry says that it was read in this hour,
    /// and not how often. Vendor tokens read as staff does. If the caller is not of the vendor, nothing is written.
    ///
    /// This is called before the answer is made: if the entry cannot be written, nothing may be read.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn note_read(&self, caller: &Caller) -> Result<()> {
        if !caller.principal.is_of_vendor() {
            return Ok(());
        }
        let mut transaction = self.begin_patiently(caller.tenant).await?;
        write_down(&mut transaction, caller, self.peppers.as_deref()).await?;
        Ok(transaction.commit().await?)
    }
}

/// The same at the end of a transaction of the caller's change.
pub(super) async fn write_down(sql: &mut PgConnection, caller: &Caller, peppers: Option<&KeyRing>) -> Result<()> {
    let Some(operation) = caller.operation.as_ref().filter(|_| caller.principal.is_of_vendor()) else { return Ok(()) };
    if caller.tenant == TenantId::VENDOR {
        return Ok(()); // The catalog belongs to the vendor and has no audit log of an organization.
    }
    // An id begins with the time, so the entries of this hour are found by an index; the order by id leaves the planner
    // no other choice, whatever the statistics say. Two requests at the same time may each write an entry.
    let noted = "-- write_down
        select exists (select from (
          select action, target, after from audit_log where tenant_id = $1 and actor = $2
            and id >= (lpad(to_hex((extract(epoch from date_trunc('hour', now())) * 1000)::bigint), 12, '0') || \
            repeat('0', 20))::uuid
          order by id) a
        where a.action = 'staff.read' and a.target = $3 and a.after->>'operation' = $4)";
    let noted: bool = sqlx::query_scalar(noted)
        .bind(caller.tenant.0)
        .bind(caller.principal.id())
        .bind(&operation.target)
        .bind(&operation.name)
        .fetch_one(&mut *sql)
        .await?;
    if noted {
        return Ok(());
    }
    let (target, after) = (operation.target.clone(), json!({ "operation": operation.name }));
    write(sql, caller, AuditStatement { action: "staff.read", target, before: Value::Null, after }, peppers)
        .await
        .map(drop)
}
