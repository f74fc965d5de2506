//! One request and what came back.

use super::{Shared, process::Client};
use crate::fleet::DEAD;
use license_tests::claims;
use serde_json::Value;

/// What came back.
pub(super) enum Answer {
    Json(u16, Value),
    /// Nothing, an error of the server, or a refusal of nobody knows whom.
    Nothing(&'static str),
}

impl Client {
    /// Sends a request to one of the instances.
    pub(super) async fn send(
        &self,
        shared: &Shared,
        verb: &str,
        bearer: Option<&str>,
        body: &Value,
        nonce: &str,
    ) -> Answer {
        let drawn = self.dice.lock().unwrap().below(shared.ports.len());
        let port = shared.ports[if shared.sticky { self.number % shared.ports.len() } else { drawn }];
        let url = format!("http://127.0.0.1:{port}/api/v1/licenses/{verb}");
        let mut request = shared.http.post(url).json(body).header("connection", "close");
        if let Some(bearer) = bearer {
            request = request.bearer_auth(bearer);
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.is_timeout() => return Answer::Nothing("no answer (given up)"),
            Err(_) => return Answer::Nothing("no answer (cut)"),
        };
        if answer.headers().contains_key(DEAD) {
            return Answer::Nothing("no answer (died)");
        }
        let status = answer.status().as_u16();
        let Ok(body) = answer.json::<Value>().await else { return Answer::Nothing("no answer (cut)") };
        match status {
            500 => shared.log.broke(format!("{} was answered {body}", self.label)),
            401..=410 if !nonce.is_empty() => {
                let refusal = body["refusal"].as_str().map(claims).unwrap_or_default();
                if refusal["nonce"] != nonce || refusal["code"] != body["code"] || refusal["reason"] != body["reason"] {
                    shared.log.broke(format!("a refusal was not signed for its request: {body}"));
                    return Answer::Nothing("unsigned");
                }
            }
            503 => return Answer::Nothing("503"),
            _ => {}
        }
        Answer::Json(status, body)
    }
}
