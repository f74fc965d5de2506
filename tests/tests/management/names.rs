//! One name in its many spellings: projects, people, invitations and filters take them for the same, whoever stored which.

use crate::desk::Desk;
use license_core::domain::access::PersonRole::Member;
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
        ("νίκος@example.com", &["ΝΊΚΟΣ@EXAMPLE.COM", "νίκοσ@example.com"]),
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
    for other in ["ılker@example.com", "İLKER@example.com", "ilker@exаmple.com", "ｉlker@example.com"] {
        desk.invite("owner", other, "member").await.ok(201);
        let seat = desk.sit("a", json!({ "user": other })).await;
        assert_eq!(desk.ids(&ilker, &desk.at("/sessions")).await, [] as [String; 0], "{other}");
        desk.release(&seat).await;
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
