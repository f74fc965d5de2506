//! Bytes between a function and a store.

use super::{Fault, Server, Shared};
use crate::troubles::Kind;
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::Instant,
};

/// When it was read, when it is to be passed on, and what it is.
type Parcel = (Instant, Instant, Vec<u8>);

/// What is passed on later than this after it was read is late.
const AT_ONCE: Duration = Duration::from_millis(5);

/// How long bytes that were delivered late, or twice, are listened to.
const LISTEN: Duration = Duration::from_secs(5);

pub(super) async fn carry(shared: Arc<Shared>, client: TcpStream) {
    let cuts = shared.cuts();
    silence(&shared).await;
    let (upstream, place) = shared.upstream();
    let Ok(server) = Server::connect(&upstream, "").await else { return };
    let (from_server, to_server) = server.split();
    let (from_client, to_client) = client.into_split();
    let (requests, sending) = mpsc::unbounded_channel();
    let (answers, answering) = mpsc::unbounded_channel();
    // The requests' way goes on alone: what is on it arrives even though the caller has given up meanwhile.
    let delivered = tokio::spawn(deliver(shared.clone(), to_server, sending));
    let copies = Copies { shared: shared.clone(), upstream };
    tokio::select! {
        () = up(&shared, from_client, requests, &copies, place) => {}
        () = down(&shared, from_server, answers) => {}
        () = deliver(shared.clone(), to_client, answering) => {}
        () = shared.over(place, cuts) => delivered.abort(),
    }
}

/// Reads requests until one of them ends the connection.
async fn up(
    shared: &Shared,
    mut client: impl AsyncRead + Unpin,
    requests: mpsc::UnboundedSender<Parcel>,
    copies: &Copies,
    place: u64,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = client.read(&mut buffer).await {
        if shared.is_drained(place) {
            return;
        }
        let bytes = buffer[..count].to_vec();
        let fault = shared.faults.meet(|f| !matches!(f, Fault::DropAnswer { .. } | Fault::Reorder { .. }));
        let now = Instant::now();
        if matches!(fault, Some(Fault::DropRequest { .. } | Fault::Late { .. })) {
            shared.troubles.lasting(Kind::Away, Duration::ZERO);
        }
        let sent = match fault {
            Some(Fault::DropRequest { .. }) => return,
            Some(Fault::Late { by, .. }) => {
                let _ = requests.send((now, now + by, bytes));
                return;
            }
            Some(Fault::Delay { by, .. }) => requests.send((now, now + by, bytes)),
            Some(Fault::Duplicate { copies: number, .. }) => {
                copies.send(number, &bytes);
                requests.send((now, now, bytes))
            }
            _ => requests.send((now, now, bytes)),
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Reads answers until one of them is lost.
async fn down(shared: &Shared, mut server: impl AsyncRead + Unpin, answers: mpsc::UnboundedSender<Parcel>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = server.read(&mut buffer).await {
        let fault = shared.faults.meet(|f| matches!(f, Fault::DropAnswer { .. } | Fault::Delay { .. }));
        let by = match fault {
            Some(Fault::DropAnswer { .. }) => {
                shared.troubles.lasting(Kind::Away, Duration::ZERO);
                return;
            }
            Some(Fault::Delay { by, .. }) => by,
            _ => Duration::ZERO,
        };
        let now = Instant::now();
        if answers.send((now, now + by, buffer[..count].to_vec())).is_err() {
            return;
        }
    }
}

/// Passes parcels on in order, each when it is due; not while nothing passes.
async fn deliver(shared: Arc<Shared>, mut to: impl AsyncWrite + Unpin, mut parcels: mpsc::UnboundedReceiver<Parcel>) {
    while let Some((read, due, bytes)) = parcels.recv().await {
        let now = Instant::now();
        let is_late = due > now || now - read > AT_ONCE || shared.faults.silence().is_some();
        let late = is_late.then(|| shared.troubles.since(Kind::Late, read.into_std()));
        tokio::time::sleep_until(due).await;
        silence(&shared).await;
        if to.write_all(&bytes).await.is_err() {
            return;
        }
        drop(late);
    }
    // Closing at once would end a command that has just been delivered before it ran.
    tokio::time::sleep(Duration::from_millis(20)).await;
}

async fn silence(shared: &Shared) {
    while let Some(left) = shared.faults.silence() {
        tokio::time::sleep(left.min(Duration::from_millis(20))).await;
    }
}

/// Sends bytes again, each time over a connection of their own.
struct Copies {
    shared: Arc<Shared>,
    upstream: super::Upstream,
}

impl Copies {
    fn send(&self, number: u32, bytes: &[u8]) {
        for _ in 1..number {
            let (shared, upstream, bytes) = (self.shared.clone(), self.upstream.clone(), bytes.to_vec());
            let again = shared.troubles.until_dropped(Kind::Late);
            tokio::spawn(async move {
                let Ok(server) = Server::connect(&upstream, "").await else { return };
                let (mut read, mut write) = server.split();
                silence(&shared).await;
                let written = write.write_all(&bytes).await.is_ok();
                drop(again);
                if written {
                    // Nobody hears the answer; reading it keeps the other side from waiting.
                    let _ = tokio::time::timeout(LISTEN, read.read(&mut [0; 1024])).await;
                }
            });
        }
    }
}
