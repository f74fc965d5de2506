//! One request and what came back.

use super::{Shared, process::Client};
use crate::{
    asked::{Asked, NUMBER, Told, Verb},
    fleet::DEAD,
};
use license_tests::claims;
use serde_json::Value;
use std::time::Instant;

/// What came back.
pub(super) enum Answer {
    Json(u16, Value),
    /// Nothing, an error of the server, or a refusal of nobody knows whom.
    Nothing(&'static str),
}

impl Client {
    /// Sends a request to one of the instances, and writes down what came of it.
    pub(super) async fn send(
        &self,
        shared: &Shared,
        verb: Verb,
        bearer: Option<&str>,
        body: &Value,
        nonce: &str,
    ) -> Answer {
        let drawn = self.dice.lock().unwrap().below(shared.ports.len());
        let instance = if shared.sticky { self.number % shared.ports.len() } else { drawn };
        let (number, sent) = (shared.number(), Instant::now());
        let answer = self.exchange(shared, (verb, instance, number), bearer, body, nonce).await;
        let (holder, answered, told) = (self.holder().to_string(), Instant::now(), told(verb, &answer));
        shared.asked.lock().unwrap().push(Asked { number, holder, instance, verb, sent, answered, told });
        answer
    }

    async fn exchange(
        &self,
        shared: &Shared,
        (verb, instance, number): (Verb, usize, u64),
        bearer: Option<&str>,
        body: &Value,
        nonce: &str,
    ) -> Answer {
        let word = match verb {
            Verb::Acquire => "acquire",
            Verb::Heartbeat => "heartbeat",
            Verb::Release => "release",
        };
        let url = format!("http://127.0.0.1:{}/api/v1/licenses/{word}", shared.ports[instance]);
        let request = shared.http.post(url).json(body).header("connection", "close");
        let mut request = request.header(NUMBER, number.to_string());
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

fn told(verb: Verb, answer: &Answer) -> Told {
    match (verb, answer) {
        (Verb::Acquire, Answer::Json(200 | 201, _)) => Told::Seat,
        (Verb::Heartbeat, Answer::Json(200, _)) => Told::Alive,
        (_, Answer::Json(_, body)) => match body["code"].as_str() {
            Some("no_seats_available") => Told::Full,
            Some("too_many_processes" | "license_suspended") => Told::Refused,
            _ => Told::Other,
        },
        (_, Answer::Nothing("503")) => Told::Away,
        (_, Answer::Nothing(_)) => Told::Nothing,
    }
}
