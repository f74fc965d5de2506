//! A bounded memory of one instance, which spares the stores repeated questions. It is used only for facts that cannot
//! become untrue within the time for which they are remembered.

use crate::Clock;
use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Remembers values for a limited time. There are two generations: when the young one is full or old, it replaces the
/// old one.
#[derive(Clone)]
pub(super) struct TtlCache<K, V> {
    clock: Clock,
    life_ms: i64,
    capacity: usize,
    generations: Arc<Mutex<TwoGenerations<K, V>>>,
}

struct TwoGenerations<K, V> {
    young: HashMap<K, (i64, V)>,
    old: HashMap<K, (i64, V)>,
    since_ms: i64,
}

impl<K: Eq + Hash, V: Clone> TtlCache<K, V> {
    /// Remembers for `life`, at capacity about `2 * capacity` values.
    pub(super) fn new(clock: Clock, life: Duration, capacity: usize) -> Self {
        let since_ms = clock.now_ms();
        let generations = TwoGenerations { young: HashMap::new(), old: HashMap::new(), since_ms };
        Self { clock, life_ms: life.as_millis() as i64, capacity, generations: Arc::new(Mutex::new(generations)) }
    }

    pub(super) fn insert(&self, key: K, value: V) {
        let now = self.clock.now_ms();
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= self.capacity || now - generations.since_ms >= self.life_ms {
            generations.old = std::mem::take(&mut generations.young);
            generations.since_ms = now;
        }
        generations.young.insert(key, (now, value));
    }

    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let now = self.clock.now_ms();
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, value) = generations.young.get(key).or_else(|| generations.old.get(key))?;
        (now - at < self.life_ms).then(|| value.clone())
    }

    pub(super) fn remove<Q: Eq + Hash + ?Sized>(&self, key: &Q)
    where
        K: Borrow<Q>,
    {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.young.remove(key);
        generations.old.remove(key);
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
        let generations = memory.generations.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 200);
    }
}
