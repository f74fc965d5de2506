//! How a list is answered: a page as JSON, or the rows of many pages as CSV. A series, which has no pages, likewise.

use super::{
    answer::ListOf,
    csv_lists::{self, CsvPages, CsvRequest, collect},
};
use crate::edge::{Problem, accept::MediaRanges, context::RequestDeadline};
use axum::{
    extract::{FromRequestParts, MatchedPath},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header, request::Parts};
use license_core::records::{ListedRows, PageRequest};
use serde::Serialize;
use utoipa::ToSchema;

/// What a list is to be answered as; every list takes it from its request.
pub(super) enum ListFormat {
    Json,
    Csv(CsvRequest),
}

impl<S: Send + Sync> FromRequestParts<S> for ListFormat {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let ranges = MediaRanges::of(&parts.headers);
        let csv = ranges.quality(csv_lists::KIND, csv_lists::PARAMETERS);
        // Who does not care is answered as ever.
        if csv <= ranges.quality("application/json", &[("charset", "utf-8")]) {
            return Ok(Self::Json);
        }
        let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let kept = query.filter(|(name, value)| name != "cursor" && !value.is_empty());
        let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        Ok(Self::Csv(CsvRequest {
            query: kept.map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
            name: path.rsplit('/').next().unwrap_or_default().to_owned(),
            deadline: RequestDeadline::of(&parts.extensions),
        }))
    }
}

impl ListFormat {
    /// The answer to a request for `page` of a list: the rows that `read` finds, as `view` shows them.
    pub(super) async fn answer<R, T, E, F>(
        self,
        page: PageRequest,
        view: impl Fn(R) -> T,
        read: impl Fn(PageRequest) -> F,
    ) -> Result<Response, Problem>
    where
        T: Serialize + ToSchema,
        F: Future<Output = Result<ListedRows<R>, E>>,
        Problem: From<E>,
    {
        Ok(varying(match self {
            Self::Json => ListOf::new(read(page).await?, view).into_response(),
            Self::Csv(request) => request.response(collect(&request.limits(page), page.after, view, read).await?),
        }))
    }

    /// The answer to a request for what has no pages: `json`, or `rows` as CSV.
    pub(super) fn answer_whole<T: Serialize + ToSchema>(
        self,
        json: impl Serialize,
        rows: impl Iterator<Item = T>,
    ) -> Result<Response, Problem> {
        Ok(varying(match self {
            Self::Json => axum::Json(json).into_response(),
            Self::Csv(request) => request.response(CsvPages::whole(rows)?),
        }))
    }
}

/// One address, two answers: a cache must not give one for the other.
fn varying(mut response: Response) -> Response {
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}
