//! Whether a database is the one that is meant, and what is applied to it.

use super::{SchemaConnection, SchemaError, SchemaErrorKind, SchemaResult};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// The oldest PostgreSQL that the schema is written for.
const OLDEST: i32 = 150_000;

/// What of the schema a database has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaStatus {
    /// Migrations of this build that are applied, oldest first.
    pub applied: Vec<String>,
    /// Migrations of this build that are not.
    pub pending: Vec<String>,
    /// Applied migrations that this build does not know: a later release made them.
    pub newer: Vec<String>,
}

/// Refuses a server that cannot hold the schema, and a database that is another one's.
pub(super) async fn server(connection: &mut PgConnection) -> SchemaResult<()> {
    let failed = |e| SchemaError::of("the database could not be looked at", e);
    let wrong = |what: String| Err(SchemaError::new(SchemaErrorKind::WrongDatabase, what));
    let sql = "-- schema_place
        select current_database()::text, current_setting('server_version_num')::int,
          pg_encoding_to_char(d.encoding)::text, pg_is_in_recovery()
        from pg_database d where d.datname = current_database()";
    let (name, version, encoding, standby): (String, i32, String, bool) =
        sqlx::query_as(sql).fetch_one(&mut *connection).await.map_err(failed)?;
    if version < OLDEST {
        return wrong(format!("PostgreSQL {} is too old; the schema needs 15 or newer", version / 10_000));
    }
    if standby {
        return wrong("the server is a standby, which cannot be changed; name the primary".to_owned());
    }
    if ["postgres", "template0", "template1"].contains(&name.as_str()) {
        return wrong(format!("the database {name} belongs to the server itself; name the one made for the licenses"));
    }
    if encoding != "UTF8" {
        return wrong(format!("the database {name} has the encoding {encoding}; make one with UTF8"));
    }
    // Applied migrations of ours are recorded in a table. A database that has tables and no such record belongs to
    // another program.
    let sql = "-- strange_tables
        select array(
          select c.relname::text from pg_class c
          where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
            and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
          order by c.relname limit 3)
        where to_regclass('public._sqlx_migrations') is null";
    let strange: Option<Vec<String>> =
        sqlx::query_scalar(sql).fetch_optional(&mut *connection).await.map_err(failed)?;
    match strange {
        Some(tables) if !tables.is_empty() => {
            let tables = tables.join(", ");
            wrong(format!("the database {name} has tables of something else ({tables}); name the one for the licenses"))
        }
        _ => Ok(()),
    }
}

impl SchemaConnection {
    /// What is applied, and what is not.
    ///
    /// # Errors
    /// [`SchemaErrorKind::Edited`] if an applied migration has another text now, [`SchemaErrorKind::WrongDatabase`] if
    /// another program's migrations are applied.
    pub async fn status(&mut self) -> SchemaResult<SchemaStatus> {
        let failed = |e| SchemaError::of("the list of applied migrations could not be read", e);
        let sql = "-- has_migrations
            select to_regclass('public._sqlx_migrations') is not null";
        let rows: Vec<(i64, String, bool, Vec<u8>)> =
            if sqlx::query_scalar(sql).fetch_one(&mut self.connection).await.map_err(failed)? {
                let sql = "-- applied_migrations
                    select version, description, success, checksum from public._sqlx_migrations order by version";
                sqlx::query_as(sql).fetch_all(&mut self.connection).await.map_err(failed)?
            } else {
                Vec::new()
            };
        let ours: BTreeMap<i64, _> = self.migrations.iter().map(|migration| (migration.version, migration)).collect();
        let applied: BTreeSet<i64> = rows.iter().map(|row| row.0).collect();
        if !applied.is_empty() && self.migrations.first().is_some_and(|first| !applied.contains(&first.version)) {
            return Err(SchemaError::new(
                SchemaErrorKind::WrongDatabase,
                "the database has migrations of another program; name the one for the licenses",
            ));
        }
        let mut status = SchemaStatus::default();
        let mut edited = Vec::new();
        for (version, name, success, checksum) in rows {
            match ours.get(&version) {
                None => status.newer.push(name),
                Some(_) if !success => {
                    let what = format!("the migration {name} was left unfinished; it has to be finished by hand");
                    return Err(SchemaError::new(SchemaErrorKind::Failed, what));
                }
                Some(ours) if *ours.checksum != *checksum => edited.push(format!("{}.sql", ours.description)),
                Some(ours) => status.applied.push(ours.description.to_string()),
            }
        }
        if !edited.is_empty() {
            let what = format!(
                "the file {} is another one than was applied to this database; an applied migration is never edited: \
                 deploy the file as it was, and write the change as a new one",
                edited.join(", ")
            );
            return Err(SchemaError::new(SchemaErrorKind::Edited, what));
        }
        let pending = self.migrations.iter().filter(|migration| !applied.contains(&migration.version));
        status.pending = pending.map(|migration| migration.description.to_string()).collect();
        Ok(status)
    }
}
