//! The Markdown of our own pages as HTML. HTML that stands in them is shown as it is written.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html::push_html};

/// Where a link of a page leads; `None`: its words are shown without a link.
pub(super) type LinkTarget = dyn Fn(&str) -> Option<String>;

/// Text that HTML shows as it is, also within the quotes of an attribute.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            other => safe.push(other),
        }
    }
    safe
}

/// A page, or a part of one.
pub(super) fn html(text: &str, link: &LinkTarget) -> String {
    // Links do not lie within each other, so the last one that began is the one that ends.
    let mut is_shown = false;
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let target = link(&dest_url);
            is_shown = target.is_some();
            let dest_url = CowStr::from(target?);
            Some(Event::Start(Tag::Link { link_type, dest_url, title, id }))
        }
        Event::End(TagEnd::Link) => is_shown.then_some(Event::End(TagEnd::Link)),
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        other => Some(other),
    });
    let mut body = String::new();
    push_html(&mut body, events);
    body
}
