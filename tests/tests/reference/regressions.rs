//! Cases that once disagreed, or that a reader should see agree, as they were found.
