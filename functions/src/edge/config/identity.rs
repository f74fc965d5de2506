//! Who says who a person is, for customers and for the vendor's staff.

use super::{
    env::{ConfigResult, Environment, wrong},
    listen::no_demo_issuer,
};
use license_core::identity;

/// Reads `IDENTITY_ISSUER`, `IDENTITY_AUDIENCE`, `IDENTITY_JWKS_URL` and `IDENTITY_TOKEN_SECONDS`: who says who a
/// person is, and for how long.
pub fn identity(env: &Environment) -> ConfigResult<identity::IdentitySettings> {
    let issuer = env.url("IDENTITY_ISSUER", None)?;
    no_demo_issuer(env, "IDENTITY_ISSUER", &issuer)?;
    let audience =
        env.required("IDENTITY_AUDIENCE", "the audience of the ID tokens (the project, for Identity Platform)")?;
    let project = issuer.strip_prefix("https://securetoken.google.com/");
    let default = project.map(|project| identity::IdentitySettings::identity_platform(project).jwks_url);
    let jwks_url = env.url("IDENTITY_JWKS_URL", default.as_deref())?;
    Ok(identity::IdentitySettings {
        issuer,
        audience,
        jwks_url,
        longest_life: longest_life(env, "IDENTITY_TOKEN_SECONDS")?,
    })
}

/// The longest time from `iat` to `exp`: twelve hours unless set.
fn longest_life(env: &Environment, name: &'static str) -> ConfigResult<u32> {
    let seconds = env.seconds(name, u64::from(identity::LONGEST_LIFE), 60, 7 * 86_400)?;
    Ok(u32::try_from(seconds).unwrap_or(identity::LONGEST_LIFE))
}

/// Reads `STAFF_IDENTITY_ISSUER`, `STAFF_IDENTITY_AUDIENCE`, `STAFF_IDENTITY_JWKS_URL` and
/// `STAFF_IDENTITY_TOKEN_SECONDS`: who says who the vendor's staff is.
///
/// Everybody with a token of that audience is staff, so it must be one that customers cannot sign in to. `None`: staff
/// is served by another deployment.
pub fn staff(env: &Environment) -> ConfigResult<Option<identity::IdentitySettings>> {
    let others = ["STAFF_IDENTITY_ISSUER", "STAFF_IDENTITY_JWKS_URL"];
    if env.get("STAFF_IDENTITY_AUDIENCE").is_none() && others.iter().all(|name| env.get(name).is_none()) {
        return Ok(None);
    }
    let audience = env.required("STAFF_IDENTITY_AUDIENCE", "the audience of the staff's ID tokens")?;
    if env.get("IDENTITY_AUDIENCE").as_deref() == Some(&audience) {
        return wrong(
            "STAFF_IDENTITY_AUDIENCE",
            "is the audience of customers too; it must be another, or every customer is staff",
        );
    }
    let issuer = env.url("STAFF_IDENTITY_ISSUER", None)?;
    no_demo_issuer(env, "STAFF_IDENTITY_ISSUER", &issuer)?;
    let project = issuer.strip_prefix("https://securetoken.google.com/");
    let default = project.map(|project| identity::IdentitySettings::identity_platform(project).jwks_url);
    let jwks_url = env.url("STAFF_IDENTITY_JWKS_URL", default.as_deref())?;
    let longest_life = longest_life(env, "STAFF_IDENTITY_TOKEN_SECONDS")?;
    Ok(Some(identity::IdentitySettings { issuer, audience, jwks_url, longest_life }))
}

/// Reads `API_TOKEN_DAYS`: how long an API token is good for where nobody says when it ends (30, what GitHub proposes).
pub fn token_days(env: &Environment) -> ConfigResult<u16> {
    Ok(u16::try_from(env.number("API_TOKEN_DAYS", 30, 1, 3650, " of days")?).unwrap_or(30))
}
