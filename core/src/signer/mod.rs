//! Keys that sign: the root (Cloud KMS or a local file) and the short-lived instance key it certifies.
