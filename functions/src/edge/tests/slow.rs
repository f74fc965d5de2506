//! Slow clients on real sockets, with Tokio's clock: it goes on by itself to what is waited for, and nobody waits for
//! real.

use super::layer_settings;
use crate::edge::{
    connection_limit::ConnectionSlots,
    connections::ClientPatience,
    layers::layers,
    serve::{serve, serve_with},
};
use axum::{Router, body::Bytes, routing};
use std::{
    future::pending,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Notify,
    time::Instant,
};

const HOUR: Duration = Duration::from_secs(3600);
const GET: &[u8] = b"GET /fast HTTP/1.1\r\nhost: x\r\n\r\n";

pub(super) fn patience() -> ClientPatience {
    ClientPatience { head: HOUR, idle: HOUR, answer: HOUR }
}

/// More than any buffers on the way hold.
const LARGE: usize = 64 << 20;

pub(super) fn router() -> Router {
    static LARGE_ANSWER: [u8; LARGE] = [0; LARGE];
    Router::new()
        .route("/fast", routing::get(|| async { "fast" }))
        .route("/large", routing::get(|| async { Bytes::from_static(&LARGE_ANSWER) }))
        .route("/echo", routing::post(|body: String| async { body }))
        .route("/count", routing::post(|_: Bytes| async { "counted" }))
}

async fn started(patience: ClientPatience, slots: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_with(
        listener,
        layers(router(), &layer_settings()),
        patience,
        Arc::new(ConnectionSlots::new(slots, slots)),
        pending(),
    ));
    address
}

pub(super) async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// Sends and reads until the server ends the connection; what it said, and after how long.
async fn until_closed(client: &mut TcpStream, send: &[u8]) -> (String, Duration) {
    client.write_all(send).await.unwrap();
    let (asked, mut said) = (Instant::now(), Vec::new());
    // A reset is an end too.
    let _ = client.read_to_end(&mut said).await;
    (String::from_utf8_lossy(&said).into_owned(), asked.elapsed())
}

/// One request and its answer, the connection kept.
pub(super) async fn ask(client: &mut TcpStream) {
    client.write_all(GET).await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n\r\nfast") {
        assert_ne!(client.read_buf(&mut said).await.unwrap(), 0, "{}", String::from_utf8_lossy(&said));
    }
}

fn seconds(waited: Duration) -> u64 {
    waited.as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_whole_is_waited_for_20_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, router(), ConnectionSlots::of_process(0), pending()));
    for sent in ["", "G", "GET /fast HTTP/1.1\r\nhost: x\r\nx-a: b", "GET /fast HTTP/1.1\r\nhost: x\r\n\r"] {
        let (said, waited) = until_closed(&mut connect(address).await, sent.as_bytes()).await;
        assert_eq!((said.as_str(), seconds(waited)), ("", 20), "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_drop_by_drop_has_no_more_time_than_another() {
    let address = started(ClientPatience { head: Duration::from_secs(20), ..patience() }, 9).await;
    let mut client = connect(address).await;
    let began = Instant::now();
    client.write_all(b"GET /fast HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut byte = [0];
    let ended = loop {
        tokio::select! {
            read = client.read(&mut byte) => break read,
            () = tokio::time::sleep(Duration::from_secs(3)) => {}
        }
        // May meet the end first.
        let _ = client.write_all(b"x: y\r\n").await;
    };
    assert_eq!(ended.unwrap_or(0), 0);
    assert!((20..=23).contains(&seconds(began.elapsed())), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_answered_is_kept_longer_than_proxies_keep_it_and_then_a_head_has_its_20_seconds_again() {
    let address = started(ClientPatience::default(), 9).await;
    let mut client = connect(address).await;
    ask(&mut client).await;
    tokio::time::sleep(Duration::from_secs(601)).await;
    ask(&mut client).await;
    let (said, waited) = until_closed(&mut client, b"").await;
    assert_eq!((said.as_str(), seconds(waited)), ("", 620));

    let mut client = connect(address).await;
    ask(&mut client).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    let (said, waited) = until_closed(&mut client, b"GET /fast HT").await;
    assert_eq!((said.as_str(), seconds(waited)), ("", 20));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_whole_is_408_and_no_outage_of_ours() {
    let address = started(patience(), 9).await;
    let head = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    for rest in [
        "content-length: 10\r\n\r\n{\"a\"",
        "content-length: 10\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n",
    ] {
        let (said, waited) = until_closed(&mut connect(address).await, format!("{head}{rest}").as_bytes()).await;
        assert!(said.starts_with("HTTP/1.1 408 "), "{rest:?}: {said}");
        assert!(said.contains("application/problem+json") && said.contains("\"code\":\"request_timeout\""), "{said}");
        assert_eq!(seconds(waited), 10, "{rest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_slowly_and_in_time_is_answered_and_its_time_is_not_taken_from_the_deadline() {
    let address = started(patience(), 9).await;
    let mut client = connect(address).await;
    client
        .write_all(b"POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 4\r\n\r\n")
        .await
        .unwrap();
    for byte in [b"a", b"b", b"c"] {
        tokio::time::sleep(Duration::from_secs(3)).await;
        client.write_all(byte).await.unwrap();
    }
    let (said, _) = until_closed(&mut client, b"d").await;
    assert!(said.starts_with("HTTP/1.1 200 ") && said.ends_with("abcd"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_is_given_up_after_30_seconds() {
    let (dropped, mut gone) = tokio::sync::watch::channel(());
    let dropped = Arc::new(Mutex::new(Some(dropped)));
    let large = move || {
        let dropped = dropped.lock().unwrap().take();
        async move {
            let chunk = move || {
                let _ = &dropped;
                Bytes::from(vec![0; 1 << 16])
            };
            axum::body::Body::new(Endless(Box::new(chunk)))
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/large", routing::get(large));
    tokio::spawn(serve(listener, app, ConnectionSlots::of_process(0), pending()));
    let mut client = connect(address).await;
    client.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let began = Instant::now();
    let gone = tokio::time::timeout(HOUR, gone.changed()).await.expect("given up within the hour");
    assert!(gone.is_err(), "the answer is dropped");
    assert_eq!(seconds(began.elapsed()), 30);
}

/// A body without an end.
struct Endless(Box<dyn Fn() -> Bytes + Send + Sync>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;
    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data((self.0)()))))
    }
}

#[tokio::test]
async fn an_answer_that_is_larger_than_what_the_way_holds_arrives_whole() {
    let address = started(patience(), 9).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = socket.connect(address).await.unwrap();
    let get = b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    client.write_all(get).await.unwrap();
    let mut said = Vec::new();
    client.read_to_end(&mut said).await.unwrap();
    assert!(said.len() > LARGE);
}

#[tokio::test]
async fn whoever_is_new_is_let_in_and_the_connection_that_waited_longest_is_closed_for_it() {
    let address = started(patience(), 3).await;
    let mut kept = [connect(address).await, connect(address).await, connect(address).await];
    for client in &mut kept {
        ask(client).await;
    }
    // The first was heard of last.
    ask(&mut kept[0]).await;
    let mut new = connect(address).await;
    ask(&mut new).await;
    let [first, second, third] = &mut kept;
    assert_eq!(second.read(&mut [0]).await.unwrap_or(0), 0, "closed");
    ask(first).await;
    ask(third).await;
    // Halves of heads and silence keep nobody out, however many there are.
    let mut halves = Vec::new();
    for n in 0..20 {
        let mut half = connect(address).await;
        half.write_all(if n % 2 == 0 { b"GET /fast HTTP/1.1\r\nhost: x" } else { b"" }).await.unwrap();
        halves.push(half);
    }
    ask(&mut connect(address).await).await;
}

#[tokio::test]
async fn a_request_under_way_is_closed_for_nobody() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, told_to) = (Arc::clone(&begun), Arc::clone(&go_on));
    let held = move |_: Bytes| async move {
        told.notify_one();
        told_to.notified().await;
        "held"
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = router().route("/held", routing::post(held));
    tokio::spawn(serve_with(
        listener,
        layers(app, &layer_settings()),
        patience(),
        Arc::new(ConnectionSlots::new(1, 1)),
        pending(),
    ));
    let mut client = connect(address).await;
    let post = b"POST /held HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody";
    client.write_all(post).await.unwrap();
    begun.notified().await;
    // Its address has its share, so the server looks at this one and closes it.
    let mut new = connect(address).await;
    assert_eq!(new.read(&mut [0]).await.unwrap_or(0), 0);
    go_on.notify_one();
    let mut said = Vec::new();
    while !said.ends_with(b"held") {
        assert_ne!(client.read_buf(&mut said).await.unwrap(), 0, "answered before it makes room");
    }
    ask(&mut connect(address).await).await;
}

#[tokio::test]
async fn half_a_body_makes_room_with_408_and_an_answer_that_nobody_takes_without_a_word() {
    let address = started(patience(), 2).await;
    let mut half = connect(address).await;
    half.write_all(b"POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
        .await
        .unwrap();
    half.read_exact(&mut [0; 25]).await.unwrap();
    half.write_all(b"bo").await.unwrap();
    let mut reader = connect(address).await;
    reader.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    reader.read_exact(&mut [0; 12]).await.unwrap();
    // Each new one takes the place of the one that has waited longest.
    let mut first = connect(address).await;
    ask(&mut first).await;
    let mut said = String::new();
    half.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("needed for others"), "{said}");
    let mut second = connect(address).await;
    ask(&mut second).await;
    let mut taken = Vec::new();
    let _ = reader.read_to_end(&mut taken).await;
    assert!(taken.len() < LARGE, "cut off");
    ask(&mut first).await;
    ask(&mut second).await;
}

#[tokio::test]
async fn a_head_has_32_kib_and_no_more_is_kept_of_it() {
    let address = started(patience(), 9).await;
    let head = |bytes: usize| {
        format!("GET /fast HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-a: {}\r\n\r\n", "a".repeat(bytes))
    };
    let (said, _) = until_closed(&mut connect(address).await, head(30 << 10).as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    let mut client = connect(address).await;
    // The answer comes before all was sent, and the rest meets a closed connection.
    let _ = client.write_all(head(66 << 10).as_bytes()).await;
    let mut said = Vec::new();
    let _ = client.read_to_end(&mut said).await;
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test(start_paused = true)]
async fn half_a_head_does_not_hold_up_a_stop() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let slots = Arc::new(ConnectionSlots::new(9, 9));
    let stopped = async move { drop(stopped.await) };
    let server = tokio::spawn(serve_with(listener, router(), patience(), slots, stopped));
    let mut half = connect(address).await;
    ask(&mut half).await;
    half.write_all(b"GET /fast HTTP").await.unwrap();
    let mut fresh = connect(address).await;
    fresh.write_all(b"GET /fast HTTP").await.unwrap();
    // A request behind them in time is answered, so the halves were read.
    ask(&mut connect(address).await).await;
    let asked = Instant::now();
    stop.send(()).unwrap();
    server.await.unwrap();
    assert_eq!(seconds(asked.elapsed()), 0);
    assert_eq!(half.read(&mut [0]).await.unwrap_or(0), 0);
    assert_eq!(fresh.read(&mut [0]).await.unwrap_or(0), 0);
}
