//! Rows go to the partition that owns their key.
