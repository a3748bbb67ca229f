//! sink (in the making).
