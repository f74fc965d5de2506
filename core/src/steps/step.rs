//! The steps of operations.

/// A point between two steps of an operation, named after the step that was just done (docs/PROTOCOL.md, section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// ACQUIRE has decided in Redis; PostgreSQL does not have the grant yet.
    Acquire,
    /// The grant is committed in PostgreSQL; neither Redis nor the client was told.
    Grant,
    /// HEARTBEAT answered "unknown"; PostgreSQL was not asked yet.
    Heartbeat,
    /// RELEASE has made its claim in Redis; PostgreSQL does not have the end yet.
    Release,
    /// The end is committed in PostgreSQL; Redis was not told yet.
    EndSeats,
    /// REAP has made its claims in Redis; PostgreSQL does not have the ends yet.
    Reap,
    /// The epoch is raised and the pool is read from PostgreSQL; the copy in Redis is still cold.
    RebuildPool,
    /// REAP answered how the pool was used; PostgreSQL was not told of it yet.
    ReapUsage,
    /// REAP answered what happened to wants; PostgreSQL was not told of it yet.
    ReapWants,
    /// PostgreSQL has what happened to wants; Redis was not told to forget it yet.
    RecordWants,
    /// A change without a ticket is committed in PostgreSQL; Redis was not told yet.
    Change,
    /// Events are published and not yet marked as published.
    Publish,
}
