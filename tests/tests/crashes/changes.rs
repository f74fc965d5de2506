//! The row "a change is committed, Redis is not told" of the crash table, for each change that ships: a later request
//! repairs the copy, the same request again marks it stale, and no holder is lost or counted twice.

use license_core::{
    Result,
    domain::{
        id::SessionId,
        key::LicenseKey,
        license::{RefusalReason, Status},
        terms::TermsEdit,
    },
    protocol::{
        acquire::{AcquireOutcome, AcquireRefusal, KeyRejection, LeasedSeat},
        heartbeat,
        steps::Step,
    },
    records::Caller,
    refusal::ChangeResult,
};
use license_tests::{
    Machine, World,
    client::{alive, beat, gone},
    outcomes::made,
    staff,
};
use std::{fmt::Debug, time::Duration};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Suspend,
    Resume,
    Revoke,
    Grow,
    Shrink,
    Processes,
    Expiry,
    Rotate,
    End,
    EndByForce,
}

const ALL: [Change; 10] = [
    Change::Suspend,
    Change::Resume,
    Change::Revoke,
    Change::Grow,
    Change::Shrink,
    Change::Processes,
    Change::Expiry,
    Change::Rotate,
    Change::End,
    Change::EndByForce,
];

/// Three seats, of which a and b hold two; and the process died after the commit of a change.
struct Cut {
    world: World,
    change: Change,
    a: LeasedSeat,
    b: LeasedSeat,
    /// Who comes next.
    c: Machine,
}

fn said<T: Debug>(answer: ChangeResult<T>) -> Result<String> {
    made(answer).map(|outcome| format!("{outcome:?}"))
}

async fn ask(world: &World, change: Change, act: &Caller, session: SessionId) -> Result<String> {
    let (management, license) = (&world.seat_management, world.license.id);
    let decide = async |status| said(management.set_license_status(act, license, status).await);
    let edit = async |edit| said(management.edit_license(act, license, &TermsEdit::into(edit), None).await);
    match change {
        Change::Suspend => decide(Status::Suspended).await,
        Change::Resume => decide(Status::Active).await,
        Change::Revoke => decide(Status::Revoked).await,
        Change::Grow => edit(staff::seats(4)).await,
        Change::Shrink => edit(staff::seats(1)).await,
        Change::Processes => edit(TermsEdit { processes_per_seat: Some(1), ..TermsEdit::default() }).await,
        Change::Expiry => {
            let over = world.clock.now() - Duration::from_secs(60);
            edit(TermsEdit { expires_at: Some(Some(over)), ..TermsEdit::default() }).await
        }
        Change::Rotate => {
            said(management.rotate_key(act, license, staff::rotation(0), &license_tests::world::peppers()).await)
        }
        Change::End | Change::EndByForce => {
            let answer = management.end_session(act, session, change == Change::EndByForce).await;
            // All but the epoch, which every rebuild raises and the API does not show.
            said(answer.map(|it| (it.end.id, it.end.ended_at, it.end.reason, it.free)))
        }
    }
}

impl Cut {
    async fn after(change: Change) -> Self {
        println!("{change:?}");
        let world = World::with_seats(3).await;
        let (a, b) =
            (world.machine("a").seated(&world.protocol).await, world.machine("b").seated(&world.protocol).await);
        if change == Change::Resume {
            world.suspend().await;
            assert!(
                matches!(beat(&world.protocol, &a).await, heartbeat::HeartbeatOutcome::Refused(_)),
                "the copy is rebuilt"
            );
        }
        let c = world.machine("c");
        let cut = Self { world, change, a, b, c };
        assert!(cut.told().await);
        cut.world.seat_management.steps().cut(Step::Change);
        cut.ask(&cut.once()).await.unwrap_err();
        assert!(!cut.told().await, "it is committed, and Redis goes by the copy before");
        for seat in [&cut.a, &cut.b] {
            let told = beat(&cut.world.protocol, seat).await;
            let refused = matches!(told, heartbeat::HeartbeatOutcome::Refused(_));
            assert!(
                !matches!(told, heartbeat::HeartbeatOutcome::Gone(_)) && refused == (change == Change::Resume),
                "{told:?}"
            );
        }
        assert!(!cut.told().await, "no heartbeat tells it");
        cut
    }

    /// The request with its idempotency key.
    fn once(&self) -> Caller {
        self.world.act_once("a key")
    }

    async fn ask(&self, act: &Caller) -> Result<String> {
        ask(&self.world, self.change, act, self.a.granted.session).await
    }

    /// Whether Redis has no copy of before the change, or knows it for one.
    async fn told(&self) -> bool {
        let fields: (Option<i64>, Option<i64>) = redis::cmd("HMGET")
            .arg(self.world.key("h"))
            .arg(&["epoch", "stale"])
            .query_async(&mut self.world.redis().await)
            .await
            .unwrap();
        fields.0 == Some(self.world.epoch().await) || fields.1 == Some(1)
    }

    /// How often the change is written down.
    async fn audited(&self) -> i64 {
        let sql = "select count(*) from audit_log where request_id is null and target = any ($1) and action <> 'organization.created'";
        let targets = vec![self.world.license.id.to_string(), self.a.granted.session.to_string()];
        sqlx::query_scalar(sql).bind(targets).fetch_one(&mut self.world.truth().await).await.unwrap()
    }

    /// The license's key now: of a rotation, what its first request would have answered. The records do not tell Redis.
    async fn key(&self) -> LicenseKey {
        let world = &self.world;
        if self.change != Change::Rotate {
            return world.license.key.clone();
        }
        let peppers = &license_tests::world::peppers();
        world.management.rotate_key(&self.once(), world.license.id, staff::rotation(0), peppers).await.unwrap().key
    }

    /// Everybody goes by the change, and nobody was lost or doubled.
    async fn repaired(&self, key: LicenseKey) {
        let (world, protocol, change) = (&self.world, &self.world.protocol, self.change);
        let with_key = |mut machine: Machine| {
            machine.key = key.clone();
            machine
        };
        let machine = |name| with_key(world.machine(name));
        let (c, d, e) = (with_key(self.c.clone()), machine("d"), machine("e"));
        let refused = async |why| {
            let told = c.acquire(protocol).await;
            assert!(
                matches!(&told, AcquireOutcome::Refused(AcquireRefusal::License(r)) if r.why == why),
                "{change:?}: {told:?}"
            );
            for seat in [&self.a, &self.b] {
                let told = beat(protocol, seat).await;
                assert!(
                    matches!(&told, heartbeat::HeartbeatOutcome::Refused(r) if r.why == why),
                    "{change:?}: {told:?}"
                );
            }
        };
        let seated = async |machines: &[&Machine]| {
            for machine in machines {
                machine.seated(protocol).await;
            }
            e.turned_away(protocol).await;
        };
        match change {
            Change::Suspend => refused(RefusalReason::Suspended).await,
            Change::Revoke => refused(RefusalReason::Revoked).await,
            Change::Expiry => refused(RefusalReason::Expired).await,
            Change::Resume => seated(&[&c]).await,
            Change::Grow => seated(&[&c, &d]).await,
            Change::Shrink => seated(&[]).await,
            Change::Processes => {
                let told = machine("a").restarted().acquire(protocol).await;
                assert!(
                    matches!(told, AcquireOutcome::Refused(AcquireRefusal::TooMany(many)) if many.processes == 1),
                    "{told:?}"
                );
                seated(&[&c]).await;
            }
            Change::Rotate => {
                assert!(matches!(
                    world.machine("old").acquire(protocol).await,
                    AcquireOutcome::KeyRejected(KeyRejection::BadKey)
                ));
                seated(&[&c]).await;
            }
            Change::End => {
                seated(&[&c]).await;
                gone(protocol, &self.a, "kicked").await;
            }
            Change::EndByForce => {
                seated(&[&c, &d]).await;
                gone(protocol, &self.a, "kicked").await;
            }
        }
        let ended = matches!(change, Change::End | Change::EndByForce);
        if !matches!(change, Change::Suspend | Change::Revoke | Change::Expiry) {
            alive(protocol, &self.b).await;
            if !ended {
                alive(protocol, &self.a).await;
            }
        }
        world.sweep().await;
        world.assert_no_drift().await;
        assert_eq!(world.count("select count(*) from sessions where ended_at is not null").await, i64::from(ended));
        let holders = "select count(holder) - count(distinct holder) from seats";
        assert_eq!(world.count(holders).await, 0, "one seat for each");
        if change == Change::End {
            world.pass(Duration::from_millis(world.timing.rebuild_lease_ms() as u64 + 1));
            d.seated(protocol).await;
        }
    }
}

#[tokio::test]
async fn a_change_redis_did_not_hear_of_is_repaired_by_the_next_acquire_that_draws_a_ticket() {
    for change in ALL {
        let cut = Cut::after(change).await;
        let told = cut.c.acquire(&cut.world.protocol).await;
        if change == Change::Resume {
            // The copy of before gives nobody a ticket: the reaper's look repairs this one.
            assert!(
                matches!(told, AcquireOutcome::Refused(AcquireRefusal::License(r)) if r.why == RefusalReason::Suspended),
                "{told:?}"
            );
            assert!(!cut.told().await);
            cut.world.sweep().await;
        }
        assert!(cut.told().await, "{change:?}");
        cut.repaired(cut.key().await).await;
    }
}

#[tokio::test]
async fn a_change_redis_did_not_hear_of_is_repaired_by_the_next_sweep() {
    for change in ALL {
        let cut = Cut::after(change).await;
        assert_eq!(cut.world.sweep().await.failed, 0);
        assert!(cut.told().await, "{change:?}");
        cut.repaired(cut.key().await).await;
    }
}

#[tokio::test]
async fn the_same_request_with_its_key_tells_redis_again_and_answers_what_the_first_did() {
    for change in ALL {
        let cut = Cut::after(change).await;
        let (audited, key) = (cut.audited().await, cut.key().await);
        let answer = cut.ask(&cut.once()).await.unwrap();
        assert!(cut.told().await, "{change:?}");
        assert_eq!(cut.ask(&cut.once()).await.unwrap(), answer);
        assert_eq!(
            (cut.audited().await, cut.key().await.reveal()),
            (audited, key.reveal()),
            "{change:?} was made once"
        );
        cut.repaired(key).await;
    }
}

#[tokio::test]
async fn the_same_request_without_a_key_tells_redis_again_and_changes_nothing_more_but_for_a_rotation() {
    for change in ALL {
        let cut = Cut::after(change).await;
        let (audited, world) = (cut.audited().await, &cut.world);
        if change == Change::Rotate {
            let key = world.rotate_key(0).await;
            assert!(cut.told().await);
            assert_eq!(cut.audited().await, audited + 1);
            cut.repaired(key).await;
            continue;
        }
        let answer = cut.ask(&world.act()).await.unwrap();
        assert!(cut.told().await, "{change:?}");
        assert_eq!(cut.ask(&world.act()).await.unwrap(), answer);
        assert_eq!(cut.audited().await, audited, "{change:?} was made once");
        cut.repaired(cut.key().await).await;
    }
}
