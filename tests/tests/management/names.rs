//! One name in its many spellings: projects, people, invitations and filters take them for the same, whoever stored which.

use crate::desk::Desk;
use license_core::domain::access::PersonRole::{Admin, Member};
use serde_json::{Value, json};

/// A name, and other spellings of it: letters' case beyond ASCII, composed and decomposed letters, blanks and what is invisible.
const NAMES: &[(&str, &[&str])] = &[
    ("Ünal", &["ünal", "ÜNAL", "U\u{308}nal", " Ünal\n", "\u{FEFF}ünal\u{200B}"]),
    ("Cafe\u{301}", &["Café", "CAFÉ", "CAFE\u{301}"]),
    ("Straße", &["STRASSE", "strasse", "STRAẞE"]),
    ("ΟΔΟΣ", &["οδος", "οδοσ"]),
    ("Big Turbine", &["big\u{A0}turbine", "BIG  TURBINE", "Big\u{3000}Turbine"]),
    ("ﬁre", &["FIRE"]),
    ("Проект Ё", &["проект ё", "ПРОЕКТ Е\u{308}"]),
    ("ＡＢＣ", &["ａｂｃ"]),
    ("ILGAZ", &["ilgaz"]),
];
/// What is no spelling of any of them.
const OTHERS: &[&str] = &["Unal", "Cafe", "abc", "ılgaz", "İlgaz", "BigTurbine"];

impl Desk {
    async fn project(&self, name: &str) -> Value {
        self.post(&self.at("/projects"), &json!({ "name": name })).by(&self.person("owner")).send().await.ok(201)
    }

    async fn session(&self, id: &str) -> Value {
        self.get(&self.at(&format!("/sessions/{id}"))).by(&self.person("owner")).send().await.ok(200)
    }
}

#[tokio::test]
async fn a_session_counts_to_its_project_however_the_client_spells_it() {
    let desk = Desk::new().await;
    let mut counted = 0;
    for (name, spellings) in NAMES {
        let project = desk.project(name).await;
        for spelling in [name].into_iter().chain(*spellings) {
            let seat = desk.sit("a", json!({ "project": spelling })).await;
            assert_eq!(desk.session(&seat.id).await["project"]["id"], project["id"], "{name}: {spelling:?}");
            desk.release(&seat).await;
            counted += 1;
        }
    }
    for other in OTHERS {
        let seat = desk.sit("a", json!({ "project": other })).await;
        assert_eq!(desk.session(&seat.id).await["project"], Value::Null, "{other}");
        desk.release(&seat).await;
    }
    let sessions = desk.world.count("select count(*) from sessions where project_id is not null").await;
    assert_eq!(sessions, counted);
}

#[tokio::test]
async fn a_name_is_taken_in_every_spelling_and_may_be_respelled_by_its_own_project() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let another = desk.project("Another").await;
    let another = desk.at(&format!("/projects/{}", another["id"].as_str().unwrap()));
    for (name, spellings) in NAMES {
        let project = desk.project(name).await;
        let own = desk.at(&format!("/projects/{}", project["id"].as_str().unwrap()));
        for (n, spelling) in spellings.iter().enumerate() {
            let body = json!({ "name": spelling });
            // Archived or not.
            desk.patch(&own, &json!({ "archived": n % 2 == 0 })).by(&owner).send().await.ok(200);
            desk.post(&desk.at("/projects"), &body).by(&owner).send().await.is(409, "conflict");
            desk.patch(&another, &body).by(&owner).send().await.is(409, "conflict");
            let renamed = desk.patch(&own, &body).by(&owner).send().await.ok(200);
            desk.post(&desk.at("/projects"), &json!({ "name": name })).by(&owner).send().await.is(409, "conflict");
            let kept = renamed["name"].as_str().unwrap();
            assert_eq!(kept.trim(), kept, "{spelling:?}");
        }
    }
    for other in OTHERS {
        desk.project(other).await;
    }
}

#[tokio::test]
async fn a_name_that_is_empty_when_cleaned_is_none_and_its_length_is_that_of_the_clean_one() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let make = async |name: &str| desk.post(&desk.at("/projects"), &json!({ "name": name })).by(&owner).send().await;
    for empty in ["", " ", "\n\t", "\u{A0}", "\u{200B}\u{FEFF}", "\u{3164}", "\u{AD}"] {
        assert_eq!(make(empty).await.wrong(), ["name"], "{empty:?}");
    }
    let long = format!("  {}\u{200B}  ", "e\u{301}".repeat(200));
    assert_eq!(make(&long).await.ok(201)["name"], "é".repeat(200));
    assert_eq!(make(&"é".repeat(201)).await.wrong(), ["name"]);
}

#[tokio::test]
async fn a_person_finds_their_sessions_and_joins_by_their_address_in_every_spelling() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    for (n, (shown, spellings)) in [
        (
            "jürgen@müller.de",
            &["JÜRGEN@MÜLLER.DE", "Ju\u{308}rgen@mu\u{308}ller.de", " Jürgen@Müller.de\n", "jürgen@müller.de\u{200B}"]
                [..],
        ),
        ("νίκος@example.com", &["ΝΊΚΟΣ@EXAMPLE.COM", "Νίκος@example.com"]),
        ("grace@example.com", &["Grace@Example.COM", "\u{FEFF}grace@example.com\u{A0}"]),
    ]
    .into_iter()
    .enumerate()
    {
        let subject = format!("person-{n}");
        let signed_in = |address: &str| desk.claims("customers", &subject, |claims| claims["email"] = json!(address));
        // The last of two invitations in two spellings is good: the first one was taken back.
        let first = desk.invite("owner", spellings[0], "member").await.ok(201);
        assert_eq!(first["email"].as_str().unwrap().chars().count(), shown.chars().count());
        let second = desk.invite("owner", spellings[1], "member").await.ok(201);
        let join = async |made: &Value| {
            desk.register(&signed_in(shown), &json!({ "invitation": made["secret"] })).send().await
        };
        join(&first).await.is(409, "conflict");
        join(&second).await.ok(201);
        for spelling in [shown].iter().chain(spellings) {
            desk.invite("owner", spelling, "member").await.is(409, "conflict");
            let seat = desk.sit("a", json!({ "user": spelling })).await;
            assert_eq!(desk.session(&seat.id).await["user"].as_str().unwrap().chars().count(), shown.chars().count());
            for other in [shown].iter().chain(spellings) {
                let asked: String = form_urlencoded(other);
                assert_eq!(
                    desk.ids(&owner, &desk.at(&format!("/sessions?user={asked}"))).await,
                    [seat.id.as_str()],
                    "{spelling} {other}"
                );
                assert_eq!(
                    desk.ids(&signed_in(other), &desk.at("/sessions")).await,
                    [seat.id.as_str()],
                    "{spelling} {other}"
                );
            }
            desk.release(&seat).await;
        }
    }
}

#[tokio::test]
async fn an_address_that_only_looks_like_another_is_another() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "ilker", Member).await;
    let ilker = desk.person("ilker");
    let (others, looking_alike) = (
        ["ılker@example.com", "İLKER@example.com", "ilker+x@example.com", "ilker@example.com.br"],
        [
            "ilker@exаmple.com",
            "ｉlker@example.com",
            "il\u{200B}ker@example.com",
            "il\u{202E}ker@example.com",
            "il\u{212A}er@example.com",
        ],
    );
    for other in others {
        desk.invite("owner", other, "member").await.ok(201);
    }
    for other in looking_alike {
        assert_eq!(desk.invite("owner", other, "member").await.wrong(), ["email"], "{other:?}");
    }
    for other in others.into_iter().chain(looking_alike[..4].iter().copied()) {
        let seat = desk.sit("a", json!({ "user": other })).await;
        assert_eq!(desk.ids(&ilker, &desk.at("/sessions")).await, [] as [String; 0], "{other}");
        desk.release(&seat).await;
    }
}

/// Each pair was one address once: the records folded letters as names are folded.
const OTHER_MAILBOXES: [(&str, &str); 5] = [
    ("strasse@example.com", "straße@example.com"),
    ("νίκοσ@example.com", "νίκος@example.com"),
    ("ada@strasse.example", "ada@straße.example"),
    ("ss@example.com", "ẞ@example.com"),
    ("fire@example.com", "fıre@example.com"),
];

#[tokio::test]
async fn no_mailbox_is_mapped_onto_another() {
    let desk = Desk::new().await;
    for (n, (ours, theirs)) in OTHER_MAILBOXES.iter().enumerate() {
        let subject = format!("person-{n}");
        let signed_in =
            |subject: &str, address: &str| desk.claims("customers", subject, |claims| claims["email"] = json!(address));
        let invitation = desk.invite("owner", ours, "member").await.ok(201);
        let body = json!({ "invitation": invitation["secret"] });
        desk.register(&signed_in("other", theirs), &body).send().await.is(409, "conflict");
        desk.register(&signed_in(&subject, ours), &body).send().await.ok(201);
        desk.invite("owner", theirs, "member").await.ok(201);
        let seat = desk.sit("a", json!({ "user": theirs })).await;
        assert_eq!(
            desk.ids(&signed_in(&subject, ours), &desk.at("/sessions")).await,
            [] as [String; 0],
            "{ours} {theirs}"
        );
        let asked = form_urlencoded(ours);
        assert_eq!(
            desk.ids(&desk.person("owner"), &desk.at(&format!("/sessions?user={asked}"))).await,
            [] as [String; 0]
        );
        let erased =
            desk.post(&desk.at("/erasures"), &json!({ "person": theirs })).by(&desk.staff("vendor")).send().await;
        assert_eq!(erased.ok(200)["erased"]["sessions"], 1, "{theirs}");
        let people = desk.get(&desk.at("/people")).by(&desk.person("owner")).send().await.ok(200);
        assert!(people["items"].as_array().unwrap().iter().any(|person| person["email"] == **ours), "{people}");
        desk.release(&seat).await;
    }
}

#[tokio::test]
async fn what_an_id_token_says_of_its_person_is_checked_as_what_people_type() {
    let desk = Desk::new().await;
    for email in [
        "ada\0@example.com",
        "ada@example.com\0",
        "ada\u{7}@example.com",
        "ada@example.com\nx",
        "a\u{202E}da@example.com",
        "a\u{200B}da@example.com",
        "аda@example.com",
        "ａda@example.com",
        "\u{212A}elvin@example.com",
        "ada",
        "@example.com",
        "a b@example.com",
        &format!("{}@example.com", "x".repeat(300)),
    ] {
        for audience in ["customers", "staff"] {
            let token = desk.claims(audience, "owner", |claims| claims["email"] = json!(email));
            desk.get(&desk.at("")).by(&token).send().await.is(401, "token_invalid");
            desk.get("/api/v1/me").by(&token).send().await.is(401, "token_invalid");
        }
        let token = desk.claims("customers", "newcomer", |claims| claims["email"] = json!(email));
        desk.register(&token, &json!({})).send().await.is(401, "token_invalid");
    }
    for sub in ["own\0er", "\0", "own\u{202E}er", "own\u{200B}er", "own\ner", &"x".repeat(256)] {
        let token = desk.claims("customers", "owner", |claims| claims["sub"] = json!(sub));
        desk.get("/api/v1/me").by(&token).send().await.is(401, "token_invalid");
        desk.register(&token, &json!({})).send().await.is(401, "token_invalid");
        let token = desk.claims("staff", "vendor", |claims| claims["sub"] = json!(sub));
        desk.get("/api/v1/plans").by(&token).send().await.is(401, "token_invalid");
    }
    // A name is for display and refuses nobody.
    for (n, (name, shown)) in [
        ("Ada\0", json!("Ada")),
        ("\u{2068}A\u{202E}da\u{202C}", json!("A da")),
        ("A\nda", json!("A da")),
        ("\0", Value::Null),
        (&*"x".repeat(300), json!("x".repeat(200))),
    ]
    .into_iter()
    .enumerate()
    {
        let token = desk.claims("customers", &format!("newcomer-{n}"), |claims| claims["name"] = json!(name));
        let made = desk.register(&token, &json!({})).send().await.ok(201);
        if shown != Value::Null {
            assert_eq!(made["organization"]["name"], shown, "{name:?}");
        }
        let me = desk.get("/api/v1/me").by(&token).send().await.ok(200);
        assert_eq!(me["name"], shown, "{name:?}");
    }
}

#[tokio::test]
async fn words_of_the_catalog_pools_and_products_are_read_without_blanks_around_them() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let license = desk.world.license.id.to_string();
    for query in ["product=coditect%20", "product=%C2%A0coditect%0A", "status=active%20", "tier=%20trial"] {
        assert_eq!(desk.ids(&owner, &desk.at(&format!("/licenses?{query}"))).await, [license.as_str()], "{query}");
    }
    for product in ["coditect", " coditect\n", "Coditect", "coditect\u{200B}"] {
        let seat = desk.sit("a", json!({ "product": product })).await;
        desk.release(&seat).await;
    }
    desk.acquire(&desk.world.license, "a", json!({ "product": "viewer" })).await.is(403, "product_not_allowed");
}

fn form_urlencoded(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

#[tokio::test]
async fn with_whoever_leaves_goes_an_invitation_to_their_own_address_and_to_no_other_mailbox() {
    let desk = Desk::new().await;
    let bob = desk.join(desk.tenant(), "straße", Admin).await;
    let at = desk.at(&format!("/people/{bob}"));
    let others = desk.invite("owner", "strasse@example.com", "member").await.ok(201);
    let own = desk.person("straße");
    desk.delete(&at).by(&own).send().await.ok(204);
    let asked = desk.invite("owner", "straße@example.com", "admin").await.ok(201);
    // Both can be open where two requests crossed.
    let sql = "update users set removed_at = null where user_id = $1";
    sqlx::query(sql).bind(bob.0).execute(&mut desk.world.truth().await).await.unwrap();
    let told = desk.delete(&format!("{at}?api_tokens=revoke")).by(&own).send().await.ok(200);
    assert_eq!(told["invitations_revoked_total"], 1, "{told}");
    assert_eq!(told["invitations_revoked"][0]["email"], "straße@example.com");
    desk.register(&own, &json!({ "invitation": asked["secret"] })).send().await.is(409, "conflict");
    desk.register(&desk.person("strasse"), &json!({ "invitation": others["secret"] })).send().await.ok(201);
}
