//! What a scrape of `/metrics` must bring.

use super::env::{ConfigResult, Environment, wrong};
use license_core::domain::secret::Secret;

/// Shorter ones could be guessed: nothing limits how often somebody tries.
const SHORTEST: usize = 16;

/// Reads `METRICS_TOKEN`; `None`: there is no `/metrics`.
///
/// # Errors
/// If it is short, or could not be sent in a header.
pub(super) fn metrics_token(env: &Environment) -> ConfigResult<Option<Secret<String>>> {
    let Some(token) = env.get("METRICS_TOKEN") else { return Ok(None) };
    if token.len() < SHORTEST || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return wrong(
            "METRICS_TOKEN",
            format!(
                "must be at least {SHORTEST} visible ASCII characters without blanks, such as 32 random bytes as base64"
            ),
        );
    }
    Ok(Some(Secret::new(token)))
}
