//! The filters of lists, read in one way: blanks around a value do not count, and whatever is wrong is 422 and names
//! the parameter.

use super::answer::{page, page_of, time};
use crate::edge::{FieldChecks, Problem};
use license_core::{
    domain::{
        email,
        name::{clean, fold},
    },
    records::PageRequest,
};
use serde::Deserialize;
use std::{borrow::Cow, fmt::Display};
use time::OffsetDateTime;
use utoipa::IntoParams;

/// What a `+` in a query comes out as, for who wonders: forms write a blank so, and browsers and libraries read it
/// back.
const PLUS: &str = "a + in a query is read as a blank: write it %2B";

/// The parameters of one list, as far as they are read.
#[derive(Default)]
pub(super) struct ListFilters(FieldChecks);

impl ListFilters {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A filter whose values `parse` knows; `None` where it is not given or wrong, which [`ListFilters::check`] will
    /// say.
    pub(super) fn read<T, E: Display>(
        &mut self,
        name: &str,
        value: Option<&String>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.0.optional(name, value.map(|value| clean(value)).as_deref(), |text: &str| {
            let hint = if text.contains(' ') { format!(" ({PLUS})") } else { String::new() };
            parse(text).map_err(|problem| format!("{problem}{hint}"))
        })
    }

    /// A time, RFC 3339.
    pub(super) fn time(&mut self, name: &str, value: Option<&String>) -> Option<OffsetDateTime> {
        let hint = format!("; {PLUS}");
        self.0.optional(name, value.map(|value| clean(value)).as_deref(), |text: &str| {
            time(text).map_err(|problem| format!("{problem}{hint}"))
        })
    }

    /// From a time on and before another, which must be later.
    pub(super) fn span(
        &mut self,
        from: Option<&String>,
        to: Option<&String>,
    ) -> (Option<OffsetDateTime>, Option<OffsetDateTime>) {
        let (from, until) = (self.time("from", from), self.time("to", to));
        if from.zip(until).is_some_and(|(from, until)| from >= until) {
            self.wrong("to", "must be later than from");
        }
        (from, until)
    }

    /// The person that clients say they have, as it is compared: an address, or whatever else may be one's name.
    pub(super) fn person(&mut self, name: &str, value: Option<&String>) -> Option<String> {
        self.read(name, value, comparable_person)
    }

    /// How a name begins, as names are compared.
    pub(super) fn beginning(&mut self, name: &str, value: Option<&String>) -> Option<String> {
        self.read(name, value, |text| {
            let sought = Some(fold(text)).filter(|it| !it.is_empty() && !it.contains(char::is_control));
            sought.ok_or("must be the beginning of a name, without control characters")
        })
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, name: &str, value: Option<&String>) -> Option<bool> {
        self.read(name, value, |text| text.parse().map_err(|_| "must be true or false"))
    }

    /// The part of the list.
    pub(super) fn page(&mut self, limit: Option<&String>, cursor: Option<&String>) -> PageRequest {
        page(&mut self.0, limit.map(|text| clean(text)).as_deref(), cursor.map(|text| clean(text)).as_deref())
    }

    /// The part of a list whose pages have up to `most` rows, and as many where nothing is said.
    pub(super) fn long_page(&mut self, limit: Option<&String>, cursor: Option<&String>, most: u16) -> PageRequest {
        let [limit, cursor] = [limit, cursor].map(|text| text.map(|text| clean(text)));
        page_of(&mut self.0, limit.as_deref(), cursor.as_deref(), (most, most))
    }

    /// Notes that a filter is wrong in itself or beside another.
    pub(super) fn wrong(&mut self, name: &str, problem: impl Into<Cow<'static, str>>) {
        self.0.wrong(name, problem);
    }

    /// 422 naming every wrong filter, or what was read.
    pub(super) fn check<T>(self, read: T) -> Result<T, Problem> {
        self.0.check(Some(read))
    }
}

/// The person that clients say they have, as it is compared.
pub(super) fn comparable_person(text: &str) -> Result<String, &'static str> {
    if text.contains('@') && text.contains(char::is_whitespace) {
        return Err("must be an address without blanks");
    }
    let folded = email::comparison_key(text);
    let fits = !folded.is_empty() && text.chars().count() <= 255 && !text.chars().any(char::is_control);
    if fits { Ok(folded) } else { Err("must be 1 to 255 characters, none of them a control character") }
}

/// Which part of a list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// How many rows: 1 to 100, 20 unless said.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl PageQuery {
    /// The part, or 422.
    pub(super) fn page(&self) -> Result<PageRequest, Problem> {
        let mut filters = ListFilters::new();
        let page = filters.page(self.limit.as_ref(), self.cursor.as_ref());
        filters.check(page)
    }
}
