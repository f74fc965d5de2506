//! How the service proves to its stores who it is, and whom it trusts: what contradicts itself is refused by name.

use crate::edge::config::{self, ConfigError, Environment, RecordsConfig, RedisConfig, StoreAuth};

/// A certificate authority that nobody has the key of.
const CA: &str = include_str!("ca.pem");

fn env(values: &[(&str, &str)]) -> Environment {
    Environment::map(values.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn redis(url: &str, more: &[(&str, &str)]) -> Result<RedisConfig, ConfigError> {
    RedisConfig::from_env(&env(&[&[("REDIS_URL", url)], more].concat()))
}

fn records(url: &str, more: &[(&str, &str)]) -> Result<RecordsConfig, ConfigError> {
    RecordsConfig::from_env(&env(&[&[("DATABASE_URL", url)], more].concat()))
}

#[test]
fn access_tokens_and_a_ca_are_taken_where_they_are_asked_for() {
    let it = redis("rediss://10.0.0.3:6379", &[("REDIS_AUTH", "iam"), ("REDIS_CA", CA)]).unwrap();
    assert_eq!((it.auth, it.ca.as_deref()), (StoreAuth::Iam, Some(CA.trim())));
    let it = redis("redis://10.0.0.3:6379", &[]).unwrap();
    assert_eq!((it.auth, it.ca), (StoreAuth::Password, None));
    let two = format!("{CA}\n{CA}");
    assert!(redis("rediss://:secret@10.0.0.3:6379", &[("REDIS_CA", &two)]).is_ok());
    let account = "postgres://acquire%40project.iam@10.0.0.4:5432/license";
    let it = records(account, &[("DATABASE_AUTH", "iam"), ("DATABASE_CA", CA)]).unwrap();
    assert_eq!((it.auth, it.ca.as_deref()), (StoreAuth::Iam, Some(CA.trim())));
    for mode in ["verify-ca", "verify-full"] {
        assert!(records(&format!("postgres://h/d?sslmode={mode}"), &[("DATABASE_CA", CA)]).is_ok(), "{mode}");
    }
    assert!(records("postgres://h/d?sslmode=require", &[]).is_ok());
    assert_eq!(config::token_source(&env(&[])), "http://metadata.google.internal");
    assert_eq!(config::token_source(&env(&[("GCE_METADATA_HOST", "127.0.0.1:1")])), "http://127.0.0.1:1");
}

#[test]
fn a_redis_that_contradicts_itself_names_the_variable_that_is_wrong() {
    const TLS: &str = "rediss://10.0.0.3:6379";
    let key = "-----BEGIN PUBLIC KEY-----\nc2VjcmV0\n-----END PUBLIC KEY-----";
    let spoilt = CA.replace('M', "N");
    for (blamed, url, more) in [
        ("REDIS_CA", TLS, &[][..]),
        ("REDIS_CA", TLS, &[("REDIS_CA", "c2VjcmV0")]),
        ("REDIS_CA", TLS, &[("REDIS_CA", key)]),
        ("REDIS_CA", TLS, &[("REDIS_CA", &spoilt)]),
        ("REDIS_CA", "redis://10.0.0.3:6379", &[("REDIS_CA", CA)]),
        ("REDIS_AUTH", TLS, &[("REDIS_AUTH", "token"), ("REDIS_CA", CA)]),
        ("REDIS_AUTH", "redis://10.0.0.3:6379", &[("REDIS_AUTH", "iam")]),
        ("REDIS_AUTH", "redis+unix:///tmp/s", &[("REDIS_AUTH", "iam")]),
        ("REDIS_URL", "rediss://:hunter2@10.0.0.3:6379", &[("REDIS_AUTH", "iam"), ("REDIS_CA", CA)]),
        ("REDIS_URL", "rediss://user@10.0.0.3:6379", &[("REDIS_AUTH", "iam"), ("REDIS_CA", CA)]),
        // The client library would verify nothing.
        ("REDIS_URL", "rediss://10.0.0.3:6379/#insecure", &[("REDIS_CA", CA)]),
    ] {
        let error = redis(url, more).unwrap_err();
        assert_eq!(error.variable, blamed, "{url} {more:?}: {error}");
        assert!(!error.to_string().contains("hunter2") && !error.to_string().contains("c2VjcmV0"), "{error}");
    }
}

#[test]
fn a_database_that_contradicts_itself_names_the_variable_that_is_wrong() {
    const ACCOUNT: &str = "postgres://acquire%40project.iam@10.0.0.4/license";
    let iam = ("DATABASE_AUTH", "iam");
    for (blamed, url, more) in [
        ("DATABASE_CA", ACCOUNT, &[iam][..]),
        ("DATABASE_CA", ACCOUNT, &[("DATABASE_CA", "no certificate")]),
        ("DATABASE_CA", "postgres://h/d?sslmode=verify-ca", &[]),
        ("DATABASE_CA", "postgres://h/d?application_name=x&sslmode=verify-full", &[]),
        ("DATABASE_AUTH", ACCOUNT, &[("DATABASE_AUTH", "IAM")]),
        ("DATABASE_URL", "postgres://h/d?sslmode=disable", &[("DATABASE_CA", CA)]),
        ("DATABASE_URL", "postgres://h/d?sslmode=require", &[("DATABASE_CA", CA)]),
        ("DATABASE_URL", "postgres://10.0.0.4/license", &[iam, ("DATABASE_CA", CA)]),
        ("DATABASE_URL", "postgres://@10.0.0.4/license", &[iam, ("DATABASE_CA", CA)]),
        ("DATABASE_URL", "postgres://user:hunter2@10.0.0.4/license", &[iam, ("DATABASE_CA", CA)]),
    ] {
        let error = records(url, more).unwrap_err();
        assert_eq!(error.variable, blamed, "{url} {more:?}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
