//! Whole tables, read in many ways and compared with Arrow's readers.

use std::path::PathBuf;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::TimeUnit;

use super::*;

/// Random numbers for tests: the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % limit
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

fn request(table: &TextTable, batch_rows: usize) -> ScanRequest {
    ScanRequest {
        projection: (0..table.schema.fields().len()).collect(),
        predicates: Vec::new(),
        batch_rows,
        partitions: 1,
        ordered: true,
        fetch: None,
    }
}

/// All rows of a table, and how many were bad.
fn collect(table: &TextTable, request: &ScanRequest) -> Result<(RecordBatch, u64)> {
    let schema = Arc::new(table.schema.project(&request.projection).unwrap());
    let scan = table.open(request)?;
    let mut records = Vec::new();
    let mut next_sequence = vec![0; table.inputs.len()];
    let mut batch = Batch::default();
    loop {
        match scan.take()? {
            Take::End => break,
            Take::Pending => std::thread::yield_now(),
            Take::Morsel(mut morsel) => {
                assert_eq!(morsel.sequence, next_sequence[morsel.partition]);
                next_sequence[morsel.partition] += 1;
                batch.clear();
                while morsel.reader.read(&mut batch)? {
                    assert!(batch.rows <= request.batch_rows);
                    records.push(batch.to_record(&schema)?);
                    batch.clear();
                }
            }
        }
    }
    let rows: usize = records.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(scan.progress().rows.load(Ordering::Relaxed), rows as u64);
    records.iter().for_each(|record| record.columns().iter().for_each(|c| c.to_data().validate_full().unwrap()));
    Ok((concat_batches(&schema, &records)?, scan.progress().bad_rows.load(Ordering::Relaxed)))
}

fn file(folder: &tempfile::TempDir, name: &str, content: &[u8]) -> Input {
    let path: PathBuf = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    Input::File(path)
}

fn csv(header: bool) -> TextFormat {
    let header = if header { crate::stream::decode::csv::Header::Yes } else { crate::stream::decode::csv::Header::No };
    TextFormat::Csv(CsvOptions { header, ..CsvOptions::default() })
}

fn json() -> TextFormat {
    TextFormat::Json(JsonOptions::default())
}

fn all_types() -> Schema {
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("+02:00".into()));
    let types = [
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(12, 2),
        DataType::Boolean,
        DataType::Date32,
        DataType::Time32(TimeUnit::Second),
        DataType::Time64(TimeUnit::Nanosecond),
        DataType::Timestamp(TimeUnit::Second, None),
        DataType::Timestamp(TimeUnit::Millisecond, None),
        DataType::Timestamp(TimeUnit::Nanosecond, None),
        zoned,
        DataType::Utf8View,
        DataType::Utf8View,
    ];
    let field = |(at, data_type): (usize, &DataType)| Field::new(format!("c{at}"), data_type.clone(), true);
    Schema::new(types.iter().enumerate().map(field).collect::<Vec<_>>())
}

/// The text of a random value of a type, and whether it is a string.
fn value(random: &mut Random, data_type: &DataType) -> String {
    let digits = |random: &mut Random, most: usize| {
        let count = random.below(most) + 1;
        (0..count).map(|_| random.below(10).to_string()).collect::<String>().trim_start_matches('0').to_string() + "7"
    };
    let sign = if random.below(3) == 0 { "-" } else { "" };
    let date = format!("{:04}-{:02}-{:02}", 1900 + random.below(200), 1 + random.below(12), 1 + random.below(28));
    let clock = format!("{:02}:{:02}:{:02}", random.below(24), random.below(60), random.below(60));
    match data_type {
        DataType::Int8 => format!("{sign}{}", random.below(128)),
        DataType::Int16 => format!("{sign}{}", digits(random, 3)),
        DataType::Int32 => format!("{sign}{}", digits(random, 8)),
        DataType::Int64 => format!("{sign}{}", digits(random, 17)),
        DataType::UInt8 => random.below(256).to_string(),
        DataType::UInt16 => digits(random, 3),
        DataType::UInt32 => digits(random, 8),
        DataType::UInt64 => digits(random, 18),
        DataType::Float32 | DataType::Float64 if random.below(4) == 0 => {
            format!("{sign}{}e{}", digits(random, 17), random.below(20))
        }
        DataType::Float32 | DataType::Float64 => format!("{sign}{}.{}", digits(random, 12), digits(random, 12)),
        DataType::Decimal128(..) => format!("{sign}{}.{}", digits(random, 9), random.below(100)),
        DataType::Boolean => random.pick(&["true", "false"]).to_string(),
        DataType::Date32 => date,
        DataType::Time32(_) => clock,
        DataType::Time64(_) => format!("{clock}.{:03}", random.below(1000)),
        DataType::Timestamp(TimeUnit::Second, _) => format!("{date} {clock}"),
        DataType::Timestamp(_, None) => format!("{date}T{clock}.{:06}", random.below(1_000_000)),
        DataType::Timestamp(_, Some(_)) => {
            let offset = random.pick(&["", "Z", "+01:00", "-11:30"]);
            format!("{date}T{clock}.{:03}{offset}", random.below(1000))
        }
        _ => {
            let words = [
                "x",
                "Müller, Söhne",
                "a \"quoted\" word",
                "two\nlines",
                "tail\r\nof",
                "naïve 😀",
                "plain",
                "back\\slash",
                "tab\t",
            ];
            let count = random.below(5) + 1;
            (0..count).map(|_| random.pick(&words)).collect::<Vec<_>>().join(random.pick(&["", " ", ","]))
        }
    }
}

fn csv_field(random: &mut Random, text: &str) -> String {
    let must_quote = text.contains([',', '"', '\n', '\r']) || random.below(5) == 0;
    if must_quote { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_string() }
}

fn random_csv(seed: u64, rows: usize, schema: &Schema, quotes: bool) -> String {
    let mut random = Random(seed);
    let mut out = String::new();
    for _ in 0..rows {
        let fields: Vec<String> = schema
            .fields()
            .iter()
            .map(|field| {
                if random.below(6) == 0 {
                    return String::new();
                }
                let mut text = value(&mut random, field.data_type());
                if quotes {
                    return csv_field(&mut random, &text);
                }
                text.retain(|c| !matches!(c, ',' | '"' | '\n' | '\r'));
                text
            })
            .collect();
        out += &fields.join(",");
        out += random.pick(&["\n", "\r\n"]);
        if random.below(10) == 0 {
            out += "\n";
        }
    }
    out
}

/// Reads a table of strings with Arrow and casts nothing: types are Arrow's own reading of the text.
fn arrow_csv(text: &str, schema: &SchemaRef) -> RecordBatch {
    let plain = |field: &FieldRef| match field.data_type() {
        DataType::Utf8View => Arc::new(Field::new(field.name(), DataType::Utf8, true)),
        _ => field.clone(),
    };
    let plain = Arc::new(Schema::new(schema.fields().iter().map(plain).collect::<Vec<_>>()));
    let reader = arrow::csv::ReaderBuilder::new(plain).with_batch_size(1 << 20).build(text.as_bytes()).unwrap();
    let records: Vec<_> = reader.map(|record| record.unwrap()).collect();
    let columns: Vec<ArrayRef> = (0..schema.fields().len())
        .map(|at| {
            cast(
                &concat_batches(records[0].schema_ref(), &records).unwrap().column(at).clone(),
                schema.field(at).data_type(),
            )
            .unwrap()
        })
        .collect();
    RecordBatch::try_new(schema.clone(), columns).unwrap()
}

#[test]
fn csv_is_what_arrow_reads_whatever_the_blocks_and_batches() {
    let folder = tempfile::tempdir().unwrap();
    for (seed, quotes) in [(1, true), (2, true), (3, false)] {
        let schema = Arc::new(all_types());
        let text = random_csv(seed, 300, &schema, quotes);
        let wanted = arrow_csv(&text, &schema);
        let input = file(&folder, "all.csv", text.as_bytes());
        let table = TextTable::new(vec![input], csv(false), &schema, OnError::Fail).unwrap();
        for (block_bytes, batch_rows) in [(16, 1), (100, 7), (1000, 64), (5000, 8192), (1 << 20, 100), (1 << 20, 8192)]
        {
            let table = table.clone().with_block_bytes(block_bytes);
            let (found, _) = collect(&table, &request(&table, batch_rows)).unwrap();
            assert_eq!(found, wanted, "seed {seed}, blocks of {block_bytes}, batches of {batch_rows}");
        }
    }
}

fn json_schema() -> Schema {
    let mut fields: Vec<FieldRef> = all_types().fields().iter().cloned().collect();
    let item = Arc::new(Field::new("item", DataType::Int64, true));
    let inner = vec![Field::new("x", DataType::Float64, true), Field::new("y", DataType::Utf8View, true)];
    fields.push(Arc::new(Field::new("list", DataType::List(item), true)));
    fields.push(Arc::new(Field::new("struct", DataType::Struct(inner.into()), true)));
    Schema::new(fields)
}

fn json_string(random: &mut Random, text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\u0009",
            _ if random.below(20) == 0 => {
                character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out += &format!("\\u{unit:04X}"))
            }
            _ => out.push(character),
        }
    }
    out + "\""
}

fn json_value(random: &mut Random, data_type: &DataType) -> String {
    match data_type {
        _ if random.below(8) == 0 => "null".to_string(),
        DataType::List(item) => {
            let count = random.below(4);
            format!("[{}]", (0..count).map(|_| json_value(random, item.data_type())).collect::<Vec<_>>().join(" , "))
        }
        DataType::Struct(fields) => {
            let members: Vec<_> =
                fields.iter().map(|f| format!("\"{}\":{}", f.name(), json_value(random, f.data_type()))).collect();
            format!("{{{}}}", members.join(","))
        }
        DataType::Boolean => value(random, data_type),
        data_type if data_type.is_numeric() => {
            let text = value(random, data_type);
            let (sign, digits) = text.strip_prefix('-').map_or(("", &text[..]), |digits| ("-", digits));
            let whole = digits.find(['.', 'e']).unwrap_or(digits.len());
            let kept = digits[..whole].trim_start_matches('0');
            format!("{sign}{}{}", if kept.is_empty() { "0" } else { kept }, &digits[whole..])
        }
        DataType::Timestamp(_, None) if random.below(3) == 0 => format!("{}", random.below(1 << 30)),
        _ => {
            let text = value(random, data_type);
            json_string(random, &text)
        }
    }
}

fn random_json(seed: u64, rows: usize, schema: &Schema) -> String {
    let mut random = Random(seed);
    let mut out = String::new();
    let mut order: Vec<usize> = (0..schema.fields().len()).collect();
    for _ in 0..rows {
        if random.below(10) == 0 {
            let (a, b) = (random.below(order.len()), random.below(order.len()));
            order.swap(a, b);
        }
        let spaced = random.below(3) == 0;
        let mut members = Vec::new();
        for &at in &order {
            let field = schema.field(at);
            if random.below(10) != 0 {
                let colon = if spaced { " : " } else { ":" };
                members.push(format!("\"{}\"{colon}{}", field.name(), json_value(&mut random, field.data_type())));
            }
            if random.below(30) == 0 {
                members.push(r#""unknown":{"a":[1,{"b":"}\"]"},[]],"c":-1.5e-3,"d":{}}"#.to_string());
            }
        }
        out += &format!("{{{}}}", members.join(if spaced { " , " } else { "," }));
        out += random.pick(&["\n", "\r\n", "\n\n", " \n"]);
    }
    out
}

#[test]
fn json_is_what_arrow_reads_whatever_the_blocks_and_batches() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 1..4 {
        let schema = Arc::new(json_schema());
        let text = random_json(seed, 200, &schema);
        let reader =
            arrow::json::ReaderBuilder::new(schema.clone()).with_batch_size(1 << 20).build(text.as_bytes()).unwrap();
        let records: Vec<_> = reader.map(|record| record.unwrap()).collect();
        let wanted = concat_batches(&schema, &records).unwrap();
        let input = file(&folder, "all.json", text.as_bytes());
        let table = TextTable::new(vec![input], json(), &schema, OnError::Fail).unwrap();
        for (block_bytes, batch_rows) in [(16, 1), (3000, 7), (20_000, 8192), (1 << 20, 30), (1 << 20, 8192)] {
            let table = table.clone().with_block_bytes(block_bytes);
            let (found, _) = collect(&table, &request(&table, batch_rows)).unwrap();
            for (column, field) in schema.fields().iter().enumerate() {
                assert_eq!(
                    found.column(column),
                    wanted.column(column),
                    "seed {seed}, {field}, blocks of {block_bytes}"
                );
            }
        }
    }
}
