//! Lists as CSV: the rows of their JSON, whatever is in them and however many there are.

use crate::desk::{Answer, Call, Desk, WEBHOOK};
use license_core::domain::{access::PersonRole::Viewer, rate::RateLimit};
use license_tests::World;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Something in every list, with nulls and without, and texts that must be quoted or defused.
async fn fill(desk: &Desk) {
    let (owner, staff) = (desk.person("owner"), desk.staff("vendor"));
    let license = desk.world.license.id.to_string();
    desk.join(desk.tenant(), "=ada", Viewer).await;
    for (email, kept) in [("-grace@example.com", true), ("edsger@example.com", false)] {
        let body = json!({ "email": email, "role": "member" });
        let invited = desk.post(&desk.at("/invitations"), &body).by(&owner).send().await.ok(201);
        if !kept {
            let path = desk.at(&format!("/invitations/{}", invited["id"].as_str().unwrap()));
            assert_eq!(desk.delete(&path).by(&owner).send().await.status, 204);
        }
    }
    let scopes = ["licenses:read", "sessions:read"];
    let networks = ["192.0.2.0/24", "2001:db8::/32"];
    for body in [
        json!({ "name": "@nightly \"report\", all", "scopes": scopes, "allowed_networks": networks }),
        json!({ "name": "Jürgen 東京", "scopes": scopes }),
    ] {
        desk.post(&desk.at("/api-tokens"), &body).by(&owner).send().await.ok(201);
    }
    for token in [
        json!({ "name": "=shop", "scopes": ["licenses:read"], "allowed_networks": networks }),
        json!({ "name": "billing, \"nightly\"", "scopes": ["licenses:read", "organizations:write"] }),
    ] {
        desk.post("/api/v1/staff/api-tokens", &token).by(&staff).send().await.ok(201);
    }
    let metadata = json!({ "region": "=eu", "order": "a,b" });
    let bought = json!({ "name": "-Engines", "external_id": "@9", "metadata": metadata });
    desk.post("/api/v1/staff/organizations", &bought).by(&staff).send().await.ok(201);
    let tied = json!({ "name": "+Turbine", "license_ids": [license] });
    let turbine = desk.post(&desk.at("/projects"), &tied).by(&owner).send().await.ok(201);
    let old = desk.post(&desk.at("/projects"), &json!({ "name": "Old" })).by(&owner).send().await.ok(201);
    let path = desk.at(&format!("/projects/{}", old["id"].as_str().unwrap()));
    desk.patch(&path, &json!({ "archived": true })).by(&owner).send().await.ok(200);
    desk.sit(
        "a",
        json!({ "hostname": "=host, \"1\"", "user": "ada@example.com", "project": "+Turbine", "version": "1.2.3" }),
    )
    .await;
    assert_eq!(turbine["license_ids"], json!([license]));
    desk.sit("b", json!({})).await;
    let gone = desk.sit("c", json!({ "hostname": "-c" })).await;
    desk.release(&gone).await;
    let wanted = "select record_wants(tenant_id, pool_id, 0, jsonb_build_array(
          jsonb_build_object('began', true, 'holder', 'd', 'first_ask', unix_ms(now()), 'machine', 'hw', 'label', '=d'),
          jsonb_build_object('began', true, 'holder', 'e', 'first_ask', unix_ms(now()), 'machine', 'hw', 'label', 'e',
            'person', '@e'),
          jsonb_build_object('began', false, 'holder', 'e', 'first_ask', unix_ms(now()), 'last_ask', unix_ms(now()), 'asks', 2,
            'granted', unix_ms(now()))))
        from pools where pool_id = $1";
    sqlx::query(wanted).bind(desk.world.license.pool_id.0).execute(&mut desk.world.truth().await).await.unwrap();
    desk.post(&desk.at(&format!("/licenses/{license}/rotate-key")), &json!({ "old_valid_for_in": 3600 }))
        .by(&owner)
        .send()
        .await
        .ok(200);
    desk.deliver().await;
    desk.raise(desk.tenant()).await;
    desk.raise(desk.tenant()).await;
    let features = json!({ "render": true, "=cell": "a\nb", "depth": -3 });
    let sold = json!({ "product": "coditect", "plan": "trial", "features": features });
    let sold = desk.post(&desk.at("/licenses"), &sold).by(&staff).send().await.ok(201);
    let path = desk.at(&format!("/licenses/{}/suspend", sold["id"].as_str().unwrap()));
    desk.post(&path, &json!({})).by(&staff).send().await.ok(200);
    let plan = json!({ "tier": "pro", "seats": 1 });
    desk.call("PUT", "/api/v1/staff/plans/pro").json(&plan).by(&staff).send().await.ok(201);
    let product = json!({ "registration_plan": "trial", "trials": { "domain": 5 } });
    desk.call("PUT", "/api/v1/staff/products/viewer").json(&product).by(&staff).send().await.ok(201);
}

/// The lists of the document, each with its path in the world's organization.
fn lists(desk: &Desk) -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(include_str!("../../../openapi.json")).unwrap();
    let mut lists = Vec::new();
    for (template, item) in document["paths"].as_object().unwrap() {
        let content = &item["get"]["responses"]["200"]["content"];
        let parameters = item["get"]["parameters"].as_array().cloned().unwrap_or_default();
        let is_page = parameters.iter().any(|it| it["name"] == "cursor");
        // The chain of the audit log is for programs that check it byte by byte; rows of an export have no columns in common.
        let expected = is_page && !template.contains("/audit-log/") && !template.ends_with("/export");
        // A series has no pages: usage.rs reads it as CSV.
        let has_csv = expected || template.ends_with("/usage");
        assert_eq!(content["text/csv"].is_object(), has_csv, "{template}");
        if expected {
            let path = template.replace("{organization}", &desk.tenant().to_string());
            lists.push((
                template.clone(),
                path.replace("{license}", &desk.world.license.id.to_string()).replace("{webhook}", WEBHOOK),
            ));
        }
    }
    lists
}

/// A table: its header, and its rows.
struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// An answer that is CSV.
fn table(answer: &Answer) -> Table {
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8; header=present");
    assert_eq!(answer.headers["vary"], "accept");
    let text = answer.body.as_str().unwrap();
    assert!(text.ends_with("\r\n") && answer.headers["cache-control"] == "no-store");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let mut rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect());
    Table { header: rows.next().unwrap(), rows: rows.collect() }
}

/// What a value of the JSON is in a cell.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.starts_with(['=', '+', '-', '@']) => format!("'{text}"),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// Holds a table against the items of the JSON: every field of each in its column, and no column besides.
#[track_caller]
fn same(table: &Table, items: &[Value]) {
    assert_eq!(table.rows.len(), items.len());
    for (row, item) in table.rows.iter().zip(items) {
        let mut seen = BTreeSet::new();
        for (name, found) in table.header.iter().zip(row) {
            let value = name.split('.').fold(item, |value, part| &value[part]);
            assert_eq!(*found, cell(value), "{name} of {item}");
            seen.insert(name.split('.').next().unwrap());
        }
        assert_eq!(seen, item.as_object().unwrap().keys().map(String::as_str).collect(), "{:?}", table.header);
    }
}

/// A request for CSV.
fn csv<'a>(desk: &'a Desk, path: &str, who: &str) -> Call<'a> {
    desk.get(path).by(who).header("accept", "text/csv")
}

/// The items of all pages of a list as JSON.
async fn items(desk: &Desk, path: &str, who: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    let and = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = desk.get(&format!("{path}{and}limit=100{cursor}")).by(who).send().await.ok(200);
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { return items };
        cursor = format!("&cursor={next}");
    }
}

/// The path of the answer that `Link` says is next.
fn next(path: &str, answer: &Answer) -> Option<String> {
    let link = answer.headers.get("link")?.to_str().unwrap();
    let query = link.strip_prefix("<?").and_then(|rest| rest.strip_suffix(">; rel=\"next\"")).unwrap();
    Some(format!("{}?{query}", path.split('?').next().unwrap()))
}

/// Projects without end, the last one the newest.
async fn make_projects(desk: &Desk, count: i32) {
    let sql = "insert into projects (tenant_id, project_id, name, key)
        select $1, ('01970000-cccc-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'project ' || n, 'project ' || n
        from generate_series(1, $2) n";
    sqlx::query(sql).bind(desk.tenant().0).bind(count).execute(&mut desk.world.truth().await).await.unwrap();
}

#[tokio::test]
async fn every_list_of_the_document_is_csv_too_with_the_rows_of_its_json() {
    let desk = Desk::new().await;
    fill(&desk).await;
    let lists = lists(&desk);
    assert_eq!(lists.len(), 21, "{lists:?}");
    for (template, path) in &lists {
        let who = if template.contains("/staff/") { desk.staff("vendor") } else { desk.person("owner") };
        let answer = csv(&desk, path, &who).text().await;
        let table = table(&answer);
        let items = items(&desk, path, &who).await;
        assert!(items.len() > 1, "{template} has more than one row to compare");
        same(&table, &items);
        assert!(!answer.headers.contains_key("link"), "{template} is whole");
        let name = template.rsplit('/').next().unwrap();
        assert_eq!(answer.headers["content-disposition"], format!("attachment; filename=\"{name}.csv\"").as_str());
        let parameters = format!("{path}?cursor=AAAAAAAAAAAAAAAAAAAAAA");
        let empty = self::table(&csv(&desk, &parameters, &who).text().await);
        assert_eq!((empty.header, empty.rows.len()), (table.header, 0), "{template}: a header without rows");
    }
}

#[tokio::test]
async fn a_list_as_csv_goes_by_the_filters_of_the_list() {
    let desk = Desk::new().await;
    fill(&desk).await;
    let owner = desk.person("owner");
    for (path, rows) in [
        ("/sessions", 2),
        ("/sessions?state=ended", 1),
        ("/sessions?user=ada@example.com", 1),
        ("/sessions?state=ended&reason=kicked", 0),
        ("/audit-log?action=project.created", 2),
        ("/audit-log?to=2020-01-01T00:00:00Z", 0),
        ("/licenses?status=suspended", 1),
        ("/invitations?state=revoked", 1),
        ("/projects?archived=true", 1),
        ("/projects?archived=false", 1),
    ] {
        let path = desk.at(path);
        let table = table(&csv(&desk, &path, &owner).text().await);
        same(&table, &items(&desk, &path, &owner).await);
        assert_eq!(table.rows.len(), rows, "{path}");
    }
    let viewer = desk.person("=ada");
    let own = table(&csv(&desk, &desk.at("/sessions"), &viewer).text().await);
    assert_eq!(own.rows.len(), 0, "others see their own sessions only");
}

#[tokio::test]
async fn no_text_is_a_formula_and_every_text_comes_back_whole() {
    let desk = Desk::new().await;
    let mut truth = desk.world.truth().await;
    let texts = [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "a,b",
        "say \"hi\"",
        "two\r\nlines",
        "a\nb",
        "東京 👩‍🚀",
        "a=b",
        "'x",
    ];
    for (n, text) in texts.iter().enumerate() {
        sqlx::query("insert into projects (tenant_id, project_id, name, key) values ($1, $2, $3, $4)")
            .bind(desk.tenant().0)
            .bind(Uuid::from_u128((0x0197 << 112) + texts.len() as u128 - n as u128))
            .bind(text)
            .bind(n.to_string())
            .execute(&mut truth)
            .await
            .unwrap();
    }
    let answer = csv(&desk, &desk.at("/projects"), &desk.person("owner")).text().await;
    let table = table(&answer);
    let column = table.header.iter().position(|name| name == "name").unwrap();
    let names: Vec<&str> = table.rows.iter().map(|row| row[column].as_str()).collect();
    let defused: Vec<String> =
        texts.iter().enumerate().map(|(n, text)| if n < 6 { format!("'{text}") } else { (*text).to_owned() }).collect();
    assert_eq!(names, defused);
    let text = answer.body.as_str().unwrap();
    for written in [",'=1+1\r\n", ",\"a,b\"\r\n", ",\"say \"\"hi\"\"\"\r\n", ",\"two\r\nlines\"\r\n", ",\"'\rx\"\r\n"] {
        assert!(text.contains(written), "{written:?} in {text}");
    }
}

#[tokio::test]
async fn many_pages_are_one_answer_and_one_request() {
    let rate = RateLimit { per_minute: 60, burst: 60 };
    let desk = Desk::limited(World::new().await, Some(rate)).await;
    make_projects(&desk, 1_234).await;
    let (path, owner) = (desk.at("/projects"), desk.person("owner"));
    let answer = csv(&desk, &path, &owner).text().await;
    assert_eq!(answer.headers["ratelimit"], "\"people\";r=59;t=1");
    same(&table(&answer), &items(&desk, &path, &owner).await);
    let staff = desk.staff("vendor");
    table(&csv(&desk, &path, &staff).text().await);
    let read = desk.get(&desk.at("/audit-log?action=staff.read")).by(&owner).send().await.ok(200);
    assert_eq!(read["items"].as_array().unwrap().len(), 1, "the vendor's staff read it once");
    let head = desk.call("HEAD", &path).by(&owner).header("accept", "text/csv").text().await;
    assert_eq!((head.status, head.body.as_str()), (200, Some("")));
    let length = answer.body.as_str().unwrap().len().to_string();
    assert_eq!(
        (&head.headers["content-type"], &head.headers["content-length"]),
        (&answer.headers["content-type"], &length.parse().unwrap())
    );
}

#[tokio::test]
async fn the_link_of_an_answer_leads_to_exactly_the_rest() {
    let desk = Desk::new().await;
    make_projects(&desk, 50_003).await;
    let owner = desk.person("owner");
    let newest_first: Vec<Uuid> = {
        let sql = "select project_id from projects where tenant_id = $1 order by project_id desc";
        sqlx::query_scalar(sql).bind(desk.tenant().0).fetch_all(&mut desk.world.truth().await).await.unwrap()
    };
    let ids = async |path: String, most: usize| {
        let (mut ids, mut left): (Vec<Uuid>, _) = (Vec::new(), Some(path));
        let mut answers = 0;
        while let Some(path) = left.take().filter(|_| answers < 200) {
            let answer = csv(&desk, &path, &owner).text().await;
            let rows = table(&answer).rows;
            answers += 1;
            left = next(&path, &answer);
            assert!(rows.len() <= most && (!rows.is_empty() || left.is_none()), "{} rows of {path}", rows.len());
            // A limit was asked for and says when the answer ends; without one the machine's speed does.
            assert!(!path.contains("limit=") || rows.len() == most || left.is_none(), "{path}");
            ids.extend(rows.iter().map(|row| row[0].parse::<Uuid>().unwrap()));
        }
        (ids, answers)
    };
    // At most 50,000 rows, and on a slow machine as many as its time suffices for.
    let (all, answers) = ids(desk.at("/projects?archived=false"), 50_000).await;
    assert!(all == newest_first, "{} rows in {answers} answers", all.len());
    assert!(answers > 1);
    let after = license_core::records::PageCursor(newest_first[49_990]);
    let (rest, answers) = ids(desk.at(&format!("/projects?limit=5&archived=false&cursor={after}")), 5).await;
    assert_eq!((rest.as_slice(), answers), (&newest_first[49_991..], 3), "the filter and the limit go with it");
}

#[tokio::test]
async fn csv_is_answered_to_who_wants_it_more_than_json() {
    let desk = Desk::new().await;
    let (path, owner) = (desk.at("/people"), desk.person("owner"));
    for (accept, is_csv) in [
        ("text/csv", true),
        ("Text/CSV; charset=utf-8", true),
        ("text/csv; header=present, */*;q=0.1", true),
        ("text/*", true),
        ("application/json;q=0.8, text/csv;q=0.9", true),
        ("text/csv, application/problem+json", true),
        ("*/*", false),
        ("application/*", false),
        ("application/json, text/csv", false),
        ("text/csv;q=0.8, application/json;q=0.9", false),
        ("text/csv;q=0.5, */*", false),
        ("text/csv;q=0", false),
        ("text/csv;header=absent", false),
        ("application/json; charset=utf-8, text/*;q=0.5", false),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
        ("image/png", false),
        ("", false),
    ] {
        let answer = desk.get(&path).by(&owner).header("accept", accept).text().await;
        assert_eq!((answer.status, answer.headers["vary"].as_bytes()), (200, &b"accept"[..]), "{accept}");
        let kind = if is_csv { "text/csv; charset=utf-8; header=present" } else { "application/json" };
        assert_eq!(answer.headers["content-type"], kind, "{accept}");
    }
    let both = desk.get(&path).by(&owner).header("accept", "application/json;q=0.5").header("accept", "text/csv");
    table(&both.text().await);
    let none = desk.get(&path).by(&owner).text().await;
    assert_eq!(none.headers["content-type"], "application/json");
    let one = desk.get(&desk.at("")).by(&owner).header("accept", "text/csv").send().await;
    assert_eq!(one.headers["content-type"], "application/json", "what is no list is JSON");
}

#[tokio::test]
async fn who_is_refused_a_list_is_told_so_in_json() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "eve", Viewer).await;
    let (owner, viewer) = (desk.person("owner"), desk.person("eve"));
    let ask = async |path: &str, who: &str| csv(&desk, path, who).send().await;
    for list in ["/audit-log", "/invitations", "/api-tokens"] {
        ask(&desk.at(list), &viewer).await.is(403, "insufficient_role");
    }
    ask("/api/v1/staff/products", &owner).await.is(403, "insufficient_role");
    ask(&desk.at("/people"), "nonsense").await.is(401, "token_invalid");
    let stranger = desk.other("stranger").await;
    let elsewhere = format!("/api/v1/organizations/{}/people", stranger.tenant);
    ask(&elsewhere, &owner).await.is(404, "not_found");
    ask(&desk.at(&format!("/licenses/{}/sessions", stranger.id)), &owner).await.is(404, "not_found");
    for (query, names) in [("limit=101", "limit"), ("cursor=x", "cursor"), ("archived=maybe", "archived"), ("x=1", "x")]
    {
        assert_eq!(ask(&desk.at(&format!("/projects?{query}")), &owner).await.wrong(), [names]);
    }
    let limited = Desk::limited(World::new().await, Some(RateLimit { per_minute: 6, burst: 1 })).await;
    let (path, owner) = (limited.at("/people"), limited.person("owner"));
    table(&csv(&limited, &path, &owner).text().await);
    csv(&limited, &path, &owner).send().await.is(429, "rate_limited");
}
