//! The real engine under the commands: two instances, a reaper and an admin over one Redis and one PostgreSQL.

use crate::{
    command::{Command, Key, License, Odd, Who},
    model::{Answer, Model, TTL},
};
use license_core::{
    Clock, clock,
    domain::{
        handle::SessionHandle,
        id::Attempt,
        key::LicenseKey,
        license::{LicenseRefusal, RefusalReason},
        secret::KeyRing,
    },
    management::{EndedSessionRow, SeatManagement},
    protocol::{SeatProtocol, acquire, heartbeat, validate},
    seat_store::SilentHolder,
};
use license_tests::{Machine, World, staff, world::Shape};
use sqlx::{Connection, PgConnection};
use std::time::Duration;
use uuid::Uuid;

const OTHER_PRODUCT: &str = "com.example.other";

pub(crate) struct Engine {
    pub(crate) world: World,
    instances: [SeatProtocol; 2],
    pub(crate) truth: PgConnection,
    pub(crate) redis: redis::aio::MultiplexedConnection,
    keys: Vec<LicenseKey>,
    wrong: LicenseKey,
    /// Every session that was given, in order.
    pub(crate) given: Vec<SessionHandle>,
    kept: Vec<(String, Vec<u8>)>,
    /// Cases begun.
    pub(crate) begun: usize,
}

impl Engine {
    pub(crate) async fn new() -> Self {
        let mut shape = Shape::default();
        // Connections are replaced where a command says so and at no other time.
        shape.timing.max_connection_age = Duration::from_secs(3600);
        let world = World::shaped(shape).await;
        // Ahead of the real clock, by which the records judge keys.
        world.pass(Duration::from_secs(86_400));
        Self {
            instances: [world.protocol.clone(), world.instance().await],
            truth: PgConnection::connect_with(&world.database).await.unwrap(),
            redis: world.redis().await,
            keys: Vec::new(),
            wrong: LicenseKey::draw(world.license.pool.license),
            given: Vec::new(),
            kept: Vec::new(),
            begun: 0,
            world,
        }
    }

    /// A license as good as new, and every instance in contact with Redis and without anything to remember.
    pub(crate) async fn begin(&mut self, license: License) -> Model {
        self.begun += 1;
        self.given.clear();
        self.kept.clear();
        let mut stranger = self.world.machine("stranger");
        stranger.key = LicenseKey::draw(license_core::domain::id::LicenseNumber::draw());
        for instance in &self.instances {
            stranger.acquire(instance).await;
        }
        self.world.pass(Duration::from_millis(2 * TTL as u64));
        let key = LicenseKey::draw(self.world.license.pool.license);
        let now = self.world.clock.now_ms();
        let hash = key.hash(&license_tests::world::peppers());
        self.keys = vec![key];
        let expires = license
            .term_ms
            .map_or("null".into(), |term| format!("timestamptz 'epoch' + {} * interval '1 millisecond'", now + term));
        let holder_by = if license.by_process { "process" } else { "machine" };
        let (seats, processes) = (license.seats, license.processes);
        let sql = format!(
            "delete from sessions; delete from outbox; delete from seats; delete from license_keys;
             update licenses set status = 'active', holder_by = '{holder_by}', processes_per_seat = {processes}, expires_at = {expires};
             update pools set seats_total = {seats}, surplus = 0, status = 'active', changed_at = null, used_at = null;
             insert into license_keys (tenant_id, license_id, key_hmac) select tenant_id, license_id, '{hash}' from licenses;
             insert into seats (tenant_id, pool_id, seat_no) select tenant_id, pool_id, n from pools, generate_series(0, {seats} - 1) n"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut self.truth).await.unwrap();
        redis::cmd("FLUSHALL").exec_async(&mut self.redis).await.unwrap();
        Model::new(license, now)
    }

    /// Does a command; the model, before it does the same, says which session and key are meant.
    pub(crate) async fn answer(&mut self, model: &Model, command: &Command) -> Answer {
        match *command {
            Command::Acquire { at, who, attempt, key, odd } => {
                let machine = self.machine(model, who, attempt, key, odd);
                self.acquired(&machine.product, machine.acquire(&self.instances[at]).await)
            }
            Command::Validate { at, machine, key } => {
                let asks = self.machine(model, Who { machine, process: None }, 0, key, Odd::Nothing);
                validated(self.instances[at].validate(&asks.key, Some(&asks.hardware), None, &asks.pool).await.unwrap())
            }
            Command::Heartbeat { at, session } => match model.session(session) {
                Some(session) => beaten(self.instances[at].heartbeat(&self.given[session], None).await.unwrap()),
                None => Answer::Done,
            },
            Command::Release { at, session } => match model.session(session) {
                Some(session) => {
                    self.instances[at].release(&self.given[session]).await.map(|_| Answer::Released).unwrap()
                }
                None => Answer::Done,
            },
            Command::Sweep => {
                let report = self.world.sweep().await;
                assert_eq!(report.failed, 0, "the pool could be looked at");
                Answer::Swept { seats: report.seats, sessions: report.sessions }
            }
            Command::End { session, force } => match model.session(session) {
                Some(session) => ended(&self.world.end(self.given[session].session, force).await),
                None => Answer::Done,
            },
            Command::Resize { seats } => Answer::Changed(self.world.resize(seats).await),
            Command::Suspend => Answer::Changed(self.world.suspend().await),
            Command::Resume => Answer::Changed(self.world.resume().await),
            Command::Rotate { grace_ms } => {
                self.rotate(grace_ms.map(|grace| model.now + grace)).await;
                Answer::Changed(true)
            }
            _ => self.fault(command).await,
        }
    }

    /// Staff give keys whole seconds by the records' clock, which is real. The end of what they gave is then moved to `until` on the clock
    /// that the test moves, a part of a second earlier; that an older key has no more time than before is left to the records.
    async fn rotate(&mut self, until: Option<i64>) {
        let real = Clock::system().now_ms();
        let old_for = until.map_or(0, |until| u32::try_from((until - real) / 1000 + 2).unwrap());
        let (act, license) = (self.world.act(), self.world.license.id);
        let peppers = &license_tests::world::peppers();
        let new =
            self.world.seat_management.rotate_key(&act, license, staff::rotation(old_for), peppers).await.unwrap();
        if let Some(until) = until {
            sqlx::query("update license_keys set valid_until = $1 where valid_until > $1 and valid_until <= $2")
                .bind(clock::from_ms(until))
                .bind(new.old_until)
                .execute(&mut self.truth)
                .await
                .unwrap();
        }
        self.keys.push(new.key);
    }

    async fn fault(&mut self, command: &Command) -> Answer {
        match command {
            Command::Pass { ms } => self.world.clock.advance_ms(*ms),
            Command::Lose { key } => self.world.forget(key).await,
            Command::Promote => self.world.promote().await,
            Command::Copy => self.kept = self.world.dump().await,
            Command::Stale => {
                self.world.restore(&self.kept).await;
                self.world.promote().await;
            }
            Command::Restart => {
                self.world.redis.restart().await.unwrap();
                self.redis = self.world.redis().await;
                // The instances find out by themselves; the reaper and the admin are not made to.
                self.world.reaper = self.world.another_reaper();
                self.world.seat_management = SeatManagement::new(self.world.seats(), self.world.admin.clone());
            }
            _ => self.world.flush().await,
        }
        Answer::Done
    }

    fn machine(&self, model: &Model, who: Who, attempt: u8, key: Key, odd: Odd) -> Machine {
        let mut machine = self.world.machine(&format!("machine-{}", who.machine));
        machine.key = model.key(key).map_or(&self.wrong, |key| &self.keys[key]).clone();
        machine.instance = who.process.map(|process| format!("instance-{process}").parse().unwrap());
        let process = who.process.map_or(9, u128::from);
        machine.attempt = Attempt(Uuid::from_u128(u128::from(attempt) + 16 * process + 256 * u128::from(who.machine)));
        if odd == Odd::Pool {
            machine.pool = "other".parse().unwrap();
        }
        machine.product = (odd == Odd::Product).then(|| OTHER_PRODUCT.into());
        machine
    }

    fn acquired(&mut self, product: &Option<String>, outcome: acquire::AcquireOutcome) -> Answer {
        match outcome {
            acquire::AcquireOutcome::Seat(seat) => {
                let known = self.given.iter().position(|given| given.session == seat.granted.session);
                if known.is_none() {
                    self.given.push(SessionHandle::verify(&seat.handle, &KeyRing::single(vec![1; 32])).unwrap());
                }
                let session = known.unwrap_or(self.given.len() - 1);
                Answer::Seat { seat: seat.granted.seat, session, renewed: seat.renewed, used: seat.granted.held }
            }
            acquire::AcquireOutcome::Refused(refusal) => acquire_refused(refusal, product),
            acquire::AcquireOutcome::KeyRejected(rejection) => key_rejected(rejection),
        }
    }
}

fn acquire_refused(refusal: acquire::AcquireRefusal, product: &Option<String>) -> Answer {
    match refusal {
        acquire::AcquireRefusal::Full(full) => Answer::Full {
            held: full.held,
            total: full.seats_total,
            next: full.next_lease_end_ms,
            silent: silent(full.silent),
        },
        acquire::AcquireRefusal::License(refusal) => refused(refusal),
        acquire::AcquireRefusal::WrongProduct(license) => {
            assert_ne!(Some(license), *product);
            Answer::WrongProduct
        }
        acquire::AcquireRefusal::Limited(..) => panic!("this world has no limits"),
        acquire::AcquireRefusal::NeedsInstance => Answer::NeedsInstance,
        acquire::AcquireRefusal::TooMany(many) => Answer::TooMany { processes: many.processes, wait: many.wait_ms },
    }
}

fn key_rejected(rejection: acquire::KeyRejection) -> Answer {
    match rejection {
        acquire::KeyRejection::BadKey => Answer::BadKey,
        acquire::KeyRejection::NoPool => Answer::NoPool,
        acquire::KeyRejection::Limited(_) => panic!("this world has no limits"),
    }
}

fn validated(outcome: validate::ValidateOutcome) -> Answer {
    match outcome {
        validate::ValidateOutcome::Valid(valid) => Answer::Valid {
            held: valid.held,
            total: valid.seats_total,
            mine: valid.has_seat,
            silent: silent(valid.silent),
        },
        validate::ValidateOutcome::Refused(refusal, _) => refused(refusal),
        validate::ValidateOutcome::KeyRejected(rejection) => key_rejected(rejection),
    }
}

fn ended(ended: &EndedSessionRow) -> Answer {
    Answer::Ended { reason: ended.end.reason.as_str(), free_in: ended.free.map(|(_, wait)| wait.as_millis() as i64) }
}

fn beaten(outcome: heartbeat::HeartbeatOutcome) -> Answer {
    match outcome {
        heartbeat::HeartbeatOutcome::Alive(_) => Answer::Alive,
        heartbeat::HeartbeatOutcome::Gone(why) => Answer::Gone(why.as_str().to_owned()),
        heartbeat::HeartbeatOutcome::Refused(refusal) => refused(refusal),
        heartbeat::HeartbeatOutcome::Limited(_) => panic!("this world has no limits"),
    }
}

fn refused(refusal: LicenseRefusal) -> Answer {
    match refusal.why {
        RefusalReason::Suspended => Answer::Suspended,
        RefusalReason::Expired => Answer::Expired { since: refusal.since_ms },
        other => panic!("no license here is {other:?}"),
    }
}

fn silent(holders: Vec<SilentHolder>) -> Vec<(String, i64)> {
    holders.into_iter().map(|holder| (holder.label, holder.lease_end_ms)).collect()
}
