//! Google's own in-memory Pub/Sub server (`tests/pstest`), built with Go and run as a child.

use serde::Deserialize;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

/// A running server. It dies with this value: its standard input closes.
pub(crate) struct Pstest {
    /// `host:port`.
    pub(crate) address: String,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// A message as the server holds it.
#[derive(Debug, Deserialize)]
pub(crate) struct Published {
    pub(crate) topic: String,
    data: String,
    pub(crate) attributes: Option<BTreeMap<String, String>>,
}

impl Published {
    pub(crate) fn data(&self) -> Vec<u8> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        STANDARD.decode(&self.data).expect("Go writes bytes as base64")
    }
}

impl Pstest {
    /// Starts a server that has these topics and takes `slow` for each Publish call. `None` where Go is absent: the caller's
    /// test cannot run then, and this has said so.
    pub(crate) fn start(topics: &[&str], slow: Duration) -> Option<Self> {
        let program = match PROGRAM.get_or_init(build) {
            Ok(program) => program,
            Err(absent) => {
                say_skipped(absent);
                return None;
            }
        };
        let mut command = Command::new(program);
        command.arg(format!("-slow={}ms", slow.as_millis())).args(topics);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("pstest starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { address: String::new(), child, input, output };
        server.address = server.line();
        Some(server)
    }

    /// All messages the server has by now.
    pub(crate) fn messages(&mut self) -> Vec<Published> {
        self.input.as_mut().unwrap().write_all(b"\n").expect("pstest listens");
        serde_json::from_str(&self.line()).expect("pstest answers with JSON")
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let length = self.output.read_line(&mut line).expect("pstest answers");
        assert!(length > 0, "pstest ended; its reason is above");
        line.trim().to_owned()
    }
}

impl Drop for Pstest {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// Not by `eprintln`: that goes to the test harness, which hides what passing tests print.
fn say_skipped(absent: &str) {
    let what = "SKIPPED, NOT TESTED: publishing to a real Pub/Sub server";
    writeln!(std::io::stderr(), "{what}: {absent}").expect("standard error is open");
}

static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();

/// Builds the program once, beside Go's own build cache and so outside the clone. `Err`: there is no Go here.
///
/// Go that is present and cannot build is a failure and not a reason to skip.
fn build() -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("pstest");
    let cache = match Command::new("go").args(["env", "GOCACHE"]).current_dir(&source).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(
                "`go` is not installed (https://go.dev/dl), and Google's in-memory server is a Go program".into()
            );
        }
        other => other.expect("`go env` runs"),
    };
    let cache = String::from_utf8(cache.stdout).unwrap();
    let folder = Path::new(cache.trim()).with_file_name("coditect-license-server");
    std::fs::create_dir_all(&folder).expect("the folder beside Go's cache can be made");
    let program = folder.join("pstest");
    let built = Command::new("go").arg("build").arg("-o").arg(&program).arg(".").current_dir(&source).output().unwrap();
    assert!(built.status.success(), "building tests/pstest:\n{}", String::from_utf8_lossy(&built.stderr));
    Ok(program)
}
