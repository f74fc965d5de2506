//! A license is made.

use super::{json, labelled};
use crate::{
    domain::{
        id::{LicenseId, LicenseNumber, draw_uuid},
        key::LicenseKey,
        labels::{Labels, LabelsEdit},
        secret::KeyRing,
        terms::{LicenseTerms, TermsEdit},
    },
    management::Management,
    records::{AuditedChange, Caller, LabelledKind, LicenseInsert, LicenseRow},
    refusal::{ChangeRefusal, ChangeResult, PlanField},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json as object};

/// What a new license is to be.
#[derive(Clone, Debug)]
pub struct NewLicense {
    /// A product of the vendor.
    pub product: String,
    /// The plan it takes its terms from.
    pub plan: String,
    /// What is otherwise than the plan says.
    pub overrides: TermsEdit,
    /// What the vendor's systems know it by.
    pub labels: LabelsEdit,
}

/// A license that was made. Its key is known to nobody else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IssuedLicense {
    /// The license.
    pub license: LicenseRow,
    /// Its key, to be shown once.
    #[serde(with = "whole_key")]
    pub key: LicenseKey,
}

/// A key in full, for the sealed outcome of an idempotency key alone: there the same request is shown the same key
/// again.
pub(super) mod whole_key {
    use crate::domain::key::LicenseKey;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in super::super) fn serialize<S: Serializer>(key: &LicenseKey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&key.reveal())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LicenseKey, D::Error> {
        LicenseKey::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Management {
    /// Makes a license for an organization: a plan's terms except for what was said otherwise, a first key, and a
    /// default pool with its seats.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn issue_license(
        &self,
        caller: &Caller,
        new: &NewLicense,
        peppers: &KeyRing,
    ) -> ChangeResult<IssuedLicense> {
        self.records
            .change(caller, async |change| {
                change.allow_long_statements().await?;
                if change.product(&new.product).await?.is_none() {
                    return Err(ChangeRefusal::UnknownProduct.into());
                }
                let terms = change.first_terms(&new.plan).await?;
                let terms = change.edited_terms(terms, &new.overrides).await?;
                let labels = Labels::default().with_edit(&new.labels).map_err(ChangeRefusal::TooMuchMetadata)?;
                let id = LicenseId(draw_uuid());
                change.take_external_id(LabelledKind::License, &new.labels, id.0).await?;
                let key = change.insert_under_free_number(id, new, labelled(&terms, &labels)?, peppers).await?;
                let license = change.present_license(id).await?;
                let (number, product) = (license.number, &license.product);
                let mut after = object!({ "number": number, "product": product, "terms": json(&license.terms)? });
                if labels != Labels::default() {
                    after["labels"] = object!(labels);
                }
                change.audit("license.created", &id.to_string(), Value::Null, after);
                Ok(IssuedLicense { license, key })
            })
            .await
    }
}

impl AuditedChange<'_> {
    /// The terms that a license made from a plan begins with.
    async fn first_terms(&mut self, plan: &str) -> ChangeResult<LicenseTerms> {
        let plan = self.plan(plan).await?.ok_or(ChangeRefusal::UnknownPlan(PlanField::OfLicense))?;
        let expires_at = self.end_of_term(plan.terms.trial_days).await?;
        Ok(LicenseTerms { expires_at, ..plan.terms.into_license(plan.name) })
    }

    /// Writes a license under a number that is free, and answers its key.
    async fn insert_under_free_number(
        &mut self,
        id: LicenseId,
        new: &NewLicense,
        terms: Value,
        peppers: &KeyRing,
    ) -> ChangeResult<LicenseKey> {
        loop {
            let key = LicenseKey::draw(LicenseNumber::draw());
            let insert = LicenseInsert {
                id,
                number: key.number(),
                key_hash: key.hash(peppers),
                product: &new.product,
                plan: &new.plan,
                terms: &terms,
            };
            // A number is taken once in 2^64.
            if self.insert_license(&insert).await? {
                return Ok(key);
            }
        }
    }
}
