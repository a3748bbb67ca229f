//! A lookup join: what a stream names by its key is asked for where it is kept, a batch of keys at a time, and remembered.

use std::collections::HashMap;
use std::sync::Arc;

use millstream::arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use millstream::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use millstream::arrow::util::pretty::pretty_format_batches;
use millstream::engine::{Engine, LookupOptions};

const SQL: &str = "
    SELECT o.id, o.customer, c.name
    FROM orders AS o LEFT JOIN customers AS c ON o.customer = c.id
    ORDER BY o.id";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::default();
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("name", DataType::Utf8, false),
    ]));
    // In earnest this would be a database or a cache over the network; rows come back in any order.
    let kept = HashMap::from([(1, "Ada"), (2, "Grace"), (3, "Edsger")]);
    let ask = {
        let schema = schema.clone();
        move |keys: &RecordBatch| {
            let wanted = keys.column(0).as_primitive::<Int64Type>();
            let found: Vec<(i64, &str)> =
                wanted.values().iter().filter_map(|key| Some((*key, *kept.get(key)?))).collect();
            let ids = found.iter().map(|row| row.0).collect::<millstream::arrow::array::Int64Array>();
            let names = StringArray::from_iter_values(found.iter().map(|row| row.1));
            Ok(RecordBatch::try_new(schema.clone(), vec![Arc::new(ids) as ArrayRef, Arc::new(names)])?)
        }
    };
    engine.lookup_table("customers", schema, &["id"], LookupOptions::default(), ask)?;
    engine.execute(
        "CREATE TABLE orders AS SELECT * FROM (VALUES (100, 3), (101, 1), (102, 3), (103, 9)) AS v(id, customer)",
    )?;

    let batches = engine.sql(SQL)?.collect()?;
    println!("{}", pretty_format_batches(&batches)?);
    Ok(())
}
