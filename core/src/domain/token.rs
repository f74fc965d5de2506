//! License tokens, refusals and certificates: claims, bytes to sign, and the offline verification clients do.
