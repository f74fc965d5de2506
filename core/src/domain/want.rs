//! A want: a holder asks for a seat of a full pool, again and again, until it gets one or stops asking.

use super::id::Holder;
use std::fmt;

/// What happened to a want, as `wants.lua` tells it. Times are Unix milliseconds by the clock of Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantChange {
    /// A holder asked for a seat and got none.
    Began(WantBegin),
    /// It got one, or did not ask for a lease.
    Ended(WantEnd),
}

/// Who wants a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantBegin {
    /// The holder that the seat would have.
    pub holder: Holder,
    /// When it asked first.
    pub first_ask_ms: i64,
    /// The public hash of its machine.
    pub machine: String,
    /// The address that the client says its user has, in the form in which addresses are compared.
    pub person: Option<String>,
    /// The name that people are shown.
    pub label: String,
}

/// How a want ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantEnd {
    /// The holder.
    pub holder: Holder,
    /// When it asked first: names the want together with the holder.
    pub first_ask_ms: i64,
    /// When it was refused last.
    pub last_ask_ms: i64,
    /// How often it was refused.
    pub asks: u64,
    /// When it was given a seat; `None`: it was given none.
    pub granted_ms: Option<i64>,
}

/// A change of a want that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableWant(String);

impl std::error::Error for UnreadableWant {}

impl fmt::Display for UnreadableWant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no change of a want", self.0)
    }
}

impl std::str::FromStr for WantChange {
    type Err = UnreadableWant;

    fn from_str(text: &str) -> Result<Self, UnreadableWant> {
        read(text).ok_or_else(|| UnreadableWant(text.to_owned()))
    }
}

fn read(text: &str) -> Option<WantChange> {
    let (kind, rest) = text.split_once('|')?;
    let mut parts = rest.splitn(4, '|');
    let (holder, first_ask_ms) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let (third, rest) = (parts.next()?, parts.next()?);
    Some(match kind {
        "B" => {
            let (person, label) = rest.split_once('\n')?;
            WantChange::Began(WantBegin {
                holder,
                first_ask_ms,
                machine: third.to_owned(),
                person: Some(person.to_owned()).filter(|person| !person.is_empty()),
                label: label.to_owned(),
            })
        }
        "E" => {
            let (last_ask_ms, (asks, granted)) = (third.parse().ok()?, rest.split_once('|')?);
            let granted_ms = Some(granted.parse().ok()?).filter(|at| *at != 0);
            WantChange::Ended(WantEnd { holder, first_ask_ms, last_ask_ms, asks: asks.parse().ok()?, granted_ms })
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{ClientPart, LicenseNumber};

    #[test]
    fn what_people_are_called_may_contain_any_mark_and_what_is_no_change_is_refused() {
        let hardware: ClientPart = "hardware-1".parse().unwrap();
        let holder = Holder::machine(LicenseNumber::draw(), &hardware);
        let began = WantBegin {
            holder,
            first_ask_ms: 7,
            machine: "hw".into(),
            person: Some("a|b@example.com".into()),
            label: "x|y|E|z".into(),
        };
        let text = format!("B|{holder}|7|hw|a|b@example.com\nx|y|E|z");
        assert_eq!(text.parse(), Ok(WantChange::Began(began.clone())));
        let nameless = WantBegin { person: None, label: String::new(), ..began };
        assert_eq!(format!("B|{holder}|7|hw|\n").parse(), Ok(WantChange::Began(nameless)));
        let ended = WantEnd { holder, first_ask_ms: 7, last_ask_ms: 9, asks: 3, granted_ms: None };
        assert_eq!(format!("E|{holder}|7|9|3|0").parse(), Ok(WantChange::Ended(ended.clone())));
        let granted = WantEnd { granted_ms: Some(11), ..ended };
        assert_eq!(format!("E|{holder}|7|9|3|11").parse(), Ok(WantChange::Ended(granted)));
        for text in ["", "B", "B|x|7|hw|\n", "E|x", &format!("E|{holder}|7|9|3"), &format!("A|{holder}|7|9|3|0")] {
            assert_eq!(text.parse::<WantChange>(), Err(UnreadableWant(text.to_owned())));
        }
    }
}
