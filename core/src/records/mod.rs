//! PostgreSQL: what is true.
