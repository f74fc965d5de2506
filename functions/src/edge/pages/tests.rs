//! The pages through the layers, as a browser and as a program ask for them.

use super::{ERRORS, markdown::html, section_line};
use crate::edge::{
    config::{Environment, LayersConfig},
    layers::LayerSettings,
    serve::{Service, app},
    tests::{Answer, get, layer_settings, logging, send_through},
};
use axum::{Router, body::Body};
use http::Request;
use license_core::ProblemCode;

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

fn settings(values: &[(&str, &str)]) -> LayerSettings {
    let values = values.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    LayerSettings::new(&LayersConfig::from_env(&Environment::map(values)).unwrap(), &logging())
}

async fn asked(settings: &LayerSettings, path: &str, accept: &str) -> Answer {
    let request = Request::get(path).header("accept", accept).body(Body::empty()).unwrap();
    send_through(app(Service { router: Router::new(), checks: Vec::new() }, settings), request).await
}

/// The values of `href` in a page.
fn links(page: &str) -> Vec<String> {
    page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_browser_is_told_what_this_is_and_a_program_that_nothing_is_here() {
    let page = asked(&layer_settings(), "/", BROWSER).await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(page.header("vary"), "accept");
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    assert!(page.body.as_str().unwrap().contains("floating licenses"));
    for program in [
        "application/json",
        "*/*",
        "",
        "application/problem+json",
        "application/json, text/html;q=0.5",
        "text/html;q=0",
    ] {
        let answer = asked(&layer_settings(), "/", program).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (404, &"not_found".into()), "{program:?}");
        assert_eq!((answer.header("content-type"), answer.header("vary")), ("application/problem+json", "accept"));
    }
    for browser in ["text/html", "TEXT/HTML;Q=0.4, application/json;q=0.3", "application/xhtml+xml"] {
        assert_eq!(asked(&layer_settings(), "/", browser).await.status.as_u16(), 200, "{browser:?}");
    }
}

#[tokio::test]
async fn every_link_of_a_page_leads_somewhere_on_this_server() {
    const START: &str = "# Start\nSee [errors](ERRORS.md) and [elsewhere](API.md).";
    let settings = layer_settings().with_start_page(START);
    let mut pages = vec!["/".to_owned()];
    let mut seen = 0;
    while let Some(path) = pages.get(seen).cloned() {
        seen += 1;
        let answer = asked(&settings, &path, BROWSER).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}");
        // Of all functions together, and of admin's own service.
        let known = |link: &String| link == "/docs" || link == "/openapi.json";
        let text = answer.body.as_str().unwrap_or_default();
        for link in links(text).into_iter().filter(|link| !known(link)) {
            assert!(link.starts_with('/'), "{path} has a link to another host: {link}");
            if !pages.contains(&link) {
                pages.push(link);
            }
        }
    }
    assert!(pages.len() > ProblemCode::ALL.len() && pages.iter().any(|path| path == "/start"), "{pages:?}");
}

#[tokio::test]
async fn the_type_of_every_problem_leads_to_its_page() {
    for (values, begin) in [
        (&[][..], "/problems/not_found"),
        (&[("PUBLIC_URL", "https://licenses.example.com/")][..], "https://licenses.example.com/problems/not_found"),
        (
            &[("PUBLIC_URL", "https://licenses.example.com"), ("DOCS_URL", "https://d.example/x/")][..],
            "https://d.example/x/errors/not_found",
        ),
    ] {
        let answer =
            send_through(app(Service { router: Router::new(), checks: Vec::new() }, &settings(values)), get("/x"))
                .await;
        assert_eq!(answer.body["type"], begin);
    }
    for code in ProblemCode::ALL {
        let answer = asked(&layer_settings(), &format!("/problems/{}", code.as_str()), "*/*").await;
        let text = answer.body.as_str().unwrap();
        assert_eq!(answer.status.as_u16(), 200);
        assert!(text.contains("<h2>What happened</h2>\n<p>") && text.contains("<h2>What to do</h2>\n<p>"), "{text}");
    }
    let unknown = asked(&layer_settings(), "/problems/no_such_code", BROWSER).await;
    assert_eq!((unknown.status.as_u16(), &unknown.body["code"]), (404, &"not_found".into()));
}

#[tokio::test]
async fn the_api_is_linked_where_all_functions_are_reached() {
    let page = asked(&settings(&[("PUBLIC_URL", "https://licenses.example.com/")]), "/", BROWSER).await;
    let links = links(page.body.as_str().unwrap());
    assert!(links.contains(&"https://licenses.example.com/docs".to_owned()), "{links:?}");
    assert_eq!(asked(&layer_settings(), "/start", BROWSER).await.status.as_u16(), 404, "only where there is one");
}

#[test]
fn every_code_has_what_its_page_says() {
    for code in ProblemCode::ALL {
        for start in ["What happened: ", "What to do: ", "Members: "] {
            assert!(section_line(code.as_str(), start).is_some_and(|text| text.len() > 3), "{code:?}: {start}");
        }
    }
    assert!(ERRORS.starts_with("# Errors"));
}

#[test]
fn markdown_is_html_and_nothing_of_it_is_taken_for_html() {
    let link = |target: &str| (target == "here").then(|| "/x?a=1&b=\"".to_owned());
    for (text, expected) in [
        ("a <b> & `c<d`", "<p>a &lt;b&gt; &amp; <code>c&lt;d</code></p>\n"),
        ("<script>x</script>", "&lt;script&gt;x&lt;/script&gt;"),
        ("```sh\na <b>\n```", "<pre><code class=\"language-sh\">a &lt;b&gt;\n</code></pre>\n"),
        (
            "| A |\n|---|\n| `d` |",
            "<table><thead><tr><th>A</th></tr></thead><tbody>\n<tr><td><code>d</code></td></tr>\n</tbody></table>\n",
        ),
        ("[the `x`](here), [y](there)", "<p><a href=\"/x?a=1&amp;b=%22\">the <code>x</code></a>, y</p>\n"),
        ("[y](there) [x](here)", "<p>y <a href=\"/x?a=1&amp;b=%22\">x</a></p>\n"),
        ("", ""),
    ] {
        assert_eq!(html(text, &link), expected, "{text}");
    }
}
