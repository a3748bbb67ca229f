//! decode (in the making).
