//! Shows the requests of a file to the library standardwebhooks of crates.io; exits 1 if it sees one of them in another
//! way than expected.

use http::{HeaderMap, HeaderName};
use serde_json::Value;
use standardwebhooks::Webhook;
use std::{error::Error, process::ExitCode};

fn accepts(vector: &Value) -> Result<bool, Box<dyn Error>> {
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("not a text");
    let mut headers = HeaderMap::new();
    for (name, value) in vector["headers"].as_object().ok_or("no headers")? {
        headers.insert(name.parse::<HeaderName>()?, text(value)?.parse()?);
    }
    Ok(Webhook::new(&text(&vector["secret"])?)?.verify(text(&vector["body"])?.as_bytes(), &headers).is_ok())
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let file = std::fs::read_to_string(std::env::args().nth(1).ok_or("a file of requests")?)?;
    let vectors = file.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let mut wrong = Vec::new();
    for vector in &vectors {
        if vector["expected"] != accepts(vector)? {
            wrong.push(vector["case"].as_str().unwrap_or_default());
        }
    }
    let seen = if wrong.is_empty() { "none".to_owned() } else { wrong.join(", ") };
    println!("rust: {} requests, differently seen: {seen}", vectors.len());
    Ok(ExitCode::from(u8::from(!wrong.is_empty() || vectors.is_empty())))
}
