//! Connections: how long the listener waits for whoever is at the other end, and how many it keeps.
//!
//! hyper's own timer for heads would count from the end of the last answer: it closes idle connections as soon as slow heads, and then a
//! proxy in front sends its next request into a connection that was just closed. So the time is kept here, below hyper, where bytes pass.

use super::seldom::Seldom;
use axum::{Router, body::Body};
use http::Request;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore, futures::OwnedNotified},
    time::{Instant, Sleep, sleep_until},
};
use tower::ServiceExt;

/// How long the listener waits for whoever is at the other end.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the head of a request, from its first byte to its last, and for the first byte of a new connection: 20 s.
    pub head: Duration,
    /// For the next request on a connection that had an answer: 620 s, longer than proxies keep connections that they do not use (Google's
    /// 600 s), so that it is they who close.
    pub idle: Duration,
    /// For an answer to be taken, from when there was no more room for it on the way: 30 s.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let [head, idle, answer] = [20, 620, 30].map(Duration::from_secs);
        Self { head, idle, answer }
    }
}

/// Room for so many connections at once. When there is none for a new one, that which has waited longest for a request is closed for it:
/// nobody is kept out by connections that only wait, however many somebody opens.
#[derive(Debug)]
pub struct Room {
    free: Arc<Semaphore>,
    /// Wakes them in the order in which they began to wait.
    waiting: Arc<Notify>,
}

impl Room {
    /// For so many connections.
    pub fn new(connections: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(connections)), waiting: Arc::default() }
    }

    /// The room of this process, which all its listeners share: for 4096, or for three quarters of the files it may open where that is less,
    /// since its own connections to stores need some too.
    pub fn of_process() -> Arc<Self> {
        const MOST: usize = 4096;
        static ROOM: LazyLock<Arc<Room>> = LazyLock::new(|| {
            #[cfg(unix)]
            let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
            #[cfg(not(unix))]
            let files: Option<u64> = None;
            let files = files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
            Arc::new(Room::new(MOST.min(files / 4 * 3).max(1)))
        });
        Arc::clone(&ROOM)
    }

    /// A place, as soon as there is one.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        let free = Arc::clone(&self.free);
        if let Ok(place) = Arc::clone(&free).try_acquire_owned() {
            return Some(place);
        }
        self.crowded();
        free.acquire_owned().await.ok()
    }

    fn crowded(&self) {
        static SAID: Seldom = Seldom::new();
        if SAID.due(std::time::Instant::now()) {
            tracing::warn!("no room for another connection: those that have waited longest for a request are closed");
        }
        self.waiting.notify_one();
    }
}

/// Answers connections with `app` until `stop` resolves, then closes those that wait for a request and lets requests under way finish.
pub(super) async fn accept(
    listener: TcpListener,
    app: Router,
    patience: Patience,
    room: Arc<Room>,
    stop: impl Future<Output = ()>,
) -> GracefulShutdown {
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            let (stream, peer) = accepted(&listener, &room).await;
            Some((stream, peer, room.place().await?))
        };
        let accepted = tokio::select! { () = &mut stop => break, accepted = accepted => accepted };
        let Some((stream, peer, place)) = accepted else { break };
        // Answers are one small packet each: waiting to fill it would cost every client 40 ms.
        let _ = stream.set_nodelay(true);
        let requests = Arc::<Requests>::default();
        let stream = Patient::new(stream, patience, Arc::clone(&room.waiting), Arc::clone(&requests));
        let app = app.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let (app, answering) = (app.clone(), Answering::begin(&requests));
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
            async move {
                let Ok(response) = app.oneshot(request).await;
                Ok::<_, Infallible>(response.map(|body| Answer { body, _answering: answering }))
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::trace!(%error, "a connection ended");
            }
            drop(place);
        });
    }
    // Half a request is none under way.
    room.waiting.notify_waiters();
    connections
}

async fn accepted(listener: &TcpListener, room: &Room) -> (TcpStream, SocketAddr) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // Gone before it was looked at.
            Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) => {}
            // Most likely no more files may be open: room is made, and takes a moment.
            Err(error) => {
                tracing::error!(%error, "a connection could not be accepted");
                room.crowded();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// How many requests of a connection were begun and were answered.
#[derive(Default)]
struct Requests {
    begun: AtomicU64,
    answered: AtomicU64,
}

/// That a request is under way: until its answer was handed over whole, or given up.
struct Answering(Arc<Requests>);

impl Answering {
    fn begin(requests: &Arc<Requests>) -> Self {
        requests.begun.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(requests))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// A body that knows whose answer it is.
struct Answer {
    body: Body,
    _answering: Answering,
}

impl HttpBody for Answer {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that ends when its client is too slow: reading tells of an end where none of the client's was.
struct Patient<S> {
    stream: S,
    patience: Patience,
    crowded: Arc<Notify>,
    requests: Arc<Requests>,
    waiting: Option<Waiting>,
    /// Wakes the connection when it has waited too long for a request.
    alarm: Pin<Box<Sleep>>,
    /// True once hyper was woken to read of the end.
    told: bool,
    /// Until when what there is to say must have been taken; `None` where there was room for all of it.
    answer: Option<Pin<Box<Sleep>>>,
}

/// The wait for a request.
struct Waiting {
    /// How many were answered before.
    after: u64,
    until: Instant,
    /// True as soon as a byte of it came.
    begun: bool,
    crowded: Pin<Box<OwnedNotified>>,
}

impl<S> Patient<S> {
    fn new(stream: S, patience: Patience, crowded: Arc<Notify>, requests: Arc<Requests>) -> Self {
        let alarm = Box::pin(sleep_until(Instant::now() + patience.head));
        Self { stream, patience, crowded, requests, waiting: None, alarm, told: false, answer: None }
    }

    /// The wait for the next request, which begins when the one before was answered; `None` while one is under way.
    fn waiting(&mut self) -> Option<&mut Waiting> {
        let after = self.requests.answered.load(Ordering::Relaxed);
        if self.requests.begun.load(Ordering::Relaxed) != after {
            self.waiting = None;
        } else if self.waiting.as_ref().is_none_or(|waiting| waiting.after != after) {
            let patience = if after == 0 { self.patience.head } else { self.patience.idle };
            let crowded = Box::pin(Arc::clone(&self.crowded).notified_owned());
            self.waiting = Some(Waiting { after, until: Instant::now() + patience, begun: false, crowded });
        }
        self.waiting.as_mut()
    }

    /// Bytes of a request came.
    fn came(&mut self) {
        let until = Instant::now() + self.patience.head;
        if let Some(waiting) = self.waiting().filter(|waiting| !waiting.begun) {
            (waiting.begun, waiting.until) = (true, until);
        }
    }

    /// Nothing came: true where it was waited for long enough, or others need the place.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(waiting) = self.waiting() else { return false };
        let (until, crowded) = (waiting.until, waiting.crowded.as_mut().poll(cx).is_ready());
        if self.alarm.deadline() != until {
            self.alarm.as_mut().reset(until);
        }
        crowded || self.alarm.as_mut().poll(cx).is_ready()
    }

    /// An error instead of a wait that is too long.
    fn taken<T>(&mut self, cx: &mut Context<'_>, taken: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if taken.is_ready() {
            return taken;
        }
        let until = Instant::now() + self.patience.answer;
        let alarm = self.answer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        alarm.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            this.came();
        }
        if read.is_pending() && this.is_over(cx) {
            return Poll::Ready(Ok(()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let taken = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.taken(cx, taken)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let taken = Pin::new(&mut this.stream).poll_write_vectored(cx, bytes);
        this.taken(cx, taken)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper asks for it when it has handed everything over.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        if flushed.is_ready() {
            this.answer = None;
            // The wait for the next request begins now. hyper reads on when bytes come, or when it is woken.
            if this.is_over(cx) && !std::mem::replace(&mut this.told, true) {
                cx.waker().wake_by_ref();
            }
        }
        this.taken(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
