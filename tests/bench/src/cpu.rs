//! How much CPU processes have used, from `/proc`. Where there is none (macOS) the figure is missing, and no other is
//! shown in its place.

use std::{collections::BTreeMap, fs, time::Duration};

/// Linux tells CPU in hundredths of a second on every architecture there is (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// User and system time of a process up to now, its ended children included.
pub(crate) fn of(pid: u32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(TICK * fields(&text)?.0)
}

/// The same of a process and of all its children, as PostgreSQL's server has one for each connection.
pub(crate) fn of_family(pid: u32) -> Option<Duration> {
    let sum = of(pid)?;
    Some(children(pid)?.into_iter().filter_map(of).fold(sum, |sum, time| sum + time))
}

/// The children of a process.
pub(crate) fn children(pid: u32) -> Option<Vec<u32>> {
    let is_child = |other: &u32| {
        let text = fs::read_to_string(format!("/proc/{other}/stat"));
        text.is_ok_and(|text| fields(&text).is_some_and(|(_, parent)| parent == pid))
    };
    let pids = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Some(pids.filter(is_child).collect())
}

/// The same of a process and of all that descend from it, by the name of their program.
pub(crate) fn of_tree(pid: u32) -> Option<BTreeMap<String, Duration>> {
    let mut sums = BTreeMap::<String, Duration>::new();
    let mut todo = vec![pid];
    while let Some(pid) = todo.pop() {
        // One that has ended meanwhile is counted with its parent.
        let (Some(cpu), Ok(name)) = (of(pid), fs::read_to_string(format!("/proc/{pid}/comm"))) else { continue };
        *sums.entry(name.trim().to_owned()).or_default() += cpu;
        todo.extend(children(pid)?);
    }
    (!sums.is_empty()).then_some(sums)
}

/// CPU in ticks, and the parent.
fn fields(stat: &str) -> Option<(u32, u32)> {
    // The name in parentheses may hold anything; what follows is numbers.
    let rest: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| rest.get(at)?.parse::<u32>().ok();
    let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
    Some((ticks, number(1)?))
}

/// Load average of the last minute.
pub(crate) fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_a_strange_name_is_read_right() {
        let stat = "12 (a) b) S 7 12 12 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 5 0 99";
        assert_eq!(fields(stat), Some((124, 7)));
    }
}
