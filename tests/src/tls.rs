//! Certificate authorities of a test's own, and servers that have their certificate from one, as managed stores do.

use license_local::stores::{PostgresServer, PostgresSettings, RedisSettings};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// A certificate authority, and the certificate of one server. All have the same name: what tells them apart is the key.
pub struct Authority {
    dir: TempDir,
}

impl Authority {
    /// Makes both. The server's certificate names it as Cloud SQL's do: by no address that it is called by.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The server runs as an account of its own.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(dir.path().join("server.ext"), "basicConstraints=CA:FALSE\n").unwrap();
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let of = |arguments: &[&str]| {
            let made = Command::new("openssl").args(arguments).current_dir(dir.path()).output().expect("openssl runs");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        };
        let ca = ["req", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=A test's CA"];
        of(&[&ca[..], &curve].concat());
        let server = ["req", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=project:instance"];
        of(&[&server[..], &curve].concat());
        let sign = ["x509", "-req", "-in", "server.csr", "-out", "server.pem", "-days", "2", "-extfile", "server.ext"];
        of(&[&sign[..], &["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]].concat());
        fs::set_permissions(dir.path().join("server.key"), fs::Permissions::from_mode(0o644)).unwrap();
        Self { dir }
    }

    /// The authority's certificate, as PEM.
    pub fn pem(&self) -> String {
        fs::read_to_string(self.file("ca.pem")).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// How a Redis is run that speaks TLS at a port, besides its Unix socket.
    pub fn redis(&self, port: u16) -> RedisSettings {
        let file = |name: &str| self.file(name).display().to_string();
        let more = [
            ("--tls-port", port.to_string()),
            ("--tls-cert-file", file("server.pem")),
            ("--tls-key-file", file("server.key")),
            ("--tls-auth-clients", "no".to_owned()),
        ];
        let more = more.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
        RedisSettings { more, ..RedisSettings::default() }
    }

    /// A migrated PostgreSQL that everybody enters over TLS and with a password in clear, as Cloud SQL takes tokens.
    /// Over its Unix socket it trusts whoever asks.
    pub async fn postgres(&self) -> PostgresServer {
        let more = vec!["listen_addresses=127.0.0.1".to_owned()];
        let settings = PostgresSettings { durable: false, port: free_port(), more, ..PostgresSettings::default() };
        let server = PostgresServer::temporary_with(settings).await.expect("PostgreSQL starts");
        license_core::records::migrate(&server.superuser()).await.expect("the schema is made");
        let data = server.dir().join("data");
        for name in ["server.pem", "server.key"] {
            own(&self.file(name), &data, name);
        }
        fs::write(data.join("pg_hba.conf"), "local all all trust\nhostssl all all 127.0.0.1/32 password\n").unwrap();
        for sql in [
            "alter system set ssl_cert_file = 'server.pem'",
            "alter system set ssl_key_file = 'server.key'",
            "alter system set ssl = on",
        ] {
            superuser(&server, sql).await;
        }
        superuser(&server, "select pg_reload_conf()").await;
        let mut on = String::new();
        while on != "on" {
            let mut connection = PgConnection::connect_with(&server.superuser()).await.unwrap();
            on = sqlx::query_scalar("show ssl").fetch_one(&mut connection).await.unwrap();
        }
        server
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// Copies a file into a server's directory, closed to everybody but the account that owns the directory.
fn own(from: &Path, dir: &Path, name: &str) {
    let (to, owner) = (dir.join(name), fs::metadata(dir).unwrap());
    fs::copy(from, &to).unwrap();
    fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
    chown(&to, Some(owner.uid()), Some(owner.gid())).unwrap();
}

/// Runs a statement as the superuser.
pub async fn superuser(server: &PostgresServer, sql: impl Into<String>) {
    let mut connection = PgConnection::connect_with(&server.superuser()).await.unwrap();
    connection.execute(AssertSqlSafe(sql.into())).await.unwrap();
}

/// A port of this machine that nobody uses now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
