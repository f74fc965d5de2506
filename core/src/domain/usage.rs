//! How a pool was used, minute by minute.

/// The use of a pool in one minute that is over, or in several in which nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinuteUsage {
    /// The Unix minute, by the clock of Redis.
    pub minute: i64,
    /// How many minutes, from that one on, were used alike; at least 1.
    pub count: u32,
    /// The number of held seats at the end of each.
    pub held: u32,
    /// The highest number of seats that were held at the same time within it; never less than `held`.
    pub peak: u32,
    /// The number of seats that the pool had at its end.
    pub total: u32,
    /// How many acquires were refused in each because the pool was full, repetitions included.
    pub denied: u64,
    /// How many of them were the first of their want ([`super::want`]).
    pub refused: u64,
    /// False if the copy in Redis was made within the minute, so that a part of it was not counted, or if nobody swept
    /// while a lease ended, so that it is not known when the holder left.
    pub seen: bool,
}

impl MinuteUsage {
    /// Whether nobody held a seat, or asked for one in vain.
    pub const fn is_idle(&self) -> bool {
        self.held == 0 && self.peak == 0 && self.denied == 0
    }

    /// The Unix minute of the last of them.
    pub const fn last(&self) -> i64 {
        self.minute + self.count as i64 - 1
    }
}
