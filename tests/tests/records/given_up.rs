//! What was answered is committed: a commit that fails is an error, and no connection comes back in a transaction whose call was given up.

use super::{Book, TTL};
use license_core::{
    domain::{
        id::TenantId,
        lease::LeaseTiming,
        pool::{LeaseClaim, SeatClaim},
        session::EndReason,
        trial::TrialPolicy,
    },
    management::{Management, NewOrganization},
    records::{
        DatabaseRole, GrantOutcome, LicenseFilter, PageRequest, ProductSettings, Records, ResolveOutcome, SeatEnding,
        VerifiedPerson,
    },
    refusal::{ChangeRefusal, PlanField},
};
use license_tests::{network::Network, outcomes::refusal, staff, world::peppers};
use sqlx::Executor;
use std::sync::Arc;

/// The ways in which a transaction is begun, and who takes them.
#[derive(Clone, Copy, Debug)]
enum Begun {
    Rebuild(DatabaseRole),
    Events,
    Reading,
    Edit,
    Product,
    Registration,
}

const ALL: [Begun; 8] = [
    Begun::Rebuild(DatabaseRole::Service),
    Begun::Rebuild(DatabaseRole::Reaper),
    Begun::Rebuild(DatabaseRole::Admin),
    Begun::Events,
    Begun::Reading,
    Begun::Edit,
    Begun::Product,
    Begun::Registration,
];

impl Begun {
    fn role(self) -> DatabaseRole {
        match self {
            Self::Rebuild(role) => role,
            Self::Events => DatabaseRole::Reaper,
            Self::Reading | Self::Edit | Self::Product | Self::Registration => DatabaseRole::Admin,
        }
    }

    /// Makes the call; `n` makes it another than the one before.
    async fn call(self, book: &Book, records: &Records, n: u32) {
        let (tenant, pool) = (book.license.tenant, book.license.pool_id);
        let management = Management::new(records.clone());
        match self {
            Self::Rebuild(_) => {
                records.rebuild_pool(tenant, pool, 0, &LeaseTiming::default()).await.unwrap().unwrap();
            }
            Self::Events => records.waiting_events(10).await.unwrap().published().await.unwrap(),
            Self::Reading => {
                records.licenses(tenant, &LicenseFilter::default(), PageRequest::FIRST).await.unwrap();
            }
            Self::Edit => {
                let edit = staff::seats(10 + n);
                management.edit_license(&book.act(), book.license.id, &edit.into(), None).await.unwrap();
            }
            Self::Product => {
                let registration_plan = "no-such-plan".into();
                let product = ProductSettings { registration_plan, is_default: false, trials: TrialPolicy::default() };
                let put = management.put_product(&staff::act(TenantId::VENDOR), "another", &product, None).await;
                assert_eq!(refusal(put), ChangeRefusal::UnknownPlan(PlanField::OfRegistrations));
            }
            Self::Registration => {
                let new = NewOrganization {
                    person: VerifiedPerson {
                        issuer: "https://id.example.com".into(),
                        subject: format!("person-{n}"),
                        email: format!("person-{n}@example.com"),
                        name: None,
                    },
                    organization: "Another".into(),
                    product: None,
                    address: None,
                    request_id: None,
                    sign_in: Default::default(),
                };
                management.register(&new, &peppers()).await.unwrap();
            }
        }
    }
}

/// Gives a call up while its message number `carried` after BEGIN is under way. False: the call was done before.
async fn give_up(book: &Book, network: &Network, begun: Begun, carried: u32) -> bool {
    // One connection: what comes next goes over the one that was left behind.
    let records = Records::with(network.way(&book.database), begun.role(), 1).sealing(Arc::new(peppers()));
    records.ready().await.unwrap();
    network.hold("BEGIN\0", carried as usize);
    let given_up = tokio::select! {
        biased;
        () = begun.call(book, &records, carried) => false,
        () = network.held() => true,
    };
    network.open();
    records.ready().await.unwrap();
    let left = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'";
    assert_eq!(book.number(left).await, 0, "{begun:?} left a transaction open, given up after message {carried}");
    if begun.role() == DatabaseRole::Service {
        let grant = book.decided(0, 1, 1).await;
        assert_eq!(grant.write_down(&records).await.unwrap(), GrantOutcome::Ok);
        assert_eq!(book.seats("holder is not null").await, [0], "{begun:?} given up after message {carried}");
        let seats = vec![SeatClaim { seat: 0, claim: LeaseClaim { seq: 2, lease_end_ms: 0 } }];
        let ending = SeatEnding { epoch: grant.epoch, seats, ..SeatEnding::default() };
        records.end_seats(grant.tenant, grant.pool, &ending, EndReason::Released, TTL).await.unwrap();
        assert!(book.end_of(grant.session).await.is_some(), "{begun:?} given up after message {carried}");
        // The next grant draws its ticket in an epoch of its own.
        book.resize(6 + carried % 2).await;
    }
    given_up
}

#[tokio::test]
async fn a_call_given_up_at_any_of_its_messages_leaves_no_transaction_to_the_next_over_its_connection() {
    for begun in ALL {
        let book = Book::open().await;
        let network = Network::to(book.database.get_socket().unwrap()).await;
        let mut carried = 0;
        while give_up(&book, &network, begun, carried).await {
            carried += 1;
        }
        assert!(carried > 2, "{begun:?} says more than BEGIN");
    }
}

/// Fires when everything is done and the answer is on its way, at the commit.
const FAIL: &str = "
    create function fail() returns trigger language plpgsql as $$ begin raise exception 'this commit fails'; end $$;
    create constraint trigger fail after insert or update on sessions deferrable initially deferred
      for each row execute function fail()";

#[tokio::test]
async fn an_operation_whose_commit_fails_is_not_answered_as_if_it_were_done() {
    let book = Book::open().await;
    let [released, gone] = [book.granted(0, 1, 1).await, book.granted(1, 2, 2).await];
    let new = book.decided(2, 3, 3).await;
    let seats = vec![SeatClaim { seat: 0, claim: LeaseClaim { seq: 4, lease_end_ms: 0 } }];
    let ending = SeatEnding { epoch: new.epoch, seats, ..SeatEnding::default() };
    let grant = || new.write_down(&book.service);
    let end = || book.service.end_seats(new.tenant, new.pool, &ending, EndReason::Released, TTL);
    let resolve = || book.service.resolve_session(gone.tenant, gone.pool, 1, gone.session, gone.epoch);

    book.truth().await.execute(FAIL).await.unwrap();
    grant().await.unwrap_err();
    end().await.unwrap_err();
    resolve().await.unwrap_err();
    assert_eq!(book.seats("holder is not null").await, [0, 1], "nothing was done");
    assert_eq!((book.end_of(released.session).await, book.end_of(gone.session).await), (None, None));

    book.truth().await.execute("drop trigger fail on sessions").await.unwrap();
    assert_eq!(grant().await.unwrap(), GrantOutcome::Ok);
    assert_eq!(end().await.unwrap().done, Some(vec![(0, false)]));
    assert_eq!(resolve().await.unwrap(), ResolveOutcome::Gone("expired".into()));
    assert_eq!(book.seats("holder is not null").await, [1, 2]);
}
