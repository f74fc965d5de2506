//! What is written for values, and where an answer ends, without stores.

use super::{
    CsvLimits, CsvPages, CsvRequest, MOST_ROWS, collect,
    held_text::{HeldBody, TextMemory},
    table::CsvTable,
};
use crate::edge::{Problem, context::RequestDeadline};
use axum::body::Body;
use http_body_util::BodyExt;
use license_core::{
    error::StoreName,
    records::{ListedRows, PageCursor, PageRequest},
};
use serde::Serialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{Instant, sleep};
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Clone, Serialize, ToSchema)]
struct Thing {
    name: String,
    id: u32,
    inner: Option<Inner>,
    many: Vec<String>,
    any: Value,
    named: BTreeMap<String, bool>,
}

#[derive(Clone, Serialize, ToSchema)]
#[schema(as = OtherName)]
struct Inner {
    id: Option<i64>,
    yes: bool,
}

/// As a row that is shown with whose it is.
#[derive(Serialize, ToSchema)]
struct Owned {
    lender: Option<String>,
    #[serde(flatten)]
    thing: Thing,
}

fn thing(name: &str) -> Thing {
    Thing { name: name.into(), id: 1, inner: None, many: Vec::new(), any: Value::Null, named: BTreeMap::new() }
}

/// The text of rows without the header.
fn written(rows: &[Thing]) -> String {
    String::from_utf8(CsvTable::of::<Thing>().text(rows.iter()).unwrap()).unwrap()
}

#[test]
fn columns_are_the_fields_of_the_rows_and_of_their_objects_whatever_the_rows_are() {
    let header = CsvTable::of::<Thing>().header().unwrap();
    assert_eq!(header, b"id,any,inner.id,inner.yes,many,name,named\r\n");
    let owned = CsvTable::of::<Owned>().header().unwrap();
    assert_eq!(owned, b"id,any,inner.id,inner.yes,lender,many,name,named\r\n", "put together of two");
    assert_eq!(written(&[thing("a")]), "1,,,,[],a,{}\r\n", "null is an empty cell, and so is all of an object");
    let full = Thing {
        inner: Some(Inner { id: Some(-7), yes: true }),
        many: vec!["x".into(), "y\"".into()],
        any: json!({"b": [1, null], "a": "="}),
        named: BTreeMap::from([("on".to_owned(), true)]),
        ..thing("b")
    };
    assert_eq!(
        written(&[full]),
        [
            "1",
            r#""{""a"":""="",""b"":[1,null]}""#,
            "-7,true",
            r#""[""x"",""y\""""]""#,
            "b",
            "\"{\"\"on\"\":true}\"\r\n",
        ]
        .join(",")
    );
}

#[test]
fn texts_are_quoted_where_they_must_be_and_otherwise_as_they_are() {
    for (name, cell) in [
        ("plain", "plain"),
        ("a,b", "\"a,b\""),
        ("say \"hi\"", "\"say \"\"hi\"\"\""),
        ("two\nlines", "\"two\nlines\""),
        ("two\r\nlines", "\"two\r\nlines\""),
        ("Jürgen 東京 👩‍🚀", "Jürgen 東京 👩‍🚀"),
        ("", ""),
        (" ", " "),
        ("a=b", "a=b"),
        ("'", "'"),
    ] {
        assert_eq!(written(&[thing(name)]), format!("1,,,,[],{cell},{{}}\r\n"), "{name:?}");
    }
}

#[test]
fn a_text_that_a_spreadsheet_would_compute_is_text_and_a_number_stays_one() {
    for start in ["=", "+", "-", "@", "＝", "＋", "－", "＠"] {
        assert_eq!(written(&[thing(&format!("{start}1"))]), format!("1,,,,[],'{start}1,{{}}\r\n"), "{start:?}");
        let number = Thing { any: json!(-1.5), ..thing(start) };
        assert_eq!(written(&[number]), format!("1,-1.5,,,[],'{start},{{}}\r\n"), "{start:?}");
    }
    for start in ["\t", "\r", "\n"] {
        assert!(written(&[thing(&format!("{start}=1"))]).contains(&format!("'{start}'=1")), "{start:?}");
    }
    // A spreadsheet may end a cell here, whatever is quoted.
    for end in [";", "\t", "\r", "\n"] {
        assert!(written(&[thing(&format!("a{end}=1{end}b"))]).contains(&format!("a{end}'=1{end}b")), "{end:?}");
        assert!(written(&[thing(&format!("a{end}b=1"))]).contains(&format!("a{end}b=1")), "{end:?}");
    }
    let number = Thing { any: json!([";=1;-2", -3]), ..thing("") };
    let read: Value = serde_json::from_str(r#"[";\u003d1;\u002d2",-3]"#).unwrap();
    assert_eq!(read, json!([";=1;-2", -3]), "it is the same JSON");
    assert!(written(&[number]).contains(r#"["";\u003d1;\u002d2"",-3]"#));
    let formula = "=cmd|' /C calc'!A0,\"x\"";
    assert_eq!(written(&[thing(formula)]), "1,,,,[],\"'=cmd|' /C calc'!A0,\"\"x\"\"\",{}\r\n");
}

/// How long an answer may take here.
const TIME: Duration = Duration::from_secs(4);

/// A memory of a test's own.
fn memory(most: usize) -> &'static TextMemory {
    Box::leak(Box::new(TextMemory::new(most)))
}

fn limits() -> CsvLimits {
    let until = RequestDeadline::after(TIME);
    CsvLimits { rows: MOST_ROWS, bytes: usize::MAX, memory: memory(usize::MAX), until }
}

/// Numbered rows up to `all`, of which each page takes `pace` to read.
async fn page(all: usize, pace: Duration, page: PageRequest) -> Result<ListedRows<usize>, Problem> {
    sleep(pace).await;
    let first = page.after.map_or(0, |cursor| cursor.0.as_u128() as usize);
    let end = all.min(first + usize::from(page.limit));
    let next = (end < all).then(|| PageCursor(Uuid::from_u128(end as u128)));
    Ok(ListedRows { items: (first..end).collect(), next })
}

fn numbered(n: usize) -> Thing {
    thing(&n.to_string())
}

/// The numbers of the rows of an answer that follow one after the other, and where the next one begins.
async fn numbers(limits: &CsvLimits, after: Option<PageCursor>, all: usize, pace: Duration) -> (Vec<usize>, CsvPages) {
    let pages = collect(limits, after, numbered, |asked| page(all, pace, asked)).await.unwrap();
    let text: Vec<u8> = pages.texts.concat();
    let mut reader = csv::Reader::from_reader(text.as_slice());
    let numbers = reader.records().map(|row| row.unwrap()[5].parse().unwrap());
    (numbers.collect(), pages)
}

fn place(pages: &CsvPages) -> Option<u128> {
    pages.next.map(|cursor| cursor.0.as_u128())
}

#[tokio::test(start_paused = true)]
async fn an_answer_has_50000_rows_at_most_and_the_next_one_exactly_the_rest() {
    let limits = limits();
    let (first, pages) = numbers(&limits, None, 50_003, Duration::ZERO).await;
    assert_eq!((first, place(&pages)), ((0..50_000).collect(), Some(50_000)));
    let (rest, last) = numbers(&limits, pages.next, 50_003, Duration::ZERO).await;
    assert_eq!((rest, place(&last)), ((50_000..50_003).collect(), None));
    let (all, whole) = numbers(&limits, None, 50_000, Duration::ZERO).await;
    assert_eq!((all.len(), place(&whole)), (50_000, None), "nothing is left over");
    let (none, empty) = numbers(&limits, None, 0, Duration::ZERO).await;
    assert_eq!((none.len(), place(&empty), empty.texts.len()), (0, None, 2), "a header all the same");
}

#[tokio::test(start_paused = true)]
async fn fewer_rows_are_answered_where_fewer_are_asked_for() {
    for (asked, all, next) in [(1, 700, Some(1)), (99, 700, Some(99)), (99, 99, None), (501, 700, Some(501))] {
        let (rows, pages) = numbers(&CsvLimits { rows: asked, ..limits() }, None, all, Duration::ZERO).await;
        assert_eq!((rows, place(&pages)), ((0..asked).collect(), next));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_ends_after_a_whole_page_before_its_time_is_over() {
    for (pace_ms, rows) in [(100, 20_000), (900, 2_000), (2_500, 500), (60_000, 500)] {
        let limits = limits();
        let began = Instant::now();
        let (read, pages) = numbers(&limits, None, MOST_ROWS, Duration::from_millis(pace_ms)).await;
        assert_eq!((read.len(), place(&pages)), (rows, Some(rows as u128)), "{pace_ms} ms a page");
        // But for a first page that takes longer: then the layers give the request up.
        assert!(pace_ms == 60_000 || began.elapsed() <= TIME, "{pace_ms} ms a page");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_late_is_given_up_and_the_next_answer_begins_with_it() {
    let slow_after_the_first = |asked: PageRequest| {
        let pace = if asked.after.is_none() { Duration::ZERO } else { Duration::from_secs(60) };
        page(1_000, pace, asked)
    };
    let (limits, began) = (limits(), Instant::now());
    let pages = collect(&limits, None, numbered, slow_after_the_first).await.unwrap();
    assert_eq!((place(&pages), began.elapsed()), (Some(500), TIME));
}

#[tokio::test]
async fn an_answer_ends_where_it_or_all_of_them_together_take_too_much_memory() {
    let small = CsvLimits { bytes: 1, ..limits() };
    let (rows, pages) = numbers(&small, None, 2_000, Duration::ZERO).await;
    assert_eq!((rows.len(), place(&pages)), (500, Some(500)), "the first page always");
    let memory = memory(20_000);
    let shared = CsvLimits { memory, ..limits() };
    let (rows, first) = numbers(&shared, None, 20_000, Duration::ZERO).await;
    assert!(rows.len() > 500 && rows.len() < 2_500 && memory.is_full(), "{}", rows.len());
    let (rows, second) = numbers(&shared, None, 20_000, Duration::ZERO).await;
    assert_eq!(rows.len(), 500, "one page, so that everybody gets on");
    drop(first);
    let body = Body::new(HeldBody::new(second.texts));
    assert!(!memory.is_full(), "of an answer that nobody waits for, nothing is kept");
    assert!(body.collect().await.unwrap().to_bytes().starts_with(b"id,any,"));
    let (rows, _) = numbers(&shared, None, 20_000, Duration::ZERO).await;
    assert!(rows.len() > 500, "what was sent takes no memory");
}

#[tokio::test]
async fn an_error_of_any_page_is_the_answer() {
    for fails_at in [None, Some(500)] {
        let read = |asked: PageRequest| async move {
            if asked.after.map(|cursor| cursor.0.as_u128()) == fails_at {
                return Err(license_core::Error::Deadline(StoreName::Records).into());
            }
            page(2_000, Duration::ZERO, asked).await
        };
        assert!(collect(&limits(), None, numbered, read).await.is_err(), "{fails_at:?}");
    }
}

#[tokio::test]
async fn the_link_repeats_the_query_with_the_place_to_go_on() {
    let query = [("user", "a+b@c"), ("limit", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let request = CsvRequest { query: query.into(), name: "sessions".into(), deadline: RequestDeadline::after(TIME) };
    let after = |n| PageRequest { after: Some(PageCursor(Uuid::from_u128(n))), limit: 2 };
    let answer = async |n| {
        let read = |asked| page(5, Duration::ZERO, asked);
        request.response(collect(&request.limits(after(n)), after(n).after, numbered, read).await.unwrap())
    };
    let response = answer(1).await;
    let header = |name: &str| response.headers()[name].to_str().unwrap();
    assert_eq!(header("link"), "<?user=a%2Bb%40c&limit=2&cursor=AAAAAAAAAAAAAAAAAAAAAw>; rel=\"next\"");
    assert_eq!(header("content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(header("content-disposition"), "attachment; filename=\"sessions.part.csv\"");
    let last = answer(3).await;
    assert_eq!(last.headers()["content-disposition"], "attachment; filename=\"sessions.csv\"");
    assert!(!last.headers().contains_key("link"), "nothing is left over");
    let size = http_body::Body::size_hint(last.body()).exact();
    let body = last.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "id,any,inner.id,inner.yes,many,name,named\r\n1,,,,[],3,{}\r\n1,,,,[],4,{}\r\n");
    assert_eq!(size, Some(body.len() as u64));
}
