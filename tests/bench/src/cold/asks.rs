//! The first request of each service: a real one, made before the process starts.

use super::ask::Ask;
use crate::{
    function::Function,
    stage::{Pool, Stage},
};
use license_core::Clock;
use license_pubsub::{
    Message, Topic,
    push::{Envelope, PushDelivery},
};
use serde_json::{Value, json};
use std::net::{TcpStream, ToSocketAddrs};
use uuid::Uuid;

pub(super) struct Asks {
    acquire: Function,
    release: Function,
    issuer: String,
    key: String,
    push_token: String,
    /// The ID token of somebody who owns an organization, and its id.
    owner: String,
    organization: String,
}

impl Asks {
    /// Through functions of its own, for what must be there before a request can be made.
    pub(super) async fn of(stage: &Stage, pool: &Pool) -> Self {
        let acquire = Function::start(stage, "acquire", &[]).await;
        let release = Function::start(stage, "release", &[]).await;
        let (issuer, push_token) = (stage.peers.address.clone(), stage.peers.push_token());
        let register = Function::start(stage, "register", &[]).await;
        let owner = person(&issuer);
        let made = told(register.address, &Ask::post("/api/v1/auth/register", Some(&owner), "{}".into(), 201));
        let organization = text(&made["organization"]["id"]);
        Self { acquire, release, issuer, key: pool.key.reveal(), push_token, owner, organization }
    }

    /// Whether it lives: answered once the stores have been tried.
    pub(super) fn live() -> Ask {
        Ask::get("/health/live")
    }

    /// What clients, or Pub/Sub, want of the function.
    pub(super) fn first(&self, function: &str) -> Ask {
        let licenses = |path: &str, bearer: Option<&str>, body: Value, status| {
            Ask::post(&format!("/api/v1/licenses/{path}"), bearer, body.to_string(), status)
        };
        match function {
            "acquire" => self.acquire(),
            "heartbeat" => licenses("heartbeat", Some(&self.session()), json!({}), 200),
            "release" => licenses("release", Some(&self.session()), json!({}), 200),
            "register" => Ask::post("/api/v1/auth/register", Some(&person(&self.issuer)), "{}".into(), 201),
            "admin" => Ask::get(&format!("/api/v1/organizations/{}", self.organization)).by(&self.owner),
            "reaper" | "notify" => {
                let push = PushDelivery::new(Topic::Tick, Message::tick(), &Clock::system());
                let body = String::from_utf8(Envelope::write(&push)).expect("JSON is UTF-8");
                Ask::post(if function == "reaper" { "/tick" } else { "/due" }, Some(&self.push_token), body, 204)
            }
            // A service for which no request is written yet is measured by whether it lives.
            _ => Self::live(),
        }
    }

    /// Always the same few machines, so that the demo license's five seats are enough and joining a seat is measured like taking one.
    fn acquire(&self) -> Ask {
        let wish = json!({ "license_key": self.key, "hardware_id": "cold-machine-0001", "attempt": Uuid::new_v4() });
        Ask::post("/api/v1/licenses/acquire", None, wish.to_string(), 201)
    }

    fn session(&self) -> String {
        text(&told(self.acquire.address, &self.acquire())["session"])
    }

    /// Gives back what an acquire got, so that no seat fills up.
    pub(super) fn give_back(&self, answer: &str) {
        let session =
            serde_json::from_str::<Value>(answer).ok().and_then(|answer| Some(answer["session"].as_str()?.to_owned()));
        if let Some(session) = session {
            told(self.release.address, &Ask::post("/api/v1/licenses/release", Some(&session), "{}".into(), 200));
        }
    }
}

/// The ID token of somebody who has no organization yet.
fn person(issuer: &str) -> String {
    let person = json!({ "email": format!("{}@example.com", Uuid::new_v4()), "name": "Ada" });
    text(&told(issuer, &Ask::post("/token", None, person.to_string(), 200))["id_token"])
}

fn told(address: impl ToSocketAddrs, ask: &Ask) -> Value {
    let (status, body) = ask.send(TcpStream::connect(address).unwrap()).unwrap();
    assert_eq!(status, ask.status, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
