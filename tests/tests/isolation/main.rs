//! S13: no row of tenant A is visible to tenant B. What the catalog must say, and what the roles can do in fact.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests; clippy.toml's exception does not reach helpers")]

mod catalog;
mod names;
mod operations;
mod rights;
mod statements;
mod strangers;
mod takeover;
mod told_alerts;
mod told_deliveries;
mod told_wants;

use license_core::records::{DatabaseRole, Records};
use license_tests::{
    stores,
    world::{License, Shape, peppers, register},
};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use std::sync::Arc;

const SERVING: [DatabaseRole; 4] =
    [DatabaseRole::Service, DatabaseRole::Reaper, DatabaseRole::Notify, DatabaseRole::Admin];

/// A database with two organizations.
struct Two {
    database: PgConnectOptions,
    a: License,
    b: License,
}

async fn two() -> Two {
    let database = stores::database().await;
    // As the service that registers: what it writes into the audit log is sealed.
    let admin = Records::with(database.clone(), DatabaseRole::Admin, 2).sealing(Arc::new(peppers()));
    let a = register(&admin, &database, &Shape::default(), "a").await;
    let b = register(&admin, &database, &Shape::default(), "b").await;
    Two { database, a, b }
}

impl Two {
    /// As superuser, whom row-level security does not bind.
    async fn truth(&self) -> PgConnection {
        PgConnection::connect_with(&self.database).await.unwrap()
    }

    async fn as_role(&self, role: DatabaseRole) -> PgConnection {
        PgConnection::connect_with(&self.database.clone().username(role.name())).await.unwrap()
    }

    fn records(&self, role: DatabaseRole) -> Records {
        Records::with(self.database.clone(), role, 2)
    }

    /// Every row of a tenant, table by table, as text.
    async fn rows_of(&self, license: &License) -> Vec<(String, Vec<String>)> {
        let mut truth = self.truth().await;
        let mut all = Vec::new();
        for table in tenant_tables(&mut truth).await {
            let sql = format!("select t::text from {table} t where tenant_id = $1 order by 1");
            let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(license.tenant.0).fetch_all(&mut truth).await;
            all.push((table, rows.unwrap()));
        }
        all
    }
}

/// Every table with tenants' rows, as the catalog lists them: all of schema `public` but the list of applied migrations.
async fn tenant_tables(truth: &mut PgConnection) -> Vec<String> {
    let sql = "select c.relname::text from pg_class c where c.relnamespace = 'public'::regnamespace
               and c.relkind in ('r', 'p') and c.relname <> '_sqlx_migrations' order by 1";
    let tables: Vec<String> = sqlx::query_scalar(sql).fetch_all(truth).await.unwrap();
    assert!(tables.len() >= 8, "the catalog lists the tables: {tables:?}");
    tables
}
