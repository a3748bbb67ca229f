//! The strings of Nexmark events, made once per process when first asked for.
//!
//! Owns        a text of random letters per pool; entries are stretches of it, so a pool is its text and a view per
//!             entry, and columns of picked entries share the text.

use std::fmt::Write;
use std::sync::LazyLock;

use arrow::array::{StringViewArray, StringViewBuilder};
use arrow::buffer::Buffer;

use crate::stream::source::datagen::hash::{Hash, high, low};

/// The four channels that half of the bids come from, and as many more as there are rare ones.
pub const CHANNELS_HOT: u64 = 4;
pub const CHANNELS_RARE: u64 = 10_000;

const TEXT_LENGTH: usize = 1 << 20;
const URL_TEXT_LENGTH: usize = 1 << 16;
const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const CITIES: [&str; 10] =
    ["Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"];
const FIRST_NAMES: [&str; 11] =
    ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const LAST_NAMES: [&str; 9] = ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];

/// The strings that one column picks from.
pub type Pool = LazyLock<StringViewArray>;

pub static BID_EXTRA: Pool = LazyLock::new(|| stretches(65536, 54, 28, 1, true));
pub static ITEM: Pool = LazyLock::new(|| stretches(4096, 3, 17, 2, true));
pub static DESCRIPTION: Pool = LazyLock::new(|| stretches(4096, 3, 97, 3, true));
pub static AUCTION_EXTRA: Pool = LazyLock::new(|| stretches(8192, 312, 156, 4, true));
pub static PERSON_EXTRA: Pool = LazyLock::new(|| stretches(8192, 108, 54, 5, true));
pub static CITY: Pool = LazyLock::new(|| CITIES.into_iter().map(Some).collect());
pub static STATE: Pool = LazyLock::new(|| STATES.into_iter().map(Some).collect());
pub static NAME: Pool = LazyLock::new(|| {
    let names = FIRST_NAMES.iter().flat_map(|first| LAST_NAMES.iter().map(move |last| format!("{first} {last}")));
    concatenated(names)
});
pub static EMAIL: Pool = LazyLock::new(|| {
    let (users, hosts) = (stretches(65536, 3, 5, 6, false), stretches(65536, 3, 3, 7, false));
    concatenated((0..65536).map(|i| format!("{}@{}.com", users.value(i), hosts.value(i))))
});
pub static CREDIT_CARD: Pool = LazyLock::new(|| {
    let group = |i: u64, k: u64| low(Hash::new(0).bits(i, 4000 + k), 10_000);
    concatenated(
        (0..65536).map(|i| format!("{:04} {:04} {:04} {:04}", group(i, 0), group(i, 1), group(i, 2), group(i, 3))),
    )
});
pub static CHANNEL: Pool = LazyLock::new(|| {
    let hot = ["Google", "Facebook", "Baidu", "Apple"].map(str::to_string);
    concatenated(hot.into_iter().chain((0..CHANNELS_RARE).map(|i| format!("channel-{i}"))))
});
pub static URL: Pool = LazyLock::new(|| {
    let text = letters(URL_TEXT_LENGTH, 9, false);
    concatenated((0..CHANNELS_HOT + CHANNELS_RARE).map(|i| url(&text, i)))
});

/// The address of channel `i`; nine in ten of the rare ones carry their channel's number, bits reversed.
fn url(text: &str, i: u64) -> String {
    let at = low(Hash::new(0).bits(i, 9), 60_000) as usize;
    let (a, b, c) = (&text[at..at + 5], &text[at + 5..at + 9], &text[at + 9..at + 14]);
    let mut url = format!("https://www.nexmark.com/{a}/{b}/{c}/item.htm?query=1");
    if i >= CHANNELS_HOT && !i.is_multiple_of(10) {
        let number = ((i - CHANNELS_HOT) as u32).reverse_bits() & 0x7FFF_FFFF;
        write!(url, "&channel_id={number}").expect("writing to a string does not fail");
    }
    url
}

/// Random lower-case letters; with `spaced`, one in 13 is a space instead.
fn letters(length: usize, salt: u64, spaced: bool) -> String {
    let letter = |i| {
        let bits = Hash::new(0).bits(i, 1000 + salt);
        if spaced && high(bits, 13) == 0 { ' ' } else { (b'a' + low(bits, 26) as u8) as char }
    };
    (0..length as u64).map(letter).collect()
}

/// `count` stretches of one random text, each `min` to `min + span - 1` long.
fn stretches(count: u64, min: u64, span: u64, salt: u64, spaced: bool) -> StringViewArray {
    let mut pool = StringViewBuilder::with_capacity(count as usize);
    let text = pool.append_block(Buffer::from(letters(TEXT_LENGTH, salt, spaced).into_bytes()));
    for i in 0..count {
        let length = min + low(Hash::new(0).bits(i, 2000 + salt), span);
        let offset = low(Hash::new(0).bits(i, 3000 + salt), TEXT_LENGTH as u64 - min - span);
        pool.try_append_view(text, offset as u32, length as u32).expect("a stretch lies within its text");
    }
    pool.finish()
}

/// The strings one after the other in a single buffer, so that columns share one buffer and not many.
fn concatenated(strings: impl Iterator<Item = String>) -> StringViewArray {
    let strings: Vec<String> = strings.collect();
    let mut pool = StringViewBuilder::with_capacity(strings.len());
    let text = pool.append_block(Buffer::from(strings.concat().into_bytes()));
    let mut offset = 0;
    for string in &strings {
        let length = string.len() as u32;
        pool.try_append_view(text, offset, length).expect("a string lies within its text");
        offset += length;
    }
    pool.finish()
}
