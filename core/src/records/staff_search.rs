//! What the vendor's staff finds among all organizations. The directory answers ids; what is shown of each is read from
//! the tables of its organization, in its name.

use super::{
    connect::Records,
    labels::LabelledKind,
    licenses::{LicenseRow, licensed},
    organizations::{COLUMNS, OrganizationRow, organization},
    page::{ListedRows, PageRequest},
};
use crate::{
    Result,
    domain::{id::TenantId, license::Status},
};
use sqlx::{AssertSqlSafe, Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// What organizations are sought by.
#[derive(Clone, Debug, Default)]
pub enum OrganizationSearch {
    /// All of them, the newest first.
    #[default]
    All,
    /// Those whose folded name begins so, in the order of names.
    Named(String),
    /// The one with this external id.
    ExternalId(String),
    /// Those with this text under this key of their metadata, the newest first.
    Metadata(String, String),
}

/// What licenses are sought by; of several filters each must be met.
#[derive(Clone, Debug, Default)]
pub struct LicenseSearch {
    /// The license's status.
    pub status: Option<Status>,
    /// Its product.
    pub product: Option<String>,
    /// Its plan.
    pub plan: Option<String>,
    /// The one with this external id; the other filters are not looked at then.
    pub external_id: Option<String>,
    /// Those whose folded name begins so, in the order of names; the filters below are not looked at then.
    pub named: Option<String>,
    /// A key of its metadata, and its text.
    pub metadata: Option<(String, String)>,
    /// Its term ends at this time or later. With a time the licenses that end first come first, else the newest.
    pub ends_from: Option<OffsetDateTime>,
    /// Its term ends before this time.
    pub ends_before: Option<OffsetDateTime>,
}

/// A license that was found, and whose it is.
#[derive(Clone, Debug)]
pub struct FoundLicense {
    /// The organization.
    pub organization: TenantId,
    /// What it is called.
    pub organization_name: String,
    /// The license.
    pub license: LicenseRow,
}

impl Records {
    /// Organizations by what staff knows of them.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn find_organizations(
        &self,
        search: &OrganizationSearch,
        page: PageRequest,
    ) -> Result<ListedRows<OrganizationRow>> {
        let (mut name, mut key, mut value) = (None, None, None);
        match search {
            OrganizationSearch::All => {}
            OrganizationSearch::Named(begin) => name = Some(begin),
            OrganizationSearch::Metadata(of, text) => (key, value) = (Some(of), Some(text)),
            OrganizationSearch::ExternalId(id) => {
                let found = self.locate_external_id(LabelledKind::Organization, id).await?;
                let ids: Vec<Uuid> = found.into_iter().map(|(tenant, _)| tenant.0).collect();
                return page.cut(self.read_organizations(&ids).await?, |it: &OrganizationRow| it.id.0, organization);
            }
        }
        let ids: Vec<Uuid> = self
            .repeat(|pool| async move {
                sqlx::query_scalar("select tenant_id from directory.find_organizations($1, $2, $3, $4, $5)")
                    .bind(name)
                    .bind(key)
                    .bind(value)
                    .bind(page.after.map(|cursor| cursor.0))
                    .bind(page.fetch())
                    .fetch_all(&pool)
                    .await
            })
            .await?;
        page.cut(self.read_organizations(&ids).await?, |it: &OrganizationRow| it.id.0, organization)
    }

    async fn read_organizations(&self, ids: &[Uuid]) -> Result<Vec<PgRow>> {
        let sql = format!(
            "-- read_found_organizations
             select {COLUMNS} from read_organizations($1)"
        );
        let sql = &sql;
        self.repeat(|pool| async move { sqlx::query(AssertSqlSafe(sql.clone())).bind(ids).fetch_all(&pool).await })
            .await
    }

    /// Licenses of all organizations by what staff knows of them.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn find_licenses(&self, search: &LicenseSearch, page: PageRequest) -> Result<ListedRows<FoundLicense>> {
        let (tenants, ids): (Vec<Uuid>, Vec<Uuid>) = match &search.external_id {
            Some(id) => {
                let found = self.locate_external_id(LabelledKind::License, id).await?;
                found.into_iter().map(|(tenant, license)| (tenant.0, license)).unzip()
            }
            None => self.locate_licenses(search, page).await?.into_iter().unzip(),
        };
        let (tenants, ids) = (&tenants, &ids);
        let rows = self
            .repeat(|pool| async move {
                let sql = "-- read_found_licenses
                    select r.organization, (r.license).*, r.seats from read_licenses($1, $2) r";
                sqlx::query(sql).bind(tenants).bind(ids).fetch_all(&pool).await
            })
            .await?;
        page.cut(
            rows,
            |it: &FoundLicense| it.license.id.0,
            |row| {
                Ok(FoundLicense {
                    organization: TenantId(row.try_get("tenant_id")?),
                    organization_name: row.try_get("organization")?,
                    license: licensed(row)?,
                })
            },
        )
    }

    async fn locate_licenses(&self, search: &LicenseSearch, page: PageRequest) -> Result<Vec<(Uuid, Uuid)>> {
        let (key, value) = search.metadata.as_ref().map(|(key, value)| (key, value)).unzip();
        if let Some(name) = &search.named {
            let sql = "select tenant_id, license_id from directory.find_named_licenses($1, $2, $3)";
            let after = page.after.map(|cursor| cursor.0);
            return self
                .repeat(|pool| async move {
                    sqlx::query_as(sql).bind(name).bind(after).bind(page.fetch()).fetch_all(&pool).await
                })
                .await;
        }
        self.repeat(|pool| async move {
            let sql = "select tenant_id, license_id from directory.find_licenses($1, $2, $3, $4, $5, $6, $7, $8, $9)";
            sqlx::query_as(sql)
                .bind(search.status.map(Status::as_str))
                .bind(&search.product)
                .bind(&search.plan)
                .bind(key)
                .bind(value)
                .bind(search.ends_from)
                .bind(search.ends_before)
                .bind(page.after.map(|cursor| cursor.0))
                .bind(page.fetch())
                .fetch_all(&pool)
                .await
        })
        .await
    }
}
