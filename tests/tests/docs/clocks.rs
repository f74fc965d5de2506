//! docs/ARCHITECTURE.md, "Three clocks": what each clock decides is decided in the files that are named here, and every
//! file that decides something by the time of PostgreSQL is named.

use super::{
    facts::files,
    hold,
    markdown::{section, tables},
    read,
};
use regex::Regex;
use std::collections::BTreeSet;

/// A clock by its first words, a thing that it decides as the page puts it, and where: files, and what stands in each.
type Decision = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const DECISIONS: [Decision; 26] = [
    (
        "the system clock",
        "times in tokens and certificates (`iat`, `exp`)",
        &[
            ("core/src/signer/delegated.rs", "self.clock.now_seconds()"),
            ("core/src/protocol/acquire.rs", "clock.now_seconds()"),
        ],
    ),
    ("the system clock", "whether an ID token is valid", &[("core/src/identity/mod.rs", "self.clock.now_seconds()")]),
    (
        "the system clock",
        "when a certificate or an access token is renewed",
        &[("core/src/signer/delegated.rs", "clock.now_seconds()"), ("core/src/access_token/mod.rs", "clock")],
    ),
    (
        "the system clock",
        "together with Redis, whether a lease is over",
        &[("core/src/seat_store/prologue.lua", "local reap_now = math.min(redis_time, held_clock)")],
    ),
    (
        "Redis `TIME`",
        "the ends of leases and quarantines",
        &[("core/src/seat_store/prologue.lua", "redis.call('TIME')")],
    ),
    (
        "Redis `TIME`",
        "the ends of license terms and of replaced license keys (both only together with the instance's clock)",
        &[("core/src/seat_store/prologue.lua", "'expires'"), ("core/src/seat_store/prologue.lua", "'key_hmacs'")],
    ),
    ("Redis `TIME`", "rate limits", &[("core/src/seat_store/rate_prologue.lua", "redis.call('TIME')")]),
    ("Redis `TIME`", "which caller may rebuild", &[("core/src/seat_store/nonce.lua", "redis_time")]),
    (
        "PostgreSQL `now()`",
        "how long invitations, API tokens, vendor tokens and idempotency keys are valid",
        &[
            ("core/src/records/invitations.rs", "now()"),
            ("core/src/records/tokens.rs", "now()"),
            ("core/src/records/vendor_tokens.rs", "now()"),
            ("core/src/records/change.rs", "now()"),
        ],
    ),
    (
        "PostgreSQL `now()`",
        "whether a replaced license key is still valid when Redis does not know it",
        &[
            ("migrations/0220_find_license.sql", "now()"),
            ("migrations/0224_rebuild_pool.sql", "now()"),
            ("migrations/0235_end_sessions_of_old_keys.sql", "now()"),
            ("core/src/records/licenses/keys.rs", "now()"),
        ],
    ),
    (
        "PostgreSQL `now()`",
        "when a trial ends and how many were given lately",
        &[
            ("migrations/0237_create_license.sql", "now()"),
            ("migrations/0215_take_trial.sql", "now()"),
            ("core/src/records/licenses/change.rs", "now()"),
        ],
    ),
    (
        "PostgreSQL `now()`",
        "which machines have grace and until when",
        &[("migrations/0242_machines_on_grace.sql", "now()"), ("migrations/0243_count_grace.sql", "now()")],
    ),
    ("PostgreSQL `now()`", "whether a borrowed seat is over", &[("migrations/0221_grant_seat.sql", "now()")]),
    (
        "PostgreSQL `now()`",
        "when a restored pool opens again",
        &[
            ("migrations/0239_after_restore.sql", "opens_at = now()"),
            ("core/src/records/seat_list.rs", "p.opens_at > now()"),
            ("core/src/records/licenses/overview.rs", "p.opens_at > now()"),
        ],
    ),
    (
        "PostgreSQL `now()`",
        "from which time on earlier ID tokens are void",
        &[("core/src/records/voiding.rs", "clock_timestamp()")],
    ),
    (
        "PostgreSQL `now()`",
        "the times and ids of events and of the audit log",
        &[("migrations/0129_outbox.sql", "now()"), ("migrations/0002_uuid_v7.sql", "clock_timestamp()")],
    ),
    (
        "PostgreSQL `now()`",
        "which pools a sweep looks at",
        &[("core/src/records/sweep.rs", "now()"), ("migrations/0222_end_seats.sql", "now()")],
    ),
    (
        "PostgreSQL `now()`",
        "in which months an ended session is looked for",
        &[
            ("migrations/0200_times.sql", "now()"),
            ("core/src/records/sessions.rs", "now()"),
            ("core/src/records/demand.rs", "now()"),
        ],
    ),
    (
        "PostgreSQL `now()`",
        "when months of the history are taken away",
        &[("migrations/0301_history_step.sql", "now()")],
    ),
    (
        "PostgreSQL `now()`",
        "whether an erasure was begun lately",
        &[("migrations/0311_erase_begin.sql", "now()"), ("core/src/records/erasing.rs", "now()")],
    ),
    (
        "PostgreSQL `now()`",
        "how long a longer lease of an earlier configuration may still be out",
        &[("migrations/0224_rebuild_pool.sql", "longer_until <= now()")],
    ),
    (
        "PostgreSQL `now()`",
        "which minutes of use, and which wants, are too old or too far ahead to be written down",
        &[("migrations/0251_record_usage.sql", "now()"), ("migrations/0253_record_wants.sql", "now()")],
    ),
    (
        "PostgreSQL `now()`",
        "when a delivery is tried again, when a webhook is paused and for how long an old secret signs, and in which months deliveries are looked for",
        &[
            ("migrations/0260_enqueue_deliveries.sql", "now() + interval '1 day'"),
            ("migrations/0261_take_deliveries.sql", "next_at <= now()"),
            ("migrations/0262_finish_delivery.sql", "now() - interval '5 days'"),
            ("migrations/0263_replay_deliveries.sql", "now() - interval '30 days'"),
            ("migrations/0264_read_event_of_delivery.sql", "now() + interval '1 day'"),
            ("migrations/0319_erase_deliveries.sql", "now() - interval '90 days'"),
            ("core/src/records/deliveries.rs", "first.next_at <= now()"),
            ("core/src/records/webhooks.rs", "previous_until > now()"),
        ],
    ),
    (
        "PostgreSQL `now()`",
        "when an alert rule is judged, what is lately enough to raise an alert, whether a license ends soon, which month is over and reported, and how long alerts are kept",
        &[
            ("migrations/0270_wake_alert_rules.sql", "w.look_at > now()"),
            ("migrations/0273_judge_pool.sql", "now() - interval '12 minutes'"),
            ("migrations/0274_judge_alert_rule.sql", "r.look_at <= now()"),
            ("migrations/0276_report_month.sql", "now() - late"),
            ("core/src/records/judging.rs", "look_at <= now()"),
        ],
    ),
    (
        "PostgreSQL `now()`",
        "when a mail is tried again, is unknown or too late, and how many a recipient was sent within a day",
        &[
            ("migrations/0265_write_mail.sql", "now() - interval '24 hours'"),
            ("migrations/0266_take_mails.sql", "now() - interval '3 days'"),
            ("migrations/0267_begin_mail.sql", "now() - interval '24 hours'"),
            ("migrations/0268_finish_mail.sql", "now() + make_interval"),
            ("core/src/records/mails.rs", "first.next_at <= now()"),
        ],
    ),
    (
        "PostgreSQL `now()`",
        "how long metrics say that an event has waited",
        &[("core/src/records/seat_counts.rs", "now() - min(o.created_at)")],
    ),
];

/// The files that compare something with the time of PostgreSQL, or count from it. To write it down decides nothing.
fn deciding_files() -> BTreeSet<String> {
    let comparison = Regex::new(r"[<>]=? ?now\(\)|now\(\)\)? ?[-+<>]").unwrap();
    let mut texts = files("migrations", "sql");
    texts.extend(files("core/src/records", "rs"));
    texts.retain(|(name, _)| !name.contains("/migrate/"));
    let decides = |text: &str| {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("--") && !line.contains("Instant"));
        code.into_iter().any(|line| !line.trim_start().starts_with("//") && comparison.is_match(line))
    };
    texts.into_iter().filter(|(_, text)| decides(text)).map(|(name, _)| name).collect()
}

fn clocks(page: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let section = section(page, "## Three clocks");
    for row in tables(section, &["Clock", "Read by", "Decides"]) {
        // What follows the list are sentences about it.
        let list = row[2].split(". ").next().unwrap();
        let known: BTreeSet<&str> =
            DECISIONS.iter().filter(|(clock, ..)| row[0].starts_with(clock)).map(|(_, what, _)| *what).collect();
        let said: BTreeSet<&str> = list.split("; ").collect();
        wrong.extend(said.difference(&known).map(|what| format!("nothing shows that {} decides {what}", row[0])));
        wrong.extend(known.difference(&said).map(|what| format!("{} decides {what}, and the page is silent", row[0])));
    }
    for (clock, what, places) in DECISIONS {
        let absent = places.iter().filter(|(file, text)| !read(file).contains(text));
        wrong.extend(absent.map(|(file, text)| format!("{clock}, {what}: {file} no longer has {text:?}")));
    }
    let named: BTreeSet<&str> =
        DECISIONS.iter().flat_map(|(.., places)| places.iter().map(|(file, _)| *file)).collect();
    let unnamed = deciding_files().into_iter().filter(|file| !named.contains(file.as_str()));
    wrong.extend(unnamed.map(|file| format!("{file} decides something by the time of PostgreSQL")));
    // The one file that reads the clock of the system, and the one that makes ids by it.
    for (text, only) in [("SystemTime::now", "core/src/clock.rs"), ("Uuid::now_v7", "core/src/domain/id.rs")] {
        let reads = |(name, code): &(String, String)| {
            let calls = code.lines().any(|line| line.contains(text) && !line.trim_start().starts_with("//"));
            calls.then(|| name.clone()).filter(|name| name != only)
        };
        let packages = ["core/src", "functions/src", "local/src", "pubsub/src"];
        let others = packages.iter().flat_map(|folder| files(folder, "rs")).filter_map(|file| reads(&file));
        wrong.extend(others.map(|name| format!("{name} has {text}")));
    }
    wrong
}

#[test]
fn each_clock_decides_what_the_page_says_and_nothing_else() {
    assert!(deciding_files().len() > 12, "decisions are found: {:?}", deciding_files());
    let lies = [
        ("; rate limits; which caller", "; which caller"),
        ("whether an ID token is valid; ", "deadlines of requests; "),
        ("; when a trial ends and how many were given lately", ""),
        (
            "how long invitations, API tokens, vendor tokens and idempotency keys are valid",
            "how long invitations are valid",
        ),
    ];
    hold("docs/ARCHITECTURE.md", clocks, &lies);
}
