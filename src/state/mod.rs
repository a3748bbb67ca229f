//! state (in the making).
