use super::{get, layer_settings, logging, send_through};
use crate::edge::{
    config::{Environment, LayersConfig},
    connection_limit::ConnectionSlots,
    layers::LayerSettings,
    serve::{Service, StoreCheck, app, serve},
};
use axum::{Router, routing};
use license_core::{
    Clock, Error,
    access_token::AccessTokens,
    error::StoreName,
    records::{DatabaseRole, Records, RecordsAddress},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

fn service(checks: Vec<StoreCheck>) -> Service {
    Service { router: Router::new(), checks }
}

#[tokio::test]
async fn ready_means_that_every_store_answers() {
    let good = StoreCheck::new(StoreName::Seats, || async { Ok(()) });
    let bad = StoreCheck::new(StoreName::Records, || async { Err(Error::Records("10.0.0.7 refused".into())) });
    let answer = send_through(app(service(vec![good.clone()]), &layer_settings()), get("/health/ready")).await;
    assert_eq!((answer.status.as_u16(), &answer.body["stores"]["seats"]), (200, &"ok".into()));
    let answer = send_through(app(service(vec![good, bad]), &layer_settings()), get("/health/ready/")).await;
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (503, &"records_unavailable".into()));
    assert_eq!(answer.body["stores"], serde_json::json!({ "seats": "ok", "records": "unavailable" }));
    assert!(answer.headers.contains_key("retry-after") && !answer.body.to_string().contains("10.0.0.7"));
}

#[tokio::test]
async fn every_service_says_whom_to_tell_of_a_weakness_where_somebody_is_named() {
    let path = "/.well-known/security.txt";
    let nobody = send_through(app(service(vec![]), &layer_settings()), get(path)).await;
    assert_eq!((nobody.status.as_u16(), &nobody.body["code"]), (404, &"not_found".into()));
    let named = Environment::map([("SECURITY_CONTACT".to_owned(), "mailto:security@example.com".to_owned())].into());
    let settings = LayerSettings::new(&LayersConfig::from_env(&named).unwrap(), &logging());
    let answer = send_through(app(service(vec![]), &settings), get(path)).await;
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(answer.headers["cache-control"], "public, max-age=86400");
    let text = answer.body.as_str().unwrap();
    assert!(text.starts_with("Contact: mailto:security@example.com\nExpires: 20"), "{text}");
}

#[tokio::test]
async fn live_answers_once_the_stores_were_tried_whatever_they_said() {
    let tried = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tried);
    let away = StoreCheck::new(StoreName::Seats, move || {
        count.fetch_add(1, Ordering::SeqCst);
        async { Err(Error::Seats("away".into())) }
    });
    let answer = send_through(app(service(vec![away]), &layer_settings()), get("/health/live")).await;
    assert_eq!((answer.status.as_u16(), tried.load(Ordering::SeqCst)), (200, 1));
}

/// A store that answers from the third time on, and one that answers the first time alone.
fn in_turns() -> Vec<StoreCheck> {
    let counted = |store, answers: fn(usize) -> bool| {
        let asked = Arc::new(AtomicUsize::new(0));
        StoreCheck::new(store, move || {
            let time = asked.fetch_add(1, Ordering::SeqCst) + 1;
            async move { if answers(time) { Ok(()) } else { Err(Error::Seats("away".into())) } }
        })
    };
    vec![counted(StoreName::Seats, |time| time >= 3), counted(StoreName::Records, |time| time == 1)]
}

#[tokio::test]
async fn no_answer_waits_for_its_connections_to_be_counted() {
    crate::edge::serve::install_tls();
    // Whoever gives access tokens is silent.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tokens = AccessTokens::new(&format!("http://{}", silent.local_addr().unwrap()), Clock::system());
    let address = RecordsAddress::new("postgres://a%40b.iam@127.0.0.1:1/license", None, Some(tokens)).unwrap();
    let records = Records::new(address, DatabaseRole::Service, 1);
    let check = StoreCheck::new(StoreName::Records, || async { Ok(()) }).counting(records);
    let service =
        Service { router: Router::new().route("/fast", routing::get(|| async { "fast" })), checks: vec![check] };
    let settings = layer_settings().with_deadline(Duration::from_secs(1));
    let answer = send_through(app(service, &settings), get("/fast")).await;
    assert_eq!((answer.status.as_u16(), answer.body), (200, "fast".into()));
}

fn patient(seconds: &str) -> LayerSettings {
    let variables = Environment::map([("START_PATIENCE_SECONDS".to_owned(), seconds.to_owned())].into());
    LayerSettings::new(&LayersConfig::from_env(&variables).unwrap(), &logging())
}

#[tokio::test(start_paused = true)]
async fn started_means_that_each_store_answered_once_and_stays_so() {
    let app = app(service(in_turns()), &patient("45"));
    let first = send_through(app.clone(), get("/health/started")).await;
    assert_eq!((first.status.as_u16(), &first.body["code"]), (503, &"seats_unavailable".into()));
    assert_eq!(first.body["stores"], serde_json::json!({ "seats": "unavailable", "records": "unavailable" }));
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let second = send_through(app.clone(), get("/health/started")).await;
    assert_eq!(second.status.as_u16(), 503);
    assert_eq!(second.body["stores"], serde_json::json!({ "seats": "unavailable", "records": "ok" }));
    for _ in 0..3 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let answer = send_through(app.clone(), get("/health/started")).await;
        assert_eq!((answer.status.as_u16(), answer.body), (200, serde_json::json!({ "started": true })));
    }
    let ready = send_through(app, get("/health/ready")).await;
    assert_eq!(ready.status.as_u16(), 503, "the records are away now, and the start is over all the same");
}

#[tokio::test(start_paused = true)]
async fn a_start_is_over_after_its_patience_whatever_the_stores_say() {
    let away = || StoreCheck::new(StoreName::Records, || async { Err(Error::Records("away".into())) });
    let app = app(service(vec![away()]), &patient("45"));
    tokio::time::sleep(std::time::Duration::from_millis(44_900)).await;
    let answer = send_through(app.clone(), get("/health/started")).await;
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (503, &"records_unavailable".into()));
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(send_through(app, get("/health/started")).await.status.as_u16(), 200);
    let at_once = crate::edge::serve::app(service(vec![away()]), &patient("0"));
    assert_eq!(send_through(at_once, get("/health/started")).await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_request_under_way_is_answered_after_the_signal_to_stop_and_idle_connections_do_not_hold_it_up() {
    let (reached, at_handler) = oneshot::channel();
    let (go_on, held) = oneshot::channel::<()>();
    let held = Arc::new(std::sync::Mutex::new(Some((reached, held))));
    let slow = move || async move {
        let (reached, held) = held.lock().unwrap().take().unwrap();
        reached.send(()).unwrap();
        held.await.unwrap();
        "done"
    };
    let router = Router::new().route("/slow", routing::get(slow)).route("/fast", routing::get(|| async { "fast" }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server =
        tokio::spawn(serve(listener, router, ConnectionSlots::of_process(0), async move { drop(stopped.await) }));

    let _silent = TcpStream::connect(address).await.unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /fast HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    idle.read_exact(&mut [0; 16]).await.unwrap();
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    at_handler.await.unwrap();
    stop.send(()).unwrap();
    go_on.send(()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    let within = tokio::time::timeout(std::time::Duration::from_secs(5), server).await;
    within.expect("stops by itself, not by running out of patience").unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
}
