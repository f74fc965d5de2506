//! Redis: who is alive.
