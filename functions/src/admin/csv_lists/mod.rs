//! Lists as CSV: the rows of many pages in one answer.
//!
//! `columns.rs`: which columns a list has · `table.rs`: rows as text · `held_text.rs`: how much text this process
//! holds, and the body that it is sent in. Why an answer is collected before it is sent, and not sent while it is read,
//! is in docs/decisions/2026-11-30-csv-of-lists.md.

mod columns;
mod held_text;
mod table;
#[cfg(test)]
mod tests;

use crate::edge::{Problem, context::RequestDeadline};
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use held_text::{HELD, HeldBody, TextMemory};
use http::{HeaderValue, header};
use license_core::records::{ListedRows, PageCursor, PageRequest};
use serde::Serialize;
use std::time::Duration;
use table::CsvTable;
use utoipa::ToSchema;

/// The media type of the answers (RFC 4180, section 3).
pub(crate) const KIND: &str = "text/csv";
/// Its parameters.
pub(super) const PARAMETERS: &[(&str, &str)] = &[("charset", "utf-8"), ("header", "present")];
const CONTENT_TYPE: &str = "text/csv; charset=utf-8; header=present";

/// The most rows of an answer.
const MOST_ROWS: usize = 50_000;
/// Rows that are read at once: few enough for one question to Redis, and so many that 50,000 need 100 of them.
const PAGE: u16 = 500;
/// After so much text no further page is read, in bytes. Google's Cloud Run sends at most 32 MiB in one answer.
const MOST_BYTES: usize = 24 << 20;
/// What is left of a request's time when the last page has been read.
const RESERVE: Duration = Duration::from_millis(500);

/// What a list as CSV was asked for with, besides its filters.
pub(super) struct CsvRequest {
    /// The parameters of the query without `cursor`.
    pub(super) query: Vec<(String, String)>,
    /// What to call the file, without `.csv`.
    pub(super) name: String,
    /// When the answer must be there.
    pub(super) deadline: RequestDeadline,
}

/// Where an answer ends, if the list does not end before.
pub(super) struct CsvLimits {
    rows: usize,
    bytes: usize,
    memory: &'static TextMemory,
    until: RequestDeadline,
}

/// The pages of an answer as text, and where the next answer begins if rows are left over.
pub(super) struct CsvPages {
    texts: Vec<Bytes>,
    next: Option<PageCursor>,
}

impl CsvPages {
    /// Rows that are all there already.
    pub(super) fn whole<T: Serialize + ToSchema>(rows: impl Iterator<Item = T>) -> Result<Self, Problem> {
        let table = CsvTable::of::<T>();
        Ok(Self { texts: vec![HELD.hold(table.header()?), HELD.hold(table.text(rows)?)], next: None })
    }
}

impl CsvRequest {
    /// Where an answer ends that begins with `page`: after `limit` rows if the query has one.
    pub(super) fn limits(&self, page: PageRequest) -> CsvLimits {
        let limited = self.query.iter().any(|(name, _)| name == "limit");
        let rows = if limited { page.limit.into() } else { MOST_ROWS };
        CsvLimits { rows, bytes: MOST_BYTES, memory: &HELD, until: self.deadline.earlier_by(RESERVE) }
    }

    /// The answer of what was collected.
    pub(super) fn response(&self, pages: CsvPages) -> Response {
        let mut response = Body::new(HeldBody::new(pages.texts)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        // Whoever saves it sees by its name that it is not the whole.
        let part = if pages.next.is_some() { ".part" } else { "" };
        let file = format!("attachment; filename=\"{}{part}.csv\"", self.name);
        let next = pages.next.map(|cursor| self.link(cursor));
        for (name, text) in [(header::CONTENT_DISPOSITION, Some(file)), (header::LINK, next)] {
            // Both are plain ASCII: the last word of a path of ours, and an encoded query.
            if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
                headers.insert(name, value);
            }
        }
        response
    }

    /// The same request from there on. Only a query, so that it is right whatever a proxy in front puts before the
    /// path (RFC 3986, section 5.2.2).
    fn link(&self, next: PageCursor) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.query).append_pair("cursor", &next.to_string());
        format!("<?{}>; rel=\"next\"", query.finish())
    }
}

/// Reads page after page until the list or one of the limits ends. The first page is always read, however much time and
/// memory it takes: an answer without rows whose next one begins at the same place would never end.
pub(super) async fn collect<R, T, E, F>(
    limits: &CsvLimits,
    after: Option<PageCursor>,
    view: impl Fn(R) -> T,
    read: impl Fn(PageRequest) -> F,
) -> Result<CsvPages, Problem>
where
    T: Serialize + ToSchema,
    F: Future<Output = Result<ListedRows<R>, E>>,
    Problem: From<E>,
{
    let table = CsvTable::of::<T>();
    let mut pages = CsvPages { texts: vec![limits.memory.hold(table.header()?)], next: after };
    let (mut rows, mut bytes, mut slowest) = (0, 0, Duration::ZERO);
    loop {
        let before = limits.until.left();
        let left = u16::try_from(limits.rows - rows).unwrap_or(PAGE);
        let page = read(PageRequest { after: pages.next, limit: left.min(PAGE) });
        let listed = if rows == 0 && pages.texts.len() == 1 {
            page.await?
        } else {
            let Some(listed) = limits.until.wait(page).await else { break };
            listed?
        };
        rows += listed.items.len();
        let text = table.text(listed.items.into_iter().map(&view))?;
        bytes += text.len();
        pages.texts.push(limits.memory.hold(text));
        pages.next = listed.next;
        slowest = slowest.max(before.saturating_sub(limits.until.left()));
        let full = rows >= limits.rows || bytes >= limits.bytes || limits.memory.is_full();
        // A page that cannot be finished is not begun, because a query that is given up costs its connection.
        if pages.next.is_none() || full || limits.until.left() < slowest {
            break;
        }
    }
    Ok(pages)
}
