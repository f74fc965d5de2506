//! The description of the API as it is served: what was reviewed, for everybody, and a page that needs no other host.

use crate::desk::{Answer, Desk};
use serde_json::Value;

const SNAPSHOT: &str = include_str!("../../../openapi.json");
const FILES: [(&str, &str); 3] = [
    ("/docs", include_str!("../../../functions/src/admin/page/index.html")),
    ("/docs/page.js", include_str!("../../../functions/src/admin/page/page.js")),
    ("/docs/page.css", include_str!("../../../functions/src/admin/page/page.css")),
];

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn the_reviewed_document_is_served_to_everybody_and_may_be_kept_for_five_minutes() {
    let desk = Desk::new().await;
    for path in ["/openapi.json", "/openapi.json/"] {
        let answer = desk.get(path).send().await;
        assert_eq!(header(&answer, "content-type"), "application/json");
        assert_eq!(header(&answer, "cache-control"), "public, max-age=300");
        assert_eq!(answer.ok(200), serde_json::from_str::<Value>(SNAPSHOT).unwrap());
    }
    desk.call("POST", "/openapi.json").send().await.is(405, "method_not_allowed");
}

#[tokio::test]
async fn the_page_and_all_it_asks_for_are_served_and_nothing_of_another_host_could_be() {
    let desk = Desk::new().await;
    for (path, text) in FILES {
        let answer = desk.get(path).text().await;
        assert_eq!((answer.status, header(&answer, "cache-control")), (200, "public, max-age=300"), "{path}");
        assert!(
            header(&answer, "content-security-policy").starts_with("default-src 'none'; script-src 'self';"),
            "{path}"
        );
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        assert_eq!(answer.body, Value::String(text.to_owned()), "{path}");
        assert!(!text.contains("://") && !text.contains("=\"//"), "{path} names another host");
        let asked =
            text.split(['"', '\'']).filter(|part| part.starts_with('/') && part.len() > 1 && !part.contains(' '));
        for part in asked {
            assert_eq!(desk.get(part).text().await.status, 200, "{path} asks for {part}");
        }
    }
}
