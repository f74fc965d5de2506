//! The sender against receivers on loopback sockets.

use super::*;
use crate::domain::webhook::{EndpointRules, EndpointUrl, WebhookSecret, signature_header};
use std::{
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

const BODY: &[u8] = br#"{"type":"seat.granted","data":{"holder":"J\u00fcrgen"}}"#;
/// For what must not be cut by time.
const LONG: Duration = Duration::from_secs(600);
/// For what must be.
const SHORT: Duration = Duration::from_millis(300);

fn settings(limit: Duration) -> SenderSettings {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    SenderSettings { limit, ..SenderSettings::new(EndpointRules::LoopbackToo) }
}

fn sender(limit: Duration) -> WebhookSender {
    WebhookSender::new(settings(limit)).unwrap()
}

fn endpoint(url: &str) -> EndpointUrl {
    EndpointUrl::parse(url, EndpointRules::LoopbackToo).unwrap()
}

async fn attempt(sender: &WebhookSender, url: &str) -> AttemptReport {
    let signature = "v1,c2lnbmF0dXJl";
    let url = endpoint(url);
    sender.send(&Attempt { url: &url, id: "message-1", timestamp_unix_seconds: 7, signature, body: BODY }).await
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    (listener, url)
}

/// Takes one connection and reads a request from it, up to this end.
async fn take_until(listener: &TcpListener, end: &[u8]) -> (TcpStream, String) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(end) {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "the request was cut off");
    }
    (stream, String::from_utf8(request).unwrap())
}

async fn take_request(listener: &TcpListener) -> (TcpStream, String) {
    take_until(listener, BODY).await
}

/// Answers one request with these bytes and closes the connection.
async fn receiver(answer: impl Into<Vec<u8>>) -> (String, JoinHandle<String>) {
    let (listener, url) = listen().await;
    let answer = answer.into();
    let received = tokio::spawn(async move {
        let (mut stream, request) = take_request(&listener).await;
        stream.write_all(&answer).await.unwrap();
        request
    });
    (url, received)
}

/// Answers one request with these bytes and then leaves the connection open until the other side closes it.
async fn slow_receiver(answer: &'static [u8]) -> (String, JoinHandle<()>) {
    let (listener, url) = listen().await;
    let closed = tokio::spawn(async move {
        let (mut stream, _) = take_request(&listener).await;
        stream.write_all(answer).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    (url, closed)
}

async fn outcome_of(answer: impl Into<Vec<u8>>) -> AttemptOutcome {
    let (url, received) = receiver(answer).await;
    let report = attempt(&sender(LONG), &url).await;
    received.await.unwrap();
    report.outcome
}

fn refused(status: u16, body: &str) -> AttemptOutcome {
    AttemptOutcome::Refused { status, body: body.to_owned() }
}

#[tokio::test]
async fn a_delivered_message_has_the_headers_and_the_very_bytes_that_were_signed() {
    let (url, received) = receiver("HTTP/1.1 204 No Content\r\nset-cookie: a=b\r\n\r\n").await;
    let (url, secret) = (endpoint(&format!("{url}?a=b")), WebhookSecret::draw());
    let signature = signature_header(&secret, None, "message-1", 1_700_000_000, BODY);
    let attempt = Attempt {
        url: &url,
        id: "message-1",
        timestamp_unix_seconds: 1_700_000_000,
        signature: &signature,
        body: BODY,
    };
    let report = sender(LONG).send(&attempt).await;
    assert_eq!(report.outcome, AttemptOutcome::Delivered { status: 204 });
    assert!(report.took_ms >= 0);
    let request = received.await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines[0], "POST /hook?a=b HTTP/1.1");
    for line in [
        "webhook-id: message-1",
        "webhook-timestamp: 1700000000",
        &format!("webhook-signature: {signature}"),
        "content-type: application/json",
        &format!("content-length: {}", BODY.len()),
        &format!("user-agent: coditect-license-webhooks/{}", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(lines.contains(&line), "{line}: {head}");
    }
    assert!(!head.contains("accept-encoding") && !head.contains("cookie"), "{head}");
    assert_eq!(body.as_bytes(), BODY);
}

#[tokio::test]
async fn a_second_attempt_carries_no_cookie_and_has_a_connection_of_its_own() {
    let (listener, url) = listen().await;
    let received = tokio::spawn(async move {
        let mut requests = Vec::new();
        for _ in 0..2 {
            let (mut stream, request) = take_request(&listener).await;
            let answer = b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            // The sender closes: it does not wait for this side to do so.
            let _ = stream.read_to_end(&mut Vec::new()).await;
            requests.push(request);
        }
        requests
    });
    let sender = sender(LONG);
    for _ in 0..2 {
        assert_eq!(attempt(&sender, &url).await.outcome, AttemptOutcome::Delivered { status: 200 });
    }
    assert!(!received.await.unwrap().concat().contains("cookie"));
}

#[tokio::test]
async fn a_refusal_is_kept_with_what_the_receiver_wrote() {
    let answer = "HTTP/1.1 500 Oops\r\ncontent-length: 18\r\n\r\ndown\0for\r\nrepairs\x1b";
    assert_eq!(outcome_of(answer).await, refused(500, "down for  repairs "));
    assert_eq!(outcome_of("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await, refused(404, ""));
    assert_eq!(outcome_of("HTTP/1.1 410 Gone\r\ncontent-length: 4\r\n\r\ngone").await, AttemptOutcome::Gone);
}

#[tokio::test]
async fn an_answer_that_ends_before_its_declared_length_still_counts() {
    assert_eq!(outcome_of("HTTP/1.1 500 Oops\r\ncontent-length: 1000\r\n\r\nfour").await, refused(500, "four"));
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nfour";
    assert_eq!(outcome_of(answer).await, AttemptOutcome::Delivered { status: 200 });
    // What is behind the declared length is no part of the answer.
    assert_eq!(outcome_of("HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\nfour more").await, refused(500, "four"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let location = format!("location: http://{}/", elsewhere.local_addr().unwrap());
    for status in [301, 302, 303, 307, 308] {
        let answer = format!("HTTP/1.1 {status} Elsewhere\r\n{location}\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(outcome_of(answer).await, AttemptOutcome::Redirected { status });
    }
    assert_eq!(elsewhere.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody came");
}

#[tokio::test]
async fn an_answer_without_end_is_read_to_its_first_4096_bytes() {
    let (listener, url) = listen().await;
    let cut_off = tokio::spawn(async move {
        let (mut stream, _) = take_request(&listener).await;
        let mut next = b"HTTP/1.1 503 Endless\r\n\r\n".to_vec();
        while stream.write_all(&next).await.is_ok() {
            next = vec![b'x'; 1000];
        }
    });
    assert_eq!(attempt(&sender(LONG), &url).await.outcome, refused(503, &"x".repeat(4096)));
    cut_off.await.unwrap();
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_cut_off_at_the_limit() {
    for unfinished in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-", b"HTTP/1.1 100 Continue\r\n\r\n"] {
        let (url, closed) = slow_receiver(unfinished).await;
        let report = attempt(&sender(SHORT), &url).await;
        assert_eq!(report.outcome, AttemptOutcome::TimedOut);
        assert!(report.took_ms >= SHORT.as_millis() as i64, "{} ms", report.took_ms);
        closed.await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_does_not_end_within_the_limit_counts_by_its_status() {
    let (url, closed) = slow_receiver(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nfour").await;
    assert_eq!(attempt(&sender(SHORT), &url).await.outcome, AttemptOutcome::Delivered { status: 200 });
    closed.await.unwrap();
    let (url, closed) = slow_receiver(b"HTTP/1.1 500 Oops\r\ncontent-length: 1000\r\n\r\nfour").await;
    assert_eq!(attempt(&sender(SHORT), &url).await.outcome, refused(500, "four"));
    closed.await.unwrap();
}

#[tokio::test]
async fn a_receiver_that_is_not_there_or_does_not_speak_http_is_unreachable() {
    let (listener, url) = listen().await;
    drop(listener);
    assert_eq!(attempt(&sender(LONG), &url).await.outcome, AttemptOutcome::Unreachable);
    assert_eq!(outcome_of("").await, AttemptOutcome::Unreachable);
    assert_eq!(outcome_of("220 mail.example.com ESMTP\r\n").await, AttemptOutcome::Unreachable);
}

#[tokio::test]
async fn localhost_is_sent_to_only_under_the_rules_for_it() {
    let (url, received) = receiver("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let by_name = url.replace("127.0.0.1", "localhost");
    let public = WebhookSender::new(SenderSettings { rules: EndpointRules::Public, ..settings(LONG) }).unwrap();
    for url in [&url, &by_name] {
        assert_eq!(attempt(&public, url).await.outcome, AttemptOutcome::NotAllowed, "{url}");
    }
    // Past the check of the URL, as for any name of the internet that has a loopback address.
    let error = public.http.post(&by_name).send().await.unwrap_err();
    assert_eq!(AttemptOutcome::unanswered(&error), AttemptOutcome::NotAllowed);
    let delivered = attempt(&sender(LONG), &by_name).await.outcome;
    assert_eq!((delivered, received.await.unwrap().is_empty()), (AttemptOutcome::Delivered { status: 200 }, false));
}

#[tokio::test]
async fn a_host_name_without_an_address_is_told_apart() {
    // No name server is asked for a part of more than 63 letters (RFC 1035 section 2.3.4), so this is no matter of the
    // network that the test runs in. As an endpoint it would be refused.
    let url = format!("http://{}.example.com/", "a".repeat(64));
    let error = sender(LONG).http.post(url).send().await.unwrap_err();
    assert_eq!(AttemptOutcome::unanswered(&error), AttemptOutcome::Unresolved);
}

#[tokio::test]
async fn a_proxy_that_was_set_resolves_and_connects() {
    let (listener, url) = listen().await;
    let asked = tokio::spawn(async move {
        let (mut stream, request) = take_until(&listener, b"\r\n\r\n").await;
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        request
    });
    let proxy = Some(url.replace("//", "//user:word@").parse().unwrap());
    let sender = WebhookSender::new(SenderSettings { rules: EndpointRules::Public, proxy, ..settings(LONG) }).unwrap();
    assert_eq!(attempt(&sender, "https://127.0.0.1/").await.outcome, AttemptOutcome::NotAllowed);
    assert_eq!(attempt(&sender, "https://hooks.invalid/path").await.outcome, AttemptOutcome::Unreachable);
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("CONNECT hooks.invalid:443 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjp3b3jk"), "{asked}");
    assert!(!asked.contains("webhook-") && !asked.contains("path"), "the message is for the receiver: {asked}");
}

/// A key and a certificate for 127.0.0.1 that nobody signed but itself, both as PEM in one text.
fn certificate() -> String {
    let config = "[req]\ndistinguished_name = dn\nx509_extensions = v3\n[dn]\n[v3]\nsubjectAltName = IP:127.0.0.1\n\
                  basicConstraints = critical, CA:FALSE\n";
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "-"]);
    openssl.args(["-days", "2", "-subj", "/CN=A test's receiver", "-config", "/dev/stdin"]);
    let mut openssl =
        openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("openssl runs");
    openssl.stdin.take().unwrap().write_all(config.as_bytes()).unwrap();
    let made = openssl.wait_with_output().unwrap();
    assert!(made.status.success());
    String::from_utf8(made.stdout).unwrap()
}

/// Answers one connection with TLS, and says whether a request came over it.
fn tls_receiver(pem: &str) -> (SocketAddr, std::thread::JoinHandle<bool>) {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let certificates = vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()];
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key).unwrap();
    let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = std::thread::spawn(move || {
        let mut stream = rustls::StreamOwned::new(connection, listener.accept().unwrap().0);
        let (mut request, mut piece) = (Vec::new(), [0; 1024]);
        while !request.ends_with(BODY) {
            let Ok(read @ 1..) = stream.read(&mut piece) else { return false };
            request.extend_from_slice(&piece[..read]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        true
    });
    (address, served)
}

#[tokio::test]
async fn a_certificate_counts_only_if_its_authority_is_trusted_and_nothing_is_sent_before() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (pem, other) = (certificate(), certificate());
    for (roots, outcome) in [
        (None, AttemptOutcome::Tls),
        (Some(other), AttemptOutcome::Tls),
        (Some(pem.clone()), AttemptOutcome::Delivered { status: 200 }),
    ] {
        let (address, served) = tls_receiver(&pem);
        let sender = WebhookSender::new(SenderSettings { roots, ..settings(LONG) }).unwrap();
        assert_eq!(attempt(&sender, &format!("https://{address}/")).await.outcome, outcome);
        assert_eq!(served.join().unwrap(), outcome != AttemptOutcome::Tls);
    }
}

#[tokio::test]
async fn a_receiver_without_tls_is_told_apart_from_one_that_is_not_there() {
    for said in [&b"HTTP/1.1 400 Plain\r\n\r\n"[..], b""] {
        let (listener, url) = listen().await;
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            stream.write_all(said).await.unwrap();
            stream.shutdown().await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        assert_eq!(attempt(&sender(LONG), &url.replace("http:", "https:")).await.outcome, AttemptOutcome::Tls);
        served.await.unwrap();
    }
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_refused_without_a_word_of_them() {
    let broken = "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n".to_owned();
    let refusal = WebhookSender::new(SenderSettings { roots: Some(broken), ..settings(LONG) }).err().unwrap();
    assert!(!format!("{refusal:?}").contains("c2VjcmV0"), "{refusal:?}");
}
