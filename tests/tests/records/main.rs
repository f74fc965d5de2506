//! The SQL functions and statements of the records, on a real PostgreSQL and as the roles that serve.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests; clippy.toml's exception does not reach helpers")]

mod changes;
mod erasing;
mod given_up;
mod history;
mod keys;
mod locks;
mod migrations;
mod random;
mod register;
mod seats;
mod settings;
mod sweep;
mod usage;

use license_core::{
    domain::{
        id::{Holder, Hw, SeatNo, SessionId},
        license::Status,
        pool::{LeaseClaim, SeatClaim},
        session::EndReason,
    },
    management::{ChangedLicense, Management},
    records::{Caller, DatabaseRole, EndOutcome, GrantOutcome, Records, SeatEnding},
};
use license_tests::{
    grant::SeatGrant,
    staff, stores,
    world::{License, Shape, peppers, register as registered},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};
use std::{sync::Arc, time::Duration};

const TTL: Duration = Duration::from_secs(360);

/// A database with one organization and its pool of five seats, and no Redis: the tests draw the tickets.
struct Book {
    database: PgConnectOptions,
    admin: Records,
    management: Management,
    service: Records,
    license: License,
}

impl Book {
    async fn open() -> Self {
        let database = stores::database().await;
        let admin = Records::with(database.clone(), DatabaseRole::Admin, 4).sealing(Arc::new(peppers()));
        let license = registered(&admin, &database, &Shape::default(), "owner").await;
        let service = Records::with(database.clone(), DatabaseRole::Service, 4);
        Self { service, management: Management::new(admin.clone()), database, admin, license }
    }

    async fn truth(&self) -> PgConnection {
        PgConnection::connect_with(&self.database).await.unwrap()
    }

    async fn number(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.truth().await).await.unwrap()
    }

    async fn truth_text(&self, sql: &str) -> String {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.truth().await).await.unwrap()
    }

    /// Seat numbers for which a condition holds, in order.
    async fn seats(&self, condition: &str) -> Vec<i32> {
        let sql = format!("select seat_no from seats where {condition} order by seat_no");
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut self.truth().await).await.unwrap()
    }

    /// Kinds of events about seats, oldest first.
    async fn events(&self) -> Vec<String> {
        let sql =
            "select kind || coalesce(' ' || (payload->>'reason'), '') from outbox where kind like 'seat.%' order by id";
        sqlx::query_scalar(sql).fetch_all(&mut self.truth().await).await.unwrap()
    }

    /// How a session ended; `None` while it is open.
    async fn end_of(&self, session: SessionId) -> Option<String> {
        sqlx::query_scalar("select end_reason from sessions where session_id = $1")
            .bind(session.0)
            .fetch_one(&mut self.truth().await)
            .await
            .unwrap()
    }

    async fn epoch(&self) -> u64 {
        self.number("select epoch from pools").await as u64
    }

    async fn surplus(&self) -> i64 {
        self.number("select surplus::bigint from pools").await
    }

    /// What ACQUIRE would have decided under the present epoch: this seat for this holder, a new session of a new process.
    async fn decided(&self, seat: SeatNo, holder: u8, seq: u64) -> SeatGrant {
        let session = SessionId::draw();
        SeatGrant {
            seat,
            epoch: self.epoch().await,
            seq,
            hw: Hw([holder; 32]),
            label: format!("machine {holder}"),
            ..SeatGrant::new(self.license.tenant, self.license.pool_id, session, Holder([holder; 16]))
        }
    }

    async fn write(&self, grant: &SeatGrant) -> GrantOutcome {
        grant.write_down(&self.service).await.unwrap()
    }

    /// Decides and writes down, which must succeed.
    async fn granted(&self, seat: SeatNo, holder: u8, seq: u64) -> SeatGrant {
        let grant = self.decided(seat, holder, seq).await;
        assert_eq!(self.write(&grant).await, GrantOutcome::Ok);
        grant
    }

    async fn end(&self, ending: &SeatEnding) -> EndOutcome {
        let License { tenant, pool_id, .. } = self.license;
        self.service.end_seats(tenant, pool_id, ending, EndReason::Released, TTL).await.unwrap()
    }

    /// Ends seats under the present epoch.
    async fn vacate(&self, seats: &[(SeatNo, u64)]) -> EndOutcome {
        let seats =
            seats.iter().map(|&(seat, seq)| SeatClaim { seat, claim: LeaseClaim { seq, lease_end_ms: 0 } }).collect();
        self.end(&SeatEnding { epoch: self.epoch().await, seats, ..SeatEnding::default() }).await
    }

    fn act(&self) -> Caller {
        staff::act(self.license.tenant)
    }

    async fn resize(&self, seats: u32) {
        let edit = staff::seats(seats);
        self.management.edit_license(&self.act(), self.license.id, &edit.into(), None).await.unwrap();
    }

    async fn decide(&self, status: Status) -> ChangedLicense {
        self.management.set_license_status(&self.act(), self.license.id, status).await.unwrap()
    }

    /// Ends a session of whoever sits on a seat; answers the epoch before. `None`: nobody sits there.
    async fn kick(&self, seat: SeatNo, force: bool) -> Option<u64> {
        let session = staff::open_on(seat, &mut self.truth().await).await?;
        let end = self.management.end_session(&self.act(), session, force).await.unwrap();
        assert_eq!(end.reason, EndReason::Kicked);
        Some(end.epoch - 1)
    }

    /// What operators do by SQL, also to an empty seat: no session is named.
    async fn kick_seat(&self, seat: SeatNo, force: bool) -> Option<i64> {
        let mut admin =
            PgConnection::connect_with(&self.database.clone().username(DatabaseRole::Admin.name())).await.unwrap();
        sqlx::query_scalar("select kick_seat($1, $2, $3, $4, 'an operator')")
            .bind(self.license.tenant.0)
            .bind(self.license.pool_id.0)
            .bind(seat as i32)
            .bind(force)
            .fetch_one(&mut admin)
            .await
            .unwrap()
    }
}
