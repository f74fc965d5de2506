//! The chain of the audit log: whatever the owner of the database changes in it is found, by the server and from an
//! export.

use crate::{
    desk::{Answer, Desk},
    traces::{ADDRESS, HERS, found, traces},
};
use license_core::domain::access::{PersonRole::Admin, Scope};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use std::{fmt::Write, process::Command, sync::Arc};
use tokio::task::JoinSet;

/// What makes the hashes of a whole chain anew, as everybody can who may write the tables: nothing in it is secret.
const REHASH: &str = "do $$ declare e audit_log; previous bytea := decode(repeat('00', 32), 'hex'); begin
    for e in select * from audit_log a where a.tenant_id = current_setting('app.tenant_id')::uuid order by seq loop
      e.details_hash := case when e.erased_by is null then history.audit_details_hash(e.salt, e) else e.details_hash end;
      e.hash := sha256(history.audit_text('audit-entry-v1', encode(previous, 'hex'), e.seq::text, e.tenant_id::text, e.id::text,
        e.actor_kind, e.actor, e.action, e.target, encode(e.details_hash, 'hex')));
      update audit_log a set details_hash = e.details_hash, hash = e.hash where a.tenant_id = e.tenant_id and a.id = e.id;
      previous := e.hash;
    end loop;
    update audit_heads h set hash = previous where h.tenant_id = current_setting('app.tenant_id')::uuid;
  end $$";

/// What an owner of the database does to entries 1 to 8 of a log, and a fault that it is found by.
const ALTERED: &[(&str, &str, &str)] = &[
    ("another name", "update audit_log set actor_name = 'eve@example.com' where seq = 4", "changed"),
    ("another actor", "update audit_log set actor = gen_random_uuid()::text where seq = 4", "changed"),
    ("another kind of actor", "update audit_log set actor_kind = 'token' where seq = 4", "changed"),
    ("another action", "update audit_log set action = 'person.left' where seq = 4", "changed"),
    ("another target", "update audit_log set target = 'x' where seq = 4", "changed"),
    ("another past", "update audit_log set before = '{}' where seq = 4", "changed"),
    ("another outcome", "update audit_log set after = after || '{\"role\": \"owner\"}' where seq = 4", "changed"),
    ("from elsewhere", "update audit_log set from_address = '192.0.2.1' where seq = 4", "changed"),
    ("another request", "update audit_log set request_id = 'x' where seq = 4", "changed"),
    ("another id, and with it another time", "update audit_log set id = '01900000-0000-7000-8000-000000000000' where seq = 4", "changed"),
    ("the first one changed", "update audit_log set action = 'person.left' where seq = 1", "changed"),
    ("the newest one changed", "update audit_log set action = 'person.left' where seq = 8", "changed"),
    ("one taken out", "delete from audit_log where seq = 4", "missing"),
    ("the first taken out", "delete from audit_log where seq = 1", "missing"),
    ("some taken out", "delete from audit_log where seq in (3, 4, 6)", "missing"),
    ("one taken out and the rest moved up", "delete from audit_log where seq = 4; update audit_log set seq = -seq where seq > 4;
      update audit_log set seq = -seq - 1 where seq < 0; update audit_heads set seq = 7", "changed"),
    ("the newest taken away", "delete from audit_log where seq = 8", "cut"),
    ("the newest taken away, and the head moved", "delete from audit_log where seq > 6; update audit_heads set seq = 6", "cut"),
    ("all taken away", "delete from audit_log", "cut"),
    ("all taken away, and the head", "delete from audit_log; delete from audit_heads", "cut"),
    ("the head taken away", "delete from audit_heads", "added"),
    ("the head changed", "update audit_heads set hash = sha256('x')", "cut"),
    ("one put in at the end", "select pg_temp.put_in(9)", "added"),
    ("one put in at no place", "alter table audit_log alter seq drop not null; select pg_temp.put_in(null)", "added"),
    ("one put in before the first", "select pg_temp.put_in(0)", "added"),
    ("one put in beside another", "drop index audit_log_by_seq; select pg_temp.put_in(4)", "added"),
    ("one put in between, and the rest moved down", "update audit_log set seq = -seq where seq > 4; update audit_log set seq = 1 - seq where seq < 0;
      update audit_heads set seq = 9; select pg_temp.put_in(5)", "changed"),
    ("two that changed places", "update audit_log set seq = -1 where seq = 4; update audit_log set seq = 4 where seq = 5;
      update audit_log set seq = 5 where seq = -1", "changed"),
    ("two that changed times", "create temporary table ids as select seq, id from audit_log where seq in (4, 5);
      update audit_log set id = gen_random_uuid() where seq in (4, 5);
      update audit_log a set id = (select i.id from ids i where i.seq = 9 - a.seq) where a.seq in (4, 5); drop table ids", "changed"),
    ("no seal", "update audit_log set seal = null where seq = 4", "unsealed"),
    ("another's seal", "update audit_log set seal = (select seal from audit_log where seq = 5) where seq = 4", "unsealed"),
    ("blanked by nobody", "update audit_log set actor_name = 'erased', salt = null, erased_by = gen_random_uuid() where seq = 4", "blanked"),
    ("blanked as if by an entry that is no erasure", "update audit_log a set actor_name = 'erased', salt = null, erased_seal = seal,
      erased_by = (select id from audit_log where seq = 5), erased_hash = sha256('x') where seq = 4", "blanked"),
];

/// Everything of an entry but the time, which the id tells; and what puts a copy of the fourth at a place.
const TOOLS: &str = "
  create temporary view entries as select tenant_id, id, actor_kind, actor, actor_name, action, target, before, after, from_address, request_id,
    seq, salt, details_hash, hash, seal, erased_by, erased_hash, erased_seal from audit_log;
  create function pg_temp.put_in(place bigint) returns void language sql as $$
    insert into audit_log (tenant_id, id, actor_kind, actor, actor_name, action, target, before, after, from_address, request_id, seq, salt,
      details_hash, hash, seal)
    select tenant_id, uuid_v7(), actor_kind, actor, actor_name, action, target, before, after, from_address, request_id, place, salt,
      details_hash, hash, seal from audit_log where seq = 4 $$;
  create function pg_temp.put_back() returns void language sql as $$
    delete from audit_log; delete from audit_heads;
    insert into audit_heads select * from heads_before;
    insert into audit_log (tenant_id, id, actor_kind, actor, actor_name, action, target, before, after, from_address, request_id, seq, salt,
      details_hash, hash, seal, erased_by, erased_hash, erased_seal) select * from entries_before $$;";
const KEEP: &str = "create temporary table entries_before as select * from entries; create temporary table heads_before as select * from audit_heads";

impl Desk {
    pub(crate) async fn verify(&self, query: &str) -> Value {
        self.get(&self.at(&format!("/audit-log/verify{query}"))).by(&self.person("owner")).send().await.ok(200)
    }

    /// The kinds of faults that are found over all stretches.
    pub(crate) async fn faults(&self) -> Vec<String> {
        let it = self.verify("").await;
        assert_eq!(it["next_cursor"], Value::Null);
        let kinds: Vec<_> =
            it["faults"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap().to_owned()).collect();
        assert_eq!(it["intact"], json!(kinds.is_empty()), "{it}");
        kinds
    }

    /// A log of eight entries.
    async fn eight(&self) -> PgConnection {
        for n in 0..7 {
            self.invite("owner", &format!("n{n}@example.com"), "viewer").await.ok(201);
        }
        assert_eq!(self.faults().await, [] as [String; 0]);
        let mut owner = self.world.truth().await;
        assert_eq!(self.world.count("select max(seq) from audit_log").await, 8);
        let tenant = format!("select set_config('app.tenant_id', '{}', false)", self.tenant());
        owner.execute(AssertSqlSafe(tenant)).await.unwrap();
        kept(&mut owner).await;
        owner
    }

    /// Everything that is exported, one entry a line.
    pub(crate) async fn exported(&self, limit: u16) -> String {
        let (mut lines, mut next) = (String::new(), format!("?limit={limit}"));
        loop {
            let path = self.at(&format!("/audit-log/export{next}"));
            let page = self.get(&path).by(&self.person("owner")).send().await.ok(200);
            for item in page["items"].as_array().unwrap() {
                writeln!(lines, "{item}").unwrap();
            }
            let Some(cursor) = page["next_cursor"].as_str() else { return lines };
            next = format!("?limit={limit}&cursor={cursor}");
        }
    }
}

/// Keeps the log as it is now, for `pg_temp.put_back()`. As superuser, whom row-level security does not bind.
async fn kept(owner: &mut PgConnection) {
    owner.execute("set check_function_bodies = off").await.unwrap();
    owner.execute(TOOLS).await.unwrap();
    owner.execute(KEEP).await.unwrap();
}

/// The pepper of a desk, as services are given it.
fn pepper() -> String {
    format!("1:{}", crate::keys::b64([2; 32]))
}

/// What the script of the documentation says of an export.
pub(crate) fn script(desk: &Desk, lines: &str, known: &[&str]) -> (bool, String) {
    script_of(&desk.tenant().to_string(), lines, known, "")
}

/// The same of any chain, by somebody who has this pepper.
fn script_of(chain: &str, lines: &str, known: &[&str], pepper: &str) -> (bool, String) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verify_audit_log.py");
    let file = std::env::temp_dir().join(format!("audit-{}.ndjson", uuid::Uuid::new_v4()));
    std::fs::write(&file, lines).unwrap();
    let mut command = Command::new("python3");
    let out = command.arg(script).arg(chain).arg(&file).args(known).env("LICENSE_PEPPER", pepper).output().unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    (out.status.success(), String::from_utf8(out.stdout).unwrap())
}

#[tokio::test]
async fn whatever_the_owner_of_the_database_does_to_an_entry_is_found_and_nothing_else_is() {
    let desk = Desk::new().await;
    let mut owner = desk.eight().await;
    for (what, sql, kind) in ALTERED {
        owner.execute(*sql).await.unwrap_or_else(|e| panic!("{what}: {e}"));
        let found = desk.faults().await;
        assert!(found.iter().any(|it| it == kind), "{what}: {found:?}");
        owner.execute("select pg_temp.put_back()").await.unwrap();
        let again = "create unique index if not exists audit_log_by_seq on audit_log (tenant_id, seq); alter table audit_log alter seq set not null";
        owner.execute(again).await.unwrap();
        assert_eq!(desk.faults().await, [] as [String; 0], "{what}: taken back");
    }
    let time =
        "alter table audit_log alter at drop expression; update audit_log set at = at - interval '1 day' where seq = 4";
    owner.execute(time).await.unwrap();
    assert_eq!(desk.faults().await, ["changed"], "another time than the id tells");
}

#[tokio::test]
async fn an_owner_who_makes_all_hashes_anew_lacks_the_key_and_an_export_that_was_kept_tells_too() {
    let desk = Desk::new().await;
    let mut owner = desk.eight().await;
    let before = desk.verify("").await["head"].clone();
    let (seq, hash) = (before["seq"].to_string(), before["hash"].as_str().unwrap());
    let known = format!("?seq={seq}&hash={hash}");
    assert_eq!(desk.verify(&known).await["intact"], json!(true));
    let kept = desk.exported(3).await;
    assert_eq!(kept, desk.exported(500).await);
    assert!(script(&desk, &kept, &[&seq, hash]).0);

    owner.execute("update audit_log set actor_name = 'eve@example.com' where seq = 4").await.unwrap();
    let changed = desk.exported(500).await;
    assert!(script(&desk, &changed, &[]).1.contains("4: the details"), "{changed}");
    owner.execute(REHASH).await.unwrap();
    assert_eq!(desk.faults().await, ["unsealed"; 5], "from the fourth to the eighth");
    let anew = desk.exported(500).await;
    let (whole, said) = script(&desk, &anew, &[]);
    assert!(whole, "whoever has no key and kept nothing cannot tell: {said}");
    let (whole, said) = script_of(&desk.tenant().to_string(), &anew, &[], &pepper());
    assert!(!whole && said.contains("8: the seal is not the server's"), "who has the pepper can: {said}");
    assert!(script_of(&desk.tenant().to_string(), &kept, &[&seq, hash], &pepper()).0);
    let (whole, said) = script(&desk, &anew, &[&seq, hash]);
    assert!(!whole && said.contains("the log is not the one"), "{said}");
    let told = desk.verify(&known).await;
    assert!(told["faults"].as_array().unwrap().iter().any(|it| it["kind"] == "rewritten"), "{told}");
}

#[tokio::test]
async fn a_log_that_was_taken_back_to_an_earlier_day_is_told_by_a_head_that_was_kept() {
    let desk = Desk::new().await;
    let mut owner = desk.eight().await;
    let head = desk.verify("").await["head"].clone();
    let back = "delete from audit_log where seq > 5;
        update audit_heads h set seq = 5, hash = (select hash from audit_log where seq = 5)";
    owner.execute(back).await.unwrap();
    assert_eq!(desk.faults().await, [] as [String; 0], "it is what it was then, seal and all");
    let known = format!("?seq={}&hash={}", head["seq"], head["hash"].as_str().unwrap());
    let told = desk.verify(&known).await;
    assert_eq!(told["faults"][0]["kind"], "rewritten", "{told}");
    // And a server that goes on with it makes no good log of it.
    desk.invite("owner", "more@example.com", "viewer").await.ok(201);
    assert_eq!(desk.verify(&known).await["intact"], json!(false));
}

#[tokio::test]
async fn a_log_in_which_somebody_was_erased_is_whole_and_says_by_what() {
    let desk = Desk::new().await;
    traces(&desk).await;
    let before = desk.verify("").await;
    assert_eq!((&before["intact"], &before["erased"]), (&json!(true), &json!(0)), "{before}");
    desk.erase_all(json!({ "person": ADDRESS })).await;
    let mut owner = desk.world.truth().await;
    for hers in HERS {
        assert_eq!(found(&mut owner, hers).await, Vec::<String>::new(), "{hers}");
    }
    let after =
        desk.verify(&format!("?seq={}&hash={}", before["head"]["seq"], before["head"]["hash"].as_str().unwrap())).await;
    assert_eq!((&after["intact"], &after["faults"]), (&json!(true), &json!([])), "{after}");
    let blanked = desk.world.count("select count(*) from audit_log where erased_by is not null").await;
    assert!(blanked > 5);
    assert_eq!(after["erased"], json!(blanked), "every entry that was blanked is told");
    let export = desk.exported(4).await;
    let (whole, said) = script(&desk, &export, &[]);
    assert!(whole && !said.contains(" 0 with something erased"), "{said}");
    let (whole, said) = script_of(&desk.tenant().to_string(), &export, &[], &pepper());
    assert!(whole, "seals of what was left too: {said}");

    // What an erasure left is guarded as what was written is; and no erasure makes good what was changed before.
    kept(&mut owner).await;
    let first = "(select min(seq) from audit_log where erased_by is not null)";
    for sql in [
        format!("update audit_log set after = '{{\"role\": \"owner\"}}' where seq = {first}"),
        format!(
            "update audit_log set after = '{{\"role\": \"owner\"}}' where seq = {first};
             update audit_log a set erased_hash = history.audit_details_hash(null, a) where seq = {first}"
        ),
        format!("update audit_log set erased_by = null where seq = {first}"),
        "delete from audit_log where action = 'person.erased'".to_owned(),
    ] {
        owner.execute(AssertSqlSafe(sql.clone())).await.unwrap();
        assert_ne!(desk.faults().await, [] as [String; 0], "{sql}");
        owner.execute("select pg_temp.put_back()").await.unwrap();
        assert_eq!(desk.faults().await, [] as [String; 0], "{sql}: taken back");
    }
}

#[tokio::test]
async fn what_may_be_erased_is_hashed_with_a_salt_of_its_own() {
    let desk = Desk::new().await;
    let mut owner = desk.eight().await;
    let salted = "select count(*) = count(distinct salt) filter (where length(salt) >= 16) from audit_log";
    assert!(sqlx::query_scalar::<_, bool>(salted).fetch_one(&mut owner).await.unwrap());
}

#[tokio::test]
async fn no_erasure_makes_good_what_was_changed_before() {
    let desk = Desk::new().await;
    desk.invite("owner", "ada@example.com", "viewer").await.ok(201);
    let mut owner = desk.world.truth().await;
    let change = "update audit_log set after = after || '{\"role\": \"owner\"}' where action = 'person.invited'";
    owner.execute(change).await.unwrap();
    assert_eq!(desk.faults().await, ["changed"]);
    desk.erase_all(json!({ "person": "ada@example.com" })).await;
    assert_eq!(found(&mut owner, "ada@example.com").await, Vec::<String>::new(), "she is erased all the same");
    assert_eq!(desk.faults().await, ["blanked"]);
}

#[tokio::test]
async fn entries_written_at_once_are_one_chain_and_none_waits_for_ever() {
    let desk = Arc::new(Desk::new().await);
    desk.join(desk.tenant(), "bob", Admin).await;
    let other = desk.other("stranger").await;
    let mut tasks = JoinSet::new();
    for n in 0..32 {
        let desk = desk.clone();
        tasks.spawn(async move {
            let who = if n % 2 == 0 { "owner" } else { "bob" };
            match n % 4 {
                0 => desk
                    .patch(&desk.at(""), &json!({ "name": format!("Name {n}") }))
                    .by(&desk.person(who))
                    .send()
                    .await
                    .ok(200),
                _ => desk.invite(who, &format!("n{n}@example.com"), "viewer").await.ok(201),
            }
        });
    }
    tasks.join_all().await;
    let it = desk.verify("").await;
    assert_eq!((&it["intact"], &it["head"]["seq"]), (&json!(true), &json!(33)), "{it}");
    let theirs = format!("/api/v1/organizations/{}/audit-log/verify", other.tenant);
    let theirs = desk.get(&theirs).by(&desk.person("stranger")).send().await.ok(200);
    assert_eq!(
        (&theirs["intact"], &theirs["head"]["seq"]),
        (&json!(true), &json!(1)),
        "each organization has a chain of its own"
    );
}

#[tokio::test]
async fn who_may_read_the_log_may_verify_and_export_it_and_what_is_wrong_is_named() {
    let desk = Desk::new().await;
    let token = desk.api_token(desk.tenant(), &[Scope::AuditRead]).await;
    let ask =
        async |rest: &str| -> Answer { desk.get(&desk.at(&format!("/audit-log/{rest}"))).by(&token).send().await };
    ask("verify").await.ok(200);
    ask("export?limit=1").await.ok(200);
    let hash = "0".repeat(64);
    for (query, fields) in [
        ("verify?seq=1".to_owned(), &["hash"][..]),
        (format!("verify?hash={hash}"), &["seq"]),
        (format!("verify?seq=0&hash={hash}"), &["seq"]),
        (format!("verify?seq=x&hash={hash}x"), &["seq", "hash"]),
        ("verify?seq=1&hash=zz".to_owned(), &["hash"]),
        ("verify?cursor=x".to_owned(), &["cursor"]),
        ("verify?limit=1".to_owned(), &["limit"]),
        ("export?limit=0".to_owned(), &["limit"]),
        ("export?limit=501".to_owned(), &["limit"]),
        ("export?cursor=AAAA".to_owned(), &["cursor"]),
    ] {
        assert_eq!(ask(&query).await.wrong(), fields, "{query}");
    }
    assert_eq!(ask(&format!("verify?seq=1&hash={hash}")).await.ok(200)["faults"][0]["kind"], "rewritten");
}

#[tokio::test]
async fn what_staff_did_to_the_catalog_is_a_chain_that_its_owner_can_check() {
    let desk = Desk::new().await;
    for seats in 1..=5 {
        let plan = json!({ "tier": "pro", "seats": seats, "features": { "rate": 1.50, "text": "ä\n\"" } });
        let path = format!("/api/v1/staff/plans/plan-{}", seats % 2);
        let call = desk.call("PUT", &path).json(&plan).by(&desk.staff("vendor")).send();
        assert!([200, 201].contains(&call.await.status));
    }
    const CHAIN: &str = "00000000-0000-0000-0000-000000000000";
    let mut owner = desk.world.truth().await;
    let head = "select seq || ' ' || encode(hash, 'hex') from catalog.staff_head";
    let head: String = sqlx::query_scalar(head).fetch_one(&mut owner).await.unwrap();
    let known: Vec<&str> = head.split(' ').collect();
    let (whole, said) = checked(&mut owner, &known).await;
    assert!(whole && said.contains("5 entries"), "{said}");
    for sql in [
        "update catalog.staff_log set actor_name = 'eve@example.com' where seq = 3",
        "update catalog.staff_log set target = 'x' where seq = 3",
        "delete from catalog.staff_log where seq = 3",
        "delete from catalog.staff_log where seq = 5",
        "update catalog.staff_log set seal = null where seq = 3",
        "insert into catalog.staff_log (id, actor_kind, actor, actor_name, action, target, seq, hash) values (uuid_v7(), 'staff', 'a', 'a', 'plan.created', 'x', 6, 'x')",
        "update catalog.staff_log set seq = -1 where seq = 3; update catalog.staff_log set seq = 3 where seq = 4;
         update catalog.staff_log set seq = 4 where seq = -1",
    ] {
        let mut transaction = sqlx::Connection::begin(&mut owner).await.unwrap();
        transaction.execute(sql).await.unwrap();
        let (whole, said) = checked(&mut transaction, &known).await;
        assert!(!whole, "{sql}: {said}");
        transaction.rollback().await.unwrap();
    }

    async fn checked(owner: &mut PgConnection, known: &[&str]) -> (bool, String) {
        let lines: Vec<String> = sqlx::query_scalar("select history.staff_export()").fetch_all(owner).await.unwrap();
        script_of(CHAIN, &lines.join("\n"), known, &pepper())
    }
}
