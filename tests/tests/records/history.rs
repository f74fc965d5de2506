//! The history: ended sessions and published events move to the table of their month and are deleted when they were
//! kept for long enough, and no open session is ever touched by that.

use super::Book;
use license_core::{
    Clock,
    domain::id::SessionId,
    protocol::history,
    records::{DatabaseRole, EndOutcome, GrantOutcome, HistoryStep, Records, ResolveOutcome, SeatEnding},
};
use sqlx::{AssertSqlSafe, Connection, Executor};
use uuid::Uuid;

/// Ends in one month long ago: of the organization that there is, and of another.
const LONG_AGO: &str = "
    insert into sessions (tenant_id, session_id, license_id, pool_id, seat_no, holder, attempt, hw, started_at, ended_at, end_reason)
    select case n % 2 when 0 then p.tenant_id else '01970000-0000-7000-8000-000000000001' end, gen_random_uuid(), p.license_id, p.pool_id, 0, 'h',
      gen_random_uuid(), 'hw', $AT, $AT + n * interval '1 hour', 'released'
    from pools p, generate_series(1, 100) n;";

impl Book {
    fn reaper(&self) -> Records {
        Records::with(self.database.clone(), DatabaseRole::Reaper, 2)
    }

    /// Everything that is due, step by step.
    async fn keep(&self) -> Vec<String> {
        let (reaper, mut did) = (self.reaper(), Vec::new());
        loop {
            match reaper.keep_history().await.unwrap() {
                HistoryStep::Nothing => return did,
                HistoryStep::Did(what) => did.push(what),
                HistoryStep::Later => panic!("nobody else is here"),
            }
        }
    }

    async fn run(&self, sql: &str) {
        self.truth().await.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    }

    /// Where ended sessions lie, and how many.
    async fn months(&self) -> Vec<(String, i64)> {
        let sql =
            "select tableoid::regclass::text, count(*) from sessions where ended_at is not null group by 1 order by 1";
        sqlx::query_as(sql).fetch_all(&mut self.truth().await).await.unwrap()
    }
}

/// As an installation looks whose reaper ran for the last time so many months ago: its tables end a year after that.
async fn slept(months: u32) -> Book {
    let book = Book::open().await;
    book.run(&format!(
        "do $$
         declare kind record; month timestamptz; part text;
         begin
           for kind in select * from history.kinds() loop
             for n in -1..13 loop
               month := history.month_after(history.month_of(now()), n);
               execute 'drop table if exists history.' || history.name_of(kind.part, month);
             end loop;
             for n in -{months}..{last} loop
               month := history.month_after(history.month_of(now()), n);
               part := history.name_of(kind.part, month);
               execute format('create table history.%I (like %s including all)', part, kind.root);
               execute format('alter table history.%I owner to owner', part);
               call history.attach(kind.root, part, month);
             end loop;
           end loop;
         end $$",
        last = 13 - months as i32
    ))
    .await;
    book
}

#[tokio::test]
async fn a_new_database_has_its_months_a_year_ahead_and_nothing_is_due() {
    let book = Book::open().await;
    assert_eq!(book.keep().await, Vec::<String>::new());
    let grant = book.granted(0, 1, 1).await;
    book.vacate(&[(0, 2)]).await;
    let month = book.truth_text("select history.name_of('sessions', now())").await;
    assert_eq!(book.months().await, [(format!("history.{month}"), 1)]);
    assert_eq!(book.end_of(grant.session).await.as_deref(), Some("expired"));
    assert_eq!(book.number("select count(*) from sessions_open").await, 0);
}

#[tokio::test]
async fn an_installation_that_slept_for_a_year_has_the_tables_it_needs_and_gets_those_that_come_next() {
    let book = slept(12).await;
    let grant = book.granted(0, 1, 1).await;
    book.vacate(&[(0, 2)]).await;
    assert_eq!(book.number("select count(*) from history.sessions_rest").await, 0);
    let did = book.keep().await;
    assert!(
        did.contains(&"12 months of sessions made".into()) && did.contains(&"12 months of events made".into()),
        "{did:?}"
    );
    assert_eq!(book.end_of(grant.session).await.as_deref(), Some("expired"));
}

#[tokio::test]
async fn what_ended_while_no_reaper_ran_for_years_is_put_in_its_place_and_what_is_over_is_taken_away() {
    let book = slept(30).await;
    // 16 months ago is over for ordinary organizations; 3 months ago and today had no table.
    let at = |months: u32| format!("(select history.month_after(history.month_of(now()), -{months}))");
    for months in [16, 3] {
        book.run(&LONG_AGO.replace("$AT", &at(months))).await;
    }
    // How pools were used: of two organizations, whose rows nobody else may write.
    for months in [16, 1] {
        let at = at(months);
        for tenant in ["01970000-0000-7000-8000-000000000001", "01970000-0000-7000-8000-000000000002"] {
            book.run(&format!(
                "insert into usage_minutes values ('{tenant}', gen_random_uuid(), {at}, 1, 1, 1, 0, 0, true);
                 insert into denials values ('{tenant}', gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'default', 'n', 'p', {at},
                   'hw', 'l', null, {at}, 1);
                 insert into webhook_deliveries (tenant_id, webhook_id, event_id, at, kind, state, finished_at)
                   values ('{tenant}', gen_random_uuid(), gen_random_uuid(), {at}, 'usage', 'delivered', now());
                 insert into usage_hours values ('{tenant}', gen_random_uuid(), {at}, 1, 1, 1, 1, 1, 1, 0, 0)"
            ))
            .await;
        }
    }
    let grant = book.granted(0, 1, 1).await;
    book.vacate(&[(0, 2)]).await;
    let open = book.granted(1, 2, 3).await;
    assert_eq!(book.number("select count(*) from history.usage_minutes_rest").await, 4);
    assert_eq!(book.number("select count(*) from history.sessions_rest").await, 201);
    let did = book.keep().await;
    assert!(did.contains(&"101 sessions of months without a table put in their place".into()), "{did:?}");
    assert_eq!(book.number("select count(*) from sessions where ended_at is not null").await, 101);
    assert_eq!(book.number("select count(*) from history.sessions_rest").await, 0);
    assert_eq!(book.number("select count(*) from history.usage_minutes_rest").await, 0);
    assert_eq!(book.number("select count(*) from usage_minutes").await, 2, "kept for 90 days");
    assert_eq!(book.number("select count(*) from usage_hours").await, 4, "kept for three years");
    assert_eq!(book.number("select count(*) from denials").await, 2, "kept for 90 days");
    let young = "select count(*) from webhook_deliveries where at + interval '30 days' <= now()";
    assert_eq!(book.number("select count(*) from history.deliveries_rest").await, 0);
    assert_eq!(book.number(young).await, 0, "kept for 30 days");
    assert_eq!(book.number("select count(*) from outbox").await, 5, "what nobody published waits on");
    assert_eq!(book.end_of(grant.session).await.as_deref(), Some("expired"));
    assert_eq!(book.end_of(open.session).await, None);
    let tables = "select count(*) from pg_class where relnamespace = 'history'::regnamespace and relname ~ '_(slept|over|kept)_'";
    assert_eq!(book.number(tables).await, 0);
    assert_eq!(book.keep().await, Vec::<String>::new(), "and nothing more is due");
    let of_then = "select to_char((now() at time zone 'UTC') - interval '3 months', '\"history.sessions_\"YYYY_MM')";
    assert!(book.months().await.contains(&(book.truth_text(of_then).await, 100)), "{:?}", book.months().await);
}

#[tokio::test]
async fn a_month_that_is_over_is_taken_away_but_for_whoever_keeps_it_longer() {
    let book = slept(20).await;
    for months in [16, 15, 2] {
        let at = format!("(select history.month_after(history.month_of(now()), -{months}))");
        book.run(&LONG_AGO.replace("$AT", &at)).await;
    }
    book.run("insert into directory.retention select tenant_id, 'sessions', '10 years' from organizations limit 1")
        .await;
    let did = book.keep().await;
    assert!(did.iter().any(|what| what.ends_with("thinned out")), "{did:?}");
    let counts: Vec<i64> = book.months().await.into_iter().map(|(_, count)| count).collect();
    assert_eq!(counts, [50, 50, 100]);
    assert_eq!(book.keep().await, Vec::<String>::new(), "a month that was thinned out is left alone");
    book.run("delete from directory.retention").await;
    assert!(book.keep().await.iter().any(|what| what.ends_with("dropped")));
    assert_eq!(book.months().await.into_iter().map(|(_, count)| count).collect::<Vec<_>>(), [100]);
}

#[tokio::test]
async fn what_is_kept_longer_is_copied_in_small_steps_and_anew_when_others_keep_it_too() {
    const KEEP: &str = "insert into directory.retention select $ID, 'sessions', '10 years' from organizations limit 1";
    let book = slept(20).await;
    // 12,000 rows, half of them of an organization that keeps them, half of another.
    let at = "(select history.month_after(history.month_of(now()), -16))";
    let sessions = LONG_AGO.replace("$AT", at).replace("1 hour", "1 minute").replace("100) n", "12000) n");
    book.run(&sessions).await;
    let (one, other) = ("tenant_id", "'01970000-0000-7000-8000-000000000001'::uuid");
    let reaper = book.reaper();
    let step = async || match reaper.keep_history().await.unwrap() {
        HistoryStep::Did(what) => what,
        step => panic!("{step:?}"),
    };
    let until = async |part: &str| {
        for _ in 0..100 {
            let did = step().await;
            if did.starts_with(part) {
                return did;
            }
        }
        panic!("never {part}");
    };
    book.run(&KEEP.replace("$ID", one)).await;
    until("5000 rows copied to sessions_kept_").await;
    // Others keep it too: what was copied for the first alone is thrown away.
    book.run(&KEEP.replace("$ID", other)).await;
    let copied = [until("5000 rows copied").await, step().await];
    assert_eq!(copied[0], copied[1]);
    let did = book.keep().await;
    assert_eq!(did.iter().filter(|did| did.starts_with("2000 rows copied")).count(), 1, "{did:?}");
    assert!(did.iter().any(|did| did.ends_with("thinned out")), "{did:?}");
    assert_eq!(
        book.number("select count(*) from sessions where ended_at < now() - interval '13 months'").await,
        12_000
    );
    assert_eq!(book.keep().await, Vec::<String>::new());
}

#[tokio::test]
async fn published_events_leave_the_table_of_those_that_wait_and_go_after_their_time() {
    let book = slept(20).await;
    book.granted(0, 1, 1).await;
    let waiting = book.number("select count(*) from outbox_waiting").await;
    let reaper = book.reaper();
    let batch = reaper.waiting_events(500).await.unwrap();
    assert_eq!(batch.events.len() as i64, waiting);
    batch.published().await.unwrap();
    assert_eq!(book.number("select count(*) from outbox_waiting").await, 0);
    assert_eq!(book.number("select count(*) from history.events").await, waiting);
    book.run("insert into outbox (tenant_id, kind, payload, published_at)
        select tenant_id, 'usage', '{}', history.month_after(history.month_of(now()), -n) from organizations, generate_series(1, 12) n").await;
    book.keep().await;
    let old = "select count(*) from outbox where published_at < history.month_of(now() - interval '30 days')";
    assert_eq!(book.number(old).await, 0);
    assert!(book.number("select count(*) from history.events").await >= waiting);
}

#[tokio::test]
async fn a_session_that_was_forgotten_is_gone_and_nobody_elses_seat_is_touched() {
    let book = Book::open().await;
    let grant = book.granted(0, 1, 1).await;
    book.vacate(&[(0, 2)]).await;
    book.granted(0, 2, 3).await;
    book.run("delete from sessions where ended_at is not null").await;
    let super::License { tenant, pool_id, .. } = book.license;
    let resolved = book.service.resolve_session(tenant, pool_id, 0, grant.session, book.epoch().await).await.unwrap();
    assert_eq!(resolved, ResolveOutcome::Gone("unknown".into()));
    let released = SeatEnding { epoch: book.epoch().await, released: vec![grant.session], ..SeatEnding::default() };
    assert_eq!(book.end(&released).await, EndOutcome { done: Some(Vec::new()), released_at: None });
    assert_eq!(book.write(&grant).await, GrantOutcome::Fenced, "a paused acquire of long ago");
    assert_eq!(book.number("select count(*) from sessions where ended_at is null").await, 1);
}

#[tokio::test]
async fn who_reads_a_table_that_is_to_go_is_not_interrupted_and_the_next_waits_a_tenth_of_a_second_at_most() {
    let book = slept(20).await;
    let mut reading = book.truth().await;
    let mut transaction = reading.begin().await.unwrap();
    transaction.execute("select count(*) from history.sessions").await.unwrap();
    let reaper = book.reaper();
    // Making months locks the tables against readers for a moment; it cannot be had.
    assert_eq!(reaper.keep_history().await.unwrap(), HistoryStep::Later);
    assert_eq!(history::take_due_steps(&reaper).await.unwrap(), 0, "and the tick is not held up");
    let grant = book.granted(0, 1, 1).await;
    assert_eq!(book.write(&grant).await, GrantOutcome::Ok, "seats are given meanwhile");
    transaction.rollback().await.unwrap();
    assert!(history::take_due_steps(&reaper).await.unwrap() > 0);
}

#[tokio::test]
async fn an_ended_session_is_not_opened_again_by_a_service_whose_clock_is_two_weeks_ahead_or_behind() {
    let book = Book::open().await;
    for (seat, days) in [(0, 14), (1, -14)] {
        let at = (Clock::system().now() + time::Duration::days(days)).unix_timestamp() as u64;
        let session = SessionId(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, at, 0)));
        let mut grant = book.decided(seat, seat as u8 + 1, 1).await;
        (grant.session, grant.live) = (session, vec![session]);
        assert_eq!(book.write(&grant).await, GrantOutcome::Ok);
        book.vacate(&[(seat, 2)]).await;
        grant.seq = 3;
        assert_eq!(book.write(&grant).await, GrantOutcome::Ended, "{days} days");
    }
}
