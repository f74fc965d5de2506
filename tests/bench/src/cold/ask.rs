//! One request on one connection, by hand: a client of its own would be part of what is measured.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
};

/// A request, and the status that is the answer looked for.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) head: String,
    pub(super) body: String,
    pub(super) status: u16,
}

impl Ask {
    pub(super) fn get(path: &str) -> Self {
        Self { head: format!("GET {path} HTTP/1.1\r\n"), body: String::new(), status: 200 }
    }

    /// The same with a credential.
    pub(super) fn by(mut self, bearer: &str) -> Self {
        self.head += &format!("authorization: Bearer {bearer}\r\n");
        self
    }

    pub(super) fn post(path: &str, bearer: Option<&str>, body: String, status: u16) -> Self {
        let authorization = bearer.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let head = format!("POST {path} HTTP/1.1\r\ncontent-type: application/json\r\n{authorization}");
        Self { head, body, status }
    }

    /// Sends it and reads the whole answer: its status and its body.
    pub(super) fn send(&self, mut stream: TcpStream) -> io::Result<(u16, String)> {
        stream.set_nodelay(true)?;
        let (head, body) = (&self.head, &self.body);
        let length = body.len();
        let request = format!("{head}host: 127.0.0.1\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no HTTP answer: {answer:?}")))?;
        Ok((status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()))
    }
}
