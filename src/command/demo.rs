//! `millstream demo`: one windowed query over ten million events, as plain SQL.

use std::io::Write;

use millstream::engine::Engine;

use super::Stop;
use super::arguments::DemoArguments;
use super::output::Output;
use super::session::{Manner, Session};

/// The busiest auctions of any ten seconds.
const SQL: &str = "\
CREATE TABLE bid (
  auction BIGINT, bidder BIGINT, price BIGINT, dateTime TIMESTAMP(3),
  WATERMARK FOR dateTime AS dateTime - INTERVAL '4' SECOND
) WITH ('connector' = 'nexmark', 'type' = 'bid', 'events' = '{events}');

SELECT window_start, auction, COUNT(*) AS bids, MAX(price) AS highest, ROUND(AVG(price), 2) AS average
FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)
GROUP BY window_start, window_end, auction
ORDER BY bids DESC, window_start, auction
LIMIT 10;
";

pub fn run(arguments: &DemoArguments) -> Result<(), Stop> {
    let text = SQL.replace("{events}", &arguments.events.to_string());
    writeln!(std::io::stdout(), "{text}")?;
    let manner = Manner { has_summary: true, ..Manner::of_command(false) };
    let mut session = Session::new(Engine::new(arguments.engine.config()), Output::default(), manner)?;
    session.run_text(&text)
}
