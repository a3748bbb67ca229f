//! Whole tables, read in many ways and compared with Arrow's readers.

use std::path::PathBuf;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, TimeUnit};

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
        system: Vec::new(),
        projection: (0..table.schema.fields().len()).collect(),
        predicates: Vec::new(),
        batch_rows,
        partitions: 1,
        ordered: true,
        event_time: None,
        fetch: None,
        dictionaries: false,
        counts_rows: false,
        pushed: Default::default(),
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

/// The rows of a text under `skip`, as strings, how many were left out, and the error under `fail`.
fn outcome(format: TextFormat, schema: &Schema, text: &[u8]) -> (String, u64, Option<String>) {
    let input = || {
        let text = text.to_vec();
        Input::stream("t", move || Ok(Box::new(std::io::Cursor::new(text))))
    };
    let table = TextTable::new(vec![input()], format.clone(), schema, OnError::Skip).unwrap();
    let (record, bad) = collect(&table, &request(&table, 100)).unwrap();
    let options = arrow::util::display::FormatOptions::default().with_null("NULL");
    let show = |column: &ArrayRef, row| {
        arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap().value(row).to_string()
    };
    let show_row = |row| record.columns().iter().map(|column| show(column, row)).collect::<Vec<_>>().join(" ");
    let rows: Vec<String> = (0..record.num_rows()).map(show_row).collect();
    let table = TextTable::new(vec![input()], format, schema, OnError::Fail).unwrap();
    let error = collect(&table, &request(&table, 100)).err().map(|error| error.message().to_string());
    (rows.join("; "), bad, error)
}

fn two_columns() -> Schema {
    Schema::new(vec![Field::new("n", DataType::Int32, true), Field::new("s", DataType::Utf8View, true)])
}

fn check_csv(text: &[u8], rows: &str, bad: u64, error: Option<&str>) {
    let found = outcome(csv(false), &two_columns(), text);
    let error = error.map(|error| format!("{error}; mend the line, or leave such lines out with 'on_error' = 'skip'"));
    assert_eq!(found, (rows.to_string(), bad, error), "{}", String::from_utf8_lossy(text));
}

#[test]
fn bad_rows_of_csv_are_told_or_left_out() {
    check_csv(b"1,a\n2,b\n", "1 a; 2 b", 0, None);
    let error = "value does not fit its column: line 2 of t, column n, expected Int32, found 'x'";
    check_csv(b"1,a\nx,b\n3,c\n", "1 a; 3 c", 1, Some(error));
    let error = "value does not fit its column: line 1 of t, column n, expected Int32, found '2147483648'";
    check_csv(b"2147483648,a\n2,b\n", "2 b", 1, Some(error));
    let error = "row has another number of fields than the table: line 2 of t, expected 2, found 1";
    check_csv(b"1,a\n2\n3,c\n", "1 a; 3 c", 1, Some(error));
    let error = "row has another number of fields than the table: line 3 of t, expected 2, found 4";
    check_csv(b"1,a\n\n2,b,c,\n3,c\n", "1 a; 3 c", 1, Some(error));
    let error = "quote is never closed: line 2 of t, it opens at '\"b'";
    check_csv(b"1,a\n2,\"b\n3,c\n", "1 a; 3 c", 1, Some(error));
    let error = "text follows a closing quote: line 1 of t, column s, found '\"a\"b'";
    check_csv(b"1,\"a\"b\n2,b\n", "2 b", 1, Some(error));
    let error = "text is not UTF-8: line 2 of t, column s, found 'b\u{fffd}'";
    check_csv(b"1,a\n2,b\xff\n3,\xc3\xa4 and more than twelve\n", "1 a; 3 \u{e4} and more than twelve", 1, Some(error));
    let error = "value does not fit its column: line 3 of t, column n, expected Int32, found 'z'";
    check_csv(b"1,\"a\nb\"\nz,c\nz,d\n5,e\n", "1 a\nb; 5 e", 2, Some(error));
}

#[test]
fn fields_of_csv_are_what_they_look_like() {
    check_csv(b"1,\n2,\"\"\n,x\n\"\",y\n\"5\",\"z\"\n 6 ,\" w \"\n", "1 NULL; 2 ; NULL x; NULL y; 5 z; 6  w ", 0, None);
    check_csv(b"1,5\" pipe\n2,a\"\"b\n3,\"say \"\"hi\"\"\"\n", "1 5\" pipe; 2 a\"\"b; 3 say \"hi\"", 0, None);
    check_csv(b"1,a,\r\n2,b\r\n3,c,\r\n", "1 a; 2 b; 3 c", 0, None);
    check_csv(b"\n\r\n1,a\n\n", "1 a", 0, None);
    check_csv(b"", "", 0, None);
    check_csv(b"1,a", "1 a", 0, None);
}

#[test]
fn options_of_csv_are_obeyed() {
    let parse = |options: &[(&str, &str)]| {
        let map = options.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let mut options = crate::pipeline::options::Options::new(&map);
        let (format, _) = TextFormat::take("csv", &mut options)?;
        options.finish().map(|()| format)
    };
    let options =
        parse(&[("delimiter", "\\t"), ("quote", "'"), ("escape", "\\"), ("null", "NA,-"), ("header", "false")])
            .unwrap();
    let text = b"1\t'a\\'b\\\\c'\n-\tNA\n3\t'NA'\n4\t\n";
    let found = outcome(options, &two_columns(), text);
    assert_eq!(found, ("1 a'b\\c; NULL NULL; 3 NA; 4 ".to_string(), 0, None));
    let error = parse(&[("delimeter", ";")]).unwrap_err().to_string();
    assert_eq!(
        error,
        "unknown option: 'delimeter'; the options known here are delimiter, escape, header, null, on_error, quote"
    );
    for wrong in [("delimiter", "ab"), ("quote", "\n"), ("header", "perhaps"), ("delimiter", "\""), ("on_error", "log")]
    {
        assert!(parse(&[wrong]).is_err(), "{wrong:?}");
    }
}

#[test]
fn columns_may_not_be_null_where_they_are_declared_so() {
    let schema = Schema::new(vec![Field::new("n", DataType::Int32, false), Field::new("s", DataType::Utf8View, false)]);
    let (rows, bad, error) = outcome(csv(false), &schema, b"1,a\n,b\n3,\n4,\"\"\n");
    assert_eq!((rows.as_str(), bad), ("1 a; 4 ", 2));
    assert!(error.unwrap().starts_with("null in a column declared NOT NULL: line 2 of t, column n"));
    let (rows, bad, _) = outcome(json(), &schema, b"{\"n\":1,\"s\":\"a\"}\n{\"n\":2}\n{\"s\":\"c\",\"n\":null}\n");
    assert_eq!((rows.as_str(), bad), ("1 a", 2));
}

fn check_json(line: &str, wanted: &str) {
    let (rows, bad, error) = outcome(json(), &two_columns(), format!("{{}}\n{line}\n{{\"n\":7}}\n").as_bytes());
    let wanted_rows =
        if wanted.is_empty() { "NULL NULL; 7 NULL".to_string() } else { format!("NULL NULL; {wanted}; 7 NULL") };
    assert_eq!((rows, bad), (wanted_rows, wanted.is_empty() as u64), "{line}");
    assert_eq!(error.is_some(), wanted.is_empty(), "{line}: {error:?}");
    assert!(error.is_none_or(|error| error.contains("line 2 of t")), "{line}");
}

#[test]
fn lines_of_json_are_read_strictly() {
    check_json(r#" {"s" : "x" , "n" : 5 } "#, "5 x");
    check_json(r#"{"n":1,"n":2,"s":"a","s":null}"#, "2 NULL");
    check_json(r#"{"N":3,"S":"y"}"#, "3 y");
    check_json(r#"{"\u006e":4,"s":"\u00e4\ud83d\ude00"}"#, "4 ä😀");
    check_json(r#"{"n":1e3,"s":1.50}"#, "1000 1.50");
    check_json(r#"{"n":-2.0,"s":{"a":[1, 2]}}"#, "-2 {\"a\":[1, 2]}");
    check_json(r#"{"n":"12","s":true}"#, "12 true");
    let bad = [
        r#"{"n":1.5}"#,
        r#"{"n":2147483648}"#,
        r#"{"n":true}"#,
        r#"{"n":[1]}"#,
        r#"{"n":"x"}"#,
        r#"{"n":01}"#,
        r#"{"n":-}"#,
        r#"{"n":1.}"#,
        r#"{"n":.5}"#,
        r#"{"n":1e}"#,
        r#"{"n":+1}"#,
        r#"{"n":NaN}"#,
        r#"{"n":1,}"#,
        r#"{,}"#,
        r#"{"n" 1}"#,
        r#"{"n":1"#,
        r#"{"n":1}}"#,
        r#"{"n":1} x"#,
        r#"[1]"#,
        r#"1"#,
        r#"null"#,
        r#"{"s":"a}"#,
        r#"{"s":"\x"}"#,
        r#"{"s":"\u12"}"#,
        r#"{"s":"\ud800"}"#,
        r#"{"s":"\udc00\ud800"}"#,
        "{\"s\":\"a\tb\"}",
        r#"{n:1}"#,
        r#"{'n':1}"#,
        r#"{"n":1 "s":"a"}"#,
        r#"{"z":[1,]}"#,
        r#"{"z":{"a"}}"#,
        r#"{"z":tru}"#,
        r#"{"z":nul}"#,
        r#"{"z":"\ud800"}"#,
        r#"{"z":[}"#,
        r#"{"z":{]}"#,
        r#"{"\ud800":1}"#,
    ];
    bad.iter().for_each(|line| check_json(line, ""));
    check_json(&format!("{{\"z\":{}{}}}", "[".repeat(512), "]".repeat(512)), "NULL NULL");
    check_json(&format!("{{\"z\":{}1{}}}", "[".repeat(513), "]".repeat(513)), "");
    let (rows, bad, _) =
        outcome(json(), &two_columns(), b"{\"n\":1}\n{\"z\":\"\xff\"}\n{\"s\":\"\xc3\xa4 is longer than twelve\"}\n");
    assert_eq!((rows.as_str(), bad), ("1 NULL; NULL \u{e4} is longer than twelve", 1));
}

#[test]
fn nested_values_that_do_not_fit_are_bad_rows() {
    let item = Arc::new(Field::new("item", DataType::Int64, true));
    let schema = Schema::new(vec![Field::new("a", DataType::List(item), true), Field::new("n", DataType::Int64, true)]);
    let text =
        b"{\"a\":[1,2],\"n\":1}\n  {\"a\":[\"x\"],\"n\":2}\n{\"n\":3}\n{\"a\":{},\"n\":4}\n{\"a\":[3],\"n\":5}\n";
    let (rows, bad, error) = outcome(json(), &schema, text);
    assert_eq!((rows.as_str(), bad), ("[1, 2] 1; NULL 3; [3] 5", 2));
    assert!(error.unwrap().starts_with("value does not fit its column: line 2 of t, column a"));
}

#[test]
fn mutated_text_never_panics_and_every_row_is_accounted_for() {
    let mut random = Random(2024);
    let schema = Arc::new(json_schema());
    let plain = Arc::new(all_types());
    let (json_text, csv_text) = (random_json(9, 40, &schema), random_csv(9, 40, &plain, true));
    let spice: &[u8] = b"\"\\{}[],:\n\r0-9.eEtn \xff\x00\xc3u";
    for round in 0..400 {
        let is_json = round % 2 == 0;
        let mut text = if is_json { json_text.clone() } else { csv_text.clone() }.into_bytes();
        for _ in 0..=random.below(6) {
            let at = random.below(text.len());
            match random.below(4) {
                0 => text[at] = random.pick(spice),
                1 => text.insert(at, random.pick(spice)),
                2 => drop(text.drain(at..(at + random.below(30)).min(text.len()))),
                _ => text.truncate(at.max(1)),
            }
        }
        let (format, schema) = if is_json { (json(), &schema) } else { (csv(false), &plain) };
        let read = |block_bytes, batch_rows, on_error| {
            let text = text.clone();
            let input = Input::stream("t", move || Ok(Box::new(std::io::Cursor::new(text))));
            let table =
                TextTable::new(vec![input], format.clone(), schema, on_error).unwrap().with_block_bytes(block_bytes);
            collect(&table, &request(&table, batch_rows))
        };
        let (whole, bad) = read(1 << 20, 8192, OnError::Skip).unwrap();
        let (pieces, bad_pieces) = read(50, 3, OnError::Skip).unwrap();
        assert_eq!((whole, bad), (pieces, bad_pieces), "round {round}: {}", String::from_utf8_lossy(&text));
        assert_eq!(read(1 << 20, 8192, OnError::Fail).is_err(), bad > 0, "round {round}");
    }
}

#[test]
fn many_files_are_read_by_many_workers() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = Vec::new();
    let header = ["n,s", "s,n"];
    for number in 0..5 {
        let rows: String = (0..1000)
            .map(|row| if number % 2 == 0 { format!("{row},f{number}\n") } else { format!("f{number},{row}\n") })
            .collect();
        inputs.push(file(&folder, &format!("{number}.csv"), format!("{}\n{rows}", header[number % 2]).as_bytes()));
    }
    let table = TextTable::new(inputs, csv(true), &two_columns(), OnError::Fail).unwrap().with_block_bytes(500);
    let scan =
        table.open(&ScanRequest { partitions: 3, ordered: false, projection: vec![0], ..request(&table, 64) }).unwrap();
    let sums: Vec<i64> = std::thread::scope(|scope| {
        let work = || {
            let (mut batch, mut sum) = (Batch::default(), 0);
            while let Take::Morsel(mut morsel) = scan.take().unwrap() {
                batch.clear();
                while morsel.reader.read(&mut batch).unwrap() {
                    let crate::batch::Column::Flat(flat) = &batch.columns[0] else { panic!("numbers are flat") };
                    let crate::batch::Values::I32(values) = &flat.values else { panic!("of their type") };
                    sum += values.iter().map(|&value| value as i64).sum::<i64>();
                    batch.clear();
                }
            }
            sum
        };
        let workers: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(sums.iter().sum::<i64>(), 5 * 1000 * 999 / 2);
    let progress = scan.progress();
    assert_eq!(progress.rows.load(Ordering::Relaxed), 5000);
    assert_eq!(progress.bytes.load(Ordering::Relaxed), progress.bytes_total.load(Ordering::Relaxed));
}

#[test]
fn tables_find_out_their_columns() {
    let folder = tempfile::tempdir().unwrap();
    let input = file(&folder, "a.csv", b"id;name\n1;x\n2;y\n");
    let table = TextTable::infer(vec![input.clone()], csv(true), OnError::Fail).unwrap();
    let (found, _) = collect(&table, &request(&table, 10)).unwrap();
    assert_eq!((found.num_rows(), found.num_columns()), (2, 2));
    let declared = TextTable::sniff(vec![input], csv(true), &table.schema, OnError::Fail).unwrap();
    assert_eq!(collect(&declared, &request(&declared, 10)).unwrap().0, found);
    let stream = Input::stream("t", || Ok(Box::new(&b"{\"a\":1}\n{\"a\":2,\"b\":{\"c\":\"x\"}}\n"[..])));
    let table = TextTable::infer(vec![stream], json(), OnError::Fail).unwrap();
    let (found, _) = collect(&table, &request(&table, 10)).unwrap();
    assert_eq!((found.num_rows(), found.num_columns()), (2, 2), "the sample is read as well");
    let missing = TextTable::infer(vec![Input::file(folder.path().join("none"))], json(), OnError::Fail).unwrap_err();
    assert_eq!(missing.kind(), crate::Kind::Outside);
}

/// The numbers of the rows, with the values of the first column, of what a scan has left.
fn numbered(scan: &dyn Scan, batches: usize) -> Vec<(usize, i64, i64)> {
    let (mut batch, mut found) = (Batch::default(), Vec::new());
    let mut left = batches;
    loop {
        let mut morsel = match scan.take().unwrap() {
            Take::End => return found,
            Take::Pending => panic!("one worker reads a block to its end before it takes the next"),
            Take::Morsel(morsel) => morsel,
        };
        batch.clear();
        while morsel.reader.read(&mut batch).unwrap() {
            let offsets = morsel.reader.system(SystemColumn::Offset).expect("files have it");
            let Column::Array(offsets) = offsets else { panic!("an array") };
            let offsets =
                arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(&offsets).values().to_vec();
            let Column::Flat(flat) = &batch.columns[0] else { panic!("numbers are flat") };
            let crate::batch::Values::I32(values) = &flat.values else { panic!("of their type") };
            assert_eq!((offsets.len(), values.len()), (batch.rows, batch.rows));
            found.extend(offsets.iter().zip(values).map(|(at, value)| (morsel.partition, *at, i64::from(*value))));
            batch.clear();
        }
        left -= 1;
        if left == 0 {
            return found;
        }
    }
}

#[test]
fn rows_are_numbered_across_blocks_and_behind_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let rows = |file: i32| (0..1000).map(|row| format!("{},\"x\ny\"\n\n", file * 5000 + row)).collect::<String>();
    let inputs = (0..2).map(|n| file(&folder, &format!("{n}.csv"), format!("n,s\n{}", rows(n)).as_bytes()));
    let table =
        TextTable::new(inputs.collect(), csv(true), &two_columns(), OnError::Fail).unwrap().with_block_bytes(300);
    for batch_rows in [1, 7, 64] {
        let wanted =
            ScanRequest { system: vec![SystemColumn::Offset], projection: vec![0], ..request(&table, batch_rows) };
        let scan = table.open(&wanted).unwrap();
        let mut found = numbered(scan.as_ref(), 23);
        let position = scan.position().unwrap();
        assert_eq!(position.iter().sum::<u64>(), found.len() as u64, "positions count rows where rows are numbered");
        let again = table.open(&wanted).unwrap();
        again.seek(&position).unwrap();
        found.extend(numbered(again.as_ref(), usize::MAX));
        found.sort_unstable();
        let all = (0..2).flat_map(|file| (0..1000).map(move |row| (file, row, file as i64 * 5000 + row)));
        assert!(found.into_iter().eq(all), "{batch_rows} rows a batch");
    }
}
