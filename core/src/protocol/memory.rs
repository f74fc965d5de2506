//! What one instance remembers to spare the stores. Bounded, and only of what cannot become untrue within its time.

use crate::Clock;
use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Remembers values for a while. Two generations: when the young one is full or old, it becomes the old one and the old
/// one is dropped.
#[derive(Clone)]
pub(super) struct TtlCache<K, V> {
    clock: Clock,
    life_ms: i64,
    most: usize,
    generations: Arc<Mutex<TwoGenerations<K, V>>>,
}

struct TwoGenerations<K, V> {
    young: HashMap<K, (i64, V)>,
    old: HashMap<K, (i64, V)>,
    since_ms: i64,
}

impl<K: Eq + Hash, V: Clone> TtlCache<K, V> {
    /// Remembers for `life`, at most about `2 * most` values.
    pub(super) fn new(clock: Clock, life: Duration, most: usize) -> Self {
        let since_ms = clock.now_ms();
        let generations = TwoGenerations { young: HashMap::new(), old: HashMap::new(), since_ms };
        Self { clock, life_ms: life.as_millis() as i64, most, generations: Arc::new(Mutex::new(generations)) }
    }

    pub(super) fn insert(&self, key: K, value: V) {
        let now = self.clock.now_ms();
        let mut g = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if g.young.len() >= self.most || now - g.since_ms >= self.life_ms {
            g.old = std::mem::take(&mut g.young);
            g.since_ms = now;
        }
        g.young.insert(key, (now, value));
    }

    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let now = self.clock.now_ms();
        let g = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, value) = g.young.get(key).or_else(|| g.old.get(key))?;
        (now - at < self.life_ms).then(|| value.clone())
    }

    pub(super) fn remove<Q: Eq + Hash + ?Sized>(&self, key: &Q)
    where
        K: Borrow<Q>,
    {
        let mut g = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        g.young.remove(key);
        g.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_remembered_than_was_agreed() {
        let memory = TtlCache::new(Clock::system(), Duration::from_secs(60), 100);
        for n in 0..1000 {
            memory.insert(n, ());
        }
        assert_eq!(memory.get(&999), Some(()));
        assert_eq!(memory.get(&0), None);
        let g = memory.generations.lock().unwrap();
        assert!(g.young.len() + g.old.len() <= 200);
    }
}
