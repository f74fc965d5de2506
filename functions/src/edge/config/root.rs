//! What tokens are signed with, and in whose name.

use super::env::{ConfigResult, Environment, without_slash, wrong};
use license_core::signer::kms;
use std::path::PathBuf;

/// The root that certifies instance keys.
#[derive(Clone, Debug)]
pub enum RootConfig {
    /// `ROOT_KEY=local:<path>`: an RSA-4096 key in a file, for one machine.
    Local {
        /// The file, made if it is missing.
        key: PathBuf,
        /// `ROOT_KEY_NEXT=local:<path>`: published beside it, as with Cloud KMS.
        next: Option<PathBuf>,
    },
    /// `ROOT_KEY=kms:<name>`: a Cloud KMS key version. `ROOT_KEY_NEXT` is published beside it, so that clients can pin
    /// it before it signs; `KMS_ENDPOINT` is Google's unless set.
    Kms(kms::KmsSettings),
}

const ROOT_FORM: &str = "local:<path of a file> or kms:projects/…/cryptoKeyVersions/<number>";

impl RootConfig {
    /// Reads `ROOT_KEY` and what belongs to it. A local key is refused on Cloud Run, where its file would not last.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        let key = env.required("ROOT_KEY", ROOT_FORM)?;
        let next = env.get("ROOT_KEY_NEXT");
        match key.split_once(':') {
            Some(("local", _)) if env.on_cloud_run() => {
                wrong("ROOT_KEY", "is a local key, which is refused on Cloud Run; name a key version: kms:projects/…")
            }
            Some(("local", path)) if !path.is_empty() => {
                let next = next.map(|next| match next.strip_prefix("local:") {
                    Some(path) if !path.is_empty() => Ok(path.into()),
                    _ => wrong("ROOT_KEY_NEXT", "must be local:<path of a file>, as ROOT_KEY is"),
                });
                Ok(Self::Local { key: path.into(), next: next.transpose()? })
            }
            Some(("kms", version)) if is_key_version(version) => Ok(Self::Kms(kms_settings(env, version, next)?)),
            _ => wrong("ROOT_KEY", format!("must be {ROOT_FORM}")),
        }
    }
}

fn kms_settings(env: &Environment, version: &str, next: Option<String>) -> ConfigResult<kms::KmsSettings> {
    let next = next.map(|next| match next.strip_prefix("kms:") {
        Some(version) if is_key_version(version) => Ok(version.to_owned()),
        _ => wrong("ROOT_KEY_NEXT", "must be kms:projects/…/cryptoKeyVersions/<number>"),
    });
    let mut settings = kms::KmsSettings::new(version, next.transpose()?);
    settings.endpoint = without_slash(env.url("KMS_ENDPOINT", Some(&settings.endpoint))?);
    Ok(settings)
}

fn is_key_version(name: &str) -> bool {
    const WORDS: [&str; 5] = ["projects", "locations", "keyRings", "cryptoKeys", "cryptoKeyVersions"];
    let parts: Vec<&str> = name.split('/').collect();
    parts.len() == 10
        && parts.iter().step_by(2).eq(WORDS.iter())
        && parts.iter().all(|part| !part.is_empty())
        && parts[9].bytes().all(|b| b.is_ascii_digit())
}

/// Reads `TOKEN_ISSUER` (or, where that is not set, `PUBLIC_URL`): the `iss` of every token, without a slash at its
/// end.
pub fn issuer(env: &Environment) -> ConfigResult<String> {
    let name = if env.get("TOKEN_ISSUER").is_none() && env.get("PUBLIC_URL").is_some() {
        "PUBLIC_URL"
    } else {
        "TOKEN_ISSUER"
    };
    Ok(without_slash(env.url(name, None)?))
}
