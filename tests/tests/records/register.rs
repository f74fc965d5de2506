//! Registration: one organization for one person, and a key that is shown only until it is first used.

use super::Book;
use license_core::{
    domain::{id::PoolName, key::LicenseKey, secret::KeyRing},
    management::{NewOrganization, RegistrationResult},
    records::{RegisteredTenant, VerifiedPerson},
    refusal::{ChangeRefusal, ChangeResult},
};
use license_tests::outcomes::refusal;
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::time::Duration;

fn peppers() -> KeyRing {
    KeyRing::single(vec![2; 32])
}

fn person(subject: &str) -> NewOrganization {
    NewOrganization {
        person: VerifiedPerson {
            issuer: "https://id.example.com".into(),
            subject: subject.into(),
            email: format!("{subject}@example.com"),
            name: Some("Ada".into()),
        },
        organization: "Ada's".into(),
        product: None,
        address: None,
        request_id: None,
        sign_in: Default::default(),
    }
}

impl Book {
    async fn register(&self, new: &NewOrganization) -> ChangeResult<RegistrationResult> {
        self.management.register(new, &peppers()).await
    }

    async fn created(&self, subject: &str) -> RegisteredTenant {
        let made = self.register(&person(subject)).await.unwrap();
        assert!(made.created, "a first one creates");
        *made.registered
    }

    async fn came_again(&self, subject: &str) -> RegisteredTenant {
        let found = self.register(&person(subject)).await.unwrap();
        assert!(!found.created, "a second one finds");
        *found.registered
    }

    async fn opens(&self, key: &LicenseKey) -> bool {
        self.service
            .find_license(key.number(), &key.hashes(&peppers()), &PoolName::default_pool())
            .await
            .unwrap()
            .is_some()
    }

    /// Every row of every table, as text.
    async fn everything(&self) -> Vec<String> {
        let mut truth = self.truth().await;
        let sql = "select oid::regclass::text from pg_class where relkind = 'r'
                   and relnamespace in ('public'::regnamespace, 'directory'::regnamespace) order by 1";
        let tables: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut truth).await.unwrap();
        let mut all = Vec::new();
        for table in tables {
            let sql = format!("select '{table} ' || t::text from {table} t order by 1");
            all.extend(sqlx::query_scalar::<_, String>(AssertSqlSafe(sql)).fetch_all(&mut truth).await.unwrap());
        }
        all
    }
}

#[tokio::test]
async fn a_first_registration_makes_organization_owner_and_a_trial_of_five_seats_for_a_fortnight() {
    let book = Book::open().await;
    let made = book.created("ada").await;
    assert_eq!((made.organization.as_str(), made.role.as_str()), ("Ada's", "owner"));
    let license = &made.license;
    assert_eq!(
        (license.product.as_str(), license.tier.as_str(), license.status.as_str()),
        ("coditect", "trial", "active")
    );
    assert_eq!(license.seats_total, 5);
    let days = (license.expires_at.unwrap() - made.created_at).as_seconds_f64() / 86_400.0;
    assert!((13.99..=14.0).contains(&days), "{days}");
    assert_eq!(made.key.as_ref().map(LicenseKey::number), Some(license.number));
    assert!(book.opens(&made.key.unwrap()).await);
    let seats =
        format!("select count(*) from seats where tenant_id = '{}' and holder is null and not retired", made.tenant);
    assert_eq!(book.number(&seats).await, 5);
    let told = format!("select count(*) from outbox where tenant_id = '{}'", made.tenant);
    assert_eq!(book.number(&told).await, 2, "organization.created and license.created");
}

#[tokio::test]
async fn who_comes_again_before_the_license_is_used_gets_the_same_organization_and_a_new_key() {
    let book = Book::open().await;
    let made = book.created("ada").await;
    let found = book.came_again("ada").await;
    assert_eq!((found.tenant, found.user, found.license.id), (made.tenant, made.user, made.license.id));
    let (old, new) = (made.key.unwrap(), found.key.unwrap());
    assert_eq!(old.number(), new.number(), "the number is the license's for good");
    assert_eq!((book.opens(&old).await, book.opens(&new).await), (false, true));
}

#[tokio::test]
async fn who_comes_again_after_the_first_use_sees_no_key_and_the_old_one_stays_good() {
    let book = Book::open().await;
    let grant = book.granted(0, 1, 1).await;
    let found = book.came_again("owner").await;
    assert_eq!((found.tenant, found.key.is_none()), (book.license.tenant, true));
    assert!(book.opens(&book.license.key).await);
    book.end(&license_core::records::SeatEnding { released: vec![grant.session], ..Default::default() }).await;
    assert!(book.came_again("owner").await.key.is_none(), "used once is used");
}

#[tokio::test]
async fn first_registrations_of_one_person_at_once_make_one_organization() {
    let book = Book::open().await;
    let new = person("ada");
    let one = || book.register(&new);
    let all: [RegistrationResult; 8] = {
        let (a, b, c, d, e, f, g, h) = tokio::join!(one(), one(), one(), one(), one(), one(), one(), one());
        [a, b, c, d, e, f, g, h].map(Result::unwrap)
    };
    let created = all.iter().filter(|r| r.created).count();
    assert_eq!(created, 1);
    assert_eq!(book.number("select count(*) from organizations where name = 'Ada''s'").await, 1);
    assert_eq!(book.number("select count(*) from directory.identity_tenants where subject = 'ada'").await, 1);
    let keys = all.iter().filter_map(|r| r.registered.key.as_ref());
    let mut good = 0;
    for key in keys {
        good += usize::from(book.opens(key).await);
    }
    assert_eq!(good, 1, "of all the keys shown, the last one is good");
}

#[tokio::test]
async fn who_waits_for_another_registration_of_the_same_person_is_answered_all_the_same() {
    let book = Book::open().await;
    let made = book.created("ada").await;
    let mut truth = book.truth().await;
    let mut holding = truth.begin().await.unwrap();
    holding.execute("select from directory.identities where subject = 'ada' for update").await.unwrap();
    let release = async {
        // Longer than one statement waits for a lock.
        tokio::time::sleep(Duration::from_millis(600)).await;
        holding.rollback().await.unwrap();
    };
    let new = person("ada");
    let peppers = peppers();
    let (found, ()) = tokio::join!(book.management.register(&new, &peppers), release);
    let found = found.unwrap();
    assert!(!found.created, "ada is known");
    assert_eq!(found.registered.tenant, made.tenant);
}

#[tokio::test]
async fn an_unknown_product_is_refused_and_nothing_is_written() {
    let book = Book::open().await;
    let before = book.everything().await;
    let new = NewOrganization { product: Some("no-such".into()), ..person("ada") };
    assert_eq!(refusal(book.register(&new).await), ChangeRefusal::UnknownProduct);
    assert_eq!(book.everything().await, before);
}

#[tokio::test]
async fn no_table_holds_a_key_only_its_hash() {
    let book = Book::open().await;
    let key = book.created("ada").await.key.unwrap();
    let rows = book.everything().await;
    assert!(rows.iter().any(|row| row.contains(&key.hash(&peppers()))));
    let (whole, bare) = (key.reveal(), key.reveal().replace('-', ""));
    let secret = &bare["CODI".len() + 13..bare.len() - 1];
    assert!(!rows.iter().any(|row| row.contains(&whole) || row.contains(&bare) || row.contains(secret)));
}
