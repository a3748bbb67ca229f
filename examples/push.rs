//! The push side: this program hands over rows as they come, and windows come back as they close.

use std::sync::Arc;

use millstream::arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMillisecondArray};
use millstream::arrow::util::pretty::pretty_format_batches;
use millstream::engine::Engine;
use millstream::stream::source::push::TryPush;

const SQL: &str = "
    SELECT window_start, page, COUNT(*) AS clicks
    FROM TUMBLE(TABLE clicks, DESCRIPTOR(at), INTERVAL '1' MINUTE)
    GROUP BY window_start, window_end, page";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::default();
    engine.execute("CREATE TABLE clicks (at TIMESTAMP(3), page TEXT, WATERMARK FOR at AS at - INTERVAL '5' SECOND)")?;
    let clicks = engine.register_push("clicks", batch(0)?.schema())?;
    let query = engine.sql(SQL)?;

    for minute in 0..3 {
        let mut next = batch(minute)?;
        // A full queue gives the batch back: the query is behind, and this program decides what to do about it.
        while let Err(TryPush::Full(back)) = clicks.try_push(next) {
            next = back;
            std::thread::yield_now();
        }
    }
    clicks.close();

    for rows in query {
        println!("{}", pretty_format_batches(&[rows?.batch])?);
    }
    Ok(())
}

/// The clicks of one minute.
fn batch(minute: i64) -> Result<RecordBatch, Box<dyn std::error::Error>> {
    let times = (0..60).map(|second| 1_700_000_040_000 + (minute * 60 + second) * 1000);
    let pages = (0..60).map(|second| if second % 3 == 0 { "/about" } else { "/" });
    Ok(RecordBatch::try_from_iter([
        ("at", Arc::new(TimestampMillisecondArray::from_iter_values(times)) as ArrayRef),
        ("page", Arc::new(StringArray::from_iter_values(pages))),
    ])?)
}
