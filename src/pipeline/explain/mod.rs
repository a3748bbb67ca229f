//! The pipeline as text: a line per node, output first, inputs indented below.
//!
//! ```text
//! Sort: k DESC, first 3 [append, bounded] state: first rows, bounded
//!   Aggregate: by k, when the input ends [append, bounded] state: grows with distinct keys
//!     Scan: t (memory), columns k [append, bounded]
//! ```

mod join; // joins as text

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;
use crate::expression::{Operand, Program};

/// One line per node, output first, inputs indented below.
///
/// In brackets: whether rows may be taken back, the event time column, whether the input ends. Then the state a node
/// keeps and how it is bounded, and the functions that are not the engine's own.
pub fn explain(pipeline: &Pipeline) -> String {
    explain_with(pipeline, |_| None)
}

/// The same, with a line of notes below the nodes that have some.
pub fn explain_with(pipeline: &Pipeline, note: impl Fn(NodeId) -> Option<String>) -> String {
    let mut text = String::new();
    if let Some(output) = pipeline.nodes.len().checked_sub(1) {
        write_node(pipeline, output, 0, &note, &mut text);
    }
    if pipeline.needs_input_order {
        text.push_str("runs on one partition: the answer depends on the order of the input\n");
    }
    text
}

fn write_node(
    pipeline: &Pipeline,
    id: NodeId,
    depth: usize,
    note: &dyn Fn(NodeId) -> Option<String>,
    text: &mut String,
) {
    let node = &pipeline.nodes[id];
    let inputs: Vec<&Schema> = node.inputs.iter().map(|&input| pipeline.nodes[input].schema.as_ref()).collect();
    let (name, mut does) = describe(node, &inputs);
    does.extend(key_routes(pipeline).iter().filter(|route| route.scan == id).map(|route| asked_keys(pipeline, route)));
    does.extend(
        first_routes(pipeline).iter().filter(|route| route.scan == id).map(|route| first_rows(pipeline, route)),
    );
    if let Some(keys) = parting::already_parted(pipeline, id) {
        does.push_str(&format!(", rows parted by {} before", parting_keys(node, &keys, &inputs)));
    }
    if pipeline.readers(id) > 1 {
        does.push_str(&format!(", computed once for {} readers", pipeline.readers(id)));
    }
    let space = if does.is_empty() { "" } else { ": " };
    text.push_str(&format!("{}{name}{space}{does} [{}]", "  ".repeat(depth), properties(node)));
    for (title, note) in [("state", state(node)), ("foreign", foreign(node))] {
        if let Some(note) = note {
            text.push_str(&format!(" {title}: {note}"));
        }
    }
    text.push('\n');
    if let Some(note) = note(id) {
        text.push_str(&format!("{}  {note}\n", "  ".repeat(depth)));
    }
    if let Spec::Recursion(spec) = &node.spec {
        for term in [&spec.initial, &spec.body] {
            write_node(term, term.nodes.len() - 1, depth + 1, &|_| None, text);
        }
    }
    for &input in &node.inputs {
        write_node(pipeline, input, depth + 1, note, text);
    }
}

/// The keys of these numbers of a node that groups.
fn parting_keys(node: &Node, keys: &[usize], inputs: &[&Schema]) -> String {
    let names = inputs.first().map_or(Vec::new(), |input| names_of(input));
    let program = match &node.spec {
        Spec::Aggregate(spec) => &spec.program,
        Spec::Over(spec) => &spec.program,
        Spec::Rank(spec) => &spec.program,
        _ => return String::new(),
    };
    let shown: Vec<String> = keys.iter().map(|&key| program.show(program.outputs[key], &names)).collect();
    shown.join(", ")
}

/// `, may skip unless l_orderkey is a key o_orderkey of a join`: which rows of a scan are left out for a join's table.
fn asked_keys(pipeline: &Pipeline, route: &KeyRoute) -> String {
    let column = pipeline.nodes[route.scan].schema.field(route.column).name();
    let join = &pipeline.nodes[route.join];
    let Spec::Join(JoinSpec { strategy: JoinStrategy::Hash { build, .. }, left_keys, right_keys, .. }) = &join.spec
    else {
        return String::new();
    };
    let (input, keys) = if *build == JoinSide::Left { (0, left_keys) } else { (1, right_keys) };
    let names = names_of(&pipeline.nodes[join.inputs[input]].schema);
    format!(", may skip unless {column} is a key {} of a join", keys.show(keys.outputs[route.key], &names))
}

/// `, may skip rows behind the first 10 by t`: an ORDER BY that tells a scan how far its first rows reach.
fn first_rows(pipeline: &Pipeline, route: &FirstRoute) -> String {
    let column = pipeline.nodes[route.scan].schema.field(route.column).name();
    format!(
        ", may skip rows behind the first {} by {}",
        route.wanted,
        show_order(std::slice::from_ref(column), &[route.options])
    )
}

/// The operator's name and what it does.
fn describe(node: &Node, inputs: &[&Schema]) -> (&'static str, String) {
    let input = inputs.first().copied();
    let names: Vec<String> = input.map_or_else(|| names_of(&node.schema), names_of);
    match &node.spec {
        Spec::Scan(scan) => ("Scan", describe_scan(scan, &node.schema)),
        Spec::Values(values) => ("Values", count(values.rows, "row")),
        Spec::Filter(filter) => {
            let conjuncts = filter.conjuncts.iter().map(|program| show_all(program, &names).join(", "));
            ("Filter", conjuncts.collect::<Vec<_>>().join(" AND "))
        }
        Spec::Project(project) => ("Project", describe_project(&project.program, &names, &node.schema)),
        Spec::Expand(expand) => {
            let sets = expand.programs.iter().map(|program| format!("({})", show_all(program, &names).join(", ")));
            ("Expand", sets.collect::<Vec<_>>().join(" "))
        }
        Spec::Lookup(lookup) => ("Lookup", join::describe_lookup(lookup, &names)),
        Spec::Unnest(unnest) => {
            let lists = unnest.outputs.iter().filter_map(|output| output.list()).map(|column| names[column].as_str());
            let empty = if unnest.keeps_empty { ", rows of empty lists stay" } else { "" };
            ("Unnest", lists.collect::<Vec<_>>().join(", ") + empty)
        }
        Spec::Window(window) => {
            let data_type = input.map_or(&DataType::Null, |input| input.field(window.column).data_type());
            let keys: Vec<&str> = window.keys.iter().map(|key| names[*key].as_str()).collect();
            let keys = if keys.is_empty() { String::new() } else { format!(" by {}", keys.join(", ")) };
            ("Window", describe_window(&window.kind, data_type, &names[window.column]) + &keys)
        }
        Spec::Aggregate(aggregate) => ("Aggregate", describe_aggregate(aggregate, node, &names)),
        Spec::Sets(sets) => ("Grouping sets", describe_sets(sets, &names)),
        Spec::Delay(delay) => ("Delay", describe_delay(delay, node)),
        Spec::Divert(divert) => ("Divert", describe_divert(divert, node)),
        Spec::Firing(firing) => ("Firing", describe_firing(firing)),
        Spec::Over(over) => ("Over", describe_over(over, &names)),
        Spec::Rank(rank) => ("Rank", describe_rank(rank, &names)),
        Spec::Union => ("Union", String::new()),
        Spec::Sort(sort) => ("Sort", describe_sort(sort, &names)),
        Spec::Limit(limit) => {
            let fetch = limit.fetch.map_or("all".to_string(), |fetch| format!("first {fetch}"));
            let skip = if limit.skip > 0 { format!(" after {}", limit.skip) } else { String::new() };
            ("Limit", fetch + &skip)
        }
        Spec::Upsert(upsert) => ("Upsert", format!("the last row per {}", names[..upsert.key_count].join(", "))),
        Spec::Fold => ("Fold", "what was given and not taken back, when the input ends".to_string()),
        Spec::ByKey(by_key) => {
            let key: Vec<&str> = by_key.key.iter().map(|&column| names[column].as_str()).collect();
            ("ByKey", format!("one row per {}", key.join(", ")))
        }
        Spec::Join(spec) => ("Join", join::describe(spec, inputs)),
        Spec::Custom(spec) => ("Operator", spec.name.clone()),
        Spec::SingleRow => ("Single row", String::new()),
        Spec::Recursion(spec) => {
            ("Recursion", format!("{}, {}", spec.name, if spec.distinct { "new rows only" } else { "all rows" }))
        }
        Spec::WorkTable => ("Work table", names_of(&node.schema).join(" ")),
    }
}

fn describe_scan(scan: &ScanSpec, schema: &Schema) -> String {
    let mut text = format!("{} ({}), columns {}", scan.name, scan.table.describe(), names_of(schema).join(" "));
    let table = scan.table.schema();
    if !scan.predicates.is_empty() {
        let shown = scan.predicates.iter().map(|predicate| {
            let op = match predicate.op {
                Comparison::Eq => "=",
                Comparison::NotEq => "<>",
                Comparison::Lt => "<",
                Comparison::LtEq => "<=",
                Comparison::Gt => ">",
                Comparison::GtEq => ">=",
            };
            format!("{} {op} {}", table.field(predicate.column).name(), show_value(&predicate.value))
        });
        text += &format!(", may skip unless {}", shown.collect::<Vec<_>>().join(" and "));
    }
    if let Some(compute) = &scan.compute {
        let own = scan.projection.iter().map(|&column| table.field(column).name().as_str());
        let system = scan.system.iter().map(|column| column.name());
        let read: Vec<String> = own.chain(system).map(str::to_string).collect();
        let columns =
            compute.outputs.iter().zip(names_of(schema)).filter(|(output, _)| !matches!(output, Operand::Input(_)));
        let shown = columns.map(|(output, name)| format!("{} as {name}", compute.show(*output, &read)));
        let shown: Vec<String> = shown.collect();
        if !shown.is_empty() {
            text += &format!(", computed {}", shown.join(", "));
        }
    }
    if let Some(watermark) = &scan.watermark {
        let shown = show_all(&watermark.program, &names_of(schema)).join(", ");
        // No row moves it.
        text += &format!(", watermark {}", if shown == "NULL" { "as its source tells" } else { &shown });
    }
    if let Some(fetch) = scan.fetch {
        text += &format!(", at most {}", count(fetch, "row"));
    }
    text
}

fn describe_project(program: &Program, names: &[String], schema: &Schema) -> String {
    let shown = show_all(program, names).into_iter().zip(names_of(schema));
    let columns = shown.map(|(shown, name)| if shown == name { name } else { format!("{shown} AS {name}") });
    columns.collect::<Vec<_>>().join(", ")
}

fn describe_window(kind: &WindowKind, data_type: &DataType, column: &str) -> String {
    kind.show(column, time_unit(data_type).unwrap_or(TimeUnit::Second))
}

fn describe_aggregate(aggregate: &AggregateSpec, node: &Node, names: &[String]) -> String {
    let mut parts = Vec::new();
    let shown = show_all(&aggregate.program, names);
    if aggregate.key_count > 0 {
        parts.push(format!("by {}", shown[..aggregate.key_count].join(", ")));
    }
    if let Some(window) = &aggregate.window {
        // Windows of so many rows have no column of times.
        let column = names.get(window.column).map_or("", String::as_str);
        parts.push(format!("in {}", describe_window(&window.kind, &window.data_type, column)));
    }
    if parts.is_empty() {
        parts.push("over all rows".to_string());
    }
    let text = parts.join(" ") + &describe_calls(&aggregate.aggregates);
    text + match (aggregate.emit, &aggregate.window, node.bounded) {
        (EmitMode::Changes, ..) => ", after each batch",
        (EmitMode::Final, Some(window), _) if !window.kind.has_time() => ", when the window is full",
        (EmitMode::Final, Some(_), _) => ", when the window closes",
        (EmitMode::Final, None, _) => ", when the input ends",
    }
}

fn describe_sets(spec: &SetsSpec, names: &[String]) -> String {
    let shown = show_all(&spec.aggregate.program, names);
    let set = |set: &GroupingSet| {
        let keys: Vec<&str> = set.keys.iter().map(|&key| shown[key].as_str()).collect();
        format!("({})", keys.join(", "))
    };
    let mut text = format!("by {}", spec.sets.iter().map(set).collect::<Vec<_>>().join(" "));
    text += &describe_calls(&spec.aggregate.aggregates);
    text + ", when the input ends"
}

fn describe_calls(calls: &[AggregateCall]) -> String {
    let shown = calls.iter().map(|call| match call.of {
        Some(of) => format!(", {} of {}", call.text, calls[of].text),
        None => format!(", {}", call.text),
    });
    shown.collect()
}

fn describe_delay(delay: &DelaySpec, node: &Node) -> String {
    let unit = node.time.as_ref().map_or(TimeUnit::Second, |time| time.unit);
    format!("windows take late rows for {}", show_duration(delay.ticks, unit))
}

fn describe_divert(divert: &DivertSpec, node: &Node) -> String {
    let field = node.schema.field(divert.column);
    format!("rows late for {} to {}", describe_window(&divert.kind, field.data_type(), field.name()), divert.sink)
}

fn describe_firing(firing: &FiringSpec) -> String {
    let every = |micros: i64| format!("every {}", show_duration(micros, TimeUnit::Microsecond));
    let mut parts: Vec<String> = firing.every.map(every).into_iter().collect();
    if firing.on_close {
        parts.push("when the window closes".to_string());
    }
    if firing.window_end.is_some() {
        parts.push(
            firing.late_every.map_or("late rows at once".to_string(), |micros| format!("late rows {}", every(micros))),
        );
    }
    if parts.is_empty() {
        parts.push("when the input ends".to_string());
    }
    parts.join(", ")
}

fn describe_over(over: &OverSpec, names: &[String]) -> String {
    let shown = show_all(&over.program, names);
    let mut parts = Vec::new();
    if over.key_count > 0 {
        parts.push(format!("by {}", shown[..over.key_count].join(", ")));
    }
    if !over.order.is_empty() {
        parts.push(format!("ordered by {}", show_order(&shown[over.key_count..], &over.order)));
    }
    if parts.is_empty() {
        parts.push("over all rows".to_string());
    }
    let calls = over.calls.iter().map(|call| format!(", {}", call.text)).collect::<String>();
    format!("{}{calls}, {}", parts.join(" "), show_completion(over.completion))
}

fn show_completion(completion: Completion) -> &'static str {
    match completion {
        Completion::End => "when the input ends",
        Completion::Window { .. } => "when the window closes",
        Completion::Time { .. } => "when the watermark has passed the frame",
        Completion::Arrival => "row by row",
        Completion::Changes => "after each batch",
    }
}

fn describe_rank(rank: &RankSpec, names: &[String]) -> String {
    let shown = show_all(&rank.program, names);
    let by = if rank.key_count > 0 { format!(" by {}", shown[..rank.key_count].join(", ")) } else { String::new() };
    let function = match rank.function {
        RankFunction::RowNumber => "row_number",
        RankFunction::Rank => "rank",
        RankFunction::DenseRank => "dense_rank",
    };
    let ranks = match (rank.first, rank.last) {
        (first, last) if first == last => format!("= {last}"),
        (1, last) => format!("<= {last}"),
        (first, last) => format!("from {first} to {last}"),
    };
    let column = if rank.shows_rank { "" } else { ", rank not read" };
    let order = show_order(&shown[rank.key_count..], &rank.order);
    format!("{function} {ranks}{by} ordered by {order}{column}, {}", show_completion(rank.completion))
}

fn describe_sort(sort: &SortSpec, names: &[String]) -> String {
    let keys = show_order(&show_all(&sort.program, names), &sort.options);
    sort.fetch.map_or(keys.clone(), |fetch| format!("{keys}, first {fetch}"))
}

/// Keys with their directions.
fn show_order(keys: &[String], options: &[arrow::compute::SortOptions]) -> String {
    let keys = keys.iter().zip(options).map(|(key, options)| {
        let order = if options.descending { " DESC" } else { "" };
        // The default of the dialect puts nulls where the greatest values are.
        let nulls = match (options.nulls_first, options.descending) {
            (true, false) => " NULLS FIRST",
            (false, true) => " NULLS LAST",
            _ => "",
        };
        format!("{key}{order}{nulls}")
    });
    keys.collect::<Vec<_>>().join(", ")
}

/// Changelog mode, event time, whether the input ends.
fn properties(node: &Node) -> String {
    let changes = match node.changes {
        ChangeMode::Append => "append",
        ChangeMode::Updating => "updating",
    };
    let time = node.time.as_ref().map(|time| format!(", time {}", node.schema.field(time.column).name()));
    let ends = if node.bounded { "bounded" } else { "unbounded" };
    format!("{changes}{}, {ends}", time.unwrap_or_default())
}

/// What a node keeps from batch to batch, and what bounds it.
fn state(node: &Node) -> Option<String> {
    if let Spec::Aggregate(AggregateSpec { window: None, ttl: Some(ttl), .. }) = &node.spec {
        let idle = show_duration(*ttl, TimeUnit::Microsecond);
        return Some(format!("groups of the last {idle}, idle ones are forgotten"));
    }
    if let Spec::Rank(RankSpec { ttl: Some(ttl), takes_back, .. }) = &node.spec {
        let idle = show_duration(*ttl, TimeUnit::Microsecond);
        let rows = if *takes_back { "all rows" } else { "first rows" };
        return Some(format!("{rows} per key of the last {idle}, idle ones are forgotten"));
    }
    if let Spec::Over(OverSpec { ttl: Some(ttl), .. }) = &node.spec {
        let idle = show_duration(*ttl, TimeUnit::Microsecond);
        return Some(format!("partitions of the last {idle}, idle ones are forgotten"));
    }
    if let Spec::Upsert(UpsertSpec { ttl: Some(ttl), .. }) = &node.spec {
        let idle = show_duration(*ttl, TimeUnit::Microsecond);
        return Some(format!("a row per key of the last {idle}, idle ones are forgotten"));
    }
    let fixed = match &node.spec {
        Spec::Aggregate(AggregateSpec { window: Some(window), .. }) => return Some(window.kind.bound()),
        Spec::Window(WindowSpec { kind: WindowKind::Session { .. }, .. }) => {
            Some("rows of open sessions, bounded by the watermark")
        }
        Spec::Lookup(_) => Some("rows of the keys that are kept, bounded"),
        Spec::Window(WindowSpec { kind: WindowKind::Rows { .. }, .. }) => Some("a number for each key"),
        Spec::Aggregate(AggregateSpec { key_count: 0, aggregates, .. }) if aggregates.iter().all(is_small) => {
            Some("one group, bounded")
        }
        Spec::Aggregate(AggregateSpec { key_count: 1.., .. }) if !node.bounded => {
            Some("grows with distinct keys: add a window or STATE_TTL")
        }
        Spec::Aggregate(_) | Spec::Sets(_) => Some("grows with distinct keys"),
        Spec::Firing(FiringSpec { key_count: Some(_), .. }) => Some("groups that changed since they were shown"),
        Spec::Firing(_) => Some("rows since the last time"),
        Spec::Over(over) => Some(match over.completion {
            Completion::End | Completion::Changes => "all rows",
            Completion::Window { .. } => "rows of open windows, bounded by the watermark",
            Completion::Time { .. } if over.key_count == 0 || over.forgets_keys() => {
                "rows of open frames, bounded by the watermark"
            }
            Completion::Time { .. } => "rows of open frames, bounded by the watermark, and distinct keys",
            Completion::Arrival if over.key_count == 0 => "rows of open frames, bounded",
            Completion::Arrival => "rows of open frames, and distinct keys",
        }),
        Spec::Rank(rank) => Some(match (rank.completion, rank.takes_back) {
            (_, true) => "all rows",
            (Completion::Window { .. }, _) => "first rows per key of open windows, bounded by the watermark",
            _ if rank.key_count == 0 => "first rows, bounded",
            _ => "first rows per key: grows with distinct keys",
        }),
        Spec::Sort(SortSpec { fetch: Some(_), .. }) => Some("first rows, bounded"),
        Spec::Sort(_) => Some("all rows, sorted"),
        Spec::Upsert(_) => Some("a row per key, grows with distinct keys"),
        Spec::Fold => Some("all rows that are there"),
        Spec::ByKey(_) => Some("all rows that are there"),
        Spec::Join(join) => return Some(join::state(join)),
        Spec::Recursion(RecursionSpec { distinct: true, .. }) => Some("all rows"),
        Spec::Recursion(_) => Some("rows of one run"),
        _ => None,
    };
    fixed.map(str::to_string)
}

/// Whether one group's state does not grow with its rows, as far as is known.
fn is_small(call: &AggregateCall) -> bool {
    !call.distinct && call.function.is_native()
}

/// The functions of a node that are not the engine's own, each once.
fn foreign(node: &Node) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_string());
        }
    };
    for program in programs(node) {
        program.steps.iter().filter(|step| !step.kernel.is_native()).for_each(|step| add(step.kernel.name()));
    }
    if let Spec::Aggregate(aggregate) | Spec::Sets(SetsSpec { aggregate, .. }) = &node.spec {
        let calls = aggregate.aggregates.iter().filter(|call| !call.function.is_native());
        calls.for_each(|call| add(call.function.name()));
    }
    if let Spec::Over(over) = &node.spec {
        for call in &over.calls {
            match &call.function {
                OverFunction::Aggregate(call) if !call.function.is_native() => add(call.function.name()),
                OverFunction::Foreign(function) => add(function.name()),
                _ => {}
            }
        }
    }
    (!names.is_empty()).then(|| names.join(", "))
}

fn programs(node: &Node) -> Vec<&Program> {
    match &node.spec {
        Spec::Scan(scan) => {
            let watermark = scan.watermark.iter().map(|watermark| watermark.program.as_ref());
            scan.compute.iter().map(|program| program.as_ref()).chain(watermark).collect()
        }
        Spec::Filter(filter) => filter.conjuncts.iter().map(|program| program.as_ref()).collect(),
        Spec::Lookup(lookup) => {
            std::iter::once(&lookup.keys).chain(&lookup.conditions).map(|program| program.as_ref()).collect()
        }
        Spec::Project(project) => vec![&project.program],
        Spec::Expand(expand) => expand.programs.iter().map(|program| program.as_ref()).collect(),
        Spec::Aggregate(aggregate) | Spec::Sets(SetsSpec { aggregate, .. }) => vec![&aggregate.program],
        Spec::Over(over) => vec![&over.program],
        Spec::Rank(rank) => vec![&rank.program],
        Spec::Sort(sort) => vec![&sort.program],
        Spec::Join(join) => [&join.left_keys, &join.right_keys]
            .into_iter()
            .chain(&join.residual)
            .map(|program| program.as_ref())
            .collect(),
        Spec::Values(_)
        | Spec::Unnest(_)
        | Spec::Window(_)
        | Spec::Union
        | Spec::Limit(_)
        | Spec::SingleRow
        | Spec::Recursion(_)
        | Spec::WorkTable => Vec::new(),
        Spec::Upsert(_) | Spec::Fold | Spec::ByKey(_) | Spec::Custom(_) => Vec::new(),
        Spec::Delay(_) | Spec::Divert(_) | Spec::Firing(_) => Vec::new(),
    }
}

fn names_of(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

fn show_all(program: &Program, names: &[String]) -> Vec<String> {
    program.outputs.iter().map(|output| program.show(*output, names)).collect()
}

fn show_value(value: &ArrayRef) -> String {
    let options = FormatOptions::new().with_null("NULL");
    ArrayFormatter::try_new(value, &options).map_or("?".to_string(), |formatter| formatter.value(0).to_string())
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Ticks as people say them: `1h30m`, `10s`, `250ms`.
pub fn show_duration(ticks: i64, unit: TimeUnit) -> String {
    let second = ticks_per_second(unit);
    let mut rest = ticks.unsigned_abs();
    let mut text = if ticks < 0 { "-".to_string() } else { String::new() };
    let units = [("d", 86_400, 1), ("h", 3_600, 1), ("m", 60, 1), ("s", 1, 1), ("ms", 1, 1_000), ("us", 1, 1_000_000)];
    for (name, seconds, parts) in units {
        let size = (second * seconds / parts) as u64;
        if size > 0 && second * seconds % parts == 0 && rest >= size {
            text += &format!("{}{name}", rest / size);
            rest %= size;
        }
    }
    match (rest, text.is_empty()) {
        (0, true) => "0s".to_string(),
        (0, false) => text,
        (rest, _) => format!("{text}{rest}ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_durations() {
        let cases = [
            (10_000, TimeUnit::Millisecond, "10s"),
            (5_400, TimeUnit::Second, "1h30m"),
            (1_500, TimeUnit::Millisecond, "1s500ms"),
            (-86_400_000_000, TimeUnit::Microsecond, "-1d"),
            (1_001, TimeUnit::Nanosecond, "1us1ns"),
            (0, TimeUnit::Second, "0s"),
        ];
        for (ticks, unit, shown) in cases {
            assert_eq!(show_duration(ticks, unit), shown);
        }
    }
}
