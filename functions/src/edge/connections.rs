//! Connections: how long the listener waits for whoever is at the other end. How many it keeps stands in
//! `connection_limit.rs`.
//!
//! hyper's own timer for heads would count from the end of the last answer: it closes idle connections as soon as slow
//! heads, and then a proxy in front sends its next request into a connection that was just closed. So the time is kept
//! here, below hyper, where bytes pass.

use super::{
    connection_limit::{ConnectionEvicted, ConnectionSlot, ConnectionSlots, SlotUse},
    rare_warning::RareWarning,
};
use axum::{BoxError, Router, body::Body};
use http::Request;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::TokioIo,
    server::graceful::{GracefulConnection, GracefulShutdown},
};
use license_core::error::chain;
use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Instant, Sleep, sleep_until},
};
use tower::ServiceExt;

/// How long the listener waits for whoever is at the other end.
#[derive(Clone, Copy, Debug)]
pub struct ClientPatience {
    /// For the head of a request, from its first byte to its last, and for the first byte of a new connection: 20 s.
    pub head: Duration,
    /// For the next request on a connection that had an answer: 620 s, longer than proxies keep connections that they
    /// do not use (Google's 600 s), so that it is they who close.
    pub idle: Duration,
    /// For an answer to be taken, from when the way took no more of it: 30 s.
    pub answer: Duration,
}

impl Default for ClientPatience {
    fn default() -> Self {
        let [head, idle, answer] = [20, 620, 30].map(Duration::from_secs);
        Self { head, idle, answer }
    }
}

/// The most bytes of a head that are kept, 32 KiB: half of what one may be, since the buffer may grow to twice as much
/// when it is read.
const HEAD: usize = 32 << 10;

/// Answers connections with `app` until `stop` resolves, then closes those that wait for a request and lets requests
/// under way finish.
pub(super) async fn accept(
    listener: TcpListener,
    app: Router,
    patience: ClientPatience,
    slots: Arc<ConnectionSlots>,
    stop: impl Future<Output = ()>,
) -> GracefulShutdown {
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            let (stream, peer) = accepted(&listener, &slots).await;
            (stream, peer, slots.slot(peer.ip()).await)
        };
        let accepted = tokio::select! { () = &mut stop => break, accepted = accepted => accepted };
        let (stream, peer, Some(slot)) = accepted else { continue };
        let connection = connection(stream, peer, app.clone(), patience, Arc::new(slot));
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::trace!(error = %chain(&error), "a connection ended");
            }
        });
    }
    // Half a request is none under way.
    slots.close();
    connections
}

/// A connection that is answered with `app`, from its first request to its last.
fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    app: Router,
    patience: ClientPatience,
    slot: Arc<ConnectionSlot>,
) -> impl GracefulConnection<Error = hyper::Error> + Send + 'static {
    // Answers are one small packet each: waiting to fill it would cost every client 40 ms.
    let _ = stream.set_nodelay(true);
    let requests = Arc::<RequestCount>::default();
    let stream = PatientStream::new(stream, patience, Arc::clone(&slot), Arc::clone(&requests));
    let service = service_fn(move |request: Request<Incoming>| {
        let (app, answering) = (app.clone(), PendingAnswer::begin(&requests, &slot));
        let slot = Arc::clone(&slot);
        let mut request = request.map(|body| Body::new(ArrivingBody { body, slot, waits: false }));
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        async move {
            let Ok(response) = app.oneshot(request).await;
            Ok::<_, Infallible>(response.map(|body| AnswerBody { body, _answering: answering }))
        }
    });
    http1::Builder::new().max_buf_size(HEAD).serve_connection(TokioIo::new(stream), service)
}

async fn accepted(listener: &TcpListener, slots: &ConnectionSlots) -> (TcpStream, SocketAddr) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // Gone before it was looked at.
            Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) => {}
            // Most likely no more files may be open.
            Err(error) => {
                static SAID: RareWarning = RareWarning::new();
                if SAID.due(std::time::Instant::now()) {
                    tracing::error!(error = %chain(&error), "a connection could not be accepted");
                }
                slots.evict_one().await;
            }
        }
    }
}

/// How many requests of a connection were begun and were answered.
#[derive(Default)]
struct RequestCount {
    begun: AtomicU64,
    answered: AtomicU64,
}

/// That a request is under way: until its answer was handed over whole, or given up.
struct PendingAnswer {
    requests: Arc<RequestCount>,
    slot: Arc<ConnectionSlot>,
}

impl PendingAnswer {
    fn begin(requests: &Arc<RequestCount>, slot: &Arc<ConnectionSlot>) -> Self {
        requests.begun.fetch_add(1, Ordering::Relaxed);
        slot.works();
        Self { requests: Arc::clone(requests), slot: Arc::clone(slot) }
    }
}

impl Drop for PendingAnswer {
    fn drop(&mut self) {
        self.requests.answered.fetch_add(1, Ordering::Relaxed);
        self.slot.waits(SlotUse::Request);
    }
}

/// A body that the client is still sending. Its connection may be closed for others while nothing of it comes.
struct ArrivingBody {
    body: Incoming,
    slot: Arc<ConnectionSlot>,
    waits: bool,
}

impl HttpBody for ArrivingBody {
    type Data = bytes::Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, BoxError>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        match &frame {
            Poll::Pending => {
                this.waits = true;
                this.slot.waits(SlotUse::Client);
                if this.slot.poll_leave(cx).is_ready() {
                    return Poll::Ready(Some(Err(ConnectionEvicted.into())));
                }
            }
            // Drop by drop it has waited since the first.
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(_) => this.here(cx),
        }
        frame.map(|frame| frame.map(|frame| frame.map_err(BoxError::from)))
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl ArrivingBody {
    /// Nothing more comes, or nobody wants it: it is our turn. One that was asked to leave does so when it has said
    /// why.
    fn here(&mut self, cx: &mut Context<'_>) {
        if std::mem::take(&mut self.waits) && self.slot.poll_leave(cx).is_pending() {
            self.slot.works();
        }
    }
}

impl Drop for ArrivingBody {
    fn drop(&mut self) {
        self.here(&mut Context::from_waker(std::task::Waker::noop()));
    }
}

/// A body that knows whose answer it is.
struct AnswerBody {
    body: Body,
    _answering: PendingAnswer,
}

impl HttpBody for AnswerBody {
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
struct PatientStream<S> {
    stream: S,
    patience: ClientPatience,
    slot: Arc<ConnectionSlot>,
    requests: Arc<RequestCount>,
    waiting: Option<RequestWait>,
    /// Wakes the connection when it has waited too long for a request.
    alarm: Pin<Box<Sleep>>,
    /// True once hyper was woken to read of the end.
    told: bool,
    /// Until when what there is to say must have been taken; `None` where the way took all of it.
    answer: Option<Pin<Box<Sleep>>>,
}

/// The wait for a request.
struct RequestWait {
    /// How many were answered before.
    after: u64,
    until: Instant,
    /// True as soon as a byte of it came.
    begun: bool,
}

impl<S> PatientStream<S> {
    fn new(stream: S, patience: ClientPatience, slot: Arc<ConnectionSlot>, requests: Arc<RequestCount>) -> Self {
        let alarm = Box::pin(sleep_until(Instant::now() + patience.head));
        slot.waits(SlotUse::Request);
        Self { stream, patience, slot, requests, waiting: None, alarm, told: false, answer: None }
    }

    /// The wait for the next request, which begins when the one before was answered; `None` while one is under way.
    fn waiting(&mut self) -> Option<&mut RequestWait> {
        let after = self.requests.answered.load(Ordering::Relaxed);
        if self.requests.begun.load(Ordering::Relaxed) != after {
            self.waiting = None;
        } else if self.waiting.as_ref().is_none_or(|waiting| waiting.after != after) {
            let patience = if after == 0 { self.patience.head } else { self.patience.idle };
            self.waiting = Some(RequestWait { after, until: Instant::now() + patience, begun: false });
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

    /// Nothing came: true where it was waited for long enough, or others need the slot.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(waiting) = self.waiting() else { return false };
        let until = waiting.until;
        if self.alarm.deadline() != until {
            self.alarm.as_mut().reset(until);
        }
        self.slot.poll_leave(cx).is_ready() || self.alarm.as_mut().poll(cx).is_ready()
    }

    /// An error instead of a wait that is too long, or whose slot others need.
    fn taken<T>(&mut self, cx: &mut Context<'_>, taken: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if taken.is_ready() {
            return taken;
        }
        let until = Instant::now() + self.patience.answer;
        let alarm = self.answer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        self.slot.waits(SlotUse::Client);
        if self.slot.poll_leave(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        alarm.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PatientStream<S> {
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

impl<S: AsyncWrite + Unpin> AsyncWrite for PatientStream<S> {
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
            if this.answer.take().is_some() {
                match this.waiting() {
                    Some(_) => this.slot.waits(SlotUse::Request),
                    None => this.slot.works(),
                }
            }
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
