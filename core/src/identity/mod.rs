//! Who is the person: verification of ID tokens against the issuer's published keys.
