//! encode (in the making).
