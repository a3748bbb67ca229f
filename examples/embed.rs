//! Ten lines to a first result: a file becomes a table, a query runs, batches come back.

use millstream::arrow::util::pretty::pretty_format_batches;
use millstream::engine::Engine;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::temp_dir().join(format!("millstream-embed-{}.csv", std::process::id()));
    std::fs::write(&file, "station,degrees\nOslo,-3.5\nCairo,31.2\nOslo,1.5\n")?;

    let engine = Engine::default();
    engine.register_file("weather", &file)?;
    let query = engine
        .sql("SELECT station, COUNT(*) AS n, AVG(degrees) AS mean FROM weather GROUP BY station ORDER BY station")?;
    println!("{}", pretty_format_batches(&query.collect()?)?);

    std::fs::remove_file(&file)?;
    Ok(())
}
