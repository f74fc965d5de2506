//! The keys in the configuration: a current one and, while it is being replaced, the previous one.

use super::env::{ConfigResult, Environment, wrong};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use license_core::domain::secret::{KeyRing, KeyVersion, Secret};

/// Reads `HANDLE_KEY` and `HANDLE_KEY_PREVIOUS`: what session handles are signed with.
pub fn handle_keys(env: &Environment) -> ConfigResult<KeyRing> {
    key_ring(env, "HANDLE_KEY", "HANDLE_KEY_PREVIOUS")
}

/// Reads `LICENSE_PEPPER` and `LICENSE_PEPPER_PREVIOUS`: what license keys are hashed with.
pub fn peppers(env: &Environment) -> ConfigResult<KeyRing> {
    key_ring(env, "LICENSE_PEPPER", "LICENSE_PEPPER_PREVIOUS")
}

/// Reads `WEBHOOK_KEY` and `WEBHOOK_KEY_PREVIOUS`: what the secrets of webhooks are sealed with.
pub fn webhook_keys(env: &Environment) -> ConfigResult<KeyRing> {
    key_ring(env, "WEBHOOK_KEY", "WEBHOOK_KEY_PREVIOUS")
}

const KEY_FORM: &str = "<version 1-255>:<at least 32 random bytes as base64url>";

fn key_ring(env: &Environment, current: &'static str, previous: &'static str) -> ConfigResult<KeyRing> {
    let now = key_version(current, &env.required(current, KEY_FORM)?)?;
    let before = env.get(previous).map(|text| key_version(previous, &text)).transpose()?;
    if before.as_ref().is_some_and(|key| key.version == now.version) {
        return wrong(previous, format!("has the version of {current}; a new key needs a new version"));
    }
    Ok(KeyRing { current: now, previous: before })
}

/// The value is a secret: what is wrong is said without it.
fn key_version(name: &'static str, text: &str) -> ConfigResult<KeyVersion> {
    let parts = text.split_once(':').and_then(|(version, key)| {
        let key = BASE64_URL_SAFE_NO_PAD.decode(key.trim_end_matches('=')).ok()?;
        Some((version.parse().ok().filter(|&version| version > 0u8)?, key))
    });
    match parts {
        Some((version, key)) if key.len() >= 32 => Ok(KeyVersion { version, key: Secret::new(key) }),
        _ => wrong(name, format!("must be {KEY_FORM}")),
    }
}
