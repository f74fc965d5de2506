//! When an attempt that failed is repeated.

use std::time::Duration;

/// How long after the first, second, … attempt the next one is due, in minutes. The sum is 71 hours and 36 minutes.
///
/// The example of the Standard Webhooks specification ("Deliverability and reliability") begins with 5 seconds. Here
/// repetitions are looked for once a minute, so nothing shorter would be kept.
const DELAYS_MIN: [u32; 9] = [1, 5, 30, 2 * 60, 5 * 60, 10 * 60, 14 * 60, 20 * 60, 20 * 60];

/// The number of attempts that are made for one message at most: the first one and every repetition.
pub const MAX_TRIES: u32 = DELAYS_MIN.len() as u32 + 1;

/// How long after the last of so many failed attempts the next one is due; `None` if no further attempt is made. Before
/// the first attempt it is zero.
///
/// `random` is a number from 0 to 1, drawn for each call. It makes the delay up to 10 % shorter or longer, so that what
/// failed at the same time is not repeated at the same time.
pub fn next_delay(tries_made: u32, random: f64) -> Option<Duration> {
    let Some(delays_passed) = tries_made.checked_sub(1) else { return Some(Duration::ZERO) };
    let delay_min = DELAYS_MIN.get(delays_passed as usize)?;
    let delay_ms = f64::from(*delay_min) * 60_000.0 * (0.9 + 0.2 * random.clamp(0.0, 1.0));
    Some(Duration::from_millis(delay_ms.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_repeated_over_three_days_with_growing_delays() {
        let delays: Vec<Duration> = (1..MAX_TRIES).map(|tries| next_delay(tries, 0.5).unwrap()).collect();
        assert!(delays.is_sorted());
        let sum: Duration = delays.iter().sum();
        assert_eq!(sum, Duration::from_secs((71 * 60 + 36) * 60));
        assert!((70..=75).contains(&(sum.as_secs() / 3600)));
        assert_eq!(next_delay(0, 0.5), Some(Duration::ZERO));
        assert_eq!((next_delay(MAX_TRIES, 0.5), next_delay(u32::MAX, 0.5)), (None, None));
    }

    #[test]
    fn a_delay_is_at_most_a_tenth_shorter_or_longer() {
        let seconds = |random| next_delay(1, random).unwrap().as_secs_f64();
        assert_eq!((seconds(0.0), seconds(0.5), seconds(1.0)), (54.0, 60.0, 66.0));
        assert_eq!((seconds(-7.0), seconds(7.0)), (54.0, 66.0));
        // A random number that is none must not end the schedule or the process.
        assert!(next_delay(1, f64::NAN).is_some());
    }
}
