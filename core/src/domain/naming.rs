//! What people call a license, and what they note about it. Nothing is decided by either, and no token says them.

use super::{id::InvalidText, name::fold};
use serde::{Deserialize, Serialize};

/// The most characters of a note.
const MAX_NOTE: usize = 2000;

/// The name of a license and a note about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Naming {
    /// What people call it; several may have the same name.
    pub name: Option<String>,
    /// What they noted about it, of one or more lines.
    pub note: Option<String>,
}

/// An edit of a name and a note.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamingEdit {
    /// Another name; `Some(None)` removes it, `None` leaves it.
    pub name: Option<Option<String>>,
    /// Another note, likewise.
    pub note: Option<Option<String>>,
}

impl Naming {
    /// Name and note after an edit.
    pub fn with_edit(&self, edit: &NamingEdit) -> Self {
        Self {
            name: edit.name.clone().unwrap_or_else(|| self.name.clone()),
            note: edit.note.clone().unwrap_or_else(|| self.note.clone()),
        }
    }

    /// The name in the form in which all its spellings are equal.
    pub fn name_key(&self) -> Option<String> {
        self.name.as_deref().map(fold)
    }
}

/// Reads a note. Blanks around it are taken off.
///
/// # Errors
/// If it is empty, longer than 2,000 characters, or has a control character that is neither a line end nor a tab.
pub fn note(text: &str) -> Result<String, InvalidText> {
    let note = text.replace("\r\n", "\n").trim().to_owned();
    let plain = |c: char| !c.is_control() || c == '\n' || c == '\t';
    let fits = (1..=MAX_NOTE).contains(&note.chars().count()) && note.chars().all(plain);
    if fits {
        Ok(note)
    } else {
        Err(InvalidText("must be 1 to 2,000 characters, of control characters only line ends and tabs"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_changes_what_it_names_and_nothing_else() {
        let first = Naming { name: Some("Ärger".into()), note: Some("x".into()) };
        assert_eq!(first.name_key().as_deref(), Some("ärger"));
        let renamed = first.with_edit(&NamingEdit { name: Some(Some("B".into())), note: None });
        assert_eq!(renamed, Naming { name: Some("B".into()), ..first.clone() });
        let nameless = first.with_edit(&NamingEdit { name: Some(None), note: Some(Some("y".into())) });
        assert_eq!((nameless.name_key(), nameless.note.as_deref()), (None, Some("y")));
        assert_eq!(first.with_edit(&NamingEdit::default()), first);
    }

    #[test]
    fn a_note_has_lines_and_a_limit() {
        assert_eq!(note(" for the\r\nfarm\n").unwrap(), "for the\nfarm");
        assert!(note(&"ü".repeat(2000)).is_ok());
        for wrong in ["", " \n ", "a\0", "a\u{1b}[1m", &"x".repeat(2001)] {
            assert!(note(wrong).is_err(), "{wrong:?}");
        }
    }
}
