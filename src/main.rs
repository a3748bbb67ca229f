//! tmp
use millstream::engine::*;
fn main() {
    let mut config = millstream::config::Config::default();
    let args: Vec<String> = std::env::args().collect();
    if let Ok(p) = std::env::var("P") { config.partitions = p.parse().unwrap(); }
    if let Ok(p) = std::env::var("B") { config.batch_rows = p.parse().unwrap(); }
    let engine = Engine::new(config);
    let t = std::time::Instant::now();
    match engine.execute(&args[1]) {
        Ok(Outcome::Query(mut q)) => {
            let mut n = 0;
            loop { match q.next_rows() { Ok(Some(r)) => { n += r.batch.num_rows(); if std::env::var("SHOW").is_ok() { println!("{}", arrow::util::pretty::pretty_format_batches(&[r.batch]).unwrap()); if let Some(c) = r.changes { println!("{:?}", c); } } }, Ok(None) => break, Err(e) => { println!("error: {e}"); return } } }
            println!("{n} rows {:?} late {} in {}", t.elapsed(), q.metrics().late_rows, q.metrics().rows_in);
        }
        Ok(Outcome::Text(t)) | Ok(Outcome::Done(t)) => println!("{t}"),
        Err(e) => println!("error: {e}"),
    }
}
