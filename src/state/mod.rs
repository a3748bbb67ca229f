//! Keyed state: tables that map keys to dense group numbers, in plain vectors that are kept from one use to the next.
//!
//! Place       owned by stateful operators; knows batches and kernels, no operator and no SQL.
//! Owns        keys and slots. Aggregate states lie beside them, indexed by the same group numbers.
//! Invariants  group numbers start at 0, have no gaps and follow the order of first appearance; a cleared table keeps
//!             its memory; NULL is a key like another, all NaN are one key, and so are 0.0 and -0.0.

mod bytes; //    hashes of byte strings
mod column; //   a column of kept rows: appended to, put at places, gathered
mod group; //    keys → group numbers
mod multimap; // rows by key, several per key
mod multiset; // rows with how often each is there, and the last rows of keys
mod rows; //     whole rows in columns, appended and gathered by number
mod section; //  a piece of state as columns, for snapshots
mod slots; //    whole rows at places that are used again

pub use bytes::{BytesHash, Hash};
pub use group::force::seed;
pub use group::{GroupIndex, NO_GROUP};
pub use multimap::{Asked, Multimap, MultimapShape, Pairs, TimeRange, Walk, hash_keys};
pub use multiset::{KeyedLists, KeyedRows, Multiset, row_converter};
pub use rows::StoredRows;
pub use section::{Section, SectionRoute};
pub use slots::{NewRows, SlotRow, Slots};
