//! `--once`: what a first client does, over HTTP, against the running machine.

use license_core::error::ErrorContext;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// Takes a seat, keeps it and gives it back.
///
/// # Errors
/// A sentence that says which step went wrong, and what the answer was.
pub(crate) async fn run(front: &str, license_key: &str) -> Result<(), ErrorContext> {
    // Plain HTTP to this machine: no proxy, and no certificates, which a bare machine may not even have.
    let client = Client::builder().no_proxy().tls_certs_only([]).timeout(Duration::from_secs(15)).build();
    let client = client.map_err(|error| ErrorContext::new("no HTTP client was made", error))?;
    let post = |path: &str| client.post(format!("{front}/api/v1/licenses/{path}"));
    let wish = json!({ "license_key": license_key, "hardware_id": "license-local-once", "attempt": Uuid::new_v4() });
    let seat = answer("acquire", 201, post("acquire").json(&wish)).await?;
    let Some(handle) = seat["session"].as_str() else {
        return Err("acquire answered without a session".into());
    };
    answer("heartbeat", 200, post("heartbeat").bearer_auth(handle).json(&json!({}))).await?;
    answer("release", 200, post("release").bearer_auth(handle)).await?;
    Ok(())
}

async fn answer(step: &str, wanted: u16, request: RequestBuilder) -> Result<Value, ErrorContext> {
    let response =
        request.send().await.map_err(|error| ErrorContext::new(format!("{step} was not answered"), error))?;
    let status = response.status();
    let text = response.text().await;
    let text = text.map_err(|error| ErrorContext::new(format!("{step} was not answered whole"), error))?;
    if status.as_u16() != wanted {
        return Err(format!("{step} was answered with {status} where {wanted} was due: {text}").into());
    }
    serde_json::from_str(&text)
        .map_err(|error| ErrorContext::new(format!("{step} was answered with something that is no JSON"), error))
}
