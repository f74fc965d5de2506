//! One shipped function as a process of its own.

use crate::{
    cpu,
    http::{Connection, get},
    stage::Stage,
};
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running function; stopped when dropped.
pub(crate) struct Function {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Function {
    /// Starts `target/dist/<name>` with the stage's variables and `more`, and waits until it is ready. Its log goes nowhere: a file would be
    /// written on the disk that commits wait for.
    pub(crate) async fn start(stage: &Stage, name: &str, more: &[(&str, &str)]) -> Self {
        stage.count_instance();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let child = Command::new(stage.target.join("dist").join(name))
            .env_clear()
            .envs(stage.variables())
            .envs(more.iter().copied())
            .env("PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let function = Self { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) };
        let until = Instant::now() + PATIENCE;
        while !function.ready().await {
            assert!(Instant::now() < until, "{name} is not ready");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        function
    }

    async fn ready(&self) -> bool {
        let Ok(mut connection) = Connection::open(self.address).await else { return false };
        connection.ask(&get("/health/ready")).await.is_ok_and(|answer| answer.status == 200)
    }

    pub(crate) fn cpu(&self) -> Option<Duration> {
        cpu::of(self.pid())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
