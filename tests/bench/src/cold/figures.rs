//! What was measured, for people and for programs.

use serde_json::{Value, json};
use std::fmt::Write;

/// Several measurements of one thing.
pub(super) struct Spread {
    sorted: Vec<f64>,
}

pub(super) struct Function {
    pub(super) name: &'static str,
    /// Process start to first answer, ms.
    pub(super) answer: Spread,
    /// Process start to `/health/live`, ms.
    pub(super) live: Spread,
    /// The same request once more, ms.
    pub(super) again: Spread,
    pub(super) bytes: u64,
    /// MiB.
    pub(super) rss: Spread,
    pub(super) own: Option<Spread>,
}

pub(super) struct Limits {
    /// The same bootstrap without any module of `core`.
    pub(super) empty: Function,
    pub(super) spawn: Spread,
    pub(super) fsync: Spread,
}

impl Spread {
    pub(super) fn of(mut all: Vec<f64>) -> Self {
        assert!(!all.is_empty(), "something was measured");
        all.sort_by(f64::total_cmp);
        Self { sorted: all }
    }

    fn median(&self) -> f64 {
        let half = self.sorted.len() / 2;
        if self.sorted.len() % 2 == 1 {
            self.sorted[half]
        } else {
            f64::midpoint(self.sorted[half - 1], self.sorted[half])
        }
    }

    fn least(&self) -> f64 {
        self.sorted[0]
    }

    fn most(&self) -> f64 {
        self.sorted[self.sorted.len() - 1]
    }

    fn json(&self) -> Value {
        let round = |value: f64| (value * 1e3).round() / 1e3;
        let all: Vec<f64> = self.sorted.iter().copied().map(round).collect();
        json!({ "median": round(self.median()), "min": round(self.least()), "max": round(self.most()), "all": all })
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{:.1} ({:.1}–{:.1})", self.median(), self.least(), self.most());
        f.pad(&text)
    }
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

/// The table for people: Markdown, so that a page can hold it as it is.
pub(super) fn table(starts: usize, functions: &[Function], limits: &Limits) -> String {
    let mut text = format!(
        "median (least–most) of {starts} starts\n\n\
         | process | first answer, ms | /health/live, ms | same request again, ms | binary, MiB | resident, MiB | of it its own |\n\
         |---|---|---|---|---|---|---|\n"
    );
    for function in functions.iter().chain([&limits.empty]) {
        let Function { name, answer, live, again, bytes, rss, own } = function;
        let own = own.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
        let _ = writeln!(text, "| {name} | {answer} | {live} | {again} | {:.1} | {rss} | {own} |", megabytes(*bytes));
    }
    let (spawn, fsync) = (&limits.spawn.median(), &limits.fsync);
    let (median, least, most) = (fsync.median(), fsync.least(), fsync.most());
    text + &format!(
        "\n`true`, from its start to its end: {spawn:.1} ms. fsync of one page: {median:.2} ms ({least:.2}–{most:.2}).\n"
    )
}

/// The same for programs, every single measurement included. Times in ms, memory in MiB.
pub(super) fn json(starts: usize, functions: &[Function], limits: &Limits) -> Value {
    let function = |function: &Function| {
        let Function { name, answer, live, again, bytes, rss, own } = function;
        json!({
            "name": name, "first_answer_ms": answer.json(), "health_live_ms": live.json(), "again_ms": again.json(),
            "binary_bytes": bytes, "resident_mib": rss.json(), "own_mib": own.as_ref().map(Spread::json),
        })
    };
    json!({
        "starts": starts,
        "machine": { "os": std::env::consts::OS, "arch": std::env::consts::ARCH, "cores": cores() },
        "functions": functions.iter().map(function).collect::<Vec<_>>(),
        "limits": {
            "empty": function(&limits.empty), "true_ms": limits.spawn.json(), "fsync_ms": limits.fsync.json(),
        },
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_middle_and_the_ends_of_what_was_measured_in_whatever_order() {
        assert_eq!(Spread::of(vec![9.0, 1.0, 2.0]).to_string(), "2.0 (1.0–9.0)");
        assert_eq!(Spread::of(vec![4.0, 9.0, 1.0, 2.0]).to_string(), "3.0 (1.0–9.0)");
    }
}
