//! A network between a service and PostgreSQL that a test can make silent or hold up.

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream, unix::OwnedWriteHalf},
    sync::watch,
};

/// Between a service and PostgreSQL. New connections work whatever became of the old ones.
pub struct Network {
    pub port: u16,
    /// Connections made before the present number hear nothing any more.
    lost: watch::Sender<u64>,
    gate: watch::Sender<Gate>,
    /// True while the last that was carried is the answer to what a connection is asked when it comes back to its pool.
    rests: watch::Sender<bool>,
}

/// "Sync", alone: the last that sqlx asks a connection which comes back to its pool, without a limit of time.
const COMES_BACK: [u8; 5] = [b'S', 0, 0, 0, 4];

/// What becomes of messages to PostgreSQL.
#[derive(Default)]
enum Gate {
    #[default]
    Open,
    /// From the message on that has these words in it, so many more are carried and the next waits.
    Armed(&'static str, usize),
    /// So many more are carried.
    Counting(usize),
    /// One waits here.
    Held,
}

impl Network {
    /// Between a service and the server whose Unix socket is in this folder.
    pub async fn to(folder: &Path) -> Self {
        let socket = folder.join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (lost, gate, rests) = (watch::channel(0).0, watch::channel(Gate::Open).0, watch::channel(false).0);
        let (losing, gates, resting) = (lost.clone(), gate.clone(), rests.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, socket.clone(), losing.subscribe(), gates.clone(), resting.clone()));
            }
        });
        Self { port, lost, gate, rests }
    }

    /// The same database by way of this network.
    pub fn way(&self, database: &PgConnectOptions) -> PgConnectOptions {
        let name = database.get_database().expect("a database");
        let way = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(self.port);
        way.database(name).ssl_mode(PgSslMode::Disable)
    }

    /// Connections of before now stay open, and nothing comes and nothing says why.
    pub fn lose_all(&self) {
        self.lost.send_modify(|lost| *lost += 1);
    }

    /// Returns once the only connection is back in its pool and has nothing under way.
    pub async fn rests(&self) {
        self.rests.subscribe().wait_for(|rests| *rests).await.unwrap();
    }

    /// From the message on that has these words in it, carries so many more and lets the next wait.
    pub fn hold(&self, words: &'static str, carried: usize) {
        self.gate.send_replace(Gate::Armed(words, carried));
    }

    /// Returns once a message waits.
    pub async fn held(&self) {
        self.gate.subscribe().wait_for(|gate| matches!(gate, Gate::Held)).await.unwrap();
    }

    /// Carries what waits and all that comes.
    pub fn open(&self) {
        self.gate.send_replace(Gate::Open);
    }
}

async fn carry(
    client: TcpStream,
    socket: PathBuf,
    mut lost: watch::Receiver<u64>,
    gate: watch::Sender<Gate>,
    rests: watch::Sender<bool>,
) {
    let (mut asks, mut hears) = client.into_split();
    let (mut answers, mut server) = UnixStream::connect(&socket).await.unwrap().into_split();
    lost.mark_unchanged();
    let back = AtomicBool::new(false);
    tokio::select! {
        // Nothing is carried any more from then on, whatever else is ready.
        biased;
        _ = lost.changed() => {}
        // Either end is closed: so is the other, when both are dropped.
        () = forward(&mut asks, &mut server, &gate, |message| {
            back.store(message == COMES_BACK, Ordering::Relaxed);
            rests.send_replace(false);
        }) => return,
        () = answer(&mut answers, &mut hears, || rests.send_replace(back.load(Ordering::Relaxed))) => return,
    }
    // Held open, never read again.
    let _held = (asks, hears, answers, server);
    std::future::pending::<()>().await;
}

/// A client waits for an answer before it says more: what comes at once is one message.
async fn forward(
    asks: &mut (impl AsyncReadExt + Unpin),
    server: &mut OwnedWriteHalf,
    gate: &watch::Sender<Gate>,
    heard: impl Fn(&[u8]),
) {
    let mut message = vec![0; 1 << 16];
    while let Ok(length @ 1..) = asks.read(&mut message).await {
        let message = &message[..length];
        heard(message);
        gate.send_if_modified(|gate| gate.next(message));
        if gate.subscribe().wait_for(|gate| !matches!(gate, Gate::Held)).await.is_err() {
            return;
        }
        if server.write_all(message).await.is_err() {
            return;
        }
    }
}

async fn answer(
    answers: &mut (impl AsyncReadExt + Unpin),
    client: &mut (impl AsyncWriteExt + Unpin),
    carried: impl Fn() -> bool,
) {
    let mut message = vec![0; 1 << 16];
    while let Ok(length @ 1..) = answers.read(&mut message).await {
        if client.write_all(&message[..length]).await.is_err() {
            return;
        }
        carried();
    }
}

impl Gate {
    /// Looks at the next message. True if it has to wait.
    fn next(&mut self, message: &[u8]) -> bool {
        if let Self::Armed(words, carried) = self
            && message.windows(words.len()).any(|part| part == words.as_bytes())
        {
            *self = Self::Counting(*carried);
        }
        let Self::Counting(left) = self else { return false };
        match left.checked_sub(1) {
            Some(fewer) => *left = fewer,
            None => *self = Self::Held,
        }
        matches!(self, Self::Held)
    }
}
