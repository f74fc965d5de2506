//! What the vendor's staff may do to the catalog of plans and products.

use super::{Management, check_version};
use crate::{
    Error, Result,
    domain::terms::PlanTerms,
    records::{Caller, PlanRow, ProductRow, ProductSettings},
    refusal::{ChangeRefusal, ChangeResult, PlanField},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is there after a PUT, and whether it was made by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpsertedRow<T> {
    /// The row.
    pub row: T,
    /// False: it was there before.
    pub created: bool,
}

impl Management {
    /// Makes a plan, or replaces all of it. Licenses made from it stay as they are. `version`: only if it is there and
    /// still is this one.
    ///
    /// # Errors
    /// A refusal, or [`Error::Records`].
    pub async fn put_plan(
        &self,
        caller: &Caller,
        name: &str,
        terms: &PlanTerms,
        version: Option<i64>,
    ) -> ChangeResult<UpsertedRow<PlanRow>> {
        self.records
            .change(caller, async |change| {
                if !change.features_fit(&terms.features).await? {
                    return Err(ChangeRefusal::FeaturesTooLarge.into());
                }
                let before = change.lock_plan(name).await?;
                check_version(version, before.as_ref().map(|plan| plan.version))?;
                if let Some(plan) = before.as_ref().filter(|plan| plan.terms == *terms) {
                    return Ok(UpsertedRow { row: plan.clone(), created: false });
                }
                change.upsert_plan(name, terms).await?;
                let row = change.plan(name).await?.ok_or_else(vanished)?;
                let action = if before.is_some() { "plan.replaced" } else { "plan.created" };
                let described = describe(before.as_ref().map(|plan| &plan.terms))?;
                change.audit(action, name, described, describe(Some(&row.terms))?);
                Ok(UpsertedRow { row, created: before.is_none() })
            })
            .await
    }

    /// Makes a product, or replaces all of it; a product that becomes the default takes that from the one before.
    /// `version` as for plans.
    ///
    /// # Errors
    /// A refusal, or [`Error::Records`].
    pub async fn put_product(
        &self,
        caller: &Caller,
        name: &str,
        product: &ProductSettings,
        version: Option<i64>,
    ) -> ChangeResult<UpsertedRow<ProductRow>> {
        self.records
            .change(caller, async |change| {
                change.lock_products().await?;
                let before = change.product(name).await?;
                check_version(version, before.as_ref().map(|product| product.version))?;
                match &before {
                    Some(present) if present.settings.is_default && !product.is_default => {
                        return Err(ChangeRefusal::DefaultProductNeeded.into());
                    }
                    Some(present) if present.settings == *product => {
                        return Ok(UpsertedRow { row: present.clone(), created: false });
                    }
                    _ => {}
                }
                if change.plan(&product.registration_plan).await?.is_none() {
                    return Err(ChangeRefusal::UnknownPlan(PlanField::OfRegistrations).into());
                }
                if product.is_default {
                    change.unset_other_defaults(name).await?;
                }
                change.upsert_product(name, product).await?;
                let row = change.product(name).await?.ok_or_else(vanished)?;
                let action = if before.is_some() { "product.replaced" } else { "product.created" };
                let described = describe(before.as_ref().map(|product| &product.settings))?;
                change.audit(action, name, described, describe(Some(&row.settings))?);
                Ok(UpsertedRow { row, created: before.is_none() })
            })
            .await
    }
}

fn vanished() -> Error {
    Error::Internal("what was just written is not there".into())
}

/// What the staff's log shows; null where there was nothing.
fn describe<T: Serialize>(settings: Option<&T>) -> Result<Value> {
    serde_json::to_value(settings).map_err(|e| Error::internal("settings cannot be written down", e))
}
