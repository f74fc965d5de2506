//! What a scrape of `/metrics` must bring.

use super::{
    env::{ConfigResult, Environment, wrong},
    variable::{DefaultValue::Unset, Variable, VariableReaders::Every},
};
use license_core::domain::secret::Secret;

/// Its row of the table.
pub(super) const VARIABLE: Variable = Variable {
    name: "METRICS_TOKEN",
    readers: Every,
    default: Unset,
    meaning: "what a scrape of /metrics sends as a bearer token; without it there is no such page",
};

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
