//! What a process makes of the number of files it may open. That limit is one for the whole process, and so are the slots
//! made by it: each test runs in a process of its own, which is this program again with that test alone.

use super::slow;
use crate::edge::{
    connection_limit::{ConnectionSlot, ConnectionSlots},
    layers::layers,
    serve::serve_with,
    telemetry::CloudLogging,
};
use license_core::Clock;
use rustix::process::{Resource::Nofile, Rlimit, getrlimit, setrlimit};
use std::{
    fs::File,
    future::pending,
    io::Write,
    os::fd::AsRawFd,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpSocket},
    runtime,
};
use tracing_subscriber::layer::SubscriberExt;

/// Set for a process that was started for one test.
const ALONE: &str = "LICENSE_TEST_ALONE";

/// Does `what` in a process of its own. `test` is the name of the test that says so.
#[allow(clippy::disallowed_methods, reason = "no configuration: what one test tells the process it starts")]
fn alone(test: &str, what: impl Future<Output = ()>) {
    if std::env::var_os(ALONE).is_some() {
        return runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(what);
    }
    let name = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.args(["--exact", "--nocapture", &name]).env(ALONE, "1").output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn limit(soft: u64, hard: u64) {
    setrlimit(Nofile, Rlimit { current: Some(soft), maximum: Some(hard) }).unwrap();
}

#[test]
fn a_process_raises_its_limit_and_keeps_connections_for_three_quarters_of_it() {
    alone("a_process_raises_its_limit_and_keeps_connections_for_three_quarters_of_it", async {
        limit(256, 2000);
        assert_eq!(ConnectionSlots::of_process(0).connections(), 1500);
        assert_eq!(getrlimit(Nofile).current, Some(2000));
    });
}

#[test]
fn a_process_that_cannot_raise_its_limit_goes_by_what_it_has() {
    alone("a_process_that_cannot_raise_its_limit_goes_by_what_it_has", async {
        limit(300, 300);
        assert_eq!(ConnectionSlots::of_process(0).connections(), 225);
    });
}

/// How many connections one address is given while requests are under way on all of them.
async fn given_to_one_address(slots: &Arc<ConnectionSlots>) -> usize {
    let mut given: Vec<ConnectionSlot> = Vec::new();
    while let Some(slot) = slots.slot([192, 0, 2, 1].into()).await {
        given.push(slot);
    }
    given.len()
}

#[test]
fn an_address_has_half_of_the_room_of_a_process() {
    alone("an_address_has_half_of_the_room_of_a_process", async {
        limit(64, 64);
        assert_eq!(given_to_one_address(&ConnectionSlots::of_process(0)).await, 24);
    });
}

#[test]
fn the_address_of_a_proxy_may_have_all_of_it() {
    alone("the_address_of_a_proxy_may_have_all_of_it", async {
        limit(64, 64);
        assert_eq!(given_to_one_address(&ConnectionSlots::of_process(1)).await, 48);
    });
}

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct ToLog;

impl Write for ToLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn where_no_file_can_be_opened_waiting_connections_make_room_and_one_line_says_why() {
    alone("where_no_file_can_be_opened_waiting_connections_make_room_and_one_line_says_why", async {
        let layer = CloudLogging::new(|| ToLog, Clock::system());
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // There is room for all of them as far as the server counts.
        let slots = Arc::new(ConnectionSlots::new(64, 64));
        tokio::spawn(serve_with(
            listener,
            layers(slow::router(), &super::layer_settings()),
            slow::patience(),
            slots,
            pending(),
        ));
        let mut kept = Vec::new();
        for _ in 0..6 {
            let mut client = slow::connect(address).await;
            slow::ask(&mut client).await;
            kept.push(client);
        }
        let new = [TcpSocket::new_v4().unwrap(), TcpSocket::new_v4().unwrap()];
        // The lowest number that is free: whoever opens a file from here on would get it.
        let free = File::open("/dev/null").unwrap().as_raw_fd();
        limit(free.try_into().unwrap(), getrlimit(Nofile).maximum.unwrap_or(u64::MAX));
        let mut answered = Vec::new();
        for (socket, gone) in new.into_iter().zip(&mut kept) {
            let mut client = socket.connect(address).await.unwrap();
            let answer = tokio::time::timeout(Duration::from_secs(30), slow::ask(&mut client));
            assert!(answer.await.is_ok(), "nobody made room");
            answered.push(client);
            assert_eq!(gone.read(&mut [0]).await.unwrap_or(0), 0, "the one that had waited longest is closed");
        }
        // Linux wants a free file before it looks whether anybody waits, so one connection more is closed; not all.
        slow::ask(kept.last_mut().unwrap()).await;
        let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
        assert_eq!(log.matches("a connection could not be accepted").count(), 1, "{log}");
    });
}
