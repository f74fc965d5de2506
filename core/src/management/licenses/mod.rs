//! What staff and admins may do with licenses, and how they see them.

mod edit;
mod issue;
mod overview;
mod rotate;

pub use edit::{ChangedLicense, LicenseEdit};
pub use issue::{IssuedLicense, NewLicense};
pub use overview::PoolUse;
pub use rotate::{EndingStep, KeyRotation, RotatedKey};

use super::SeatManagement;
use crate::{
    Error, Result,
    domain::{
        id::{LicenseId, TenantId},
        labels::Labels,
        naming::Naming,
        terms::{LicenseTerms, TermsEdit},
    },
    error::StoreName,
    protocol::deadline::Deadline,
    records::{AuditedChange, LicenseRow, PoolOf},
    refusal::{ChangeRefusal, ChangeResult},
    seat_store::{PoolKey, PoolReply},
};
use serde_json::Value;

/// A license and the use of it now.
#[derive(Clone, Debug)]
pub struct LicenseView {
    /// The license.
    pub license: LicenseRow,
    /// Its pools, by name.
    pub pools: Vec<LivePool>,
}

/// A pool and the use of it now.
#[derive(Clone, Debug)]
pub struct LivePool {
    /// As the records have it.
    pub pool: PoolOf,
    /// Seats held.
    pub used: u32,
}

impl SeatManagement {
    /// A license with the seats held of each of its pools; a cold copy is rebuilt first. `None`: the organization has
    /// none of that id.
    ///
    /// # Errors
    /// If a store could not be asked in time.
    pub async fn show_license(&self, tenant: TenantId, license: LicenseId) -> Result<Option<LicenseView>> {
        let deadline = Deadline::of_request();
        let Some((license, pools)) = self.records.license(tenant, license).await? else { return Ok(None) };
        let mut shown = Vec::new();
        for pool in pools {
            let key = PoolKey { license: license.number, pool: pool.name.clone() };
            let Some(used) = self.held(&key, tenant, &pool, deadline).await? else { continue };
            shown.push(LivePool { pool, used });
        }
        Ok(Some(LicenseView { license, pools: shown }))
    }

    /// Seats held of a pool. `None`: the records know no such pool any more.
    async fn held(&self, key: &PoolKey, tenant: TenantId, pool: &PoolOf, deadline: Deadline) -> Result<Option<u32>> {
        loop {
            deadline.check(StoreName::Seats)?;
            match self.seats.look_up_sessions(key, &[]).await? {
                PoolReply::Answer(look) => return Ok(Some(look.held)),
                PoolReply::NeedsRebuild { .. } => {
                    if !self.rebuilds.ensure_warm(key, tenant, pool.id, deadline).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

impl AuditedChange<'_> {
    /// The terms after an edit. Whether they fit together is a rule of the terms themselves; whether the features are
    /// small enough is what the database counts.
    async fn edited_terms(&mut self, terms: LicenseTerms, edit: &TermsEdit) -> ChangeResult<LicenseTerms> {
        let terms = terms.with_edit(edit).map_err(ChangeRefusal::InvalidTerms)?;
        if self.features_fit(&terms.features).await? { Ok(terms) } else { Err(ChangeRefusal::FeaturesTooLarge.into()) }
    }

    /// The license after a statement of this change that needs it to be there.
    async fn present_license(&mut self, id: LicenseId) -> Result<LicenseRow> {
        let license = self.license(id).await?;
        license.ok_or_else(|| Error::Internal("a license that was just written is not there".into()))
    }
}

/// Terms and labels together, as columns of a license.
fn labelled(terms: &LicenseTerms, labels: &Labels) -> Result<Value> {
    let mut columns = json(terms)?;
    columns["external_id"] = labels.external_id.clone().into();
    columns["metadata"] = serde_json::json!(labels.metadata);
    Ok(columns)
}

/// The same with name and note.
fn named(terms: &LicenseTerms, labels: &Labels, naming: &Naming) -> Result<Value> {
    let mut columns = labelled(terms, labels)?;
    columns["name"] = naming.name.clone().into();
    columns["note"] = naming.note.clone().into();
    Ok(columns)
}

fn json(terms: &LicenseTerms) -> Result<Value> {
    serde_json::to_value(terms).map_err(|e| Error::internal("terms cannot be written down", e))
}
