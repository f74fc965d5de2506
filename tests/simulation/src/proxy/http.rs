//! Whole requests between a client and a function, one to a connection (the client says `connection: close`).

use super::{Fault, Server, Shared, Upstream};
use crate::asked::{NUMBER, UnderWay};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};

/// How long requests wait for others to change places with.
const TOGETHER: Duration = Duration::from_millis(150);
/// Between two that are let through.
const APART: Duration = Duration::from_millis(3);
/// Longer than anything of ours.
const LARGEST: usize = 1 << 20;

/// Requests that wait for others.
pub(super) type Held = Arc<Mutex<Vec<oneshot::Sender<()>>>>;

pub(super) async fn carry(shared: Arc<Shared>, mut client: TcpStream, held: Held) {
    let cuts = shared.cuts();
    let Some((path, request)) = read_request(&mut client).await else { return };
    let (upstream, place) = shared.upstream();
    let work = async {
        if let Some(answer) = passed(&shared, &upstream, &path, request, &held).await {
            let _ = client.write_all(&answer).await;
            let _ = client.shutdown().await;
        }
    };
    tokio::select! {
        () = work => {}
        () = shared.over(place, cuts) => {}
    }
}

/// The answer to a request; `None` where the client hears nothing.
async fn passed(shared: &Shared, upstream: &Upstream, path: &str, request: Vec<u8>, held: &Held) -> Option<Vec<u8>> {
    let (fault, silence) = (shared.faults.meet(|_| true), shared.faults.silence());
    let number = number_of(&request);
    let ask = || answer(upstream.clone(), path.to_owned(), request.clone(), shared.passages.begin(number));
    match fault {
        Some(Fault::DropRequest { .. }) => None,
        Some(Fault::DropAnswer { .. }) => {
            // In a task of its own: it runs to its end whatever becomes of the connection.
            let _ = tokio::spawn(ask()).await;
            None
        }
        Some(Fault::Late { by, .. }) => {
            let ask = ask();
            tokio::spawn(async move {
                tokio::time::sleep(by).await;
                ask.await
            });
            None
        }
        Some(Fault::Duplicate { copies, .. }) => {
            for _ in 1..copies {
                tokio::spawn(ask());
            }
            ask().await
        }
        Some(Fault::Delay { by, .. }) => {
            tokio::time::sleep(by).await;
            let answer = ask().await;
            tokio::time::sleep(by).await;
            answer
        }
        Some(Fault::HalfOpen { .. }) => {
            tokio::time::sleep(silence.unwrap_or_default()).await;
            None
        }
        Some(Fault::Reorder { .. }) => {
            changed_places(held).await;
            ask().await
        }
        Some(Fault::Cut) | None => ask().await,
    }
}

/// Waits until those who came later have gone first.
async fn changed_places(held: &Held) {
    let (go, wait) = oneshot::channel();
    let first = {
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        held.push(go);
        held.len() == 1
    };
    if first {
        let held = held.clone();
        tokio::spawn(async move {
            tokio::time::sleep(TOGETHER).await;
            let mut waiting = std::mem::take(&mut *held.lock().unwrap_or_else(PoisonError::into_inner));
            while let Some(go) = waiting.pop() {
                let _ = go.send(());
                tokio::time::sleep(APART).await;
            }
        });
    }
    let _ = wait.await;
}

/// Asks the function; `None` where it does not answer.
async fn answer(upstream: Upstream, path: String, request: Vec<u8>, under_way: UnderWay) -> Option<Vec<u8>> {
    let answer = ask(upstream, path, request).await;
    under_way.done();
    answer
}

async fn ask(upstream: Upstream, path: String, request: Vec<u8>) -> Option<Vec<u8>> {
    let (mut read, mut write) = Server::connect(&upstream, &path).await.ok()?.split();
    write.write_all(&request).await.ok()?;
    let mut answer = Vec::new();
    read.read_to_end(&mut answer).await.ok()?;
    (!answer.is_empty()).then_some(answer)
}

/// The path and all bytes of a request.
async fn read_request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut request = Vec::new();
    loop {
        if length_of(&request).is_some_and(|length| request.len() >= length) {
            let line = String::from_utf8_lossy(request.split(|b| *b == b'\r').next()?).into_owned();
            return Some((line.split(' ').nth(1)?.to_owned(), request));
        }
        if client.read_buf(&mut request).await.ok()? == 0 || request.len() > LARGEST {
            return None;
        }
    }
}

/// Which question a request is, if it says so.
fn number_of(request: &[u8]) -> u64 {
    let head = String::from_utf8_lossy(request);
    let line = head.lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix(NUMBER));
    line.and_then(|rest| rest.trim_start_matches(':').trim().parse().ok()).unwrap_or(0)
}

/// How long the request is that begins so; `None` while its head is not complete.
fn length_of(request: &[u8]) -> Option<usize> {
    let head = request.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
    let body = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    Some(head + body.and_then(|n| n.trim().parse::<usize>().ok()).unwrap_or(0))
}
