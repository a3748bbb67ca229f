//! Damaged lines of few shapes, read and compared with what another reader makes of each line.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::Value;

use super::JsonDecoder;
use crate::batch::Batch;
use crate::stream::decode::fault::Fault;
use crate::stream::decode::{Block, OnError};

/// Random numbers: the same for the same seed.
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

fn schema() -> Arc<Schema> {
    let fields = [
        ("n", DataType::Int64),
        ("small", DataType::Int8),
        ("f", DataType::Float64),
        ("s", DataType::Utf8View),
        ("t", DataType::Timestamp(TimeUnit::Millisecond, None)),
        ("b", DataType::Boolean),
    ];
    Arc::new(Schema::new(fields.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec()))
}

/// A line of shape `shape`: which members there are, in which order, and how they are set apart.
fn line(random: &mut Random, shape: usize) -> String {
    let keys = ["n", "small", "f", "s", "t", "b", "other", "inner"];
    let (colon, comma) = [(":", ","), (": ", ", "), (" :\t", " ,")][shape % 3];
    let members = keys.iter().cycle().skip(shape).take(keys.len() - shape % 2).map(|key| {
        let value = match *key {
            "n" if random.below(20) == 0 => {
                random.pick(&["null", "1e3", "\"12\"", "-0", "01", "12345678901234567890"]).into()
            }
            "n" => random.pick(&[7, -5, 12_345_678, 123_456_789, i64::MAX, 0]).to_string(),
            "small" => (random.below(140) as i64 - 5).to_string(),
            "f" => {
                random.pick(&["1.5", "-0.25", "3", "1e5", "0.1", "123456.789", "null", "5.", "-", "00.5"]).to_string()
            }
            "s" if random.below(12) == 0 => random.pick(&["null", "5", "\"a\\nb\"", "\"\\ud83d\"", "true"]).into(),
            "s" => format!("\"{}\"", random.pick(&["", "x", "thirteen bytes", "naïve 😀", "a, {b}: [c]"])),
            "t" => random
                .pick(&["\"2024-02-29 12:30:45.678\"", "\"1970-01-01T00:00:00Z\"", "17", "null", "\"2023-02-29\""])
                .into(),
            "b" => random.pick(&["true", "false", "null", "\"yes\"", "1"]).into(),
            "other" => random.pick(&["1", "null", "\"x\"", "1.0", "tru", "01"]).into(),
            _ => format!("{{\"n\"{colon}{}{comma}\"s\"{colon}\"y\"}}", random.below(1000)),
        };
        format!("\"{key}\"{colon}{value}")
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(comma))
}

fn damage(random: &mut Random, line: &mut Vec<u8>) {
    let spice: &[u8] = b"\"\\{}[],: 0-9.tn\t\r\xff\x00\xc3u";
    let at = random.below(line.len());
    match random.below(5) {
        0 => line[at] = random.pick(spice),
        1 => line.insert(at, random.pick(spice)),
        2 => drop(line.remove(at)),
        3 => drop(line.drain(at..(at + random.below(30)).min(line.len()))),
        _ => line.truncate(at),
    }
}

/// The members of a line's object, also those whose key comes again.
struct Members(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// The values of a line as they are shown, `None` when it is no good line.
fn model(line: &[u8]) -> Option<Vec<String>> {
    let Members(members) = serde_json::from_slice(line).ok()?;
    let mut row = Vec::new();
    for field in schema().fields() {
        // All values of a key must be good, and the last one counts.
        let mut last = "NULL".to_string();
        for (_, value) in members.iter().filter(|(key, _)| key.eq_ignore_ascii_case(field.name())) {
            last = shown(field.data_type(), value)?;
        }
        row.push(last);
    }
    Some(row)
}

fn shown(data_type: &DataType, value: &Value) -> Option<String> {
    let whole = |value: &Value| match value {
        Value::Number(number) => {
            number.as_i64().or_else(|| number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 1e15).map(|f| f as i64))
        }
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    Some(match (data_type, value) {
        (_, Value::Null) => "NULL".to_string(),
        (DataType::Int64, value) => whole(value)?.to_string(),
        (DataType::Int8, value) => i8::try_from(whole(value)?).ok()?.to_string(),
        (DataType::Float64, Value::Number(number)) => number.as_f64()?.to_string(),
        (DataType::Float64, Value::String(text)) => text.parse::<f64>().ok()?.to_string(),
        (DataType::Utf8View, Value::String(text)) => text.clone(),
        (DataType::Utf8View, other) => other.to_string(),
        (DataType::Boolean, Value::Bool(value)) => value.to_string(),
        (DataType::Boolean, Value::String(text)) => match text.to_ascii_lowercase().as_str() {
            "yes" | "y" | "true" | "t" | "1" => "true".to_string(),
            "no" | "n" | "false" | "f" | "0" => "false".to_string(),
            _ => return None,
        },
        (DataType::Timestamp(..), Value::String(text)) => ticks(text)?.to_string(),
        (DataType::Timestamp(..), number) => whole(number).filter(|_| number.is_number())?.to_string(),
        _ => return None,
    })
}

fn ticks(text: &str) -> Option<i64> {
    let plain = text.strip_suffix(['Z', 'z']).map_or(text, |text| text.trim_end()).replacen(['T', 't'], " ", 1);
    let (clock, fraction) =
        plain.split_once(['.', ',']).map_or((&plain[..], "0"), |(clock, fraction)| (clock, fraction));
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // That reader takes more blanks and fewer digits: what it took must be what it writes.
    let parse = |format: &&str| {
        let time = chrono::NaiveDateTime::parse_from_str(clock, format).ok()?;
        (time.format(format).to_string() == clock).then_some(time)
    };
    let formats =
        if plain.len() == clock.len() { &["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"][..] } else { &["%Y-%m-%d %H:%M:%S"] };
    let date = || {
        let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        if date.to_string() == text { date.and_hms_opt(0, 0, 0) } else { None }
    };
    let millis: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    Some(formats.iter().find_map(parse).or_else(date)?.and_utc().timestamp_millis() + millis)
}

fn decode(text: &[u8], batch_rows: usize, on_error: OnError) -> Result<(Vec<Vec<String>>, usize), Fault> {
    let schema = schema();
    let fields: Vec<FieldRef> = schema.fields().iter().cloned().collect();
    let mut decoder = JsonDecoder::new(&fields, on_error).unwrap();
    decoder.begin(Block::of(text));
    let (mut rows, mut bad) = (Vec::new(), 0);
    let mut batch = Batch::default();
    loop {
        batch.clear();
        let (found, left_out) = decoder.read(&mut batch, batch_rows)?;
        bad += left_out;
        if found == 0 {
            return Ok((rows, bad));
        }
        let record = batch.to_record(&schema).unwrap();
        record.columns().iter().for_each(|column| column.to_data().validate_full().unwrap());
        rows.extend((0..found).map(|row| show(&record, row)));
    }
}

fn show(record: &RecordBatch, row: usize) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let show = |column: &ArrayRef| match column.data_type() {
        DataType::Timestamp(..) if column.is_null(row) => "NULL".to_string(),
        DataType::Timestamp(..) => {
            let values = arrow::array::AsArray::as_primitive::<arrow::datatypes::TimestampMillisecondType>(column);
            values.value(row).to_string()
        }
        DataType::Float64 if column.is_valid(row) => {
            arrow::array::AsArray::as_primitive::<arrow::datatypes::Float64Type>(column).value(row).to_string()
        }
        _ => ArrayFormatter::try_new(column, &options).unwrap().value(row).to_string(),
    };
    record.columns().iter().map(show).collect()
}

#[test]
fn damaged_lines_of_few_shapes_are_what_another_reader_says() {
    let rounds = std::env::var("JSON_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(60);
    for seed in 0..rounds {
        let mut random = Random(seed);
        let (shapes, damaged) = (random.pick(&[1, 2, 3, 12]), random.pick(&[2, 20, 1000]));
        let lines: Vec<Vec<u8>> = (0..400)
            .map(|_| {
                let shape = random.below(shapes);
                let mut line = line(&mut random, shape).into_bytes();
                if random.below(damaged) == 0 {
                    damage(&mut random, &mut line);
                }
                line
            })
            .collect();
        let is_blank = |line: &&Vec<u8>| line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
        let models: Vec<_> = lines.iter().filter(|line| !is_blank(line)).map(|line| (line, model(line))).collect();
        let wanted: Vec<_> = models.iter().filter_map(|(_, row)| row.clone()).collect();
        let text = lines.join(&b'\n');
        for batch_rows in [3, 64, 8192] {
            let (rows, bad) = decode(&text, batch_rows, OnError::Skip).unwrap();
            let differs = rows.iter().zip(&wanted).position(|(found, wanted)| found != wanted);
            let of_model = |at: usize| models.iter().filter(|(_, row)| row.is_some()).nth(at).map(|(line, _)| line);
            if let Some(at) = differs {
                let line = of_model(at).map(|line| String::from_utf8_lossy(line).into_owned());
                panic!("seed {seed}, batches of {batch_rows}: {:?} but {:?}: {line:?}", rows[at], wanted[at]);
            }
            assert_eq!((rows.len(), bad), (wanted.len(), models.len() - wanted.len()), "seed {seed}");
        }
        let first_bad = models.iter().find(|(_, row)| row.is_none()).map(|(line, _)| line.as_ptr());
        let fault = decode(&text, 8192, OnError::Fail).err();
        let at = lines.iter().position(|line| Some(line.as_ptr()) == first_bad);
        let start = at.map(|at| lines[..at].iter().map(|line| line.len() + 1).sum::<usize>());
        let blanks = at.map_or(0, |at| lines[at].iter().take_while(|byte| byte.is_ascii_whitespace()).count());
        assert_eq!(fault.map(|fault| fault.row), start.map(|start| start + blanks), "seed {seed}");
    }
}
