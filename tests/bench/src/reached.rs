//! The throughput that one kind of load reached, and the CPU that each process used for it.

use crate::{cpu, function::Function, load::Tally, stage::Stage};
use serde_json::{Value, json};
use std::{fmt::Write, process::Command, time::Duration};

/// A row of a table.
pub(crate) struct Reached {
    pub(crate) what: String,
    pub(crate) per_second: f64,
    /// p50, p99, p99.9 in ms, where they are known.
    pub(crate) latency: [Option<f64>; 3],
    /// Per request, in µs.
    pub(crate) cpu: Cpu,
    /// Answers with another status than the one hoped for.
    pub(crate) refused: u64,
}

/// CPU time of each, in seconds or per request in µs; `None` where it is not known or the part does not take part.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) function: Option<f64>,
    pub(crate) redis: Option<f64>,
    pub(crate) postgres: Option<f64>,
    /// What makes the load: this program, or the program it started.
    pub(crate) load: Option<f64>,
}

/// Reads the CPU of everybody.
pub(crate) struct Meter {
    redis: u32,
    postgres: u32,
}

impl Meter {
    pub(crate) async fn of(stage: &mut Stage) -> Self {
        Self { redis: stage.redis_pid().await, postgres: stage.postgres_pid() }
    }

    /// PostgreSQL on half of the cores and everybody else on the others, as where it has a machine of its own; until what comes back is
    /// dropped. `None` on one core, or where there is no `taskset`.
    pub(crate) fn apart(&self, functions: &[&Function]) -> Option<Apart> {
        let cores = std::thread::available_parallelism().ok()?.get();
        let apart = Apart {
            cores,
            postgres: [vec![self.postgres], cpu::children(self.postgres)?].concat(),
            others: functions.iter().map(|function| function.pid()).chain([self.redis, std::process::id()]).collect(),
        };
        let half = cores / 2;
        let split = half > 0
            && pin(&apart.postgres, &format!("0-{}", half - 1))
            && pin(&apart.others, &format!("{half}-{}", cores - 1));
        split.then_some(apart)
    }

    /// In seconds, since each began; of the functions the sum.
    pub(crate) fn read(&self, functions: &[&Function]) -> Cpu {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let sum: Option<f64> = functions.iter().map(|function| seconds(function.cpu())).sum();
        Cpu {
            function: sum.filter(|_| !functions.is_empty()),
            redis: seconds(cpu::of(self.redis)),
            postgres: seconds(cpu::of_family(self.postgres)),
            load: seconds(cpu::of(std::process::id())),
        }
    }
}

/// Everybody on cores of their own, until dropped.
pub(crate) struct Apart {
    cores: usize,
    postgres: Vec<u32>,
    others: Vec<u32>,
}

impl Drop for Apart {
    fn drop(&mut self) {
        let all = format!("0-{}", self.cores - 1);
        pin(&self.postgres, &all);
        pin(&self.others, &all);
    }
}

/// Binds all threads of these processes, and those they start from now on. Whether the first could be bound: others may have ended meanwhile.
fn pin(processes: &[u32], cores: &str) -> bool {
    let pinned = |pid: &u32| Command::new("taskset").args(["-a", "-p", "-c", cores, &pid.to_string()]).output();
    let bound: Vec<bool> =
        processes.iter().map(|pid| pinned(pid).is_ok_and(|output| output.status.success())).collect();
    bound.first() == Some(&true)
}

impl Cpu {
    /// What was used since `before`, per request, in µs.
    pub(crate) fn since(self, before: Self, requests: u64) -> Self {
        self.with(before, |after, before| (after - before) * 1e6 / requests.max(1) as f64)
    }

    fn with(self, other: Self, of: impl Fn(f64, f64) -> f64) -> Self {
        let both = |a: Option<f64>, b: Option<f64>| Some(of(a?, b?));
        Self {
            function: both(self.function, other.function),
            redis: both(self.redis, other.redis),
            postgres: both(self.postgres, other.postgres),
            load: both(self.load, other.load),
        }
    }

    /// Of everybody who is known.
    pub(crate) fn sum(self) -> f64 {
        [self.function, self.redis, self.postgres, self.load].into_iter().flatten().sum()
    }

    /// Only the functions' part.
    pub(crate) fn function_only(self) -> Self {
        Self { function: self.function, ..Self::default() }
    }

    fn json(self) -> Value {
        json!({ "function": self.function, "redis": self.redis, "postgres": self.postgres, "load": self.load })
    }
}

impl Reached {
    pub(crate) fn of(what: impl Into<String>, tally: &Tally, took: Duration, cpu: Cpu) -> Self {
        Self {
            what: what.into(),
            per_second: tally.count() as f64 / took.as_secs_f64(),
            latency: [50.0, 99.0, 99.9].map(|percent| Some(tally.percentile(percent))),
            cpu,
            refused: tally.refused,
        }
    }

    /// One row of several measured at different times.
    pub(crate) fn together(rows: Vec<Self>) -> Option<Self> {
        let count = rows.len() as f64;
        rows.into_iter()
            .reduce(|all, row| Self {
                per_second: all.per_second + row.per_second,
                latency: std::array::from_fn(|at| Some(all.latency[at]? + row.latency[at]?)),
                cpu: all.cpu.with(row.cpu, |a, b| a + b),
                refused: all.refused + row.refused,
                what: all.what,
            })
            .map(|all| Self {
                per_second: all.per_second / count,
                latency: all.latency.map(|ms| Some(ms? / count)),
                cpu: all.cpu.with(all.cpu, |sum, _| sum / count),
                ..all
            })
    }

    /// Where only the rate is known.
    pub(crate) fn rate(what: impl Into<String>, per_second: f64, cpu: Cpu) -> Self {
        Self { what: what.into(), per_second, latency: [None; 3], cpu, refused: 0 }
    }

    pub(crate) fn json(&self) -> Value {
        let Self { what, per_second, latency: [p50, p99, p999], cpu, refused } = self;
        json!({
            "what": what, "per_second": per_second, "p50_ms": p50, "p99_ms": p99, "p999_ms": p999, "refused": refused,
            "cpu_us": cpu.json(),
        })
    }
}

/// Rows as a Markdown table.
pub(crate) fn table(rows: &[Reached]) -> String {
    let mut text = String::from(
        "| what | per second | p50, ms | p99, ms | p99.9, ms | CPU per request, µs: function | Redis | PostgreSQL | load |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for Reached { what, per_second, latency, cpu, refused } in rows {
        let cell =
            |value: Option<f64>, digits: usize| value.map_or_else(|| "–".to_owned(), |v| format!("{v:.digits$}"));
        let latency = latency.map(|ms| cell(ms, 2)).join(" | ");
        let cpu = [cpu.function, cpu.redis, cpu.postgres, cpu.load].map(|us| cell(us, 0)).join(" | ");
        let refused = if *refused > 0 { format!(" ({refused} refused)") } else { String::new() };
        let _ = writeln!(text, "| {what}{refused} | {per_second:.0} | {latency} | {cpu} |");
    }
    text
}

/// `a ÷ b`, where there is a `b`.
pub(crate) fn ratio(of: &Reached, limit: Option<&Reached>) -> Option<f64> {
    limit.map(|limit| of.per_second / limit.per_second)
}

/// A ratio for people.
pub(crate) fn shown(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "not measured".to_owned(), |ratio| format!("{ratio:.2}"))
}
