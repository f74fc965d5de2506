//! An error of a real store keeps what the store's client said, and a log prints both, once each and without a secret.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::{
    Clock, Error,
    domain::lease::LeaseTiming,
    error::chain,
    records::{DatabaseRole, Records, RecordsAddress},
    seat_store::{ReplicationId, SeatStore},
};
use license_local::stores::{RedisServer, RedisSettings};
use license_tests::stores;
use std::{error::Error as _, net::TcpListener};

const PASSWORD: &str = "a-password-of-a-store";

fn seats(url: &str) -> SeatStore {
    SeatStore::new(url, ReplicationId::default(), LeaseTiming::default(), Clock::system()).unwrap()
}

/// What a log prints: each of `said` once, and the password not at all, whichever way the error is printed.
fn assert_prints(error: &Error, said: &[&str]) {
    let text = chain(error).to_string();
    for part in said {
        assert_eq!(text.matches(part).count(), 1, "{part} in {text}");
    }
    assert!(!format!("{text} {error} {error:?}").contains(PASSWORD), "{text} {error:?}");
}

/// The driver's own error, wherever it stands among the causes.
fn redis_cause(error: &Error) -> &redis::RedisError {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.filter_map(|cause| cause.downcast_ref()).next().unwrap_or_else(|| panic!("{error:?}"))
}

#[tokio::test]
async fn a_redis_that_is_not_there_is_an_error_with_the_connections_own_error_underneath() {
    // Bound and let go again: nobody listens there.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let store = seats(&format!("redis://:{PASSWORD}@{nobody}"));
    // The second caller comes while no new connection is tried, and is told the same.
    for _ in 0..2 {
        let error = store.ready().await.unwrap_err();
        assert_prints(&error, &["seat store: ", "no connection to Redis was made", "Connection refused"]);
        assert!(redis_cause(&error).is_connection_refusal(), "{error:?}");
    }
}

#[tokio::test]
async fn a_redis_that_refuses_the_password_is_an_error_that_does_not_repeat_it() {
    let server = RedisServer::temporary(RedisSettings { tcp: true, ..RedisSettings::default() }).await.unwrap();
    let mut connection = stores::redis_connection(&server.url()).await.unwrap();
    let set = redis::cmd("CONFIG").arg(&["SET", "requirepass", "another"]).exec_async(&mut connection).await;
    set.unwrap();
    let error = seats(&format!("redis://:{PASSWORD}@127.0.0.1:{}", server.port().unwrap())).ready().await.unwrap_err();
    assert_prints(&error, &["seat store: ", "no connection to Redis was made", "authentication failed"]);
    assert_eq!(redis_cause(&error).kind(), redis::ErrorKind::AuthenticationFailed);
}

#[tokio::test]
async fn a_postgresql_that_refuses_is_an_error_with_the_drivers_own_error_underneath() {
    let nowhere = stores::database().await.database("nowhere").password(PASSWORD);
    let error = Records::with(nowhere, DatabaseRole::Service, 1).ready().await.unwrap_err();
    assert_prints(&error, &["records: ", "a query failed", "database \"nowhere\" does not exist"]);
    let cause = error.source().unwrap().downcast_ref::<sqlx::Error>().unwrap();
    assert_eq!(cause.as_database_error().unwrap().code().unwrap(), "3D000");
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_an_error_that_does_not_repeat_it() {
    let port = format!("postgres://service:{PASSWORD}@127.0.0.1:nowhere/license");
    let host = format!("postgres://service:{PASSWORD}@/{PASSWORD}?sslmode=never");
    for url in [port, host] {
        let error = RecordsAddress::new(&url, None, None).unwrap_err();
        assert_prints(&error, &["records: ", "the PostgreSQL URL cannot be read"]);
        assert!(error.source().unwrap().is::<sqlx::Error>());
    }
    for url in [format!("redis://:{PASSWORD}@127.0.0.1:nowhere"), format!("memcached://:{PASSWORD}@127.0.0.1")] {
        let timing = LeaseTiming::default();
        let Err(error) = SeatStore::new(&url, ReplicationId::default(), timing, Clock::system()) else {
            panic!("{url} was read")
        };
        assert_prints(&error, &["seat store: ", "the Redis URL cannot be read"]);
        assert!(error.source().unwrap().is::<redis::RedisError>());
    }
}
