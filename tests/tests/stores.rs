//! The private PostgreSQL and Redis that `license-local` and every test on real stores run on.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_local::stores::{PostgresServer, PostgresSettings, RedisServer, RedisSettings, clean, own_dir};
use sqlx::{Connection, Executor, PgConnection};
use std::{
    io::{BufRead, BufReader},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

async fn number(postgres: &PostgresServer, query: &'static str) -> i64 {
    let mut connection = PgConnection::connect_with(&postgres.superuser()).await.unwrap();
    sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
}

async fn write_number(postgres: &PostgresServer, value: i64) {
    let mut connection = PgConnection::connect_with(&postgres.superuser()).await.unwrap();
    connection.execute("CREATE TABLE IF NOT EXISTS numbers (n bigint)").await.unwrap();
    sqlx::query("INSERT INTO numbers VALUES ($1)").bind(value).execute(&mut connection).await.unwrap();
}

async fn command(redis: &RedisServer, words: &[&str]) -> redis::RedisResult<String> {
    let mut connection = license_tests::stores::redis_connection(&redis.url()).await?;
    let mut command = redis::cmd(words[0]);
    words[1..].iter().for_each(|word| _ = command.arg(word));
    command.query_async(&mut connection).await
}

/// Looks until `holds`, or fails after a minute.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < until, "still not: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Processes whose command line names `dir`: a server and whatever keeps it.
fn processes_of(dir: &Path) -> Vec<String> {
    let listed = Command::new("ps").args(["-A", "-ww", "-o", "pid=,args="]).output().unwrap();
    let dir = dir.display().to_string();
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    text.lines().filter(|line| line.contains(&dir)).map(String::from).collect()
}

/// A directory closed to everybody else, as root's home is.
fn directory() -> tempfile::TempDir {
    let closed = std::fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix("license-test-").permissions(closed).tempdir_in("/tmp").unwrap()
}

fn open_to_all(dir: &Path) {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn quick() -> PostgresSettings {
    PostgresSettings { durable: false, ..PostgresSettings::default() }
}

#[tokio::test]
async fn two_of_each_run_side_by_side_and_leave_nothing_behind() {
    let both = async || {
        (PostgresServer::temporary().await.unwrap(), RedisServer::temporary(RedisSettings::default()).await.unwrap())
    };
    let ((first, one), (second, other)) = tokio::join!(both(), both());
    write_number(&first, 1).await;
    write_number(&second, 2).await;
    command(&one, &["SET", "k", "one"]).await.unwrap();
    command(&other, &["SET", "k", "other"]).await.unwrap();

    assert_eq!(number(&first, "SELECT n FROM numbers").await, 1);
    assert_eq!(number(&second, "SELECT n FROM numbers").await, 2);
    assert_eq!(command(&one, &["GET", "k"]).await.unwrap(), "one");
    assert_eq!(command(&other, &["GET", "k"]).await.unwrap(), "other");

    let dirs = [first.dir(), second.dir(), one.dir(), other.dir()].map(Path::to_owned);
    assert!(dirs.iter().all(|dir| !processes_of(dir).is_empty()), "the check below can see processes");
    drop((first, second, one, other));
    for dir in dirs {
        assert!(!dir.exists(), "{} is left", dir.display());
        assert_eq!(processes_of(&dir), Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_a_killed_server_of_a_test_shared_among_its_processes_goes_with_its_directory() {
    let mut postgres = PostgresServer::temporary().await.unwrap();
    let shared = postgres.dir().join("data/pg_dynshmem");
    assert!(std::fs::read_dir(&shared).unwrap().count() > 0, "nothing is kept where a kill would leave it for good");
    postgres.kill().await;
    drop(postgres);
    assert!(!shared.exists());
}

#[tokio::test]
async fn servers_do_not_run_as_root_and_only_their_account_enters_their_directory() {
    let postgres = PostgresServer::temporary().await.unwrap();
    let redis = RedisServer::temporary(RedisSettings::default()).await.unwrap();
    for dir in [postgres.dir(), redis.dir()] {
        let meta = dir.metadata().unwrap();
        assert_ne!(meta.uid(), 0);
        for shared in ["postgres", "redis", "nobody"] {
            let id = Command::new("id").args(["-u", shared]).output().unwrap();
            let id = String::from_utf8(id.stdout).unwrap();
            assert_ne!(id.trim(), meta.uid().to_string(), "an account of their own, not {shared}'s");
        }
        assert_eq!(meta.permissions().mode() & 0o777, 0o700);
    }
    for socket in [postgres.dir().join(".s.PGSQL.5432"), redis.dir().join("redis.sock")] {
        assert_ne!(socket.metadata().unwrap().uid(), 0, "a socket belongs to who runs its server");
    }
    assert_eq!(number(&postgres, "SELECT length(current_setting('listen_addresses'))::bigint").await, 0);
}

/// Recovery takes as long as the disk does. Here it waits for the archive that it asks for its next file.
#[tokio::test]
async fn a_postgres_that_recovers_for_longer_than_it_may_say_nothing_is_waited_for() {
    let archive = "restore_command=touch asked; until [ -e go ]; do sleep 0.05; done; false";
    let more = [archive, "hot_standby=off"].map(str::to_owned).to_vec();
    let silence = Duration::from_secs(5);
    let settings = PostgresSettings { silence, more, ..quick() };
    let mut postgres = PostgresServer::temporary_with(settings).await.unwrap();
    let data = postgres.dir().join("data");
    std::fs::write(data.join("recovery.signal"), "").unwrap();
    let recovers = async {
        tokio::task::spawn_blocking({
            let asked = data.join("asked");
            move || eventually("it asks its archive", || asked.exists())
        })
        .await
        .unwrap();
        // Not a wait for something: this is how long it recovers.
        tokio::time::sleep(silence + silence / 2).await;
        std::fs::write(data.join("go"), "").unwrap();
    };
    let (started, ()) = tokio::join!(postgres.restart(), recovers);
    started.unwrap();
    write_number(&postgres, 7).await;
}

#[tokio::test]
async fn a_killed_postgres_starts_again_with_everything_committed() {
    let mut postgres = PostgresServer::temporary().await.unwrap();
    write_number(&postgres, 7).await;
    // A second connection in the middle of a statement holds the data a moment longer.
    let mut busy = PgConnection::connect_with(&postgres.superuser()).await.unwrap();
    let sleeping = tokio::spawn(async move { busy.execute("SELECT pg_sleep(600)").await.is_err() });

    postgres.kill().await;
    assert!(PgConnection::connect_with(&postgres.superuser()).await.is_err());
    postgres.restart().await.unwrap();

    assert_eq!(number(&postgres, "SELECT n FROM numbers").await, 7);
    assert!(sleeping.await.unwrap());
}

#[tokio::test]
async fn a_killed_redis_starts_again_at_the_same_address_and_empty() {
    let mut redis = RedisServer::temporary(RedisSettings { tcp: true, ..RedisSettings::default() }).await.unwrap();
    let (url, tcp) = (redis.url(), redis.tcp_url());
    command(&redis, &["SET", "k", "v"]).await.unwrap();

    redis.kill().await;
    assert!(command(&redis, &["PING"]).await.is_err());
    redis.restart().await.unwrap();

    assert_eq!((redis.url(), redis.tcp_url()), (url, tcp));
    assert!(command(&redis, &["GET", "k"]).await.is_err(), "nil is no string");
}

#[tokio::test]
async fn servers_of_a_test_that_were_stopped_start_again_where_they_were() {
    let mut postgres = PostgresServer::temporary().await.unwrap();
    let mut redis = RedisServer::temporary(RedisSettings::default()).await.unwrap();
    write_number(&postgres, 9).await;
    postgres.stop().await;
    redis.stop().await;
    postgres.restart().await.unwrap();
    redis.restart().await.unwrap();
    assert_eq!(number(&postgres, "SELECT n FROM numbers").await, 9);
    // Running ones, too.
    postgres.restart().await.unwrap();
    redis.restart().await.unwrap();
    assert_eq!(number(&postgres, "SELECT n FROM numbers").await, 9);
    assert_eq!(command(&redis, &["PING"]).await.unwrap(), "PONG");

    let dirs = [postgres.dir(), redis.dir()].map(Path::to_owned);
    drop((postgres, redis));
    for dir in dirs {
        assert!(!dir.exists(), "{} is left", dir.display());
    }
}

#[tokio::test]
async fn a_death_is_noticed_and_told() {
    let mut redis = RedisServer::temporary(RedisSettings::default()).await.unwrap();
    let _ = command(&redis, &["SHUTDOWN", "NOSAVE"]).await;
    assert_eq!(redis.ended().await, "ended");
    redis.restart().await.unwrap();
    let info = command(&redis, &["INFO", "server"]).await.unwrap();
    let pid = info.lines().find_map(|line| line.strip_prefix("process_id:")).unwrap();
    assert!(Command::new("kill").args(["-9", pid]).status().unwrap().success());
    assert_eq!(redis.ended().await, "was killed by signal 9");
}

#[tokio::test]
async fn a_paused_redis_answers_nothing_until_it_goes_on_and_can_be_stopped() {
    let mut redis = RedisServer::temporary(RedisSettings::default()).await.unwrap();
    redis.pause();
    let silent = async || tokio::time::timeout(Duration::from_millis(200), command(&redis, &["PING"])).await.is_err();
    // The pause takes effect when the keeper has read it.
    while !silent().await {}
    redis.resume();
    assert_eq!(command(&redis, &["PING"]).await.unwrap(), "PONG");
    redis.pause();
    redis.stop().await;
    assert_eq!(processes_of(redis.dir()), Vec::<String>::new());
}

#[tokio::test]
async fn a_second_start_finds_the_data_of_the_first() {
    let base = directory();
    open_to_all(base.path());
    let dir = base.path().join("postgres");
    let mut first = PostgresServer::start(&dir, quick()).await.unwrap();
    write_number(&first, 5).await;
    first.stop().await;
    drop(first);
    let second = PostgresServer::start(&dir, quick()).await.unwrap();
    assert_eq!(second.dir(), dir);
    assert_eq!(number(&second, "SELECT n FROM numbers").await, 5);
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_gets_its_socket_elsewhere_and_still_works() {
    let base = directory();
    open_to_all(base.path());
    let deep = base.path().join("a".repeat(60)).join("b".repeat(60));
    std::fs::create_dir_all(&deep).unwrap();
    open_to_all(deep.parent().unwrap());
    open_to_all(&deep);
    let postgres = PostgresServer::start(&deep.join("postgres"), quick()).await.unwrap();
    let redis = RedisServer::start(&deep.join("redis"), RedisSettings::default()).await.unwrap();
    write_number(&postgres, 3).await;
    assert_eq!(number(&postgres, "SELECT n FROM numbers").await, 3);
    assert_eq!(command(&redis, &["PING"]).await.unwrap(), "PONG");
    assert_eq!(postgres.dir(), deep.join("postgres"), "the data stays where it was asked for");
    drop((postgres, redis));
    clean(&deep.join("postgres")).await.unwrap();
    clean(&deep.join("redis")).await.unwrap();
}

#[tokio::test]
async fn data_below_a_closed_home_of_root_goes_to_a_closed_directory_of_our_own() {
    let home = directory();
    let asked = home.path().join("clone/.local/postgres");
    let first = PostgresServer::start(&asked, quick()).await.unwrap();
    let dir = first.dir().to_owned();
    write_number(&first, 4).await;
    assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    if home.path().metadata().unwrap().uid() == 0 {
        assert!(!dir.starts_with(home.path()), "{} cannot be entered by who runs PostgreSQL", dir.display());
        assert_ne!(dir.metadata().unwrap().uid(), 0);
    } else {
        assert_eq!(dir, asked, "a normal user's own directory is in reach");
    }
    drop(first);
    let second = PostgresServer::start(&asked, quick()).await.unwrap();
    assert_eq!((second.dir(), number(&second, "SELECT n FROM numbers").await), (dir.as_path(), 4));
    drop(second);
    clean(&asked).await.unwrap();
    assert!(!dir.exists());
}

#[tokio::test]
async fn a_directory_deleted_by_hand_takes_its_stand_in_along() {
    let home = directory();
    let asked = home.path().join("postgres");
    let first = PostgresServer::start(&asked, quick()).await.unwrap();
    write_number(&first, 4).await;
    drop(first);
    std::fs::remove_dir_all(&asked).unwrap();
    let second = PostgresServer::start(&asked, quick()).await.unwrap();
    assert_eq!(number(&second, "SELECT count(*) FROM pg_class WHERE relname = 'numbers'").await, 0);
    drop(second);
    clean(&asked).await.unwrap();
}

#[tokio::test]
async fn names_in_the_directory_that_was_asked_for_lead_to_the_data_wherever_it_is() {
    let base = directory();
    open_to_all(base.path());
    let closed = base.path().join("data");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    let (postgres, redis) = (closed.join("postgres"), closed.join("redis"));
    let first = PostgresServer::start(&postgres, quick()).await.unwrap();
    let other = RedisServer::start(&redis, RedisSettings::default()).await.unwrap();
    write_number(&first, 6).await;
    assert!(first.dir().starts_with(base.path()), "{} is as lasting as what was asked for", first.dir().display());
    for name in [postgres.join("data/PG_VERSION"), postgres.join(".s.PGSQL.5432"), redis.join("redis.sock")] {
        assert!(name.exists(), "{}", name.display());
    }
    drop((first, other));
    clean(&postgres).await.unwrap();
    clean(&redis).await.unwrap();
    let left: Vec<_> = std::fs::read_dir(base.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["data"]);
    assert_eq!(std::fs::read_dir(&closed).unwrap().count(), 0);
}

#[tokio::test]
async fn a_link_in_the_place_of_the_log_is_not_followed() {
    let base = directory();
    open_to_all(base.path());
    let (asked, theirs) = (base.path().join("redis"), base.path().join("theirs"));
    std::fs::write(&theirs, "theirs").unwrap();
    std::fs::create_dir(&asked).unwrap();
    for target in [theirs.clone(), base.path().join("nothing")] {
        std::os::unix::fs::symlink(&target, asked.join("log")).unwrap();
        assert!(RedisServer::start(&asked, RedisSettings::default()).await.is_err());
        std::fs::remove_file(asked.join("log")).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "theirs");
    assert!(!base.path().join("nothing").exists());
    drop(RedisServer::start(&asked, RedisSettings::default()).await.unwrap());
}

#[tokio::test]
async fn data_of_an_account_before_is_not_passed_over() {
    let base = directory();
    open_to_all(base.path());
    let asked = base.path().join("data/postgres");
    std::fs::create_dir_all(asked.join("data")).unwrap();
    std::fs::set_permissions(base.path().join("data"), std::fs::Permissions::from_mode(0o700)).unwrap();
    if base.path().metadata().unwrap().uid() != 0 {
        return; // Only under root do the stores run as another account.
    }
    let Err(error) = PostgresServer::start(&asked, quick()).await else { panic!("it starts with an empty database") };
    assert!(error.to_string().contains("--clean") && error.to_string().contains("mv "), "{error}");
    clean(&asked).await.unwrap();
    drop(PostgresServer::start(&asked, quick()).await.unwrap());
    clean(&asked).await.unwrap();
}

#[test]
fn a_name_in_a_shared_directory_that_somebody_else_took_is_refused() {
    let shared = directory();
    let wanted = Path::new("/somewhere/else");
    let ours = own_dir(shared.path(), wanted).unwrap();
    assert_eq!(own_dir(shared.path(), wanted).unwrap(), ours, "the same again is fine");
    std::fs::remove_dir(&ours).unwrap();
    std::os::unix::fs::symlink("/etc", &ours).unwrap();
    assert!(own_dir(shared.path(), wanted).is_err(), "a link");
    std::fs::remove_file(&ours).unwrap();
    std::fs::create_dir(&ours).unwrap();
    open_to_all(&ours);
    assert!(own_dir(shared.path(), wanted).is_err(), "open to others");
}

#[test]
fn a_parent_killed_with_sigkill_leaves_neither_servers_nor_directories() {
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "parent_for_the_test_that_kills_it"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(parent.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = said.find(|line| line.contains("STORES ")).unwrap();
    let dirs: Vec<PathBuf> = line.split_once("STORES ").unwrap().1.split(' ').map(PathBuf::from).collect();
    assert!(dirs.iter().all(|dir| !processes_of(dir).is_empty()));

    parent.kill().unwrap();
    parent.wait().unwrap();
    for dir in dirs {
        eventually("its processes are gone", || processes_of(&dir).is_empty());
        eventually("its directory is gone", || !dir.exists());
    }
}

#[tokio::test]
#[ignore = "started by the test above, as the process that it kills"]
async fn parent_for_the_test_that_kills_it() {
    let postgres = PostgresServer::temporary().await.unwrap();
    let redis = RedisServer::temporary(RedisSettings::default()).await.unwrap();
    println!("STORES {} {}", postgres.dir().display(), redis.dir().display());
    // Ends by itself when nobody is there to kill it.
    let mut rest = String::new();
    let _ = std::io::stdin().read_line(&mut rest);
}
