//! PostgreSQL in a database of any locale: nothing in the records depends on the locale, and a dump of one machine
//! works the same on another.

use crate::{desk::Desk, seat::Seat};
use license_core::{
    domain::{
        access::PersonRole::{Member, Viewer},
        secret::KeyRing,
    },
    management::{Management, SeatManagement},
    records::{DatabaseRole, Records, migrate},
};
use license_local::stores::{PostgresServer, PostgresSettings as Settings};
use license_tests::{World, stores};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};
use std::sync::Arc;

/// What of the records would go by the locale of the database. Each is a query that lists what does.
const BY_LOCALE: &[(&str, &str)] = &[
    (
        "a column whose texts are not compared by their bytes",
        "select a.attrelid::regclass || '.' || a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid
         where c.relnamespace in ('public'::regnamespace, 'catalog'::regnamespace, 'directory'::regnamespace, 'history'::regnamespace) and c.relkind in ('r', 'p')
           and c.relname <> '_sqlx_migrations' and not a.attisdropped and a.attcollation not in (0, '\"C\"'::regcollation)",
    ),
    (
        "an index of texts that is not in the order of their bytes",
        "select i.indexrelid::regclass::text from pg_index i join pg_class c on c.oid = i.indrelid
         where c.relnamespace in ('public'::regnamespace, 'catalog'::regnamespace, 'directory'::regnamespace, 'history'::regnamespace) and c.relname <> '_sqlx_migrations'
           and exists (select from unnest(i.indcollation) as o (id) where o.id not in (0, '\"C\"'::regcollation))",
    ),
    (
        "an index, a default or generated column, a check or a function that changes letters' case or sorts by a locale",
        "select found.name from (
           select p.oid::regprocedure::text, p.prosrc from pg_proc p
           where p.pronamespace in ('public'::regnamespace, 'catalog'::regnamespace, 'directory'::regnamespace, 'history'::regnamespace)
           union all
           select i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) from pg_index i join pg_class c on c.oid = i.indrelid
           where c.relnamespace in ('public'::regnamespace, 'catalog'::regnamespace, 'directory'::regnamespace, 'history'::regnamespace)
           union all
           select d.adrelid::regclass || ' ' || d.adnum, pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d
           union all
           select c.conname::text, pg_get_constraintdef(c.oid) from pg_constraint c
           union all
           select p.polname::text, pg_get_expr(p.polqual, p.polrelid) from pg_policy p
         ) as found (name, text)
         where found.name not in ('history.folded(text)', 'history.key(text)') -- by Unicode's own table, and nothing that is kept depends on it
           and (found.text ~* '\\m(lower|upper|initcap|ilike|citext|casefold|to_tsvector|strcoll)\\M' or found.text like '%~*%'
           or found.text ~* 'collate' and found.text !~ 'COLLATE \"C\"')",
    ),
    (
        "an extension",
        "select e.extname::text from pg_extension e where e.extname <> 'plpgsql'",
    ),
];

async fn by_locale(world: &World, query: &'static str) -> Vec<String> {
    sqlx::query_scalar(query).fetch_all(&mut world.truth().await).await.unwrap()
}

#[tokio::test]
async fn nothing_in_the_records_goes_by_the_locale_of_the_database() {
    let world = World::new().await;
    for (what, query) in BY_LOCALE {
        assert_eq!(by_locale(&world, query).await, [] as [String; 0], "{what}");
    }
}

#[tokio::test]
async fn each_thing_that_would_go_by_it_is_found() {
    let world = World::new().await;
    for (at, spoil) in [
        (0, "alter table projects add column alias text"),
        (0, "alter table users add column alias varchar(20) collate \"und-x-icu\""),
        (1, "create index spoilt on outbox (tenant_id, (payload->>'x'))"),
        (1, "alter table licenses alter column tier type text collate pg_catalog.default"),
        (2, "create index spoilt on projects (tenant_id, lower(name) collate \"C\")"),
        (2, "alter table projects add column folded text collate \"C\" generated always as (upper(name)) stored"),
        (2, "create function spoilt(t text) returns boolean language sql as $$ select t ilike 'a' $$"),
        (2, "create function spoilt(t text) returns boolean language plpgsql as $$ begin return t ~* 'a'; end $$"),
        (2, "alter table users add check (initcap(name) <> 'A')"),
    ] {
        let mut truth = world.truth().await;
        truth.execute("begin").await.unwrap();
        truth.execute(AssertSqlSafe(spoil)).await.unwrap();
        let found: Vec<String> = sqlx::query_scalar(BY_LOCALE[at].1).fetch_all(&mut truth).await.unwrap();
        assert!(!found.is_empty(), "{spoil}");
    }
}

/// Names that locales put into different orders, and whose letters they take for different ones.
const NAMES: &[&str] = &[
    "Ünal",
    "zebra",
    "Zulu",
    "ılgaz",
    "ILGAZ two",
    "Straße",
    "a-b",
    "ab",
    "A b",
    "Ångström",
    "ö",
    "Œuvre",
    "字",
    "10",
    "9",
];

/// Everything an organization may hold that has a name or is listed.
async fn fill(desk: &Desk) -> Seat {
    let owner = desk.person("owner");
    desk.license_of(desk.tenant()).await;
    desk.join(desk.tenant(), "bob", Viewer).await;
    for (n, name) in NAMES.iter().enumerate() {
        desk.post(&desk.at("/projects"), &json!({ "name": name })).by(&owner).send().await.ok(201);
        let address = format!("{}@example.com", name.replace(' ', "."));
        desk.invite("owner", &address, "member").await.ok(201);
        let seat = desk.sit(&n.to_string(), json!({ "project": name, "user": address, "hostname": name })).await;
        desk.release(&seat).await;
        let token = json!({ "name": name, "scopes": ["audit:read"] });
        desk.post(&desk.at("/api-tokens"), &token).by(&owner).send().await.ok(201);
    }
    let join = desk.invite("owner", "JÜRGEN@example.com", "member").await.ok(201);
    let jürgen = desk.claims("customers", "jürgen", |claims| claims["email"] = json!("jürgen@example.com"));
    desk.register(&jürgen, &json!({ "invitation": join["secret"] })).send().await.ok(201);
    desk.join(desk.tenant(), "ilker", Member).await;
    desk.sit("last", json!({ "project": "ÜNAL", "user": "ILKER@example.com" })).await
}

/// What every list answers, page by page and filter by filter, to whom it concerns.
async fn lists(desk: &Desk) -> Vec<(String, Vec<Value>)> {
    let owner = desk.person("owner");
    let license = desk.world.license.id;
    let projects = desk.ids(&owner, &desk.at("/projects")).await;
    let mut paths: Vec<String> = [
        "/people?",
        "/projects?",
        "/projects?archived=false&",
        "/invitations?",
        "/invitations?state=open&",
        "/api-tokens?",
        "/licenses?",
        "/licenses?tier=trial&",
        "/licenses?product=coditect&",
        "/sessions?state=ended&",
        "/sessions?",
        "/sessions?user=ilker@example.com&",
        "/sessions?state=ended&reason=released&",
        "/audit-log?",
        "/audit-log?action=project.created&",
    ]
    .map(|path| desk.at(path))
    .into();
    paths.push(desk.at(&format!("/licenses/{license}/sessions?state=ended&")));
    paths.extend(projects.iter().map(|project| desk.at(&format!("/sessions?state=ended&project={project}&"))));
    paths.push("/api/v1/plans?".into());
    let ilker = desk.person("ilker");
    let mut answers = Vec::new();
    for (path, who) in paths.into_iter().map(|path| (path, &owner)).chain([(desk.at("/sessions?"), &ilker)]) {
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = desk.get(&format!("{path}limit=4&cursor={cursor}")).by(who).send().await.ok(200);
            rows.extend(page["items"].as_array().unwrap().iter().cloned().map(settled));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = next.to_owned();
        }
        answers.push((path, rows));
    }
    answers
}

/// A row without what is asked of Redis.
fn settled(mut row: Value) -> Value {
    for live in ["state", "last_seen_at", "lease_ends_at"] {
        row.as_object_mut().unwrap().remove(live);
    }
    row
}

#[tokio::test]
async fn a_dump_restored_into_a_database_of_another_locale_answers_as_before() {
    let (mut world, promised) = Promised::of(Desk::new().await).await;
    let original = world.database.clone();
    // Turkish has other small and capital letters than everybody else; a natural order has numbers by value.
    for locale in ["locale_provider icu icu_locale 'tr'", "locale_provider icu icu_locale 'de-u-kn-true'"] {
        world.database = stores::restored(&original, locale).await;
        world = promised.kept_by(world).await;
    }
    // `./dev portable` names the programs of another version of PostgreSQL here.
    #[expect(clippy::disallowed_methods, reason = "no service reads it")]
    if let Some(programs) = std::env::var_os("PORTABLE_TO") {
        let settings = Settings { durable: false, programs: Some(programs.into()), ..Settings::default() };
        let server = PostgresServer::temporary_with(settings).await.unwrap();
        migrate(&server.superuser()).await.unwrap();
        world.database = stores::restored_at(&original, &server, "locale_provider icu icu_locale 'tr'").await;
        let version: String =
            sqlx::query_scalar("show server_version").fetch_one(&mut world.truth().await).await.unwrap();
        promised.kept_by(world).await;
        println!("restored into PostgreSQL {version}");
    }
}

/// What a filled organization answers, and must go on answering wherever it is restored.
struct Promised {
    lists: Vec<(String, Vec<Value>)>,
    last: Seat,
}

impl Promised {
    async fn of(desk: Desk) -> (World, Self) {
        let last = fill(&desk).await;
        let lists = lists(&desk).await;
        assert!(lists.iter().filter(|(_, rows)| !rows.is_empty()).count() > NAMES.len() + 10);
        (desk.world, Self { lists, last })
    }

    /// Asks everything again of the database that the world has now.
    async fn kept_by(&self, mut world: World) -> World {
        let peppers = Arc::new(KeyRing::single(vec![2; 32]));
        world.admin = Records::with(world.database.clone(), DatabaseRole::Admin, 4).sealing(peppers);
        world.management = Management::new(world.admin.clone());
        world.seat_management = SeatManagement::new(world.seats(), world.admin.clone());
        world.protocol = world.instance().await;
        let desk = Desk::over(world).await;
        let order: bool =
            sqlx::query_scalar("select 'a' < 'B'").fetch_one(&mut desk.world.truth().await).await.unwrap();
        assert!(order, "the database has another locale than the one that was dumped");
        assert_eq!(lists(&desk).await, self.lists);
        let owner = desk.person("owner");
        // The hashes are of texts as the other database wrote them.
        let log = desk.get(&desk.at("/audit-log/verify")).by(&owner).send().await.ok(200);
        assert!(log["intact"] == true && log["checked"].as_i64() > Some(5), "{log}");
        for name in NAMES {
            for spelling in [name.to_uppercase(), name.to_lowercase(), format!(" {name}\n")] {
                // Rust's own small letter of a capital dotless i is the dotted one, which is another name.
                if spelling.to_uppercase() == name.to_uppercase() && !name.contains('ı') {
                    let made = desk.post(&desk.at("/projects"), &json!({ "name": spelling })).by(&owner).send().await;
                    made.is(409, "conflict");
                }
            }
        }
        desk.invite("owner", "JÜRGEN@EXAMPLE.COM", "member").await.is(409, "conflict");
        assert_eq!(desk.ids(&desk.person("ilker"), &desk.at("/sessions")).await, [self.last.id.as_str()]);
        let seat = desk.sit("new", json!({ "project": "STRASSE", "user": "İLKER@example.com" })).await;
        let counted = desk.get(&desk.at(&format!("/sessions/{}", seat.id))).by(&owner).send().await.ok(200);
        assert_eq!(counted["project"]["name"], "Straße");
        desk.release(&seat).await;
        for (what, query) in BY_LOCALE {
            assert_eq!(by_locale(&desk.world, query).await, [] as [String; 0], "{what}");
        }
        desk.world
    }
}
