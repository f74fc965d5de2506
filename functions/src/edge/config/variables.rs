//! Every variable there is: who reads it, what holds where it is not set, and what it means. `.env.sample` and the
//! lists of docs/OPERATING.md are compared with this table, and the table with what each service asks for.

use super::variable::{
    DefaultValue::{Required, Unset, Value},
    Variable,
    VariableReaders::{Every, LocalMachine, Only},
};

/// Every variable that a service or `license-local` reads, in the order of `.env.sample`. `K_SERVICE` and
/// `CLOUD_RUN_JOB` are not among them: Cloud Run sets them.
pub const VARIABLES: &[Variable] = &[
    Variable { name: "PORT", readers: Every, default: Value("8080"), meaning: "where to listen" },
    Variable {
        name: "BIND_ADDRESS",
        readers: Every,
        default: Value("127.0.0.1"),
        meaning: "and on which address: this machine alone unless set; 0.0.0.0 is every interface, \
            and the default on Cloud Run",
    },
    Variable {
        name: "SECURITY_CONTACT",
        readers: Every,
        default: Unset,
        meaning: "served as /.well-known/security.txt (RFC 9116); also https: and tel:, commas between several",
    },
    Variable { name: "SECURITY_POLICY", readers: Every, default: Unset, meaning: "the page it points to" },
    Variable {
        name: "DOCS_URL",
        readers: Every,
        default: Unset,
        meaning: "`type` of an error is this and /errors/<code>",
    },
    Variable {
        name: "RUST_LOG",
        readers: Every,
        default: Value("info"),
        meaning: "which log lines are written: a level, or target=level,…",
    },
    Variable {
        name: "LOG_LEVEL",
        readers: Every,
        default: Value("info"),
        meaning: "the same, where RUST_LOG is not set",
    },
    Variable {
        name: "LOG_FORMAT",
        readers: Every,
        default: Value("json"),
        meaning: "json (Cloud Logging) or text (people)",
    },
    Variable {
        name: "GOOGLE_CLOUD_PROJECT",
        readers: Every,
        default: Unset,
        meaning: "makes trace ids in log lines links",
    },
    Variable {
        name: "START_PATIENCE_SECONDS",
        readers: Every,
        default: Value("2"),
        meaning: "how long a start (and migrate) waits for stores that do not answer, 0 to 600",
    },
    Variable {
        name: "REDIS_URL",
        readers: Every,
        default: Required,
        meaning: "or rediss://host:port (TLS), redis+unix:///path/to/redis.sock; maxmemory-policy must be noeviction",
    },
    Variable {
        name: "REDIS_AUTH",
        readers: Every,
        default: Value("password"),
        meaning: "the one of REDIS_URL, if any; or iam: the user default with an access token, over TLS; \
            must be said on Cloud Run",
    },
    Variable {
        name: "REDIS_CA",
        readers: Every,
        default: Unset,
        meaning: "PEM; with rediss://, whom the server must have its certificate from; its name is not compared",
    },
    Variable { name: "RATE_ACQUIRE", readers: Only(&["acquire"]), default: Value("120/40"), meaning: "each holder" },
    Variable {
        name: "RATE_LICENSE",
        readers: Only(&["acquire"]),
        default: Unset,
        meaning: "new sessions of each license, for each of its seats; as RATE_ACQUIRE unless set",
    },
    Variable { name: "RATE_HEARTBEAT", readers: Only(&["heartbeat"]), default: Value("30"), meaning: "each session" },
    Variable {
        name: "RATE_REGISTER",
        readers: Only(&["register"]),
        default: Value("5"),
        meaning: "each address; each person who was invited",
    },
    Variable {
        name: "RATE_UNKNOWN_KEYS",
        readers: Only(&["acquire"]),
        default: Value("10"),
        meaning: "different wrong keys of each address",
    },
    Variable {
        name: "RATE_CREDENTIALS",
        readers: Only(&["register", "admin"]),
        default: Value("10"),
        meaning: "different forged tokens and invented invitations of each address",
    },
    Variable {
        name: "RATE_ADMIN",
        readers: Only(&["admin"]),
        default: Value("60"),
        meaning: "each person, token or member of staff",
    },
    Variable {
        name: "REDIS_REPLID_SOURCE",
        readers: Every,
        default: Value("script"),
        meaning: "`connection` where the server does not let scripts ask INFO; costs a round trip",
    },
    Variable {
        name: "SEAT_TTL_SECONDS",
        readers: Every,
        default: Value("360"),
        meaning: "the lease of a session, 2 to 86400",
    },
    Variable {
        name: "SEAT_DRAIN_SECONDS",
        readers: Every,
        default: Value("45"),
        meaning: "how long an answer of a deposed Redis primary may still arrive; on Cloud Run at least 35",
    },
    Variable {
        name: "HEARTBEAT_SECONDS",
        readers: Every,
        default: Value("108"),
        meaning: "what heartbeats aim at; 30 % of the lease unless set, at most half of it",
    },
    Variable {
        name: "DATABASE_URL",
        readers: Every,
        default: Required,
        meaning: "the user is replaced by the service's role; a password must be that role's",
    },
    Variable {
        name: "DATABASE_AUTH",
        readers: Every,
        default: Value("password"),
        meaning: "the one of DATABASE_URL, if any; or iam: its user with an access token, over TLS, as the role; \
            must be said on Cloud Run",
    },
    Variable {
        name: "DATABASE_CA",
        readers: Every,
        default: Unset,
        meaning: "PEM; wants TLS, and is whom the server must have its certificate from (sslmode=verify-ca)",
    },
    Variable {
        name: "DATABASE_POOL_SIZE",
        readers: Every,
        default: Value("4"),
        meaning: "connections of one instance: size × instances × services ≤ max_connections − 10",
    },
    Variable {
        name: "DATABASE_GRANTS",
        readers: Only(&["migrate"]),
        default: Unset,
        meaning: "user=role, commas between them: the logins of service, reaper and admin; others lose these roles",
    },
    Variable {
        name: "HANDLE_KEY",
        readers: Only(&["acquire", "heartbeat", "release"]),
        default: Required,
        meaning: "what session handles are signed with",
    },
    Variable {
        name: "HANDLE_KEY_PREVIOUS",
        readers: Only(&["acquire", "heartbeat", "release"]),
        default: Unset,
        meaning: "the other version, accepted while the key is replaced",
    },
    Variable {
        name: "LICENSE_PEPPER",
        readers: Only(&["acquire", "register", "admin"]),
        default: Required,
        meaning: "what license keys are hashed with",
    },
    Variable {
        name: "LICENSE_PEPPER_PREVIOUS",
        readers: Only(&["acquire", "register", "admin"]),
        default: Unset,
        meaning: "the other version, accepted while the pepper is replaced",
    },
    Variable {
        name: "ROOT_KEY",
        readers: Only(&["acquire", "heartbeat"]),
        default: Required,
        meaning: "what certifies the keys of instances",
    },
    Variable {
        name: "ROOT_KEY_NEXT",
        readers: Only(&["acquire", "heartbeat"]),
        default: Unset,
        meaning: "of the same kind; published beside it, so that clients can pin it before it signs",
    },
    Variable {
        name: "KMS_ENDPOINT",
        readers: Only(&["acquire", "heartbeat"]),
        default: Value("https://cloudkms.googleapis.com"),
        meaning: "where Cloud KMS answers",
    },
    Variable {
        name: "GCE_METADATA_HOST",
        readers: Every,
        default: Value("metadata.google.internal"),
        meaning: "who gives access tokens, for Cloud KMS and for stores with iam",
    },
    Variable {
        name: "TOKEN_ISSUER",
        readers: Only(&["acquire", "heartbeat"]),
        default: Required,
        meaning: "`iss` of every token; PUBLIC_URL where this is not set",
    },
    Variable {
        name: "PUBLIC_URL",
        readers: Every,
        default: Unset,
        meaning: "the address that clients know: TOKEN_ISSUER where that is not set; makes security.txt canonical",
    },
    Variable {
        name: "IDENTITY_ISSUER",
        readers: Only(&["register", "admin"]),
        default: Required,
        meaning: "who signs the ID tokens of people",
    },
    Variable {
        name: "IDENTITY_AUDIENCE",
        readers: Only(&["register", "admin"]),
        default: Required,
        meaning: "whom those ID tokens are made out to",
    },
    Variable {
        name: "IDENTITY_JWKS_URL",
        readers: Only(&["register", "admin"]),
        default: Unset,
        meaning: "known for Identity Platform; http: only to this machine",
    },
    Variable {
        name: "IDENTITY_TOKEN_SECONDS",
        readers: Only(&["register", "admin"]),
        default: Value("43200"),
        meaning: "the longest time from iat to exp of an ID token, 60 to 604800: longer ones are refused",
    },
    Variable {
        name: "API_TOKEN_DAYS",
        readers: Only(&["admin"]),
        default: Value("30"),
        meaning: "how long an API token is good for where nobody says when it ends, 1 to 3650 (admin)",
    },
    Variable {
        name: "TRUSTED_PROXIES",
        readers: Every,
        default: Value("0"),
        meaning: "proxies of ours in front, 0 to 10: so many entries of X-Forwarded-For, from its end, \
            are believed (acquire too); must be said on Cloud Run",
    },
    Variable {
        name: "STAFF_IDENTITY_AUDIENCE",
        readers: Only(&["admin"]),
        default: Unset,
        meaning: "whom the ID tokens of staff are made out to",
    },
    Variable { name: "STAFF_IDENTITY_ISSUER", readers: Only(&["admin"]), default: Unset, meaning: "who signs them" },
    Variable {
        name: "STAFF_IDENTITY_JWKS_URL",
        readers: Only(&["admin"]),
        default: Unset,
        meaning: "known for Identity Platform; http: only to this machine",
    },
    Variable {
        name: "STAFF_IDENTITY_TOKEN_SECONDS",
        readers: Only(&["admin"]),
        default: Value("43200"),
        meaning: "as IDENTITY_TOKEN_SECONDS, for staff",
    },
    Variable {
        name: "STAFF_ALLOWED_NETWORKS",
        readers: Only(&["admin"]),
        default: Unset,
        meaning: "from where staff is let in; unset, from everywhere. Needs the right TRUSTED_PROXIES",
    },
    Variable {
        name: "STAFF_STEP_UP_MAX_AGE_SECONDS",
        readers: Only(&["admin"]),
        default: Unset,
        meaning: "how long ago staff may have signed in to change something, 60 to 2592000",
    },
    Variable {
        name: "STAFF_STEP_UP_ACR_VALUES",
        readers: Only(&["admin"]),
        default: Unset,
        meaning: "one of these must be the `acr` of the ID token, to change something",
    },
    Variable {
        name: "PUSH_AUDIENCE",
        readers: Only(&["reaper"]),
        default: Required,
        meaning: "the audience set on both push subscriptions",
    },
    Variable {
        name: "PUSH_EMAIL",
        readers: Only(&["reaper"]),
        default: Required,
        meaning: "the service account that both push subscriptions use",
    },
    Variable {
        name: "PUSH_ISSUER",
        readers: Only(&["reaper"]),
        default: Value("https://accounts.google.com"),
        meaning: "who signs the tokens of pushes",
    },
    Variable {
        name: "PUSH_JWKS_URL",
        readers: Only(&["reaper"]),
        default: Value("https://www.googleapis.com/oauth2/v3/certs"),
        meaning: "where that issuer's keys are",
    },
    Variable {
        name: "PUBSUB_PROJECT",
        readers: Only(&["reaper"]),
        default: Required,
        meaning: "the Google Cloud project of the topics",
    },
    Variable {
        name: "PUBSUB_TOPIC_REAP",
        readers: Only(&["reaper"]),
        default: Value("reap"),
        meaning: "the topic of the reaper's own messages",
    },
    Variable {
        name: "PUBSUB_TOPIC_EVENTS",
        readers: Only(&["reaper"]),
        default: Value("events"),
        meaning: "the topic of events",
    },
    Variable {
        name: "PUBSUB_TOPIC_TICK",
        readers: Only(&["reaper"]),
        default: Value("tick"),
        meaning: "only Cloud Scheduler publishes to it",
    },
    Variable {
        name: "PUBSUB_EMULATOR_HOST",
        readers: Only(&["reaper"]),
        default: Unset,
        meaning: "host:port in place of Cloud Pub/Sub, without credentials; refused on Cloud Run",
    },
    Variable {
        name: "PUBSUB_BUS_URL",
        readers: Only(&["reaper"]),
        default: Unset,
        meaning: "the bus of a license-local on this machine in place of either; refused on Cloud Run",
    },
    Variable {
        name: "PUBSUB_BUS_TOKEN",
        readers: Only(&["reaper"]),
        default: Unset,
        meaning: "what that bus knows its publishers by; license-local writes both into .local/env",
    },
    Variable {
        name: "REAPER_PERIOD_SECONDS",
        readers: LocalMachine,
        default: Value("60"),
        meaning: "how often the reaper is asked to look",
    },
];

/// What the driver of PostgreSQL reads by itself (sqlx 0.9, `PgConnectOptions::new_without_pgpass` and `apply_pgpass`)
/// and lets nobody unset. Services and `migrate` are told by `DATABASE_URL`, `DATABASE_CA` and `DATABASE_AUTH` how to
/// connect, and by nothing else: where one of these is set, they do not start.
pub const REFUSED_VARIABLES: &[&str] = &[
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGUSER",
    "PGDATABASE",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGAPPNAME",
    "PGOPTIONS",
];

/// What `migrate` reads. It is no service: what every service reads (`PORT`, say) means nothing to it.
pub const MIGRATE_VARIABLES: &[&str] = &[
    "DATABASE_URL",
    "DATABASE_AUTH",
    "DATABASE_CA",
    "DATABASE_POOL_SIZE",
    "DATABASE_GRANTS",
    "START_PATIENCE_SECONDS",
    "GOOGLE_CLOUD_PROJECT",
    "GCE_METADATA_HOST",
    "REDIS_URL",
    "REDIS_AUTH",
    "REDIS_CA",
    "REDIS_REPLID_SOURCE",
    "SEAT_TTL_SECONDS",
    "SEAT_DRAIN_SECONDS",
    "HEARTBEAT_SECONDS",
];
