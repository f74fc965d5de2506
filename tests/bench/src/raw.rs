//! The limit of Redis: the same command that a service sent, sent again without the service.

use crate::load::{Tally, gather};
use redis::aio::MultiplexedConnection;
use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    task::JoinSet,
};

/// A command with its arguments.
pub(crate) type Arguments = Vec<Vec<u8>>;

/// What `ask` made somebody send: the first EVALSHA that Redis was given meanwhile. So the limit is measured with the script and the
/// arguments of the function under test, whatever they are.
pub(crate) async fn overheard(socket: &str, ask: impl Future<Output = ()>) -> Arguments {
    let mut stream = BufReader::new(UnixStream::connect(socket).await.expect("Redis listens"));
    stream.write_all(b"MONITOR\r\n").await.unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    ask.await;
    loop {
        line.clear();
        stream.read_line(&mut line).await.expect("Redis tells what it was asked");
        let words = words(&line);
        if words.first().is_some_and(|word| word.eq_ignore_ascii_case(b"evalsha")) {
            return words;
        }
    }
}

/// The quoted words of a line of MONITOR.
fn words(line: &str) -> Arguments {
    let (mut words, mut bytes) = (Vec::new(), line.bytes());
    while bytes.any(|b| b == b'"') {
        let mut word = Vec::new();
        while let Some(b) = bytes.next().filter(|&b| b != b'"') {
            word.push(match b {
                b'\\' => match bytes.next() {
                    Some(b'n') => b'\n',
                    Some(b'r') => b'\r',
                    Some(b't') => b'\t',
                    Some(b'x') => {
                        let digits = [bytes.next(), bytes.next()].map(Option::unwrap_or_default);
                        let digits = String::from_utf8_lossy(&digits).into_owned();
                        u8::from_str_radix(&digits, 16).unwrap_or_default()
                    }
                    other => other.unwrap_or_default(),
                },
                plain => plain,
            });
        }
        words.push(word);
    }
    words
}

/// `clients` callers of one multiplexed connection, as the functions use it, on a runtime like theirs.
pub(crate) fn through_client(
    url: &str,
    clients: usize,
    time: Duration,
    commands: Arc<Vec<Arguments>>,
) -> (Tally, Duration) {
    let url = url.to_owned();
    let run = move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let client = redis::Client::open(url).expect("an address");
            let patient = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(2)));
            let connection =
                client.get_multiplexed_async_connection_with_config(&patient).await.expect("Redis listens");
            let began = Instant::now();
            let mut set = JoinSet::new();
            for first in 0..clients {
                let (mut connection, commands) = (connection.clone(), Arc::clone(&commands));
                set.spawn(async move {
                    let mut tally = Tally::default();
                    let mut at = first % commands.len();
                    while began.elapsed() < time {
                        let asked = Instant::now();
                        send(&mut connection, &commands[at]).await;
                        tally.record(asked.elapsed());
                        at = (at + clients) % commands.len();
                    }
                    tally
                });
            }
            (gather(set).await, began.elapsed())
        })
    };
    std::thread::spawn(run).join().expect("it ends well")
}

async fn send(connection: &mut MultiplexedConnection, arguments: &Arguments) {
    let mut command = redis::Cmd::with_capacity(arguments.len(), arguments.iter().map(Vec::len).sum());
    for argument in arguments {
        command.arg(argument.as_slice());
    }
    let answer: redis::RedisResult<redis::Value> = command.query_async(connection).await;
    answer.expect("the script answers");
}

/// The same one command through Redis's own load generator: requests a second, and its p50 and p99 in milliseconds. `None` where it is
/// not installed.
pub(crate) fn redis_benchmark(socket: &str, clients: usize, requests: u64, arguments: &Arguments) -> Option<[f64; 3]> {
    use std::os::unix::ffi::OsStrExt;
    let mut command = Command::new("redis-benchmark");
    command.args(["-s", socket, "-c", &clients.to_string(), "-n", &requests.to_string(), "--csv"]);
    command.args(arguments.iter().map(|word| std::ffi::OsStr::from_bytes(word)));
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
    let line = text.lines().last()?;
    let number = |at: usize| line.rsplit(',').nth(at)?.trim_matches('"').parse::<f64>().ok();
    Some([number(6)?, number(3)?, number(1)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_redis_was_asked_is_read_with_its_quotes_and_escapes() {
        let line = r#"+1.2 [0 unix:/x] "evalsha" "ab" "" "a \"b\" \\ \x00\n""#;
        let expected: Arguments = [&b"evalsha"[..], b"ab", b"", b"a \"b\" \\ \x00\n"].map(<[u8]>::to_vec).to_vec();
        assert_eq!(words(line), expected);
    }
}
