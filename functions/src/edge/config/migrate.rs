//! What `migrate` is configured with.

use super::{
    env::{ConfigResult, Environment, wrong},
    seats::{start_patience, timing},
    stores::{RecordsConfig, RedisConfig, token_source},
};
use license_core::{
    domain::lease::LeaseTiming,
    records::{DatabaseRole, RoleGrant},
};
use std::time::Duration;

/// What `migrate` reads. It is no service: what every service reads (`PORT`, say) means nothing to it.
pub const MIGRATE_VARIABLES: &[&str] = &[
    "DATABASE_URL",
    "DATABASE_AUTH",
    "DATABASE_CA",
    "DATABASE_POOL_SIZE",
    "DATABASE_GRANTS",
    "START_PATIENCE_SECONDS",
    "GOOGLE_CLOUD_PROJECT",
    "GCE_METADATA_HOST",
    "REDIS_URL",
    "REDIS_AUTH",
    "REDIS_CA",
    "REDIS_REPLID_SOURCE",
    "SEAT_TTL_SECONDS",
    "SEAT_DRAIN_SECONDS",
    "HEARTBEAT_SECONDS",
];

/// What every verb of `migrate` is configured with.
#[derive(Clone, Debug)]
pub struct MigrateConfig {
    /// The records.
    pub records: RecordsConfig,
    /// `DATABASE_GRANTS`: which login has which role; `None`: whatever it is. On Cloud Run it must be set: a service whose
    /// login has no role starts and cannot serve.
    pub grants: Option<Vec<RoleGrant>>,
    /// Who gives access tokens.
    pub token_source: String,
    /// How long a store that does not answer is waited for.
    pub patience: Duration,
}

impl MigrateConfig {
    /// Reads everything that every verb is configured with.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        let records = RecordsConfig::from_env(env)?;
        Ok(Self { records, grants: grants(env)?, token_source: token_source(env), patience: start_patience(env)? })
    }

    /// Refuses a user of another project (`migrate@other.iam`) than the one this runs in: whoever keeps several projects
    /// apart only by a variable confuses them one day.
    pub fn is_of_this_project(&self, env: &Environment) -> ConfigResult<()> {
        let theirs = project_of(self.records.url.reveal());
        let (Some(project), Some(theirs)) = (env.get("GOOGLE_CLOUD_PROJECT"), theirs) else { return Ok(()) };
        if project == theirs {
            return Ok(());
        }
        let problem = format!("logs in as a user of the project {theirs}, and this runs in {project}");
        wrong("DATABASE_URL", problem)
    }
}

/// What `migrate after-restore` is configured with besides.
#[derive(Clone, Debug)]
pub struct RestoreConfig {
    /// The seat store that is emptied.
    pub redis: RedisConfig,
    /// The protocol's times: how long nobody is given a seat.
    pub timing: LeaseTiming,
}

impl RestoreConfig {
    /// Reads everything that `after-restore` is configured with besides.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        Ok(Self { redis: RedisConfig::from_env(env)?, timing: timing(env)? })
    }
}

const ROLES: [DatabaseRole; 4] =
    [DatabaseRole::Service, DatabaseRole::Reaper, DatabaseRole::Notify, DatabaseRole::Admin];

fn grants(env: &Environment) -> ConfigResult<Option<Vec<RoleGrant>>> {
    const NAME: &str = "DATABASE_GRANTS";
    let Some(text) = env.said(NAME, "user=role with commas between them")? else { return Ok(None) };
    let mut grants = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let Some((user, role)) = part.rsplit_once('=').map(|(user, role)| (user.trim(), role.trim())) else {
            return wrong(NAME, format!("must be user=role with commas between them, and has {part:?}"));
        };
        let Some(&role) = ROLES.iter().find(|known| known.name() == role) else {
            return wrong(
                NAME,
                format!("gives {user:?} the role {role:?}; there are service, reaper, notify and admin"),
            );
        };
        if user.is_empty() {
            return wrong(NAME, format!("gives {part:?} to nobody"));
        }
        grants.push(RoleGrant::new(user, role));
    }
    // Commas alone are what a template makes of values that are not set. Taken as a list they would take the roles from
    // everybody who serves.
    if grants.is_empty() {
        return wrong(NAME, "names nobody; it must be user=role with commas between them, or not be set");
    }
    Ok(Some(grants))
}

/// The project of a user that a Google account is known by: `name@PROJECT.iam`.
fn project_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let (login, _) = authority.rsplit_once('@')?;
    let user = login.split(':').next()?.replace("%40", "@");
    let (_, domain) = user.split_once('@')?;
    domain.strip_suffix(".iam").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> ConfigResult<MigrateConfig> {
        let pairs = pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        let env = Environment::map(pairs.collect());
        let config = MigrateConfig::from_env(&env)?;
        config.is_of_this_project(&env).map(|()| config)
    }

    const URL: (&str, &str) = ("DATABASE_URL", "postgres://migrate%40one.iam@10.0.0.1:5432/license");

    #[test]
    fn grants_are_users_with_one_of_the_serving_roles() {
        let grants = |text| read(&[URL, ("DATABASE_GRANTS", text)]).map(|config| config.grants.unwrap());
        let told = grants("acquire@one.iam=service, admin@one.iam=admin,").unwrap();
        let role = |user: &str, role| RoleGrant::new(user, role);
        assert_eq!(told, [role("acquire@one.iam", DatabaseRole::Service), role("admin@one.iam", DatabaseRole::Admin)]);
        assert_eq!(read(&[URL]).unwrap().grants, None);
        for (text, said) in [
            ("acquire", "must be user=role with commas between them, and has \"acquire\""),
            ("acquire=owner", "gives \"acquire\" the role \"owner\"; there are service, reaper, notify and admin"),
            ("=service", "gives \"=service\" to nobody"),
            (" , ,", "names nobody; it must be user=role with commas between them, or not be set"),
        ] {
            let error = grants(text).unwrap_err();
            assert_eq!((error.variable, error.problem.as_str()), ("DATABASE_GRANTS", said));
        }
    }

    #[test]
    fn a_user_of_another_project_is_refused() {
        assert!(read(&[URL, ("GOOGLE_CLOUD_PROJECT", "one")]).is_ok());
        let error = read(&[URL, ("GOOGLE_CLOUD_PROJECT", "two")]).unwrap_err().to_string();
        assert_eq!(error, "DATABASE_URL logs in as a user of the project one, and this runs in two.");
        for url in ["postgres://service:pass@host/license", "postgres://%2Ftmp/license", "postgres://a%40b.c@h/d"] {
            assert!(read(&[("DATABASE_URL", url), ("GOOGLE_CLOUD_PROJECT", "two")]).is_ok(), "{url}");
        }
    }
}
