//! What was seen of a run, with what is asked of it again and again found once.

use super::{
    Question, Seen,
    absence::{Stood, stood},
};
use std::{collections::HashMap, ops::Deref};

/// A run that is judged.
pub(super) struct Case<'a> {
    seen: &'a Seen,
    /// When each holder sat down and when it left again (never: `i64::MAX`).
    stays: HashMap<&'a str, Vec<(i64, i64)>>,
    questions: HashMap<&'a str, Vec<&'a Question>>,
    stood: HashMap<usize, Vec<Stood>>,
}

impl Deref for Case<'_> {
    type Target = Seen;

    fn deref(&self) -> &Seen {
        self.seen
    }
}

impl<'a> Case<'a> {
    pub(super) fn new(seen: &'a Seen) -> Self {
        let mut stays: HashMap<&str, Vec<(i64, i64)>> = HashMap::new();
        for change in &seen.changes {
            let last = change.before.as_deref().and_then(|left| stays.get_mut(left)?.last_mut());
            if let Some((_, left)) = last {
                *left = change.at.min(*left);
            }
            if let Some(came) = change.after.as_deref() {
                stays.entry(came).or_default().push((change.at, i64::MAX));
            }
        }
        let mut questions: HashMap<&str, Vec<&Question>> = HashMap::new();
        for question in &seen.questions {
            questions.entry(&question.holder).or_default().push(question);
        }
        let mut by_instance: HashMap<usize, Vec<Stood>> = HashMap::new();
        for question in &seen.questions {
            by_instance.entry(question.instance).or_insert_with(|| stood(seen, question.instance));
        }
        Self { seen, stays, questions, stood: by_instance }
    }

    /// Everybody's questions, by holder.
    pub(super) fn holders(&self) -> impl Iterator<Item = (&'a str, &[&'a Question])> {
        self.questions.iter().map(|(holder, questions)| (*holder, questions.as_slice()))
    }

    /// A holder's questions.
    pub(super) fn of(&self, holder: &str) -> &[&'a Question] {
        self.questions.get(holder).map_or(&[], Vec::as_slice)
    }

    /// When an instance's clock may have stood still.
    pub(super) fn stood(&self, instance: usize) -> &[Stood] {
        self.stood.get(&instance).map_or(&[], Vec::as_slice)
    }

    /// Everybody that ever had a seat.
    pub(super) fn seated(&self) -> impl Iterator<Item = &'a str> {
        self.stays.keys().copied()
    }

    /// When a holder sat down and when it left again, each time.
    pub(super) fn stays(&self, holder: &str) -> &[(i64, i64)] {
        self.stays.get(holder).map_or(&[], Vec::as_slice)
    }

    /// Whether the records name a holder at some time in a span.
    pub(super) fn has_seat(&self, holder: &str, from: i64, until: i64) -> bool {
        self.stays(holder).iter().any(|(came, left)| *came <= until && *left >= from)
    }

    /// Since when the records have named who asks, if they do all the time until it is answered.
    pub(super) fn seated_throughout(&self, asked: &Question) -> Option<i64> {
        let whole =
            |(came, left): &&(i64, i64)| *came < asked.sent - self.clocks && *left > asked.answered + self.clocks;
        self.stays(&asked.holder).iter().find(whole).map(|(came, _)| *came)
    }
}
