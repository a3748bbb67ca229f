//! The data's way: bytes in and bytes out, a folder per step.

pub mod source; //   1  the outside becomes bytes, or batches where a format has no step between
pub mod decode; //   2  bytes become batches
pub mod exchange; // 3  rows go to the partition that owns their key
pub mod operator; // 4  filter, project, window, aggregate, sort
pub mod encode; //   5  batches become bytes
pub mod sink; //     6  bytes go to the outside
pub mod connect; //     definitions become tables and sinks: the list of connectors
pub mod format; //      the file formats: words, endings, magic bytes
