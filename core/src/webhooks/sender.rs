//! The sender: what it may reach, what it sends and how much of the answer it reads.

use super::{
    names::CheckedNames,
    outcome::{AttemptOutcome, AttemptReport},
};
use crate::{
    domain::webhook::{EndpointRules, EndpointUrl},
    error::ErrorContext,
};
use reqwest::{Certificate, Proxy, Response, header, redirect};
use std::time::{Duration, Instant};
use url::Url;

const USER_AGENT: &str = concat!("coditect-license-webhooks/", env!("CARGO_PKG_VERSION"));

/// How much of an answer is read, in bytes.
const MAX_BODY: usize = 4096;

/// How requests are sent.
pub struct SenderSettings {
    /// Which endpoints may be sent to.
    pub rules: EndpointRules,
    /// The HTTP proxy that every request goes through, with user and password if it wants them; `None`: every request
    /// goes to its receiver.
    ///
    /// A proxy looks up the names of hosts and connects to them, so it must refuse addresses that are not public. This
    /// side cannot do it for the proxy: what a name is here, and a moment earlier, says nothing about what it is there.
    /// Endpoints whose host is an address are still checked here.
    pub proxy: Option<Url>,
    /// Certificate authorities that are trusted besides those of the operating system, as PEM.
    pub roots: Option<String>,
    /// How long one attempt may take, from the look-up of the name to the end of the answer.
    pub limit: Duration,
}

impl SenderSettings {
    /// No proxy, the authorities of the operating system, and 10 s for each attempt.
    pub fn new(rules: EndpointRules) -> Self {
        Self { rules, proxy: None, roots: None, limit: Duration::from_secs(10) }
    }
}

/// One request to one endpoint.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// Where it goes.
    pub url: &'a EndpointUrl,
    /// The header `webhook-id`: the same for every attempt of one message. Visible ASCII.
    pub id: &'a str,
    /// The header `webhook-timestamp`: the time of this attempt in Unix seconds.
    pub timestamp_unix_seconds: i64,
    /// The header `webhook-signature` ([`crate::domain::webhook::signature_header`]).
    pub signature: &'a str,
    /// The body, which is JSON.
    pub body: &'a [u8],
}

/// Sends requests to the endpoints of customers. It keeps no connection, no cookie and no other trace of one attempt
/// for the next.
pub struct WebhookSender {
    pub(super) http: reqwest::Client,
    rules: EndpointRules,
}

impl WebhookSender {
    /// A sender that has sent nothing yet.
    ///
    /// # Errors
    /// The roots are no certificates, the proxy's URL cannot be used, or the operating system has no certificate
    /// authorities. The text has no URL in it.
    ///
    /// # Panics
    /// If no rustls crypto provider is installed.
    pub fn new(settings: SenderSettings) -> Result<Self, ErrorContext> {
        let failed = |what: &'static str| move |e: reqwest::Error| ErrorContext::new(what, e.without_url());
        let mut http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .timeout(settings.limit)
            // A redirect could lead to where no endpoint may be, and the signature is for the endpoint alone.
            .redirect(redirect::Policy::none())
            // Whether an attempt is repeated is decided elsewhere, and each one is written down.
            .retry(reqwest::retry::never())
            // Each attempt looks the name up and checks its addresses, so no connection of an earlier one is used.
            .pool_max_idle_per_host(0)
            // A small answer must not become a large one. Another crate may have compiled these in.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            // None that the environment names, only the one below.
            .no_proxy();
        http = match settings.proxy {
            Some(proxy) => http.proxy(Proxy::all(proxy).map_err(failed("the proxy of webhooks cannot be used"))?),
            None => http.dns_resolver(CheckedNames { rules: settings.rules }),
        };
        if let Some(roots) = settings.roots {
            let roots = Certificate::from_pem_bundle(roots.as_bytes());
            http = http.tls_certs_merge(roots.map_err(failed("the certificate authorities of webhooks are none"))?);
        }
        let http = http.build().map_err(failed("no HTTP client was made for webhooks"))?;
        Ok(Self { http, rules: settings.rules })
    }

    /// Makes one attempt and says what came of it. A receiver that sends its answer slowly, or without end, is cut off
    /// at the limit of time or of size; if the status had come by then, it counts.
    pub async fn send(&self, attempt: &Attempt<'_>) -> AttemptReport {
        let began = Instant::now();
        // The URL may have been stored under other rules than those of today. An address in it is never looked up, so
        // this is the only check of it.
        let outcome = match attempt.url.check(self.rules) {
            Ok(()) => self.post(attempt).await,
            Err(_) => AttemptOutcome::NotAllowed,
        };
        AttemptReport { outcome, took_ms: began.elapsed().as_millis() as i64 }
    }

    async fn post(&self, attempt: &Attempt<'_>) -> AttemptOutcome {
        let request = self
            .http
            .post(attempt.url.url().clone())
            .header("webhook-id", attempt.id)
            .header("webhook-timestamp", attempt.timestamp_unix_seconds)
            .header("webhook-signature", attempt.signature)
            .header(header::CONTENT_TYPE, "application/json")
            .body(attempt.body.to_vec());
        match request.send().await {
            Ok(answer) => AttemptOutcome::answered(answer.status().as_u16(), &read_beginning(answer).await),
            Err(error) => AttemptOutcome::unanswered(&error),
        }
    }
}

/// The first bytes of an answer, at most [`MAX_BODY`]. What ends it early, an error or the limit of time, is no reason
/// to lose what came before.
async fn read_beginning(mut answer: Response) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < MAX_BODY
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        read.extend_from_slice(&chunk);
    }
    read.truncate(MAX_BODY);
    read
}
