//! The protections of the protocol as named switches. The protocol is all of them; a *mutant* is all but one, and some property must fail
//! for it: each has a directed scenario in `tests/`.

use std::fmt;

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// One protection.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule { $($(#[doc = $doc])+ $name,)+ }

        impl Rule {
            /// Every protection, in the order of this file.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// What it is called on the command line and in the documentation.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// What it says.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii_start(),)+ }
            }
        }
    };
}

rules! {
    // --- tickets -----------------------------------------------------------------------------------------------------------------
    /// `grant_seat` refuses a ticket of another epoch.
    GrantComparesEpochs,
    /// `grant_seat` refuses a ticket that is not above the seat's fence.
    GrantIsFenced,
    /// `grant_seat` refuses a ticket that is not above the fence of another seat of the same holder.
    GrantLooksAtTheOtherSeat,
    /// `grant_seat` says ENDED for a session that has ended.
    EndedStaysEnded,
    /// `grant_seat` ends what Redis no longer counts: sessions of the seat that are not in its list, and older ones of the same attempt.
    GrantEndsTheUncounted,
    /// `grant_seat` proves the copy wrong where a seat it names is retired.
    GrantRefusesRetiredRows,
    /// A copy that counts an ended session in is proved wrong by whoever is told ENDED.
    EndedProvesTheCopyWrong,
    /// A repeated attempt draws a fresh ticket.
    RetryDrawsATicket,
    /// A repeated attempt is told its own session only.
    RetryIsOfOneAttempt,
    /// `end_seats` vacates nothing under another epoch.
    EndingComparesEpochs,
    /// `end_seats` vacates nothing whose fence is as high as the claim.
    EndingIsFenced,
    /// `end_seats` vacates a seat whoever holds it.
    EndingIsForWhoeverHolds,
    /// `end_seats` raises the fence also of an empty seat.
    EndingFencesEmptySeats,
    /// Nothing is undone by RELEASE: a call that is fenced asks again.
    NothingIsUndone,

    // --- the copy ----------------------------------------------------------------------------------------------------------------
    /// A copy is believed only by the node that rebuilt it.
    Stamp,
    /// A copy whose counts disagree with its keys is not believed.
    Counts,
    /// REBUILD needs the nonce this copy gave.
    Nonce,
    /// The nonce is good only on the node that gave it.
    NonceIsOfItsNode,
    /// A nonce is good for one rebuild, also where `h` is lost afterwards: REBUILD deletes it.
    NonceIsSpent,
    /// INVALIDATE reaches a rebuild that is under way: what it builds from older records is stale from the start.
    InvalidateReachesRebuilds,
    /// REBUILD needs an epoch above the copy's.
    RebuildRaisesTheEpoch,
    /// The rebuild of a cold pool gives every holder a full lease, whatever another node's copy said.
    RebuildGivesAFullLease,
    /// A seat the records show as held without an open session is over: nobody can believe in it.
    HeldByNobodyIsOver,
    /// A rebuild keeps what this node's own copy knows: a change renews neither the leases of the dead nor quarantines.
    RebuildKeepsWhatItKnows,
    /// It keeps only what the latest copy anybody built knows: elsewhere leases may have been raised since.
    KeepsOnlyTheLatestCopy,
    /// It keeps nothing of a copy that has lost a key.
    KeepsOnlyWholeCopies,
    /// It keeps no lease that ends later than a full one from now: a clock that was far ahead is not kept for ever.
    KeepsNoMoreThanAFullLease,
    /// Whoever is given the nonce freezes the copy: what a rebuild has read of it is not raised behind its back.
    NonceFreezes,
    /// Whose lease went on when a copy was frozen is given back the time in which nobody could renew.
    FrozenTimeIsGivenBack,
    /// A rebuild adds the time in which a deposed primary still answers.
    RebuildLeaseCountsDrain,
    /// UNKNOWN is judged under its epoch: an old copy's word ends nobody.
    UnknownComparesEpochs,
    /// The reaper proves a copy below the pool's epoch stale.
    ReaperComparesEpochs,
    /// The reaper looks at a pool that was changed lately, also where nobody holds anything.
    ReaperLooksAtChangedPools,
    /// FREE forgets only claims of its own epoch.
    FreeComparesEpochs,
    /// FREE forgets only what still is what was claimed.
    FreeLooksAgain,

    // --- leases and clocks -------------------------------------------------------------------------------------------------------
    /// A lease is only ever raised.
    LeasesOnlyRise,
    /// What takes something away needs Redis's clock and the service's to agree.
    TwoClocksTake,
    /// Redis's clock takes by what it says now, not by the latest it ever said: one that was wrong and put right vouches for nothing.
    TakesByTheClockOfNow,
    /// What lapsed means the same for one session as for a seat: RELEASE and a join look at both clocks too.
    TwoClocksForSessions,
    /// A lease counts from the later of both clocks.
    LeaseFromTheLaterClock,
    /// How far that goes is bounded by Redis's clock.
    LaterClockIsBounded,
    /// The latest time a copy has seen is bounded by Redis's clock too, and a rebuild forgets it.
    LastIsBounded,
    /// Who is claimed is over by any clock.
    ClaimedIsOverByAnyClock,

    // --- leases of two lengths ---------------------------------------------------------------------------------------------------
    /// A copy is cold for an instance that would give longer leases than the records know of.
    ColdForLongerLeases,
    /// The records remember that longer leases may be out, and a rebuild gives everybody as much.
    LongerLeasesAreRemembered,
    /// They are forgotten by nobody but who has frozen the latest copy: another may go on giving them.
    LongerOutlivesUnseenCopies,

    // --- sessions ----------------------------------------------------------------------------------------------------------------
    /// REAP claims a lapsed session, so that no late heartbeat revives it.
    ReapClaimsSessions,
    /// REAP claims a lapsed seat.
    ReapClaimsSeats,
    /// A reaped session is ended only under its claim's epoch.
    ReapedSessionsCompareEpochs,
    /// The claim of a session draws a ticket and fences its seat.
    ReapedSessionsDrawTickets,
    /// An unfinished claim is taken up again.
    ClaimsAreTakenUpAgain,
    /// A session that is ending stays listed until the records know.
    EndingStaysListed,
    /// A join ends lapsed siblings in Redis too.
    JoinEndsTheLapsed,
    /// RELEASE leaves the seat to siblings that live.
    ReleaseLeavesTheSeatToSiblings,
    /// A released session is ended by its id, whatever ticket or fence say.
    ReleasedIsEndedById,
    /// NOTHELD ends the session by its id all the same.
    NotHeldIsEndedById,
    /// A release overtaken by a rebuild is done again.
    VacatedIsDoneAgain,
    /// That is so for LEFT and NOTHELD too: they carry their epoch.
    LeftIsDoneAgain,
    /// A 410 is recorded before it is told.
    GoneIsRecorded,

    // --- room --------------------------------------------------------------------------------------------------------------------
    /// The cap counts nobody whose lease is over, whoever is listed.
    CapCountsTheLiving,
    /// While there is surplus, a seat that is freed is retired.
    SurplusIsRetired,
    /// Shrinking retires no seat in quarantine.
    ShrinkKeepsQuarantines,
    /// A license that is suspended gives no seat.
    SuspendedGivesNoSeat,

    // --- kicks and restores ------------------------------------------------------------------------------------------------------
    /// A kicked seat stays empty for a while.
    KickQuarantines,
    /// That while counts from the rebuild, not from the kick's commit.
    QuarantineCountsFromTheRebuild,
    /// A quarantine is lifted by a ticket, so that an unrelated rebuild does not renew it.
    TicketLiftsQuarantine,
    /// A seat that was taken once its quarantine was over begins no other one because the records do not know who took it.
    ServedQuarantineIsOver,
    /// Only a quarantine that the copy before was made with is known to be over: where the kick came later, the kicked one may be there.
    OnlyKnownQuarantinesAreServed,
    /// The reaper counts quarantines as worth a look.
    ReaperLooksAtQuarantines,
    /// A kick ends every session of its seat.
    KickEndsTheWholeSeat,
    /// After a restore every epoch jumps past what Redis may hold.
    RestoreJumpsEpochs,
    /// After a restore every free seat is in quarantine.
    RestoreQuarantines,
    /// After a restore nobody sits down until every older lease is over.
    RestoreOpensLater,
    /// Redis is emptied with a restore.
    RestoreEmptiesRedis,
    /// With a restore, services stay stopped until every lease is over.
    RestoreOutlastsLeases,

    // --- clients -----------------------------------------------------------------------------------------------------------------
    /// A client drops answers to what it asked before it released, was told gone or started anew.
    AnswersHaveGenerations,
    /// A client's lease counts from when it sent what was answered.
    LeaseFromTheSendTime,
    /// A client that has sent a release asks for its next seat under a new attempt.
    FreshAttemptAfterRelease,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Protections no program can give: docs/OPERATING.md asks them of people. The others are looked at without them.
pub const LEFT_TO_PEOPLE: &[Rule] = &[Rule::RestoreOutlastsLeases];

/// Which protections hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rules(u128);

impl Rules {
    /// The protocol with everybody doing what it asks.
    pub fn all() -> Self {
        Self(u128::MAX)
    }

    /// What is built, whatever people do.
    pub fn built() -> Self {
        LEFT_TO_PEOPLE.iter().fold(Self::all(), |rules, rule| rules.without(*rule))
    }

    /// One protection less.
    #[must_use]
    pub fn without(self, rule: Rule) -> Self {
        Self(self.0 & !(1 << rule as u32))
    }

    /// One protection more.
    #[must_use]
    pub fn with(self, rule: Rule) -> Self {
        Self(self.0 | 1 << rule as u32)
    }

    /// Whether a protection holds.
    pub fn hold(self, rule: Rule) -> bool {
        self.0 & (1 << rule as u32) != 0
    }
}
