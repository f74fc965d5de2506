//! Clients of the product, over HTTP: what people look at and end.

use crate::desk::{Answer, Desk};
use license_core::domain::{
    id::{LicenseId, LicenseNumber, PoolId, PoolName, TenantId},
    key::LicenseKey,
    secret::KeyRing,
};
use license_core::seat_store::PoolKey;
use license_tests::world::License;
use serde_json::{Value, json};
use uuid::Uuid;

/// A process on a seat.
pub(crate) struct Seat {
    pub(crate) id: String,
    pub(crate) handle: String,
}

impl Desk {
    /// Asks for a seat; `client` is what the client says of itself.
    pub(crate) async fn acquire(&self, license: &License, machine: &str, client: Value) -> Answer {
        let body = json!({ "license_key": license.key.reveal(), "hardware_id": format!("hardware-{machine}"),
            "attempt": Uuid::new_v4(), "client": client });
        self.post("/api/v1/licenses/acquire", &body).send().await
    }

    /// Asks for a seat of the world's own license and must get one.
    pub(crate) async fn sit(&self, machine: &str, client: Value) -> Seat {
        self.sit_on(&self.world.license, machine, client).await
    }

    /// The same of another license.
    pub(crate) async fn sit_on(&self, license: &License, machine: &str, client: Value) -> Seat {
        let seat = self.acquire(license, machine, client).await.ok(201);
        let text = |name: &str| seat[name].as_str().unwrap().to_owned();
        Seat { id: text("session_id"), handle: text("session") }
    }

    pub(crate) async fn beat(&self, seat: &Seat) -> Answer {
        self.post("/api/v1/licenses/heartbeat", &json!({})).by(&seat.handle).send().await
    }

    pub(crate) async fn release(&self, seat: &Seat) {
        self.post("/api/v1/licenses/release", &json!({})).by(&seat.handle).send().await.ok(200);
    }

    /// Ends a session.
    pub(crate) async fn end(&self, who: &str, session: &str, body: &Value) -> Answer {
        self.post(&self.at(&format!("/sessions/{session}/end")), body).by(who).send().await
    }

    /// Another license of an organization: five seats.
    pub(crate) async fn license_of(&self, tenant: TenantId) -> License {
        let key = LicenseKey::draw(LicenseNumber::draw());
        let (license, pool) = (Uuid::now_v7(), Uuid::now_v7());
        let made: bool = sqlx::query_scalar("select create_license($1, $2, $3, $4, $5, 'coditect', 'trial')")
            .bind(tenant.0)
            .bind(license)
            .bind(pool)
            .bind(key.number().to_string())
            .bind(key.hash(&KeyRing::single(vec![2; 32])))
            .fetch_one(&mut self.world.truth().await)
            .await
            .unwrap();
        assert!(made);
        let pool_key = PoolKey { license: key.number(), pool: PoolName::default_pool() };
        License { key, tenant, id: LicenseId(license), pool_id: PoolId(pool), pool: pool_key }
    }

    /// The ids of a whole list, page by page as `who`; `path` may have a query.
    pub(crate) async fn ids(&self, who: &str, path: &str) -> Vec<String> {
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        let mark = if path.contains('?') { '&' } else { '?' };
        loop {
            let page = self.get(&format!("{path}{mark}cursor={cursor}")).by(who).send().await.ok(200);
            ids.extend(page["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { return ids };
            cursor = next.to_owned();
        }
    }
}
