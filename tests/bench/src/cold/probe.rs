//! Starting a process and watching it: the moment it answers, the memory it has, and what the machine itself costs.

use super::ask::Ask;
use std::{
    collections::BTreeMap,
    fs::read_to_string,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(20);
/// Between two attempts to connect. Spinning would take the core that the process starts on.
const POLL: Duration = Duration::from_micros(100);

/// A process that has answered its first request.
pub(super) struct Started {
    child: Child,
    address: SocketAddr,
    /// From before the process was made to the last byte of its first answer, in milliseconds.
    pub(super) answered: f64,
    /// That answer's body.
    pub(super) answer: String,
}

/// In MiB.
pub(super) struct Memory {
    /// What is resident, pages of the binary and of shared libraries included.
    pub(super) resident: f64,
    /// The part that is the process's own and no file's (Linux tells it).
    pub(super) own: Option<f64>,
}

impl Started {
    /// Starts the binary with these variables and a port of its own, and asks until it answers.
    pub(super) fn answering(binary: &Path, variables: &BTreeMap<String, String>, ask: &Ask) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = Command::new(binary);
        command.env_clear().envs(variables).env("PORT", port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let began = Instant::now();
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        let stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(error) => assert!(began.elapsed() < PATIENCE, "{} does not listen: {error}", binary.display()),
            }
            std::thread::sleep(POLL);
        };
        let (status, answer) = ask.send(stream).unwrap();
        let answered = millis(began.elapsed());
        assert_eq!(status, ask.status, "{}: {answer}", binary.display());
        Self { child, address, answered, answer }
    }

    /// How long the same request takes now that everything is warm, in milliseconds.
    pub(super) fn again(&self, ask: &Ask) -> f64 {
        let began = Instant::now();
        let (status, answer) = ask.send(TcpStream::connect(self.address).unwrap()).unwrap();
        // A repeated registration is 200, the first was 201.
        assert!((200..300).contains(&status), "{answer}");
        millis(began.elapsed())
    }

    pub(super) fn memory(&self) -> Memory {
        let id = self.child.id();
        if let Ok(status) = read_to_string(format!("/proc/{id}/status")) {
            let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).and_then(kib);
            return Memory { resident: line("VmRSS:").expect("Linux tells it"), own: line("RssAnon:") };
        }
        let listed = Command::new("ps").args(["-o", "rss=", "-p", &id.to_string()]).output().expect("ps is there");
        Memory { resident: kib(&String::from_utf8_lossy(&listed.stdout)).expect("ps tells it"), own: None }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// `"  1234 kB"` in MiB.
fn kib(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// How long the smallest process takes from being made to its end: nothing that is started can be faster.
pub(super) fn spawns(times: usize) -> Vec<f64> {
    let spawn = |_| {
        let began = Instant::now();
        assert!(Command::new("true").status().unwrap().success());
        millis(began.elapsed())
    };
    (0..times).map(spawn).collect()
}
