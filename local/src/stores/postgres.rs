//! One PostgreSQL of our own: created once, then started, stopped, killed and started again on the same data.

use super::{
    StoreError, StoreResult, io_error,
    keeper::{KeptServer, ServerSpec, end_of_server},
    place::SocketPlace,
};
use sqlx::{
    Connection, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The database made for the records, empty until they are migrated.
pub const DATABASE: &str = "license";

/// The role that owns the cluster and runs the migrations. Trusted over the socket, like every role: the directory is
/// the lock.
const SUPERUSER: &str = "postgres";
/// How long a server that starts may say nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// After so much time a person is told what takes so long.
const LONG: Duration = Duration::from_secs(10);
const RECOVERS: &str =
    "PostgreSQL is starting. After a crash it goes through all its files first, which takes long on a slow disk.";
/// What it answers while it starts or recovers (`cannot_connect_now`,
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const STARTING: &str = "57P03";
const HOW: &str = "Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql@17";

/// How a PostgreSQL is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresSettings {
    /// Whether a commit survives a crash of the machine. Off only where the data is thrown away; a crash of PostgreSQL
    /// alone loses no commit either way.
    pub durable: bool,
    /// Connections at most.
    pub max_connections: u16,
    /// What its socket is named by, and its port where `more` has it listen on TCP.
    pub port: u16,
    /// How long it may say nothing when it starts. While it says that it is starting, it is waited for.
    pub silence: Duration,
    /// More settings, as `name=value` for the server's `-c`.
    pub more: Vec<String>,
    /// Where its programs are; `None`: looked for, and the newest taken.
    pub programs: Option<PathBuf>,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self { durable: true, max_connections: 200, port: 5432, silence: SILENCE, more: Vec::new(), programs: None }
    }
}

/// A running PostgreSQL. It ends when this value is dropped, and when this process ends, however that happens.
pub struct PostgresServer {
    // Dropped in this order: the server before its directory.
    kept: KeptServer,
    place: SocketPlace,
    bin: PostgresPrograms,
    settings: PostgresSettings,
}

impl PostgresServer {
    /// Starts PostgreSQL on the data in `dir`, made at the first start, and waits until it answers. [`DATABASE`] exists
    /// then.
    ///
    /// # Errors
    /// If PostgreSQL is not installed, the data is of another major version, or it says nothing for longer than `silence`.
    pub async fn start(dir: &Path, settings: PostgresSettings) -> StoreResult<Self> {
        Self::start_in(SocketPlace::lasting(dir, &["data", ".s.PGSQL.5432"]).await?, settings).await
    }

    /// Starts an empty PostgreSQL for a test: in memory, not durable, nothing left behind.
    ///
    /// # Errors
    /// As [`PostgresServer::start`].
    pub async fn temporary() -> StoreResult<Self> {
        Self::temporary_with(PostgresSettings { durable: false, ..PostgresSettings::default() }).await
    }

    /// The same, run otherwise.
    ///
    /// # Errors
    /// As [`PostgresServer::start`].
    pub async fn temporary_with(settings: PostgresSettings) -> StoreResult<Self> {
        Self::start_in(SocketPlace::temporary()?, settings).await
    }

    async fn start_in(place: SocketPlace, settings: PostgresSettings) -> StoreResult<Self> {
        let data = place.dir.join("data");
        let bin = match &settings.programs {
            Some(dir) => PostgresPrograms { dir: dir.clone() },
            None => PostgresPrograms::find(made_by(&data))?,
        };
        if !data.exists() {
            make(&place, &bin, &data).await?;
        }
        let kept = launch(&place, &bin, &settings).await?;
        let mut server = Self { kept, place, bin, settings };
        server.ready().await?;
        server.create_database().await?;
        Ok(server)
    }

    /// How to connect to [`DATABASE`] as `role` (`postgres` is the superuser; others exist once the records are
    /// migrated).
    pub fn options(&self, role: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.place.sockets)
            .port(self.settings.port)
            .username(role)
            .database(DATABASE)
            .ssl_mode(PgSslMode::Disable)
    }

    /// How to connect as the superuser: for migrations and for tests that break things.
    pub fn superuser(&self) -> PgConnectOptions {
        self.options(SUPERUSER)
    }

    /// The same as [`PostgresServer::options`] as a URL, for other processes.
    pub fn url(&self, role: &str) -> String {
        // The socket's directory takes the place of the host, percent-encoded.
        let host = self.place.sockets.display().to_string().replace('%', "%25").replace('/', "%2F").replace(' ', "%20");
        let port = self.settings.port;
        format!("postgres://{role}@{host}:{port}/{DATABASE}?sslmode=disable")
    }

    /// A program of the same installation, such as `pg_dump`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.path(name).into()
    }

    /// The directory of the data and the log.
    pub fn dir(&self) -> &Path {
        &self.place.dir
    }

    /// Waits until the server accepts connections, for as long as it says that it is starting: a recovery that is given
    /// up begins anew at the next start, and on a slow disk would never end.
    ///
    /// # Errors
    /// If it ends instead, or says nothing of that kind for longer than the settings allow; with the end of its log.
    pub async fn ready(&mut self) -> StoreResult<()> {
        let began = Instant::now();
        let (mut heard, mut told, mut crashes) = (began, false, false);
        loop {
            let Err(error) = connect(&self.superuser().database("template1")).await else { return Ok(()) };
            if self.kept.has_ended() {
                return Err(self.kept.failed("PostgreSQL ended before it answered"));
            }
            match &error {
                sqlx::Error::Database(error) if error.code().is_some_and(|code| code == STARTING) && !crashes => {
                    heard = Instant::now();
                    if !told && began.elapsed() > LONG {
                        eprintln!("{RECOVERS}");
                        told = true;
                    }
                }
                // It has no socket yet, or does not get to answer.
                sqlx::Error::Io(_) if heard == began => {}
                sqlx::Error::PoolTimedOut => {}
                // A server that crashes at every connection says in between that it is starting.
                _ => crashes = true,
            }
            if heard.elapsed() > self.settings.silence {
                return Err(self.kept.unanswered("PostgreSQL does not answer", error));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    end_of_server! {
        /// Stops it cleanly: open transactions are rolled back, everything committed is on disk.
        stop,
        /// Kills it as a crash would (SIGKILL to the server's first process; the others end when they notice).
        kill,
    }

    /// Starts it again on the same data, at the same address, after it was stopped, killed or died; waits until it
    /// answers.
    ///
    /// # Errors
    /// As [`PostgresServer::start`].
    pub async fn restart(&mut self) -> StoreResult<()> {
        self.stop().await;
        self.kept = launch(&self.place, &self.bin, &self.settings).await?;
        self.ready().await
    }

    async fn create_database(&self) -> StoreResult<()> {
        let failed = |error: sqlx::Error| self.kept.unanswered("PostgreSQL cannot make the database", error);
        let mut connection = connect(&self.superuser().database("template1")).await.map_err(failed)?;
        let known = sqlx::query("SELECT 1 FROM pg_database WHERE datname = $1").bind(DATABASE);
        if known.fetch_optional(&mut connection).await.map_err(failed)?.is_none() {
            sqlx::query("CREATE DATABASE license").execute(&mut connection).await.map_err(failed)?;
        }
        // The roles that serve have one database (migrations/roles.sql); everybody could still fill the disk through
        // those that are always there.
        let none = "REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC";
        sqlx::query(none).execute(&mut connection).await.map_err(failed)?;
        connection.close().await.map_err(failed)
    }
}

/// A connection to the machine's own server as its superuser.
#[expect(clippy::disallowed_methods, reason = "the one place that connects as the superuser of this machine's server")]
pub(crate) async fn connect(options: &PgConnectOptions) -> std::result::Result<PgConnection, sqlx::Error> {
    let connecting = PgConnection::connect_with(options);
    // A server that starts up refuses at once; one that is paused (SIGSTOP) would never answer.
    tokio::time::timeout(Duration::from_secs(5), connecting).await.map_err(|_| sqlx::Error::PoolTimedOut)?
}

/// Makes the cluster. Beside its final place first: one that was interrupted halfway is never taken for a whole one.
async fn make(place: &SocketPlace, bin: &PostgresPrograms, data: &Path) -> StoreResult<()> {
    let unfinished = place.dir.join("data.new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(io_error("cannot remove", &unfinished))?;
    }
    let target = unfinished.display().to_string();
    let mut command = vec![bin.path("initdb"), "-D".into(), target, "-U".into(), SUPERUSER.into()];
    command.extend(["-N", "-A", "trust", "-E", "UTF8", "--no-locale"].map(String::from));
    let mut kept = run(place, command, "TERM").await?;
    let how = kept.ended().await;
    if how != "ended" {
        return Err(kept.failed(&format!("initdb {how}")));
    }
    fs::rename(&unfinished, data).map_err(io_error("cannot name", data))
}

async fn launch(place: &SocketPlace, bin: &PostgresPrograms, settings: &PostgresSettings) -> StoreResult<KeptServer> {
    let on = |yes: bool| if yes { "on" } else { "off" };
    let durable = on(settings.durable);
    let mut options = vec![
        "listen_addresses=".to_owned(),
        format!("unix_socket_directories={}", place.sockets.display()),
        "unix_socket_permissions=0700".into(),
        format!("max_connections={}", settings.max_connections),
        format!("fsync={durable}"),
        // Without fsync a commit is still handed to the operating system before it is answered: it survives kill -9 of
        // the server.
        format!("full_page_writes={durable}"),
        "timezone=UTC".into(),
        "log_timezone=UTC".into(),
    ];
    if !settings.durable {
        // Elsewhere it would outlive a server that was killed and never started again: a megabyte of /dev/shm each
        // time.
        options.push("dynamic_shared_memory_type=mmap".into());
    }
    options.extend(settings.more.iter().cloned());
    let data = place.dir.join("data").display().to_string();
    let mut command = vec![bin.path("postgres"), "-D".into(), data, "-p".into(), settings.port.to_string()];
    command.extend(options.into_iter().flat_map(|option| ["-c".to_owned(), option]));
    // SIGINT is PostgreSQL's fast shutdown; the default, SIGTERM, waits for clients to leave.
    run(place, command, "INT").await
}

async fn run(place: &SocketPlace, command: Vec<String>, stop: &'static str) -> StoreResult<KeptServer> {
    KeptServer::start(&ServerSpec {
        command,
        account: place.account.as_ref(),
        dir: &place.dir,
        stop,
        quick: "QUIT",
        remove: place.removed_if_orphaned(),
    })
    .await
}

/// The major version that made a cluster; `None` where there is none yet.
fn made_by(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// Where PostgreSQL's programs are, and which major version they have.
#[derive(Debug)]
struct PostgresPrograms {
    /// Empty: on PATH.
    dir: PathBuf,
}

impl PostgresPrograms {
    /// The programs that can run a cluster of version `wanted`, or the newest.
    fn find(wanted: Option<u32>) -> StoreResult<Self> {
        let mut found: Vec<(u32, PathBuf)> =
            candidates().into_iter().filter_map(|dir| Some((version(&dir)?, dir))).collect();
        let Some(wanted) = wanted else {
            // The first candidate wins among equals: PATH is what the user chose.
            found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
            let dir = found.into_iter().next().map(|(_, dir)| dir);
            return dir.map(|dir| Self { dir }).ok_or(StoreError::Missing { program: "PostgreSQL", how: HOW });
        };
        let versions: Vec<String> = found.iter().map(|(version, _)| version.to_string()).collect();
        let dir = found.into_iter().find(|(version, _)| *version == wanted).map(|(_, dir)| dir);
        dir.map(|dir| Self { dir }).ok_or_else(|| {
            let versions = versions.join(", ");
            StoreError::Failed(format!(
                "the data was made by PostgreSQL {wanted}, here is only {versions}; \
                 install that version or start with --clean"
            ))
        })
    }

    fn path(&self, program: &str) -> String {
        self.dir.join(program).display().to_string()
    }
}

/// Debian keeps PostgreSQL's programs off PATH, Homebrew its versioned ones.
fn candidates() -> Vec<PathBuf> {
    let mut dirs = vec![PathBuf::new()];
    let parents = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt", "/usr"];
    for parent in parents {
        let Ok(entries) = fs::read_dir(parent) else { continue };
        let names = entries.flatten().map(|entry| entry.path().join("bin"));
        dirs.extend(names.filter(|dir| dir.join("initdb").is_file() && dir.join("postgres").is_file()));
    }
    dirs
}

/// The major version `postgres --version` tells: "postgres (PostgreSQL) 15.18 (Debian …)".
fn version(dir: &Path) -> Option<u32> {
    // Both must be there: distributions split them.
    std::process::Command::new(dir.join("initdb")).arg("--version").output().ok()?;
    let answer = std::process::Command::new(dir.join("postgres")).arg("--version").output().ok()?;
    major(&String::from_utf8(answer.stdout).ok()?)
}

fn major(text: &str) -> Option<u32> {
    let number = text.split_whitespace().nth(2)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_major_version_is_read_from_what_distributions_print() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 17.2 (Homebrew)"), Some(17));
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("command not found"), None);
    }
}
