//! A real mail server beside the test (aiosmtpd, from `PyPI`, pinned by hash), which does with each mail what the name of
//! its recipient says.

use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};
use tempfile::TempDir;

/// Whether and how the server speaks TLS; with TLS it wants a login.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Tls {
    None,
    Starttls,
    Smtps,
}

/// The server; it ends with the test.
pub(crate) struct MailHost {
    child: Child,
    dir: TempDir,
    tls: Tls,
    pub(crate) port: u16,
}

impl MailHost {
    pub(crate) fn start(tls: Tls) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/notify/smtp/server.py");
        let mut command = Command::new("python3");
        command.arg(here).arg(dir.path().join("mails")).env("PYTHONPATH", library());
        if tls != Tls::None {
            certify(dir.path());
            let mode = if tls == Tls::Starttls { "starttls" } else { "smtps" };
            command.arg(dir.path().join("server.pem")).arg(dir.path().join("server.key")).arg(mode);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, port: line.trim().parse().expect("the server prints its port"), dir, tls }
    }

    /// Its URL for `MAIL_URL`.
    pub(crate) fn url(&self) -> String {
        let port = self.port;
        match self.tls {
            Tls::None => format!("smtp://127.0.0.1:{port}"),
            Tls::Starttls => format!("smtp://license:secret%20word@localhost:{port}?tls=required"),
            Tls::Smtps => format!("smtps://license:secret%20word@localhost:{port}"),
        }
    }

    /// The authority that its certificate is from, as PEM.
    pub(crate) fn ca(&self) -> Option<String> {
        fs::read_to_string(self.dir.path().join("ca.pem")).ok()
    }

    /// The messages whose end it has read, in their order.
    pub(crate) fn mails(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.dir.path().join("mails")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// How many of them were to this address.
    pub(crate) fn count(&self, to: &str) -> usize {
        self.mails().iter().filter(|mail| mail["to"][0] == to).count()
    }
}

impl Drop for MailHost {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An authority and a certificate for localhost.
fn certify(dir: &Path) {
    let of = |arguments: &[&str]| {
        let made = Command::new("openssl").args(arguments).current_dir(dir).output().expect("openssl runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    fs::write(dir.join("server.ext"), "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost\n").unwrap();
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let ca = ["req", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=A test's CA"];
    of(&[&ca[..], &curve].concat());
    let server = ["req", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost"];
    of(&[&server[..], &curve].concat());
    let sign = ["x509", "-req", "-in", "server.csr", "-out", "server.pem", "-days", "2", "-extfile", "server.ext"];
    of(&[&sign[..], &["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]].concat());
}

/// Where the library is: installed once, and moved into place as a whole, so that of two runs at once each finds a
/// whole one.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let pins = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/notify/smtp/requirements.txt");
        let home = std::env::home_dir().unwrap_or_else(std::env::temp_dir);
        let cache = home.join(".cache/coditect-license-server");
        let number = fs::read(&pins).unwrap().iter().fold(0u64, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte));
        let wanted = cache.join(format!("smtp-{number:016x}"));
        if !wanted.exists() {
            fs::create_dir_all(&cache).unwrap();
            let part = tempfile::Builder::new().prefix("part.").tempdir_in(&cache).unwrap();
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
            pip.args(["--only-binary", ":all:", "--require-hashes", "--target"]).arg(part.path()).arg("-r").arg(&pins);
            let done = pip.output().expect("python3 with pip runs");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            // Another run may have been quicker.
            let _ = fs::rename(part.path(), &wanted);
        }
        assert!(wanted.exists());
        wanted
    })
}
