//! A network that goes silent: connections stay open, nothing comes and nothing says why. New connections work.

use super::site::{Site, until_known};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};

/// Between a service and PostgreSQL.
struct Network {
    port: u16,
    /// Connections made before the present number hear nothing any more.
    lost: watch::Sender<u64>,
}

impl Network {
    async fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (lost, seen) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, UnixStream::connect(&socket).await.unwrap(), seen.clone()));
            }
        });
        Self { port, lost }
    }

    fn lose_all(&self) {
        self.lost.send_modify(|lost| *lost += 1);
    }
}

async fn carry(mut client: TcpStream, mut server: UnixStream, mut lost: watch::Receiver<u64>) {
    lost.mark_unchanged();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
        _ = lost.changed() => {}
    }
    // Held open, never read again.
    let _held = (client, server);
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn connections_to_the_records_that_went_silent_are_given_up_and_replaced() {
    let site = Site::new(5).await;
    let network = Network::to(site.postgres.dir().join(".s.PGSQL.5432")).await;
    let more = [
        ("DATABASE_URL", format!("postgres://nobody@127.0.0.1:{}/license?sslmode=disable", network.port)),
        ("DATABASE_POOL_SIZE", "1".into()),
    ];
    let services = site.services_over(&more).await;
    let seat = services.acquire(&site.ask("a")).await.ok(201);
    network.lose_all();
    let (ask, since) = (site.ask("b"), Instant::now());
    services.acquire(&ask).await.away("records_unavailable");
    services.beat(&seat).await.ok(200);
    let answer = until_known(async || services.acquire(&ask).await).await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.body);
    assert!(since.elapsed() < Duration::from_secs(12), "it took {:?}", since.elapsed());
    assert_eq!(site.held().await, (2, 2));
}
