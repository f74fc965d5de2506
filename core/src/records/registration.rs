//! The rows of a registration: organization, owner, first license and the trials that are counted.

use super::{
    access_policy,
    change::AuditedChange,
    connect::{Records, TenantTransaction, worth_repeating},
    joining::VerifiedPerson,
};
use crate::{
    Error, Result,
    domain::{
        email,
        id::{LicenseId, LicenseNumber, TenantId, UserId, draw_uuid},
        key::LicenseKey,
        name::fold,
        step_up::SignIn,
        trial::TrialLimit,
    },
};
use serde_json::Value;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

/// What registration found or made.
#[derive(Clone, Debug)]
pub struct RegisteredTenant {
    /// The organization.
    pub tenant: TenantId,
    /// Its name.
    pub organization: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// The person.
    pub user: UserId,
    /// The person's role in it.
    pub role: String,
    /// Its first license.
    pub license: FirstLicense,
    /// The license's key, if it may be shown.
    pub key: Option<LicenseKey>,
}

/// A license as its owner sees it.
#[derive(Clone, Debug)]
pub struct FirstLicense {
    /// The license.
    pub id: LicenseId,
    /// Its public number.
    pub number: LicenseNumber,
    /// The product it is for.
    pub product: String,
    /// The tier.
    pub tier: String,
    /// `active`, `suspended` or `revoked`.
    pub status: String,
    /// Seats of the default pool.
    pub seats_total: u32,
    /// End of its term.
    pub expires_at: Option<OffsetDateTime>,
}

/// What the SQL function `register_organization` did.
#[derive(Debug)]
pub(crate) enum RegistrationStep {
    /// A new organization, or the one that the identity already had.
    Found {
        /// The organization with its owner and license.
        registered: Box<RegisteredTenant>,
        /// What was done for it.
        state: RegistrationState,
    },
    /// The vendor has no such product.
    UnknownProduct,
    /// Nothing was written, because the number is taken or another registration of the same person is under way: the
    /// same call can be made again, with another number.
    Again(sqlx::Error),
}

/// How an organization was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegistrationState {
    /// Made now.
    Created,
    /// It was there, and its license was never used: the key may be replaced, so that it can be shown.
    NeverUsed,
    /// It was there.
    Existing,
}

impl Records {
    /// Begins a transaction and registers a person in it under this key: a new organization with its owner and first
    /// license, or the one that the identity already has.
    pub(crate) async fn register_in_new_transaction(
        &self,
        person: &VerifiedPerson,
        organization: &str,
        product: Option<&str>,
        number: LicenseNumber,
        key_hash: &str,
    ) -> Result<(TenantTransaction, RegistrationStep)> {
        let mut transaction = self.repeat(|pool| async move { pool.begin().await }).await?;
        let row = sqlx::query("select * from register_organization($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)")
            .bind(&person.issuer)
            .bind(&person.subject)
            .bind(&person.email)
            .bind(email::comparison_key(&person.email))
            .bind(&person.name)
            .bind(organization)
            .bind(fold(organization))
            .bind(product)
            .bind(draw_uuid())
            .bind(draw_uuid())
            .bind(draw_uuid())
            .bind(draw_uuid())
            .bind(number.to_string())
            .bind(key_hash)
            .fetch_one(&mut *transaction)
            .await;
        let row = match row {
            // A number is taken once in 2^64.
            // Or another registration of the same person holds the identity, or the connection broke before the commit.
            Err(e) if is_number_taken(&e) || worth_repeating(&e) => {
                return Ok((transaction, RegistrationStep::Again(e)));
            }
            other => other?,
        };
        let state = match row.try_get("outcome")? {
            "NO_PRODUCT" => return Ok((transaction, RegistrationStep::UnknownProduct)),
            "CREATED" => RegistrationState::Created,
            "ROTATED" => RegistrationState::NeverUsed,
            _ => RegistrationState::Existing,
        };
        let registered =
            Box::new(describe(&mut transaction, (row.try_get("tenant_id")?, row.try_get("user_id")?)).await?);
        Ok((transaction, RegistrationStep::Found { registered, state }))
    }
}

impl AuditedChange<'_> {
    /// Whether somebody who signed in like this may replace a key, by the policy of the organization.
    pub(crate) async fn sign_in_allows(&mut self, sign_in: &SignIn) -> Result<bool> {
        let tenant = self.tenant();
        access_policy::allows(self.sql(), tenant, sign_in).await
    }

    /// Counts a trial of a product for these subjects. The limit that it would exceed, if there is one; nothing is
    /// counted then.
    pub(crate) async fn take_trial(&mut self, product: &str, subjects: &Value) -> Result<Option<TrialLimit>> {
        let tenant = self.tenant().0;
        let reached: Option<String> = sqlx::query_scalar("select directory.take_trial($1, $2, $3)")
            .bind(product)
            .bind(tenant)
            .bind(subjects)
            .fetch_one(self.sql())
            .await?;
        let read = |limit: String| limit.parse().map_err(|e| Error::internal("a limit of trials cannot be read", e));
        reached.map(read).transpose()
    }
}

fn is_number_taken(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(e) if e.code().as_deref() == Some("UQ001"))
}

async fn describe(connection: &mut PgConnection, (tenant, user): (Uuid, Uuid)) -> Result<RegisteredTenant> {
    let row = sqlx::query(
        "-- describe_registration
         select o.name as organization, o.created_at, u.role, l.license_id, l.number, l.product, l.tier, l.status, \
         l.expires_at, p.seats_total
         from organizations o
         join users u on u.tenant_id = o.tenant_id and u.user_id = $2
         join licenses l on l.tenant_id = o.tenant_id
         join pools p on p.tenant_id = l.tenant_id and p.license_id = l.license_id and p.name = 'default'
         where o.tenant_id = $1 order by l.created_at, l.license_id limit 1",
    )
    .bind(tenant)
    .bind(user)
    .fetch_one(connection)
    .await?;
    let number: String = row.try_get("number")?;
    Ok(RegisteredTenant {
        tenant: TenantId(tenant),
        organization: row.try_get("organization")?,
        created_at: row.try_get("created_at")?,
        user: UserId(user),
        role: row.try_get("role")?,
        license: FirstLicense {
            id: LicenseId(row.try_get("license_id")?),
            number: number.parse().map_err(|e| Error::internal("a license number in the records cannot be read", e))?,
            product: row.try_get("product")?,
            tier: row.try_get("tier")?,
            status: row.try_get("status")?,
            seats_total: row.try_get::<i32, _>("seats_total")? as u32,
            expires_at: row.try_get("expires_at")?,
        },
        key: None,
    })
}
