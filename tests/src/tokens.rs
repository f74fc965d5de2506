//! A metadata server that answers the access tokens which a test gives it.

use serde_json::json;
use std::sync::{Arc, Mutex};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::path};

const PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// A stand-in for Google's metadata server.
pub struct TokenServer {
    server: MockServer,
    given: Arc<Mutex<Option<(String, i64)>>>,
}

impl TokenServer {
    /// One that gives this token, good for an hour.
    pub async fn giving(token: &str) -> Self {
        let (server, given) = (MockServer::start().await, Arc::new(Mutex::new(Some((token.to_owned(), 3600)))));
        let now = given.clone();
        let answer = move |request: &Request| {
            assert_eq!(request.headers["metadata-flavor"], "Google");
            match &*now.lock().unwrap() {
                Some((token, seconds)) => ResponseTemplate::new(200)
                    .set_body_json(json!({"access_token": token, "expires_in": seconds, "token_type": "Bearer"})),
                None => ResponseTemplate::new(503),
            }
        };
        Mock::given(path(PATH)).respond_with(answer).mount(&server).await;
        Self { server, given }
    }

    /// From now on gives this token, good for so many seconds.
    pub fn give(&self, token: &str, seconds: i64) {
        *self.given.lock().unwrap() = Some((token.to_owned(), seconds));
    }

    /// From now on gives none.
    pub fn give_none(&self) {
        *self.given.lock().unwrap() = None;
    }

    /// How often it was asked.
    pub async fn asked(&self) -> usize {
        self.server.received_requests().await.unwrap().len()
    }

    /// Its address, as `http://host:port`.
    pub fn url(&self) -> String {
        self.server.uri()
    }

    /// Its address, as `GCE_METADATA_HOST` names it.
    pub fn host(&self) -> String {
        self.server.address().to_string()
    }
}
