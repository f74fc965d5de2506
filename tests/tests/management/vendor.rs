//! What a shop does by HTTP with a vendor token: it makes organizations, sells, renews, extends, and finds by its own
//! ids what it sold.

use crate::desk::{Answer, Desk};
use license_core::domain::access::VendorScope;
use license_tests::explain::{Plans, Ran};
use serde_json::{Value, json};
use sqlx::Executor;
use uuid::Uuid;

const ORGANIZATIONS: &str = "/api/v1/staff/organizations";
const LICENSES: &str = "/api/v1/staff/licenses";

/// A shop with its token.
struct Shop {
    desk: Desk,
    token: String,
}

impl Shop {
    async fn new() -> Self {
        let desk = Desk::new().await;
        let plan = json!({ "tier": "team", "seats": 5 });
        let staff = desk.staff("vendor");
        desk.call("PUT", "/api/v1/staff/plans/team").json(&plan).by(&staff).send().await.ok(201);
        let token = desk.vendor_token(VendorScope::ALL).await;
        Self { desk, token }
    }

    async fn get(&self, path: &str) -> Answer {
        self.desk.get(path).by(&self.token).send().await
    }

    async fn post(&self, path: &str, body: &Value, key: &str) -> Answer {
        self.desk.post(path, body).by(&self.token).header("idempotency-key", key).send().await
    }

    async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.desk.patch(path, body).by(&self.token).send().await
    }

    async fn items(&self, path: &str) -> Vec<Value> {
        self.get(path).await.ok(200)["items"].as_array().unwrap().clone()
    }

    /// An organization and a license sold to it.
    async fn sell(&self, name: &str, organization: Value, license: Value) -> (Value, Value) {
        let mut wish = json!({ "name": name });
        wish.as_object_mut().unwrap().extend(organization.as_object().unwrap().clone());
        let made = self.post(ORGANIZATIONS, &wish, &Uuid::new_v4().to_string()).await.ok(201);
        let mut wish = json!({ "product": "coditect", "plan": "team" });
        wish.as_object_mut().unwrap().extend(license.as_object().unwrap().clone());
        let sold = self.post(&at(&made, "/licenses"), &wish, &Uuid::new_v4().to_string()).await.ok(201);
        (made, sold)
    }
}

/// The path of what `sell` made.
fn at_license((organization, license): &(Value, Value)) -> String {
    at(organization, &format!("/licenses/{}", license["id"].as_str().unwrap()))
}

fn at(organization: &Value, rest: &str) -> String {
    format!("/api/v1/organizations/{}{rest}", organization["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_shops_day() {
    let shop = Shop::new().await;
    let desk = &shop.desk;
    let customer = json!({ "name": "Engines Ltd", "external_id": "cus_1", "metadata": { "region": "eu" },
        "owner_email": "grace@example.com", "send_mail": true });
    let made = shop.post(ORGANIZATIONS, &customer, "order 1").await.ok(201);
    assert_eq!(shop.post(ORGANIZATIONS, &customer, "order 1").await.ok(201), made, "the same request, the same answer");
    assert_eq!((&made["external_id"], &made["metadata"]), (&customer["external_id"], &customer["metadata"]));

    // Nothing is given for free; what is sold is there at once, and shown again to the same request.
    assert_eq!(shop.get(&at(&made, "/licenses")).await.ok(200)["items"], json!([]));
    let wish = json!({ "product": "coditect", "plan": "team", "seats": 10, "expires_at": "2027-12-01T00:00:00Z",
        "external_id": "sub_1", "metadata": { "order": "1" } });
    let sold = shop.post(&at(&made, "/licenses"), &wish, "order 1 license").await.ok(201);
    assert_eq!(shop.post(&at(&made, "/licenses"), &wish, "order 1 license").await.ok(201), sold);
    assert!(sold["key"].as_str().unwrap().starts_with("CODI-"));
    let license = at(&made, &format!("/licenses/{}", sold["id"].as_str().unwrap()));

    // Renewed twice alike: a renewal names the new end, so that sending it twice renews once.
    let renewal = json!({ "expires_at": "2028-12-01T00:00:00Z" });
    let renewed = desk.patch(&license, &renewal).by(&shop.token).header("idempotency-key", "r").send().await.ok(200);
    let again = desk.patch(&license, &renewal).by(&shop.token).header("idempotency-key", "r").send().await.ok(200);
    assert_eq!((again.clone(), &again["expires_at"]), (renewed, &json!("2028-12-01T00:00:00Z")));
    let extended = shop.patch(&license, &json!({ "seats": 15 })).await;
    let version = extended.etag();
    assert_eq!(extended.ok(200)["seats_total"], 15);
    let stale = desk.patch(&license, &json!({ "seats": 20 })).by(&shop.token).header("if-match", "\"1\"").send().await;
    stale.is(412, "precondition_failed");
    let fresh = desk.patch(&license, &json!({ "seats": 20 })).by(&shop.token).header("if-match", &version).send().await;
    fresh.ok(200);
    for (verb, status) in
        [("suspend", "suspended"), ("suspend", "suspended"), ("resume", "active"), ("revoke", "revoked")]
    {
        let path = format!("{license}/{verb}");
        assert_eq!(shop.post(&path, &json!({}), verb).await.ok(200)["status"], status);
    }

    let found = shop.items(&format!("{LICENSES}?external_id=sub_1")).await;
    assert_eq!((found.len(), &found[0]["organization"], &found[0]["status"]), (1, &made["id"], &json!("revoked")));
    assert_eq!(shop.items(&format!("{ORGANIZATIONS}?external_id=cus_1")).await[0]["id"], made["id"]);
    assert_eq!(shop.items(&format!("{ORGANIZATIONS}?external_id=cus_2")).await, [] as [Value; 0]);

    // The owner has one mail, though the request came twice, joins by the invitation, and reads who did what.
    let written = "select count(*) from mails where tenant_id = $1 and invitation_id = $2";
    let ids = [&made["id"], &made["invitation"]["id"]].map(|id| id.as_str().unwrap().parse::<Uuid>().unwrap());
    let written = sqlx::query_scalar::<_, i64>(written).bind(ids[0]).bind(ids[1]);
    assert_eq!(written.fetch_one(&mut desk.world.truth().await).await.unwrap(), 1);
    let invitation = made["invitation"]["secret"].as_str().unwrap();
    let grace = desk.person("grace");
    desk.register(&grace, &json!({ "invitation": invitation })).send().await.ok(201);
    let log = desk.get(&at(&made, "/audit-log?limit=100")).by(&grace).send().await.ok(200);
    let done: Vec<String> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .filter(|entry| entry["actor"]["name"] == "the shop" && entry["action"] != "staff.read")
        .map(|entry| entry["action"].as_str().unwrap().to_owned())
        .collect();
    let expected = [
        "organization.created",
        "person.invited",
        "license.created",
        "license.changed",
        "license.changed",
        "license.changed",
        "license.suspended",
        "license.resumed",
        "license.revoked",
    ];
    assert_eq!(done, expected);
    assert_eq!(log["items"].as_array().unwrap().last().unwrap()["actor"]["kind"], "vendor_token");
    let verified = desk.get(&at(&made, "/audit-log/verify")).by(&grace).send().await.ok(200);
    assert_eq!(verified["faults"], json!([]), "{verified}");
    let told = "select payload->>'external_id' from outbox where kind in ('license.created', 'license.changed')
        and tenant_id = $1::uuid order by id";
    let told: Vec<Option<String>> = sqlx::query_scalar(told)
        .bind(made["id"].as_str().unwrap())
        .fetch_all(&mut desk.world.truth().await)
        .await
        .unwrap();
    assert_eq!(told, vec![Some("sub_1".to_owned()); 4], "what webhooks are sent names it");
}

#[tokio::test]
async fn an_external_id_names_one_organization_and_one_license_also_of_two_at_once() {
    let shop = Shop::new().await;
    let wish = |name: &str| json!({ "name": name, "external_id": "cus_1" });
    let (one, other) = (wish("One"), wish("Other"));
    let (a, b) = tokio::join!(shop.post(ORGANIZATIONS, &one, "a"), shop.post(ORGANIZATIONS, &other, "b"));
    let (made, refused) = if a.status == 201 { (a, b) } else { (b, a) };
    let made = made.ok(201);
    let refused = refused.is(409, "conflict");
    assert_eq!(refused["organization"], made["id"], "who has it is said");
    // The same again under another key, as a shop that lost its own records sends it.
    assert_eq!(shop.post(ORGANIZATIONS, &one, "c").await.is(409, "conflict")["organization"], made["id"]);

    let (first, license) = shop.sell("First", json!({}), json!({ "external_id": "cus_1" })).await;
    assert_eq!(license["external_id"], "cus_1", "a license may have what an organization has");
    let again = json!({ "product": "coditect", "plan": "team", "external_id": "cus_1" });
    let refused = shop.post(&at(&made, "/licenses"), &again, "d").await.is(409, "conflict");
    assert_eq!((&refused["organization"], &refused["license"]), (&first["id"], &license["id"]));
    let refused = shop.patch(&at(&first, ""), &json!({ "external_id": "cus_1" })).await.is(409, "conflict");
    assert_eq!(refused["organization"], made["id"]);
    // Cleared, it is free.
    assert_eq!(shop.patch(&at(&made, ""), &json!({ "external_id": null })).await.ok(200)["external_id"], Value::Null);
    assert_eq!(shop.patch(&at(&first, ""), &json!({ "external_id": "cus_1" })).await.ok(200)["external_id"], "cus_1");
}

#[tokio::test]
async fn labels_are_merged_and_the_vendors_to_write() {
    let shop = Shop::new().await;
    let desk = &shop.desk;
    let organization = desk.at("");
    let license = desk.at(&format!("/licenses/{}", desk.world.license.id.0));
    let facts =
        async || desk.world.count("select facts_version + (select sum(epoch) from pools)::bigint from licenses").await;
    // The copy is made when the license is first shown.
    desk.get(&license).by(&desk.person("owner")).send().await.ok(200);
    let before = facts().await;
    for path in [&organization, &license] {
        let first =
            shop.patch(path, &json!({ "external_id": " x-1 ", "metadata": { "a": "1", "b": "2" } })).await.ok(200);
        assert_eq!((&first["external_id"], &first["metadata"]), (&json!("x-1"), &json!({ "a": "1", "b": "2" })));
        let merged = shop.patch(path, &json!({ "metadata": { "a": null, "b": "", "c": "3" } })).await;
        let version = merged.etag();
        assert_eq!(merged.ok(200)["metadata"], json!({ "c": "3" }));
        let same = shop.patch(path, &json!({ "metadata": { "c": "3", "d": null } })).await;
        assert_eq!(same.etag(), version, "what changes nothing writes nothing");
        for (wrong, field) in [
            (json!({ "external_id": "" }), "external_id"),
            (json!({ "external_id": 7 }), "external_id"),
            (json!({ "metadata": [] }), "metadata"),
            (json!({ "metadata": { "a b": "x" } }), "metadata"),
            (json!({ "metadata": { "a": 1 } }), "metadata"),
            (json!({ "metadata": { "a": "x".repeat(501) } }), "metadata"),
        ] {
            assert_eq!(shop.patch(path, &wrong).await.wrong(), [field], "{wrong}");
        }
        let many: serde_json::Map<String, Value> = (0..50).map(|n| (format!("k{n}"), json!("x"))).collect();
        assert_eq!(shop.patch(path, &json!({ "metadata": many })).await.wrong(), ["metadata"], "51 with c");
        shop.patch(path, &json!({})).await.is(422, "invalid_request");
        // The organization sees it.
        let owner = desk.person("owner");
        let seen = desk.get(path).by(&owner).send().await.ok(200);
        assert_eq!((&seen["external_id"], &seen["metadata"]), (&json!("x-1"), &json!({ "c": "3" })));
        let own = desk.patch(path, &json!({ "metadata": { "c": "mine" } })).by(&owner).send().await;
        assert_eq!(own.is(403, "insufficient_role")["required"], "staff");
    }
    assert_eq!(facts().await, before, "no token says labels, so no client and no copy hears of them");
    let renamed =
        desk.patch(&organization, &json!({ "name": "Renamed" })).by(&desk.person("owner")).send().await.ok(200);
    assert_eq!((&renamed["name"], &renamed["external_id"]), (&json!("Renamed"), &json!("x-1")));
    let actions: Vec<_> = desk.audited().await.into_iter().map(|(action, by, _)| format!("{action} {by}")).collect();
    let expected = [
        "organization.changed vendor_token the shop",
        "organization.changed vendor_token the shop",
        "license.changed vendor_token the shop",
        "license.changed vendor_token the shop",
        "organization.renamed person owner@example.com",
    ];
    assert_eq!(actions, expected);
}

#[tokio::test]
async fn staff_finds_organizations_and_licenses_by_what_it_knows() {
    let shop = Shop::new().await;
    let mut made = Vec::new();
    for (n, name) in ["Ärger GmbH", "arena", "ARENA 2", "Zoo"].into_iter().enumerate() {
        let labels = json!({ "metadata": { "region": if n % 2 == 0 { "eu" } else { "us" } } });
        let ends = json!({ "expires_at": format!("2028-0{}-01T00:00:00Z", 4 - n), "metadata": { "n": n.to_string() } });
        made.push(shop.sell(name, labels, ends).await);
    }
    let names = async |query: &str| -> Vec<String> {
        let items = shop.items(&format!("{ORGANIZATIONS}?{query}")).await;
        items.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("limit=4").await, ["Zoo", "ARENA 2", "arena", "Ärger GmbH"], "the newest first");
    assert_eq!(names("q=Arena").await, ["arena", "ARENA 2"], "in the order of names");
    assert_eq!(names("q=%C3%84RGER").await, ["Ärger GmbH"]);
    assert_eq!(names("q=rena").await, [] as [&str; 0], "a beginning");
    assert_eq!(names("metadata=region%3Deu").await, ["ARENA 2", "Ärger GmbH"]);
    assert_eq!(names("metadata=region=us").await, ["Zoo", "arena"]);
    let page = shop.get(&format!("{ORGANIZATIONS}?q=arena&limit=1")).await.ok(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(names(&format!("q=arena&limit=1&cursor={cursor}")).await, ["ARENA 2"]);
    shop.patch(&at(&made[1].0, ""), &json!({ "name": "Bistro" })).await.ok(200);
    assert_eq!((names("q=arena").await, names("q=bis").await), (vec!["ARENA 2".into()], vec!["Bistro".to_owned()]));
    let wrong = shop.get(&format!("{ORGANIZATIONS}?q=a&external_id=b")).await.wrong();
    assert_eq!(wrong, ["q"]);
    assert_eq!(shop.get(&format!("{ORGANIZATIONS}?metadata=region")).await.wrong(), ["metadata"]);

    let whose = async |query: &str| -> Vec<String> {
        let items = shop.items(&format!("{LICENSES}?{query}")).await;
        items.iter().map(|it| it["organization_name"].as_str().unwrap().to_owned()).collect()
    };
    let ends = "ends_from=2028-01-01T00:00:00Z&ends_before=2028-03-15T00:00:00Z";
    assert_eq!(whose(ends).await, ["Zoo", "ARENA 2", "Bistro"], "what ends first comes first");
    let page = shop.get(&format!("{LICENSES}?{ends}&limit=2")).await.ok(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(whose(&format!("{ends}&limit=2&cursor={cursor}")).await, ["Bistro"]);
    let suspend = at(&made[3].0, &format!("/licenses/{}/suspend", made[3].1["id"].as_str().unwrap()));
    shop.post(&suspend, &json!({}), "s").await.ok(200);
    assert_eq!(whose("status=suspended").await, ["Zoo"]);
    assert_eq!(whose("plan=team&status=active").await, ["ARENA 2", "Bistro", "Ärger GmbH"]);
    assert_eq!(whose("plan=team&status=active&metadata=n%3D2").await, ["ARENA 2"]);
    assert_eq!(whose("product=coditect&metadata=n=9").await, [] as [&str; 0]);
    assert_eq!(shop.get(&format!("{LICENSES}?external_id=x&plan=team")).await.wrong(), ["external_id"]);
    for (at, name) in [(0, "Farm \u{c4}"), (2, "farm"), (1, "Desk")] {
        let license = at_license(&made[at]);
        shop.patch(&license, &json!({ "name": name })).await.ok(200);
    }
    assert_eq!(whose("q=FARM").await, ["ARENA 2", "Ärger GmbH"], "in the order of names");
    let page = shop.get(&format!("{LICENSES}?q=farm&limit=1")).await.ok(200);
    assert_eq!(whose(&format!("q=farm&cursor={}", page["next_cursor"].as_str().unwrap())).await, ["Ärger GmbH"]);
    assert_eq!(shop.get(&format!("{LICENSES}?q=a&plan=team")).await.wrong(), ["q"]);
    let csv = shop.desk.get(&format!("{LICENSES}?plan=team")).by(&shop.token).header("accept", "text/csv").text().await;
    assert_eq!(csv.ok(200).as_str().unwrap().lines().count(), 5);
}

/// What one page may read, in blocks: of an index and a table of the directory, and a few rows of each organization by
/// key, for each row.
const BLOCKS_PER_ROW: i64 = 30;

#[tokio::test]
async fn a_page_costs_the_same_however_many_organizations_there_are() {
    let shop = Shop::new().await;
    let mut truth = shop.desk.world.truth().await;
    truth.execute(
        "insert into organizations (tenant_id, name, name_key, external_id, metadata)
         select uuid_v7(), 'Org ' || n, 'org ' || lpad(n::text, 6, '0'), 'cus_' || n, jsonb_build_object('region', case n % 2 when 0 then 'eu' else 'us' end)
         from generate_series(1, 20000) n;
         insert into licenses (tenant_id, license_id, number, product, plan, tier, status, offline_policy, holder_by, processes_per_seat,
           expires_at, external_id, metadata, name, name_key)
         select tenant_id, uuid_v7(), upper(lpad(to_hex(n), 13, '0')), 'coditect', 'team', 'team', case n % 100 when 0 then 'suspended' else 'active' end,
           'none', 'machine', 32, now() + n * interval '1 minute', 'sub_' || n, jsonb_build_object('order', (n % 10)::text),
           'Farm ' || n, 'farm ' || lpad(n::text, 6, '0')
         from (select tenant_id, row_number() over (order by tenant_id) as n from organizations) o;
         analyze",
    )
    .await
    .unwrap();
    let plans = Plans::nested(&shop.desk.world.database).await;
    for query in [
        format!("{ORGANIZATIONS}?limit=20"),
        format!("{ORGANIZATIONS}?limit=20&q=org"),
        format!("{ORGANIZATIONS}?limit=20&q=org%200199"),
        format!("{ORGANIZATIONS}?limit=20&metadata=region%3Deu"),
        format!("{ORGANIZATIONS}?external_id=cus_777"),
        format!("{LICENSES}?limit=20"),
        format!("{LICENSES}?limit=20&status=suspended"),
        format!("{LICENSES}?limit=20&plan=team&status=active"),
        format!("{LICENSES}?limit=20&ends_before=2099-01-01T00:00:00Z"),
        format!("{LICENSES}?limit=20&metadata=order%3D7"),
        format!("{LICENSES}?external_id=sub_777"),
        format!("{LICENSES}?limit=20&q=farm%200199"),
    ] {
        // The next page too: of a list in the middle of which it begins.
        let mut cursor = String::new();
        for page in ["first", "second"] {
            plans.take();
            let path = format!("{query}{cursor}");
            let answer = shop.get(&path).await.ok(200);
            let rows = answer["items"].as_array().unwrap().len();
            assert!(rows > 0, "{path}");
            let ran: Vec<Ran> = plans.take().into_iter().filter(|ran| !ran.text.contains("vendor_token")).collect();
            let looked_at: i64 = ran.iter().map(Ran::looked_at).sum();
            let blocks: i64 = ran
                .iter()
                .filter(|ran| !ran.text.contains("-- read_found") && !ran.text.starts_with("select tenant_id"))
                .map(|ran| ran.blocks)
                .sum();
            println!("{path:<75} {page} {rows:>3} rows, {looked_at} looked at, {blocks} blocks");
            assert!(!ran.is_empty(), "{path}");
            assert!(blocks <= BLOCKS_PER_ROW * (rows as i64 + 1), "{path}: {blocks} blocks\n{ran:#?}");
            let Some(next) = answer["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
    }
}
