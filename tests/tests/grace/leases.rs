//! Grace while instances give leases of several lengths.

use super::{GRACES, pass};
use license_core::{domain::lease::LeaseTiming, protocol::heartbeat};
use license_tests::{
    World,
    client::{beat, release},
};
use std::time::Duration;

/// While a lease is being made shorter, and until the pool is rebuilt after that, some count by the longer one.
#[tokio::test]
async fn no_instance_signs_a_grace_that_the_records_do_not_count_whatever_leases_it_gives() {
    let world = World::with_seats(1).await;
    release(&world.protocol, &world.machine("first").seated(&world.protocol).await).await;
    let hasty = world.instance_timed(LeaseTiming::with_ttl(Duration::from_secs(60))).await;
    for (name, held) in [("a", 31), ("b", 91), ("c", 171), ("d", 181)] {
        let seat = world.machine(name).seated(&hasty).await;
        let mut signed = seat.lease.offline_until;
        for moment in (0..held).step_by(30).skip(1).chain([held]) {
            let passed = moment - (moment - 1) / 30 * 30;
            pass(&world, Duration::from_secs(passed)).await;
            let heartbeat::HeartbeatOutcome::Alive(alive) = beat(&hasty, &seat).await else { panic!("alive") };
            signed = signed.max(alive.lease.offline_until);
        }
        release(&hasty, &seat).await;
        let signed = signed.unix_timestamp() - world.clock.now_seconds() > 3600;
        let counted = world.count(GRACES).await == 1;
        assert_eq!(signed, counted, "{name} held its seat for {held} s");
        assert_eq!(signed, name == "d", "{held} s: by the lease of the copy it is 180 s");
    }
}
