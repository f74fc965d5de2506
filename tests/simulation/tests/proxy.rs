//! What each fault of the proxy does, to bytes and to requests.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use axum::{Router, extract::State, routing::post};
use license_simulation::proxy::{Fault, Proxy, Upstream};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

const A_WHILE: Duration = Duration::from_millis(600);
/// Longer than a busy machine lets a process stand still.
const LONG: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(20);

/// What a server was sent, in order.
type Heard = Arc<Mutex<Vec<String>>>;

/// A server that answers every line with `<name> heard <line>`.
async fn lines(name: &'static str) -> (SocketAddr, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, heard) = (listener.local_addr().unwrap(), Heard::default());
    let all = heard.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let heard = all.clone();
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut read = BufReader::new(read).lines();
                while let Ok(Some(line)) = read.next_line().await {
                    heard.lock().unwrap().push(line.clone());
                    let _ = write.write_all(format!("{name} heard {line}\n").as_bytes()).await;
                }
            });
        }
    });
    (address, heard)
}

/// A client with one connection.
struct Line(BufReader<TcpStream>);

impl Line {
    async fn to(proxy: &Proxy) -> Self {
        Self(BufReader::new(TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap()))
    }

    async fn say(&mut self, line: &str) {
        let _ = self.0.get_mut().write_all(format!("{line}\n").as_bytes()).await;
    }

    /// The next line; empty where the connection ended.
    async fn hear(&mut self) -> String {
        let mut line = String::new();
        let _ = tokio::time::timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("an answer or an end");
        line.trim().to_owned()
    }

    async fn ask(&mut self, line: &str) -> String {
        self.say(line).await;
        self.hear().await
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn stream() -> (Proxy, Heard) {
    let (address, heard) = lines("a").await;
    (Proxy::stream(Upstream::Tcp(address)).await, heard)
}

fn heard(heard: &Heard) -> Vec<String> {
    heard.lock().unwrap().clone()
}

#[tokio::test]
async fn a_delay_keeps_the_order_and_adds_to_both_directions() {
    let (proxy, server) = stream().await;
    let mut line = Line::to(&proxy).await;
    assert_eq!(line.ask("first").await, "a heard first");
    proxy.fault(Fault::Delay { by: A_WHILE, lasting: PATIENCE });
    let since = Instant::now();
    line.say("second").await;
    line.say("third").await;
    assert_eq!(line.hear().await, "a heard second");
    assert!(since.elapsed() >= 2 * A_WHILE, "{:?}", since.elapsed());
    assert_eq!(line.hear().await, "a heard third");
    assert_eq!(heard(&server), ["first", "second", "third"]);
    proxy.heal();
    let mut quick = false;
    for _ in 0..20 {
        let since = Instant::now();
        line.ask("fourth").await;
        quick |= since.elapsed() < A_WHILE;
    }
    assert!(quick, "nothing is held up any more");
}

#[tokio::test]
async fn a_cut_ends_connections_that_are_there_and_no_others() {
    let (proxy, _) = stream().await;
    let mut line = Line::to(&proxy).await;
    line.ask("first").await;
    proxy.fault(Fault::Cut);
    assert_eq!(line.hear().await, "");
    assert_eq!(Line::to(&proxy).await.ask("again").await, "a heard again");
}

#[tokio::test]
async fn a_half_open_connection_is_accepted_and_silent_until_it_is_over() {
    let (proxy, server) = stream().await;
    let mut before = Line::to(&proxy).await;
    before.ask("first").await;
    proxy.fault(Fault::HalfOpen { lasting: A_WHILE });
    let since = Instant::now();
    before.say("old").await;
    let mut new = Line::to(&proxy).await;
    new.say("new").await;
    loop {
        let heard = heard(&server);
        if since.elapsed() >= A_WHILE {
            break;
        }
        assert_eq!(heard, ["first"]);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((before.hear().await, new.hear().await), ("a heard old".into(), "a heard new".into()));
    assert!(since.elapsed() >= A_WHILE);
}

#[tokio::test]
async fn a_dropped_request_never_arrives_and_ends_its_connection() {
    let (proxy, server) = stream().await;
    let mut line = Line::to(&proxy).await;
    proxy.fault(Fault::DropRequest { times: 1 });
    assert_eq!(line.ask("lost").await, "");
    assert_eq!(Line::to(&proxy).await.ask("next").await, "a heard next");
    assert_eq!((heard(&server), proxy.met()), (vec!["next".into()], 1));
}

#[tokio::test]
async fn a_dropped_answer_is_of_a_request_that_arrived() {
    let (proxy, server) = stream().await;
    let mut line = Line::to(&proxy).await;
    proxy.fault(Fault::DropAnswer { times: 1 });
    assert_eq!(line.ask("done").await, "");
    assert_eq!(heard(&server), ["done"]);
    assert_eq!(Line::to(&proxy).await.ask("next").await, "a heard next");
}

#[tokio::test]
async fn what_is_late_arrives_after_the_caller_has_given_up() {
    let (proxy, server) = stream().await;
    let mut line = Line::to(&proxy).await;
    proxy.fault(Fault::Late { by: LONG, times: 1 });
    let since = Instant::now();
    assert_eq!(line.ask("late").await, "");
    assert!(heard(&server).is_empty());
    drop(line);
    until("it arrives", || heard(&server) == ["late"]).await;
    assert!(since.elapsed() >= LONG);
}

#[tokio::test]
async fn duplicates_of_bytes_travel_alone_and_their_answers_are_nobodys() {
    let (proxy, server) = stream().await;
    let mut line = Line::to(&proxy).await;
    proxy.fault(Fault::Duplicate { copies: 3, times: 1 });
    assert_eq!(line.ask("thrice").await, "a heard thrice");
    until("all arrive", || heard(&server) == ["thrice"; 3]).await;
    assert_eq!(line.ask("once").await, "a heard once");
    assert_eq!(heard(&server).len(), 4);
}

#[tokio::test]
async fn after_a_repoint_old_connections_lead_to_the_old_place_until_they_are_cut() {
    let (proxy, _) = stream().await;
    let mut old = Line::to(&proxy).await;
    old.ask("first").await;
    proxy.repoint(Upstream::Tcp(lines("b").await.0), None);
    let mut new = Line::to(&proxy).await;
    assert_eq!((old.ask("x").await, new.ask("x").await), ("a heard x".into(), "b heard x".into()));
    proxy.cut_old();
    assert_eq!((old.hear().await, new.ask("y").await), (String::new(), "b heard y".into()));
}

#[tokio::test]
async fn nothing_is_taken_to_an_old_place_once_it_is_drained() {
    let (proxy, server) = stream().await;
    let mut old = Line::to(&proxy).await;
    old.ask("first").await;
    proxy.repoint(Upstream::Tcp(lines("b").await.0), Some(LONG));
    assert_eq!(old.ask("within").await, "a heard within");
    tokio::time::sleep(LONG).await;
    assert_eq!(old.ask("after").await, "");
    assert_eq!(heard(&server), ["first", "within"]);
}

/// A service that writes down every body, slowly enough for others to come in between.
async fn service() -> (Proxy, Heard, reqwest::Client) {
    let heard = Heard::default();
    let listen = |State(heard): State<Heard>, body: String| async move {
        heard.lock().unwrap().push(body.clone());
        format!("heard {body}")
    };
    let app = Router::new().route("/api/v1/licenses/acquire", post(listen)).with_state(heard.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Upstream::Paths([("acquire", listener.local_addr().unwrap())].into());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (Proxy::http(upstream).await, heard, license_tests::process::http())
}

async fn post_to(proxy: &Proxy, client: &reqwest::Client, body: &str) -> Option<String> {
    let url = format!("http://127.0.0.1:{}/api/v1/licenses/acquire", proxy.port());
    let request = client.post(url).header("connection", "close").body(body.to_owned());
    request.send().await.ok()?.text().await.ok()
}

#[tokio::test]
async fn a_request_is_carried_to_where_its_path_leads() {
    let (proxy, server, client) = service().await;
    assert_eq!(post_to(&proxy, &client, "one").await.unwrap(), "heard one");
    let long = "x".repeat(200_000);
    assert_eq!(post_to(&proxy, &client, &long).await.unwrap().len(), long.len() + 6);
    assert_eq!(heard(&server).len(), 2);
}

#[tokio::test]
async fn a_request_or_its_answer_is_dropped_so_many_times() {
    let (proxy, server, client) = service().await;
    proxy.fault(Fault::DropRequest { times: 2 });
    assert_eq!((post_to(&proxy, &client, "1").await, post_to(&proxy, &client, "2").await), (None, None));
    assert!(heard(&server).is_empty());
    proxy.fault(Fault::DropAnswer { times: 1 });
    assert_eq!(post_to(&proxy, &client, "3").await, None);
    assert_eq!(post_to(&proxy, &client, "4").await.unwrap(), "heard 4");
    assert_eq!(heard(&server), ["3", "4"]);
}

#[tokio::test]
async fn a_late_request_arrives_after_its_caller_has_gone_and_a_delayed_one_is_answered() {
    let (proxy, server, client) = service().await;
    proxy.fault(Fault::Late { by: LONG, times: 1 });
    let since = Instant::now();
    assert_eq!(post_to(&proxy, &client, "late").await, None);
    assert!(heard(&server).is_empty());
    until("it arrives", || heard(&server) == ["late"]).await;
    assert!(since.elapsed() >= LONG);
    proxy.fault(Fault::Delay { by: A_WHILE, lasting: PATIENCE });
    let since = Instant::now();
    assert_eq!(post_to(&proxy, &client, "slow").await.unwrap(), "heard slow");
    assert!(since.elapsed() >= 2 * A_WHILE);
}

#[tokio::test]
async fn a_duplicated_request_arrives_so_often_and_is_answered_once() {
    let (proxy, server, client) = service().await;
    proxy.fault(Fault::Duplicate { copies: 5, times: 1 });
    assert_eq!(post_to(&proxy, &client, "again").await.unwrap(), "heard again");
    until("all arrive", || heard(&server) == ["again"; 5]).await;
}

#[tokio::test]
async fn reordered_requests_arrive_in_the_opposite_order() {
    let (proxy, server, client) = service().await;
    let proxy = Arc::new(proxy);
    let mut orders = Vec::new();
    // They wait for each other for 150 ms: now and then a busy machine lets the first go before the last has come.
    while orders.len() < 20 && orders.last().is_none_or(|order| order != "321") {
        proxy.fault(Fault::Reorder { lasting: PATIENCE });
        let mut asked = Vec::new();
        for body in ["1", "2", "3"] {
            let (before, one, client) = (proxy.met(), proxy.clone(), client.clone());
            asked.push(tokio::spawn(async move { post_to(&one, &client, body).await }));
            // They set out in this order.
            until("it has set out", || proxy.met() > before).await;
        }
        for (asked, body) in asked.into_iter().zip(["1", "2", "3"]) {
            assert_eq!(asked.await.unwrap().unwrap(), format!("heard {body}"));
        }
        let order = std::mem::take(&mut *server.lock().unwrap()).concat();
        // Whoever waits together goes in the opposite order.
        assert!(["321", "213", "132", "123"].contains(&order.as_str()), "{order}");
        orders.push(order);
    }
    assert_eq!(orders.last().unwrap(), "321", "{orders:?}");
}

#[tokio::test]
async fn a_half_open_service_takes_a_request_and_says_nothing() {
    let (proxy, server, client) = service().await;
    proxy.fault(Fault::HalfOpen { lasting: A_WHILE });
    let since = Instant::now();
    assert_eq!(post_to(&proxy, &client, "lost").await, None);
    assert!(since.elapsed() >= A_WHILE && heard(&server).is_empty());
    assert_eq!(post_to(&proxy, &client, "next").await.unwrap(), "heard next");
}
