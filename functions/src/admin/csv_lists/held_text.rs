//! The text of answers that are being collected or sent, and the memory that they take together.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
};

/// Of all answers of this process, in bytes: a quarter of the memory that an instance is given (256 MiB). Beyond it,
/// answers end after their first page.
const MOST_HELD: usize = 64 << 20;

/// What this process holds.
pub(super) static HELD: TextMemory = TextMemory::new(MOST_HELD);

/// Counts the text that is held, in bytes.
pub(super) struct TextMemory {
    held: AtomicUsize,
    most: usize,
}

impl TextMemory {
    pub(super) const fn new(most: usize) -> Self {
        Self { held: AtomicUsize::new(0), most }
    }

    /// Whether no answer should take more.
    pub(super) fn is_full(&self) -> bool {
        self.held.load(Ordering::Relaxed) >= self.most
    }

    /// Counts a text until it is dropped, which is when it was sent or its client has gone.
    pub(super) fn hold(&'static self, mut text: Vec<u8>) -> Bytes {
        text.shrink_to_fit();
        self.held.fetch_add(text.len(), Ordering::Relaxed);
        Bytes::from_owner(HeldText { text, memory: self })
    }
}

struct HeldText {
    text: Vec<u8>,
    memory: &'static TextMemory,
}

impl AsRef<[u8]> for HeldText {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Drop for HeldText {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.text.len(), Ordering::Relaxed);
    }
}

/// Texts as one body whose length is known. Each text is given back as soon as it was sent, so that a slow client does
/// not keep the whole.
pub(super) struct HeldBody(VecDeque<Bytes>);

impl HeldBody {
    pub(super) fn new(texts: Vec<Bytes>) -> Self {
        // An empty frame would end the body for some readers.
        Self(texts.into_iter().filter(|text| !text.is_empty()).collect())
    }
}

impl Body for HeldBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|text| Ok(Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|text| text.len() as u64).sum())
    }
}
