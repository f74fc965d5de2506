//! What a client wants to be answered with (RFC 9110, section 12.5.1).

use http::{HeaderMap, header};

/// The quality of what is wanted most, in thousandths.
const MOST: u16 = 1000;

/// The media ranges of all `Accept` headers of a request.
pub(crate) struct MediaRanges(Vec<MediaRange>);

/// `text/csv; header=present; q=0.5`, with names in small letters and the quality in thousandths.
struct MediaRange {
    kind: String,
    parameters: Vec<(String, String)>,
    quality: u16,
}

impl MediaRanges {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let parts = values.flat_map(|text| split(text, ',')).filter(|part| !part.trim().is_empty());
        Self(parts.map(MediaRange::read).collect())
    }

    /// How much the media type `kind` with these parameters is wanted, in thousandths; 0: not at all. Of the ranges
    /// that it is in, the most specific one decides. Without any range, everything is wanted.
    pub(crate) fn quality(&self, kind: &str, parameters: &[(&str, &str)]) -> u16 {
        if self.0.is_empty() {
            return MOST;
        }
        let matching = self.0.iter().filter_map(|range| Some((range.specificity(kind, parameters)?, range.quality)));
        matching.max().map_or(0, |(_, quality)| quality)
    }

    /// How much one of these media types is wanted by its name, in thousandths. What takes anything names none.
    pub(crate) fn named(&self, kinds: &[&str]) -> u16 {
        let named = self.0.iter().filter(|range| kinds.contains(&range.kind.as_str()));
        named.map(|range| range.quality).max().unwrap_or(0)
    }
}

impl MediaRange {
    fn read(text: &str) -> Self {
        let mut parts = split(text, ';').into_iter().map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut parameters, mut quality) = (Vec::new(), MOST);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            if name == "q" {
                quality = weight(value).unwrap_or(0);
                // What follows is of the range and not of the media type.
                break;
            }
            let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
            parameters.push((name, unquoted.to_ascii_lowercase()));
        }
        Self { kind, parameters, quality }
    }

    /// How exactly the range names a media type; `None`: the type is not in it.
    fn specificity(&self, kind: &str, parameters: &[(&str, &str)]) -> Option<usize> {
        let of_its_type = |range: &str| kind.split_once('/').is_some_and(|(first, _)| range == first);
        let named = match self.kind.strip_suffix("/*") {
            Some("*") => 0,
            Some(first) if of_its_type(first) => 1,
            None if self.kind == kind => 2,
            _ => return None,
        };
        let has = |(name, value): &(String, String)| parameters.contains(&(name.as_str(), value.as_str()));
        self.parameters.iter().all(has).then_some(named + self.parameters.len())
    }
}

/// A weight in thousandths: from 0 to 1 with at most three decimal places. `None`: it is none.
fn weight(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match whole {
        "0" => format!("{decimals:0<3}").parse().ok(),
        "1" if decimals.bytes().all(|byte| byte == b'0') => Some(MOST),
        _ => None,
    }
}

/// The parts of a header between separators that are not within quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text.split(move |c: char| {
        let separates = c == separator && !quoted;
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && c == '\\' && !escaped;
        separates
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const CSV: &[(&str, &str)] = &[("charset", "utf-8"), ("header", "present")];

    fn ranges(values: &[&'static str]) -> MediaRanges {
        let values = values.iter().map(|value| (header::ACCEPT, HeaderValue::from_static(value)));
        MediaRanges::of(&values.collect())
    }

    #[test]
    fn the_most_specific_range_decides() {
        for (accept, csv, json) in [
            ("*/*", 1000, 1000),
            ("text/csv", 1000, 0),
            ("TEXT/CSV", 1000, 0),
            ("text/*", 1000, 0),
            ("text/*;q=0.5, */*;q=0.1", 500, 100),
            ("text/csv;q=0.1, text/*, */*;q=0.5", 100, 500),
            ("*/*, text/csv;q=0", 0, 1000),
            ("text/csv ; header=present ; q=0.3, text/csv;q=0.9", 300, 0),
            ("text/csv;header=absent, */*;q=0.2", 200, 200),
            ("text/csv; charset=\"UTF-8\"", 1000, 0),
            ("text/csv; charset=iso-8859-1", 0, 0),
            ("text/csv;q=0.5;header=absent", 500, 0),
            ("text/html;x=\"a, text/csv;q=1\", application/json", 0, 1000),
            ("text/html;x=\"\\\"\", text/csv", 1000, 0),
            ("text/html;x=\"\\\", text/csv", 0, 0),
            ("text, /, ;q=1, csv", 0, 0),
            ("application/problem+json", 0, 0),
        ] {
            let ranges = ranges(&[accept]);
            let found = (ranges.quality("text/csv", CSV), ranges.quality("application/json", &[]));
            assert_eq!(found, (csv, json), "{accept}");
        }
    }

    #[test]
    fn a_weight_has_at_most_three_decimal_places_and_what_is_none_wants_nothing() {
        for (weight, thousandths) in [
            ("1", 1000),
            ("1.000", 1000),
            ("1.", 1000),
            ("0.5", 500),
            ("0.05", 50),
            ("0.005", 5),
            ("0", 0),
            ("0.", 0),
            ("1.1", 0),
            ("2", 0),
            ("0.0005", 0),
            ("-1", 0),
            ("", 0),
            ("NaN", 0),
            ("0.+5", 0),
        ] {
            assert_eq!(MediaRange::read(&format!("text/csv;q={weight}")).quality, thousandths, "{weight}");
        }
    }

    #[test]
    fn several_headers_are_one_and_none_wants_everything() {
        let both = ranges(&["application/json;q=0.5", "text/csv"]);
        assert_eq!((both.quality("text/csv", CSV), both.quality("application/json", &[])), (1000, 500));
        for none in [ranges(&[]), ranges(&[""])] {
            assert_eq!((none.quality("text/csv", CSV), none.named(&["text/csv"])), (1000, 0));
        }
        assert_eq!(ranges(&["*/*, text/*"]).named(&["text/html"]), 0, "what takes anything names nothing");
        assert_eq!(ranges(&["application/xhtml+xml;q=0.7, a/b"]).named(&["text/html", "application/xhtml+xml"]), 700);
    }
}
