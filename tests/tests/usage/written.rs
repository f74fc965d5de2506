//! What PostgreSQL was told.

use license_tests::World;
use std::collections::BTreeMap;

/// What was counted in one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Minute {
    pub held: i64,
    pub peak: i64,
    pub total: i64,
    pub denied: i64,
    pub refused: i64,
}

/// What became of a want.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    Waits,
    Granted(i64),
    GaveUp,
    Lost,
}

/// A want; times in Unix ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Want {
    pub last: i64,
    pub tries: i64,
    pub fate: Fate,
}

/// The minutes that are written down, by their number, and whether each was seen.
pub(crate) async fn minutes(world: &World) -> BTreeMap<i64, (Minute, bool)> {
    type Row = (i64, i64, i64, i64, i64, i64, bool);
    let rows: Vec<Row> = sqlx::query_as(
        "select (extract(epoch from at) / 60)::bigint, used::bigint, peak::bigint, total::bigint, denied, refused, seen
         from usage_minutes order by at",
    )
    .fetch_all(&mut world.truth().await)
    .await
    .unwrap();
    let of = |(minute, held, peak, total, denied, refused, seen): Row| {
        (minute, (Minute { held, peak, total, denied, refused }, seen))
    };
    rows.into_iter().map(of).collect()
}

/// The wants that are written down, by the name of the machine and the time of the first ask.
pub(crate) async fn wants(world: &World) -> BTreeMap<(String, i64), Want> {
    type Row = (String, i64, i64, i64, Option<i64>, bool, bool);
    let rows: Vec<Row> = sqlx::query_as(
        "select label, unix_ms(at), unix_ms(last_at), tries, case when granted_at is not null then unix_ms(granted_at) end,
           ended_at is not null, lost
         from denials",
    )
    .fetch_all(&mut world.truth().await)
    .await
    .unwrap();
    let of = |(machine, first, last, tries, granted, is_over, lost): Row| {
        let fate = match (lost, granted, is_over) {
            (true, ..) => Fate::Lost,
            (_, Some(at), _) => Fate::Granted(at),
            (_, None, true) => Fate::GaveUp,
            (_, None, false) => Fate::Waits,
        };
        ((machine, first), Want { last, tries, fate })
    };
    rows.into_iter().map(of).collect()
}

/// Hours and days are the sums of their minutes.
pub(crate) async fn adds_up(world: &World) {
    for (table, step) in [("usage_hours", "hour"), ("usage_days", "day")] {
        let differing = format!(
            "select count(*) from (
               select date_trunc('{step}', at, 'UTC') as at, count(*), count(*) filter (where seen), sum(used), sum(total),
                 max(peak), max(total), sum(denied), sum(refused)
               from usage_minutes group by 1) m (at, minutes, seen, used_sum, total_sum, peak, total, denied, refused)
             full join {table} t using (at)
             where (m.minutes, m.seen, m.used_sum, m.total_sum, m.peak, m.total, m.denied, m.refused)
               is distinct from (t.minutes, t.seen, t.used_sum, t.total_sum, t.peak, t.total, t.denied, t.refused)"
        );
        let different: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(differing)).fetch_one(&mut world.truth().await).await.unwrap();
        assert_eq!(different, 0, "{table}");
    }
}
