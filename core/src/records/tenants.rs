//! Registration: organization, owner and first license in one transaction.

use super::{
    access_policy,
    audit::{AuditStatement, write},
    caller::{Caller, Principal},
    connect::{REPEAT, Records, failed, worth_repeating},
};
use crate::{
    Error, Result,
    domain::{
        access::PersonRole,
        email::{self, small},
        id::{LicenseId, LicenseNumber, TenantId, UserId},
        key::LicenseKey,
        secret::KeyRing,
        step_up::SignIn,
        trial::{TrialLimit, subjects},
    },
};
use serde_json::json;
use sqlx::{PgConnection, Row};
use std::{net::IpAddr, time::Instant};
use time::OffsetDateTime;
use uuid::Uuid;

/// A person who asks for an organization; the identity is verified.
#[derive(Clone, Debug)]
pub struct NewOrganization {
    /// Who vouches for the identity.
    pub issuer: String,
    /// The issuer's name for the person.
    pub subject: String,
    /// Verified.
    pub email: String,
    /// The person's name, if the issuer says.
    pub person: Option<String>,
    /// What the organization shall be called.
    pub organization: String,
    /// Which product its first license is for; the vendor's default if `None`.
    pub product: Option<String>,
    /// From where, as far as it is known; for the audit log, and trials are counted by it.
    pub from: Option<IpAddr>,
    /// The request's id; for the audit log.
    pub request_id: Option<String>,
    /// How the person signed in: an organization may demand more before a key of its own is replaced.
    pub sign_in: SignIn,
}

impl NewOrganization {
    /// The registration as an act of the person, who owns what comes of it.
    fn act(&self, tenant: TenantId, user: UserId) -> Caller {
        let by = Principal::Person { user, email: small(&self.email), role: PersonRole::Owner };
        Caller { tenant, by, from: self.from, request_id: self.request_id.clone(), repeat: None, operation: None }
    }
}

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
    /// The license's key, where it may be shown.
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

/// The outcome of a registration.
#[derive(Clone, Debug)]
pub enum RegistrationOutcome {
    /// Made now.
    Created(Box<RegisteredTenant>),
    /// The person came again; the key is shown only while the license was never used (it is a new one then), and to who
    /// signed in as their organization demands for that.
    Existing(Box<RegisteredTenant>),
    /// The vendor has no such product.
    NoProduct,
    /// The vendor gives no more trials of it by this limit. Nothing was made.
    NoTrial(TrialLimit),
}

impl Records {
    /// Registers a person: a new organization with its owner and first license, or the one the identity already has.
    ///
    /// # Errors
    /// [`Error::Records`]; the organization may have been made all the same, and a second call then finds it.
    pub async fn register(&self, new: &NewOrganization, peppers: &KeyRing) -> Result<RegistrationOutcome> {
        let started = Instant::now();
        loop {
            if let Some(done) = self.try_register(new, peppers, started).await? {
                return Ok(done);
            }
        }
    }

    /// `None`: nothing was written, try again with another number.
    async fn try_register(
        &self,
        new: &NewOrganization,
        peppers: &KeyRing,
        started: Instant,
    ) -> Result<Option<RegistrationOutcome>> {
        let key = LicenseKey::draw(LicenseNumber::draw());
        let mut transaction = self.repeat(|pool| async move { pool.begin().await }).await?;
        let row = sqlx::query("select * from register_organization($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13)")
            .bind(&new.issuer)
            .bind(&new.subject)
            .bind(&new.email)
            .bind(email::key(&new.email))
            .bind(&new.person)
            .bind(&new.organization)
            .bind(&new.product)
            .bind(Uuid::now_v7())
            .bind(Uuid::now_v7())
            .bind(Uuid::now_v7())
            .bind(Uuid::now_v7())
            .bind(key.number().to_string())
            .bind(key.hash(peppers))
            .fetch_one(&mut *transaction)
            .await;
        let row = match row {
            // A number is taken once in 2^64.
            Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("UQ001") => return Ok(None),
            // Another registration of the same person holds the identity, or the connection broke before the commit.
            Err(e) if worth_repeating(&e) && started.elapsed() < REPEAT => return Ok(None),
            other => other.map_err(failed)?,
        };
        let outcome: String = row.try_get("outcome").map_err(failed)?;
        if outcome == "NO_PRODUCT" {
            return Ok(Some(RegistrationOutcome::NoProduct));
        }
        let ids = (row.try_get("tenant_id").map_err(failed)?, row.try_get("user_id").map_err(failed)?);
        let mut registered = describe(&mut transaction, ids).await?;
        if outcome == "ROTATED" && access_policy::allows(&mut transaction, registered.tenant, &new.sign_in).await? {
            let key = LicenseKey::draw(registered.license.number);
            sqlx::query("select from rotate_license_key($1, $2, $3, now())")
                .bind(registered.tenant.0)
                .bind(registered.license.id.0)
                .bind(key.hash(peppers))
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
            let (act, license) = (new.act(registered.tenant, registered.user), registered.license.id.to_string());
            let said = AuditStatement {
                action: "license.key_rotated",
                target: license,
                before: json!(null),
                after: json!(null),
            };
            write(&mut transaction, &act, said, Some(peppers)).await?;
            registered.key = Some(key);
        } else if outcome == "CREATED" {
            let reached: Option<String> = sqlx::query_scalar("select directory.take_trial($1, $2, $3)")
                .bind(&registered.license.product)
                .bind(registered.tenant.0)
                .bind(subjects(&new.email, new.from, peppers))
                .fetch_one(&mut *transaction)
                .await
                .map_err(failed)?;
            if let Some(limit) = reached {
                let limit = limit.parse().map_err(|e| Error::internal("a limit of trials cannot be read", e))?;
                transaction.rollback().await.map_err(failed)?;
                return Ok(Some(RegistrationOutcome::NoTrial(limit)));
            }
            let act = new.act(registered.tenant, registered.user);
            let after = json!({ "name": registered.organization, "license": registered.license.number });
            let target = act.tenant.to_string();
            let said = AuditStatement { action: "organization.created", target, before: json!(null), after };
            write(&mut transaction, &act, said, Some(peppers)).await?;
            registered.key = Some(key);
        }
        transaction.commit().await.map_err(failed)?;
        let registered = Box::new(registered);
        Ok(Some(if outcome == "CREATED" {
            RegistrationOutcome::Created(registered)
        } else {
            RegistrationOutcome::Existing(registered)
        }))
    }
}

async fn describe(connection: &mut PgConnection, (tenant, user): (Uuid, Uuid)) -> Result<RegisteredTenant> {
    let row = sqlx::query(
        "select o.name as organization, o.created_at, u.role, l.license_id, l.number, l.product, l.tier, l.status, \
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
    .await
    .map_err(failed)?;
    let number: String = row.try_get("number").map_err(failed)?;
    Ok(RegisteredTenant {
        tenant: TenantId(tenant),
        organization: row.try_get("organization").map_err(failed)?,
        created_at: row.try_get("created_at").map_err(failed)?,
        user: UserId(user),
        role: row.try_get("role").map_err(failed)?,
        license: FirstLicense {
            id: LicenseId(row.try_get("license_id").map_err(failed)?),
            number: number.parse().map_err(|e| Error::internal("a license number in the records cannot be read", e))?,
            product: row.try_get("product").map_err(failed)?,
            tier: row.try_get("tier").map_err(failed)?,
            status: row.try_get("status").map_err(failed)?,
            seats_total: row.try_get::<i32, _>("seats_total").map_err(failed)? as u32,
            expires_at: row.try_get("expires_at").map_err(failed)?,
        },
        key: None,
    })
}
