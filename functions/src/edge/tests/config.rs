use crate::edge::config::{self, ConfigError, Environment, RootConfig};
use std::time::Duration;

const KEY: &str = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const VERSION: &str = "kms:projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1";

fn env(values: &[(&str, &str)]) -> Environment {
    Environment::map(values.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// The variable that a wrong value was blamed on, after checking that the sentence begins with it.
#[track_caller]
fn blamed<T>(result: Result<T, ConfigError>) -> &'static str {
    let error = result.err().expect("the value is refused");
    assert!(error.to_string().starts_with(error.variable) && error.to_string().ends_with('.'), "{error}");
    error.variable
}

#[test]
fn without_any_variable_the_times_are_those_of_the_protocol() {
    assert_eq!(config::timing(&env(&[])), Ok(Default::default()));
}

#[test]
fn a_shorter_lease_brings_its_heartbeat_along_unless_one_is_set() {
    let timing = config::timing(&env(&[("SEAT_TTL_SECONDS", "20"), ("SEAT_DRAIN_SECONDS", "0")])).unwrap();
    assert_eq!((timing.heartbeat, timing.drain), (Duration::from_secs(6), Duration::ZERO));
    let timing = config::timing(&env(&[("SEAT_TTL_SECONDS", "20"), ("HEARTBEAT_SECONDS", "4")])).unwrap();
    assert_eq!(timing.heartbeat, Duration::from_secs(4));
}

#[test]
fn a_wrong_time_names_its_variable() {
    for (name, value) in [
        ("SEAT_TTL_SECONDS", "1"),
        ("SEAT_TTL_SECONDS", "six"),
        ("SEAT_TTL_SECONDS", "6.5"),
        ("SEAT_DRAIN_SECONDS", "-1"),
        ("HEARTBEAT_SECONDS", "0"),
        ("HEARTBEAT_SECONDS", "181"),
    ] {
        assert_eq!(blamed(config::timing(&env(&[(name, value)]))), name, "{value}");
    }
}

#[test]
fn on_cloud_run_the_drain_outlives_a_deposed_primarys_answers() {
    let drain = |seconds| env(&[("K_SERVICE", "acquire"), ("SEAT_DRAIN_SECONDS", seconds)]);
    assert_eq!(blamed(config::timing(&drain("34"))), "SEAT_DRAIN_SECONDS");
    assert!(config::timing(&drain("35")).is_ok());
}

#[test]
fn what_is_right_on_one_machine_alone_has_no_default_on_cloud_run() {
    let redis = ("REDIS_URL", "redis://10.0.0.3:6379");
    let database = ("DATABASE_URL", "postgres://10.0.0.4/license");
    for on in [("K_SERVICE", "acquire"), ("CLOUD_RUN_JOB", "migrate")] {
        assert_eq!(blamed(config::proxies(&env(&[on]))), "TRUSTED_PROXIES");
        assert_eq!(config::proxies(&env(&[on, ("TRUSTED_PROXIES", "0")])), Ok(0));
        assert_eq!(blamed(config::RedisConfig::from_env(&env(&[on, redis]))), "REDIS_AUTH");
        assert!(config::RedisConfig::from_env(&env(&[on, redis, ("REDIS_AUTH", "password")])).is_ok());
        assert_eq!(blamed(config::RecordsConfig::from_env(&env(&[on, database]))), "DATABASE_AUTH");
        assert!(config::RecordsConfig::from_env(&env(&[on, database, ("DATABASE_AUTH", "password")])).is_ok());
    }
    let job = [("CLOUD_RUN_JOB", "migrate"), database, ("DATABASE_AUTH", "password")];
    assert_eq!(blamed(config::MigrateConfig::from_env(&env(&job))), "DATABASE_GRANTS");
    let granted = [job[0], job[1], job[2], ("DATABASE_GRANTS", "acquire@one.iam=service")];
    assert!(config::MigrateConfig::from_env(&env(&granted)).is_ok());
}

#[test]
fn a_missing_or_blank_value_is_asked_for_by_name() {
    assert_eq!(blamed(config::RedisConfig::from_env(&env(&[]))), "REDIS_URL");
    assert_eq!(blamed(config::RedisConfig::from_env(&env(&[("REDIS_URL", "  ")]))), "REDIS_URL");
    assert_eq!(blamed(config::RecordsConfig::from_env(&env(&[]))), "DATABASE_URL");
    assert_eq!(blamed(config::handle_keys(&env(&[]))), "HANDLE_KEY");
    assert_eq!(blamed(config::peppers(&env(&[]))), "LICENSE_PEPPER");
    assert_eq!(blamed(config::webhook_keys(&env(&[]))), "WEBHOOK_KEY");
    assert_eq!(blamed(config::RootConfig::from_env(&env(&[]))), "ROOT_KEY");
    assert_eq!(blamed(config::issuer(&env(&[]))), "TOKEN_ISSUER");
    assert_eq!(blamed(config::identity(&env(&[]))), "IDENTITY_ISSUER");
    assert_eq!(blamed(config::PushConfig::from_env(&env(&[]))), "PUSH_AUDIENCE");
    assert_eq!(blamed(config::PubSubConfig::from_env(&env(&[]))), "PUBSUB_PROJECT");
}

#[test]
fn api_tokens_are_good_for_thirty_days_unless_another_number_is_set() {
    let days = |text| config::token_days(&env(&[("API_TOKEN_DAYS", text)]));
    assert_eq!(config::token_days(&env(&[])), Ok(30));
    assert_eq!(days("366"), Ok(366));
    for wrong in ["0", "3651", "a month", "1.5"] {
        assert_eq!(blamed(days(wrong)), "API_TOKEN_DAYS", "{wrong}");
    }
}

#[test]
fn stores_are_named_by_the_schemes_we_speak() {
    for url in ["redis://h:6379", "redis+unix:///tmp/s", "unix:///tmp/s"] {
        assert!(config::RedisConfig::from_env(&env(&[("REDIS_URL", url)])).is_ok(), "{url}");
    }
    for url in ["h:6379", "http://h", "rediss:h"] {
        assert_eq!(blamed(config::RedisConfig::from_env(&env(&[("REDIS_URL", url)]))), "REDIS_URL");
    }
    let source = env(&[("REDIS_URL", "redis://h"), ("REDIS_REPLID_SOURCE", "both")]);
    assert_eq!(blamed(config::RedisConfig::from_env(&source)), "REDIS_REPLID_SOURCE");
    let size = |n| env(&[("DATABASE_URL", "postgres://h/d"), ("DATABASE_POOL_SIZE", n)]);
    assert_eq!(config::RecordsConfig::from_env(&size("3")).unwrap().pool_size, 3);
    assert_eq!(blamed(config::RecordsConfig::from_env(&size("0"))), "DATABASE_POOL_SIZE");
}

#[test]
fn a_wrong_secret_is_refused_without_being_shown() {
    for value in [
        "",
        "no-version",
        "1:short",
        "0:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        "256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    ] {
        let error = config::handle_keys(&env(&[("HANDLE_KEY", value)])).unwrap_err();
        assert_eq!(error.variable, "HANDLE_KEY");
        assert!(value.is_empty() || !error.to_string().contains(value), "{error}");
    }
    let url = "mysql://user:hunter2@h/d";
    assert!(
        !config::RecordsConfig::from_env(&env(&[("DATABASE_URL", url)])).unwrap_err().to_string().contains("hunter2")
    );
    let ring = config::handle_keys(&env(&[("HANDLE_KEY", KEY)])).unwrap();
    assert_eq!(ring.current.key.reveal().len(), 32);
    assert!(!format!("{ring:?}").contains("31"), "{ring:?}");
}

#[test]
fn a_previous_key_needs_another_version() {
    let pair = |before: &str| env(&[("LICENSE_PEPPER", KEY), ("LICENSE_PEPPER_PREVIOUS", before)]);
    assert_eq!(blamed(config::peppers(&pair(KEY))), "LICENSE_PEPPER_PREVIOUS");
    let ring = config::peppers(&pair(&KEY.replace("1:", "2:"))).unwrap();
    assert_eq!(ring.all().map(|key| key.version).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_proxy_for_webhooks_is_an_http_url_and_never_repeated() {
    let given = |proxy: &str| {
        let records = ("DATABASE_URL", "postgres://127.0.0.1/license");
        let push = [("PUSH_AUDIENCE", "push"), ("PUSH_EMAIL", "push@example.com")];
        let all = [&[records, ("WEBHOOK_KEY", KEY), ("WEBHOOK_PROXY", proxy)][..], &push].concat();
        config::NotifyConfig::from_env(&env(&all))
    };
    for proxy in ["http://proxy.example.com:3128", "https://user:secret@proxy.example.com"] {
        let config = given(proxy).unwrap();
        assert!(config.proxy.is_some() && !format!("{config:?}").contains("proxy.example.com"));
    }
    assert!(given("").unwrap().proxy.is_none());
    for wrong in ["proxy.example.com:3128", "socks5://user:secret@proxy.example.com", "http://", "secret"] {
        let error = given(wrong).unwrap_err();
        assert!(error.variable == "WEBHOOK_PROXY" && !error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn a_root_is_a_file_or_one_key_version() {
    let root = |value| config::RootConfig::from_env(&env(&[("ROOT_KEY", value)]));
    assert!(
        matches!(root("local:/data/root.pem"), Ok(RootConfig::Local { key, next: None }) if key.ends_with("root.pem"))
    );
    assert!(
        matches!(root(VERSION), Ok(RootConfig::Kms(kms)) if format!("kms:{}", kms.key) == VERSION && kms.next.is_none())
    );
    for value in ["local:", "kms:projects/p", &VERSION.replace("/1", "/latest"), "file:/x", "root.pem"] {
        assert_eq!(blamed(root(value)), "ROOT_KEY", "{value}");
    }
    for (key, next) in [(VERSION, "x"), ("local:/k", VERSION), ("local:/k", "local:"), (VERSION, "local:/k")] {
        assert_eq!(blamed(RootConfig::from_env(&env(&[("ROOT_KEY", key), ("ROOT_KEY_NEXT", next)]))), "ROOT_KEY_NEXT");
    }
    let both = RootConfig::from_env(&env(&[("ROOT_KEY", "local:/k"), ("ROOT_KEY_NEXT", "local:/n")]));
    assert!(matches!(both, Ok(RootConfig::Local { next: Some(next), .. }) if next.ends_with("n")));
    let endpoint = env(&[("ROOT_KEY", VERSION), ("KMS_ENDPOINT", "http://kms.example")]);
    assert_eq!(blamed(RootConfig::from_env(&endpoint)), "KMS_ENDPOINT");
}

#[test]
fn http_is_only_for_this_machine_and_this_machine_not_for_cloud_run() {
    let identity = |issuer: &str, jwks: &str, service: &str| {
        let values = [
            ("IDENTITY_ISSUER", issuer),
            ("IDENTITY_AUDIENCE", "a"),
            ("IDENTITY_JWKS_URL", jwks),
            ("K_SERVICE", service),
        ];
        config::identity(&env(&values))
    };
    let (safe, plain) = ("https://id.example/x", "http://id.example/x");
    for near in ["http://localhost:9000", "http://127.0.0.1:9000/jwks", "http://[::1]:9000"] {
        assert!(identity(near, near, "").is_ok(), "{near}");
        assert_eq!(blamed(identity(near, safe, "register")), "IDENTITY_ISSUER");
        assert_eq!(blamed(identity(safe, near, "register")), "IDENTITY_JWKS_URL");
    }
    assert_eq!(blamed(identity(plain, safe, "")), "IDENTITY_ISSUER");
    assert_eq!(blamed(identity(safe, plain, "")), "IDENTITY_JWKS_URL");
    for fake in ["http://localhost.example", "http://127.0.0.1.example/", "ftp://localhost/x", "/path", "id.example"] {
        assert_eq!(blamed(identity(fake, safe, "")), "IDENTITY_ISSUER", "{fake}");
    }
    let service = ("K_SERVICE", "acquire");
    assert_eq!(blamed(config::RootConfig::from_env(&env(&[("ROOT_KEY", "local:/k"), service]))), "ROOT_KEY");
    assert_eq!(blamed(config::issuer(&env(&[("PUBLIC_URL", "http://127.0.0.1:8080"), service]))), "PUBLIC_URL");
    assert_eq!(blamed(config::issuer(&env(&[("TOKEN_ISSUER", "http://x.example")]))), "TOKEN_ISSUER");
}

#[test]
fn the_issuer_of_tokens_is_the_public_address_unless_set() {
    let issuer = |values: &[(&str, &str)]| config::issuer(&env(values)).unwrap();
    assert_eq!(issuer(&[("PUBLIC_URL", "https://a.example/")]), "https://a.example");
    assert_eq!(
        issuer(&[("PUBLIC_URL", "https://a.example"), ("TOKEN_ISSUER", "https://b.example")]),
        "https://b.example"
    );
}

#[test]
fn a_service_listens_on_its_own_machine_unless_it_is_told_or_runs_on_cloud_run() {
    let at = |values: &[(&str, &str)]| {
        config::ListenAddress::from_env(&env(values)).map(|listen| listen.socket().to_string())
    };
    assert_eq!(at(&[]).unwrap(), "127.0.0.1:8080");
    assert_eq!(at(&[("BIND_ADDRESS", " "), ("PORT", "9001")]).unwrap(), "127.0.0.1:9001");
    assert_eq!(at(&[("K_SERVICE", "acquire")]).unwrap(), "0.0.0.0:8080");
    assert_eq!(at(&[("BIND_ADDRESS", "0.0.0.0")]).unwrap(), "0.0.0.0:8080");
    assert_eq!(at(&[("BIND_ADDRESS", "::1")]).unwrap(), "[::1]:8080");
    assert_eq!(at(&[("BIND_ADDRESS", "10.0.0.7"), ("K_SERVICE", "acquire")]).unwrap(), "10.0.0.7:8080");
    for wrong in ["everywhere", "localhost", "0.0.0.0:8080", "*"] {
        assert_eq!(
            blamed(config::ListenAddress::from_env(&env(&[("BIND_ADDRESS", wrong)]))),
            "BIND_ADDRESS",
            "{wrong}"
        );
    }
}

#[test]
fn an_issuer_of_one_machine_is_refused_where_other_machines_reach_the_service() {
    let demo = "http://127.0.0.1/license-local";
    let staff = |more: &[(&str, &str)]| {
        let base = [
            ("STAFF_IDENTITY_ISSUER", demo),
            ("STAFF_IDENTITY_AUDIENCE", "s"),
            ("STAFF_IDENTITY_JWKS_URL", "http://127.0.0.1:1/k"),
        ];
        config::staff(&env(&[&base, more].concat())).map(drop)
    };
    let people = |more: &[(&str, &str)]| {
        let base =
            [("IDENTITY_ISSUER", demo), ("IDENTITY_AUDIENCE", "p"), ("IDENTITY_JWKS_URL", "http://127.0.0.1:1/k")];
        config::identity(&env(&[&base, more].concat())).map(drop)
    };
    for fine in [&[][..], &[("BIND_ADDRESS", "127.0.0.1")], &[("BIND_ADDRESS", "::1")], &[("TRUSTED_PROXIES", "0")]] {
        assert_eq!((people(fine), staff(fine)), (Ok(()), Ok(())), "{fine:?}");
    }
    for reached in
        [("BIND_ADDRESS", "0.0.0.0"), ("BIND_ADDRESS", "192.168.1.7"), ("BIND_ADDRESS", "::"), ("TRUSTED_PROXIES", "1")]
    {
        assert_eq!(blamed(people(&[reached])), "IDENTITY_ISSUER", "{reached:?}");
        assert_eq!(blamed(staff(&[reached])), "STAFF_IDENTITY_ISSUER", "{reached:?}");
        assert_eq!(people(&[reached, ("IDENTITY_ISSUER", "https://id.example.com")]), Ok(()));
    }
}

#[test]
fn an_id_token_is_good_for_twelve_hours_at_most_unless_set() {
    let base = [
        ("IDENTITY_ISSUER", "https://securetoken.google.com/p"),
        ("IDENTITY_AUDIENCE", "p"),
        ("STAFF_IDENTITY_ISSUER", "https://securetoken.google.com/s"),
        ("STAFF_IDENTITY_AUDIENCE", "s"),
    ];
    let lives = |more: &[(&str, &str)]| {
        let env = env(&[&base, more].concat());
        (config::identity(&env).map(|it| it.longest_life), config::staff(&env).map(|it| it.unwrap().longest_life))
    };
    assert_eq!(lives(&[]), (Ok(43_200), Ok(43_200)));
    assert_eq!(lives(&[("IDENTITY_TOKEN_SECONDS", "3600")]), (Ok(3600), Ok(43_200)));
    assert_eq!(lives(&[("STAFF_IDENTITY_TOKEN_SECONDS", "600")]), (Ok(43_200), Ok(600)));
    for wrong in ["0", "59", "604801", "-1", "1h"] {
        assert_eq!(blamed(lives(&[("IDENTITY_TOKEN_SECONDS", wrong)]).0), "IDENTITY_TOKEN_SECONDS", "{wrong}");
        assert_eq!(
            blamed(lives(&[("STAFF_IDENTITY_TOKEN_SECONDS", wrong)]).1),
            "STAFF_IDENTITY_TOKEN_SECONDS",
            "{wrong}"
        );
    }
}

#[test]
fn identity_platform_needs_no_jwks_address() {
    let values = [("IDENTITY_ISSUER", "https://securetoken.google.com/p"), ("IDENTITY_AUDIENCE", "p")];
    assert!(config::identity(&env(&values)).unwrap().jwks_url.ends_with("securetoken@system.gserviceaccount.com"));
}

#[test]
fn logging_defaults_to_json_at_info_and_refuses_what_it_cannot_read() {
    let logging = |values: &[(&str, &str)]| config::LogConfig::from_env(&env(values));
    assert_eq!(logging(&[]).map(|l| (l.filter, l.text)), Ok(("info".into(), false)));
    assert_eq!(logging(&[("LOG_LEVEL", "debug"), ("RUST_LOG", "sqlx=warn")]).unwrap().filter, "sqlx=warn");
    assert_eq!(blamed(logging(&[("LOG_LEVEL", "a=loud")])), "LOG_LEVEL");
    assert_eq!(blamed(logging(&[("LOG_FORMAT", "xml")])), "LOG_FORMAT");
    assert_eq!(blamed(config::ListenAddress::from_env(&env(&[("PORT", "99999")]))), "PORT");
}

#[test]
fn the_bus_of_one_machine_is_reached_on_this_machine_only_with_its_token_and_never_on_cloud_run() {
    let bus = |more: &[(&str, &str)]| {
        let base = [("PUBSUB_PROJECT", "local"), ("PUBSUB_BUS_TOKEN", "hunter2")];
        config::PubSubConfig::from_env(&env(&[&base, more].concat())).map(|settings| settings.bus)
    };
    assert_eq!(bus(&[]), Ok(None));
    let named = bus(&[("PUBSUB_BUS_URL", "http://127.0.0.1:8086/")]).unwrap().unwrap();
    assert_eq!(named.url, "http://127.0.0.1:8086");
    assert!(!format!("{named:?}").contains("hunter2"));
    for url in ["http://10.0.0.7:8086", "https://127.0.0.1", "127.0.0.1:8086", "bus"] {
        assert_eq!(blamed(bus(&[("PUBSUB_BUS_URL", url)])), "PUBSUB_BUS_URL", "{url}");
    }
    let here = ("PUBSUB_BUS_URL", "http://127.0.0.1:8086");
    assert_eq!(blamed(bus(&[here, ("K_SERVICE", "reaper")])), "PUBSUB_BUS_URL");
    assert_eq!(blamed(bus(&[here, ("PUBSUB_BUS_TOKEN", "")])), "PUBSUB_BUS_TOKEN");
}

#[test]
fn staff_signs_in_by_an_audience_of_its_own_or_not_at_all() {
    let staff = |more: &[(&str, &str)]| {
        let base = [("IDENTITY_ISSUER", "https://securetoken.google.com/p"), ("IDENTITY_AUDIENCE", "p")];
        config::staff(&env(&[&base, more].concat()))
    };
    assert!(staff(&[]).unwrap().is_none());
    // Without an audience nobody is staff; where something else is set, that is an accident.
    assert_eq!(
        blamed(staff(&[("STAFF_IDENTITY_ISSUER", "https://securetoken.google.com/s")])),
        "STAFF_IDENTITY_AUDIENCE"
    );
    assert_eq!(blamed(staff(&[("STAFF_IDENTITY_JWKS_URL", "https://id.example/keys")])), "STAFF_IDENTITY_AUDIENCE");
    let (issuer, audience) =
        (("STAFF_IDENTITY_ISSUER", "https://securetoken.google.com/s"), ("STAFF_IDENTITY_AUDIENCE", "s"));
    let settings = staff(&[issuer, audience]).unwrap().unwrap();
    assert_eq!((settings.issuer.as_str(), settings.audience.as_str()), (issuer.1, "s"));
    assert!(settings.jwks_url.ends_with("securetoken@system.gserviceaccount.com"), "{}", settings.jwks_url);
    let own = [("STAFF_IDENTITY_ISSUER", "https://id.example"), audience];
    assert_eq!(blamed(staff(&own)), "STAFF_IDENTITY_JWKS_URL");
    let keys = ("STAFF_IDENTITY_JWKS_URL", "https://id.example/keys");
    assert_eq!(staff(&[own[0], own[1], keys]).unwrap().unwrap().jwks_url, keys.1);
    assert_eq!(blamed(staff(&[audience])), "STAFF_IDENTITY_ISSUER");
    assert_eq!(blamed(staff(&[issuer, ("STAFF_IDENTITY_AUDIENCE", "p")])), "STAFF_IDENTITY_AUDIENCE");
    assert_eq!(blamed(staff(&[("STAFF_IDENTITY_ISSUER", "http://id.example"), audience])), "STAFF_IDENTITY_ISSUER");
    let plain = ("STAFF_IDENTITY_JWKS_URL", "http://id.example/keys");
    assert_eq!(blamed(staff(&[issuer, audience, plain])), "STAFF_IDENTITY_JWKS_URL");
}

#[test]
fn nobody_in_front_is_trusted_unless_told_how_many_stand_there() {
    let proxies = |value| config::proxies(&env(&[("TRUSTED_PROXIES", value)]));
    assert_eq!((proxies(""), proxies("0"), proxies("2")), (Ok(0), Ok(0), Ok(2)));
    for wrong in ["-1", "11", "one", "1.5", "256"] {
        assert_eq!(blamed(proxies(wrong)), "TRUSTED_PROXIES", "{wrong}");
    }
}
