//! Which login has which role, and what the login can see with it.

use super::{ManagedServer, connected};
use serde_json::json;
use sqlx::Executor;
use std::collections::BTreeSet;

const USERS: [&str; 4] = ["acquire@one.iam", "reaper@one.iam", "notify@one.iam", "admin@one.iam"];
const ALL: &str = "acquire@one.iam=service,reaper@one.iam=reaper, notify@one.iam=notify, admin@one.iam=admin";

async fn with_users() -> ManagedServer {
    let server = ManagedServer::start().await;
    for user in USERS {
        server.told(&format!("create role \"{user}\" login")).await;
    }
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_are_those_that_are_named_and_no_others() {
    let server = with_users().await;
    let lines = server.migrate_with(&["up"], &[("DATABASE_GRANTS", ALL)]).await.ended(0);
    let told = |lines: &[serde_json::Value]| {
        let line = lines.iter().find(|line| line["granted"].is_array()).unwrap();
        json!([line["granted"], line["revoked"], line["kept"]])
    };
    let all =
        json!(["acquire@one.iam=service", "admin@one.iam=admin", "notify@one.iam=notify", "reaper@one.iam=reaper"]);
    assert_eq!(told(&lines), json!([all, [], []]));

    let before = server.writes().await;
    for verb in ["up", "grants"] {
        let lines = server.migrate_with(&[verb], &[("DATABASE_GRANTS", ALL)]).await.ended(0);
        assert_eq!(told(&lines), json!([[], [], all]), "a second time nothing is to do");
    }
    let lines = server.migrate(&["up"]).await.ended(0);
    assert_eq!(lines.len(), 1, "without the variable grants stay as they are: {lines:?}");
    assert_eq!(server.writes().await, before);

    let one = [("DATABASE_GRANTS", "acquire@one.iam=service")];
    let lines = server.migrate_with(&["grants"], &one).await.ended(0);
    let gone = json!(["admin@one.iam=admin", "notify@one.iam=notify", "reaper@one.iam=reaper"]);
    assert_eq!(told(&lines), json!([[], gone, ["acquire@one.iam=service"]]));
    let database = server.postgres.superuser();
    connected(database.clone(), "acquire@one.iam", "service").await.unwrap();
    let refused = connected(database, "admin@one.iam", "admin").await.unwrap_err();
    assert_eq!(refused.as_database_error().and_then(|e| e.code()).as_deref(), Some("42501"), "{refused}");
    let status = server.migrate(&["status"]).await.ended(0);
    assert_eq!(status[0]["grants"], json!(["acquire@one.iam=service"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_is_not_there_is_named_and_nothing_is_granted() {
    let server = ManagedServer::migrated().await;
    server.told("create role \"acquire@one.iam\" login").await;
    let said = server.migrate_with(&["grants"], &[("DATABASE_GRANTS", ALL)]).await.said(11);
    assert!(
        said.starts_with("the server has no user admin@one.iam, notify@one.iam, reaper@one.iam; make it, or correct"),
        "{said}"
    );
    let members = "select count(*) from pg_auth_members where member = '\"acquire@one.iam\"'::regrole";
    assert_eq!(server.number(members).await, 0);
    for grants in
        ["acquire@one.iam=owner", "acquire@one.iam", "acquire@one.iam=", "acquire@one.iam=service=", ",", " , ,"]
    {
        server.migrate_with(&["grants"], &[("DATABASE_GRANTS", grants)]).await.ended(2);
    }
    server.migrate(&["grants"]).await.ended(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_no_role_limits_is_refused_and_nothing_is_granted() {
    let server = with_users().await;
    server.migrate(&["up"]).await.ended(0);
    server.told("create role boss login superuser; create role blind login bypassrls").await;
    for (user, verb) in [("boss", "grants"), ("blind", "up"), ("postgres", "grants")] {
        let grants = format!("acquire@one.iam=service,{user}=admin");
        let said = server.migrate_with(&[verb], &[("DATABASE_GRANTS", &grants)]).await.said(14);
        assert!(said.starts_with(&format!("DATABASE_GRANTS names {user}, a superuser or a user")), "{said}");
        let status = server.migrate(&["status"]).await.ended(0);
        assert_eq!(status[0]["grants"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_somebody_else_gave_is_taken_away_or_said_to_be_kept() {
    let server = with_users().await;
    server.migrate_with(&["up"], &[("DATABASE_GRANTS", ALL)]).await.ended(0);
    server.told("create role boss login createrole; grant service to boss with admin option").await;
    server.told("create role \"late@one.iam\" login; set role boss; grant service to \"late@one.iam\"").await;
    let version = server.number("select current_setting('server_version_num')::bigint").await;
    let ended = server.migrate_with(&["grants"], &[("DATABASE_GRANTS", ALL)]).await;
    let late = json!("late@one.iam=service");
    if version >= 160_000 {
        // Since then a membership is its grantor's, and the job's user has no right to take it away.
        let said = ended.said(6);
        assert!(said.contains("late@one.iam") && said.contains("let \"boss\" or a superuser revoke it"), "{said}");
    } else {
        let told = ended.ended(0);
        assert_eq!(told[0]["revoked"], json!([late]));
    }
    let status = server.migrate(&["status"]).await.ended(0);
    let listed = status[0]["grants"].as_array().unwrap();
    assert_eq!(listed.contains(&late), version >= 160_000, "what it said is so: {listed:?}");
    assert_eq!(listed.iter().filter(|it| **it != late).count(), USERS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_nobody_takes_no_role_away() {
    let server = with_users().await;
    server.migrate_with(&["up"], &[("DATABASE_GRANTS", ALL)]).await.ended(0);
    for verb in ["up", "grants"] {
        let said = server.migrate_with(&[verb], &[("DATABASE_GRANTS", ",")]).await.said(2);
        assert!(said.starts_with("DATABASE_GRANTS names nobody"), "{said}");
    }
    let status = server.migrate(&["status"]).await.ended(0);
    assert_eq!(status[0]["grants"].as_array().unwrap().len(), USERS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_a_name_whatever_is_written_in_it() {
    let server = ManagedServer::migrated().await;
    let long = "l".repeat(63);
    let odd = "o'd\"d; drop role reaper; --=$$";
    for user in [odd, &long, "Ünï cödé"] {
        server.told(&format!("create role \"{}\" login", user.replace('"', "\"\""))).await;
    }
    let grants = format!(" {odd} = service ,, {long}=reaper,{long}=reaper,Ünï cödé=admin,");
    server.migrate_with(&["grants"], &[("DATABASE_GRANTS", &grants)]).await.ended(0);
    let status = server.migrate(&["status"]).await.ended(0);
    let status = &status[0]["grants"];
    let told: BTreeSet<_> = status.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
    assert_eq!(told, [format!("{odd}=service"), format!("{long}=reaper"), "Ünï cödé=admin".to_owned()].into());
    // The server cuts a name that is longer, and would have granted the role to another one.
    let longer = format!("{long}l=service");
    for (grants, code) in [(longer.as_str(), 11), ("owner=service", 11), ("service=service", 1)] {
        server.migrate_with(&["grants"], &[("DATABASE_GRANTS", grants)]).await.ended(code);
    }
    assert_eq!(server.migrate(&["status"]).await.ended(0)[0]["grants"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_becomes_its_role_sees_what_the_role_sees() {
    let server = with_users().await;
    server.migrate_with(&["up"], &[("DATABASE_GRANTS", ALL)]).await.ended(0);
    let (one, two) = ("00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002");
    for (tenant, name) in [(one, "One"), (two, "Two")] {
        server.told(&format!("insert into organizations (tenant_id, name) values ('{tenant}', '{name}')")).await;
    }
    for (user, role) in USERS.iter().zip(["service", "reaper", "notify", "admin"]) {
        let mut connection = connected(server.postgres.superuser(), user, role).await.unwrap();
        let me: String = sqlx::query_scalar("select current_user::text").fetch_one(&mut connection).await.unwrap();
        assert_eq!(me, role);
        let listed = "select coalesce(string_agg(name, ' '), '') from organizations";
        if role != "admin" {
            let refused = sqlx::query(listed).execute(&mut connection).await.unwrap_err();
            assert_eq!(refused.as_database_error().and_then(|e| e.code()).as_deref(), Some("42501"), "{role}");
            continue;
        }
        for (tenant, names) in [("", ""), (one, "One"), (two, "Two")] {
            let set = format!("set app.tenant_id = '{tenant}'");
            connection.execute(sqlx::AssertSqlSafe(set)).await.unwrap();
            let seen: String = sqlx::query_scalar(listed).fetch_one(&mut connection).await.unwrap();
            assert_eq!(seen, names, "the organization {tenant:?}");
        }
        let refused = connection.execute("set role owner").await.unwrap_err();
        assert_eq!(refused.as_database_error().and_then(|e| e.code()).as_deref(), Some("42501"));
    }
}
