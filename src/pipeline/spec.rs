//! What each node of a pipeline does: a spec per operator, plain data.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;

use super::{
    AsOfSpec, Bounds, CustomSpec, LookupSpec, OverSpec, Pipeline, Predicate, RankSpec, SymmetricSpec, SystemColumn,
    Table, WindowKind,
};
use crate::expression::Program;
use crate::function::AggregateFunction;

/// The operators there are.
#[derive(Debug, Clone)]
pub enum Spec {
    Scan(ScanSpec),
    Values(ValuesSpec),
    Filter(FilterSpec),
    Project(ProjectSpec),
    Expand(ExpandSpec),
    Unnest(UnnestSpec),
    Window(WindowSpec),
    Aggregate(AggregateSpec),
    Sets(SetsSpec),
    Delay(DelaySpec),
    Divert(DivertSpec),
    Firing(FiringSpec),
    Over(OverSpec),
    Rank(RankSpec),
    Union,
    Sort(SortSpec),
    Limit(LimitSpec),
    Upsert(UpsertSpec),
    /// Rows that come and go become rows that stay, when the input ends.
    Fold,
    ByKey(ByKeySpec),
    Join(JoinSpec),
    Lookup(LookupSpec),
    Custom(CustomSpec),
    /// `WITH RECURSIVE`; has no inputs of its own.
    Recursion(RecursionSpec),
    /// In the body of a recursion: the rows that its last run gave.
    WorkTable,
    /// At most one row, or an error; a row of NULLs where there is none.
    SingleRow,
}

/// Reads a table.
#[derive(Debug, Clone)]
pub struct ScanSpec {
    /// The name it goes by in the query.
    pub name: String,
    pub table: Arc<dyn Table>,
    /// The table's columns that are read; without `compute`, in the order of the node's schema.
    pub projection: Vec<usize>,
    /// What is read beside them, behind them.
    pub system: Vec<SystemColumn>,
    /// Over the columns read: those of the node's schema. `None`: they are the columns read.
    pub compute: Option<Arc<Program>>,
    /// Conditions the source may use to skip data; it need not, the filter stands behind.
    pub predicates: Vec<Predicate>,
    /// How the watermark follows from the rows; `None`: the table has no event time.
    pub watermark: Option<WatermarkSpec>,
    /// What the table's definition says of how it is run.
    pub tuning: Tuning,
    /// Rows the query needs at most, where it needs no more.
    pub fetch: Option<usize>,
}

/// What a table's definition says of queries over it, in microseconds; `None`: what holds for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tuning {
    /// How long groups of its rows are kept once no row of theirs comes.
    pub state_ttl: Option<i64>,
    /// How long its rows may gather before they are taken, unless a batch is full.
    pub linger: Option<i64>,
}

/// The last row per key counts: rows become changes.
#[derive(Debug, Clone)]
pub struct UpsertSpec {
    /// How many of the first columns are the key.
    pub key_count: usize,
    /// How long the row of a key is kept when no other of it comes, in microseconds; `None`: for good.
    pub ttl: Option<i64>,
}

/// Changes become those of a table with one row per key: the row given last.
#[derive(Debug, Clone)]
pub struct ByKeySpec {
    /// The columns of the key.
    pub key: Vec<usize>,
}

/// How the watermark of a source partition follows from its rows.
#[derive(Debug, Clone)]
pub struct WatermarkSpec {
    /// Over the columns of the node's schema; one output, ticks of the event time's type: no row before it is expected.
    pub program: Arc<Program>,
    /// The event time column among the scan's columns.
    pub column: usize,
    /// Whether it follows from the event time alone, and is no earlier for a later one.
    pub rises: bool,
    pub rules: WatermarkRules,
}

/// What a table's options say about watermarks beyond the expression.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatermarkRules {
    /// Microseconds without rows after which a source partition holds the others up no longer.
    pub idle_timeout: Option<i64>,
    /// Nanoseconds of event time that a source partition may be ahead of the slowest one; further ahead, it waits.
    pub max_drift: Option<i64>,
    /// Nanoseconds that an event time may be ahead of the clock.
    pub max_future: Option<i64>,
    /// Nanoseconds that an event time may be ahead of the latest one before it in its source partition.
    pub max_jump: Option<i64>,
    /// What becomes of rows that are further ahead.
    pub future: FuturePolicy,
}

/// What becomes of a row whose event time is too far ahead. In no case does it move the watermark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FuturePolicy {
    /// It is taken like any other.
    #[default]
    Keep,
    /// It is left out.
    Skip,
    /// It goes the way of late rows.
    Aside,
}

/// Constant rows.
#[derive(Debug, Clone)]
pub struct ValuesSpec {
    pub columns: Vec<ArrayRef>,
    pub rows: usize,
}

/// Keeps the rows for which every conjunct is true, each evaluated on what the ones before it left.
#[derive(Debug, Clone)]
pub struct FilterSpec {
    pub conjuncts: Vec<Arc<Program>>,
}

/// Computes columns.
#[derive(Debug, Clone)]
pub struct ProjectSpec {
    pub program: Arc<Program>,
}

/// Puts every row out once per program, all of them with the same columns.
#[derive(Debug, Clone)]
pub struct ExpandSpec {
    pub programs: Vec<Arc<Program>>,
}

/// Puts out a row for each element of its lists.
#[derive(Debug, Clone)]
pub struct UnnestSpec {
    pub outputs: Vec<UnnestOutput>,
    /// Whether a row leaves with NULL where its lists are empty or NULL.
    pub keeps_empty: bool,
}

/// A column that leaves: of the input by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnnestOutput {
    /// Its values, once for each element.
    Column(usize),
    /// The elements of its lists.
    List(usize),
}

impl UnnestOutput {
    /// The column whose lists are taken apart.
    pub fn list(&self) -> Option<usize> {
        match self {
            UnnestOutput::List(column) => Some(*column),
            UnnestOutput::Column(_) => None,
        }
    }
}

/// Puts the columns of a window behind the others, a row per window that holds it: `window_start`, `window_end` and
/// `window_time`; windows of rows have no time.
#[derive(Debug, Clone)]
pub struct WindowSpec {
    pub kind: WindowKind,
    /// The time column of the input; unused by windows of rows.
    pub column: usize,
    /// The columns of the input whose values have windows of their own: for sessions and windows of rows.
    pub keys: Vec<usize>,
}

/// Groups rows and aggregates each group; with a window, per window as well.
#[derive(Debug, Clone)]
pub struct AggregateSpec {
    /// Over the input's columns: first the keys, then each aggregate's arguments, then its filter if it has one.
    pub program: Arc<Program>,
    /// How many of the program's first outputs are keys.
    pub key_count: usize,
    pub aggregates: Vec<AggregateCall>,
    /// The keys, a value per key, of groups that are there even when no row is: `[[]]` for a query without keys.
    pub standing_groups: Vec<Vec<ArrayRef>>,
    /// Windows by panes: the groups of each window apart, emitted when it closes.
    pub window: Option<AggregateWindow>,
    /// When results leave.
    pub emit: EmitMode,
    /// Microseconds of the clock after which a group is forgotten when no row of it has come; `None`: never.
    pub ttl: Option<i64>,
}

impl AggregateSpec {
    /// Whether the states of its aggregates are small and come to the same whatever is merged first: then groups of some of
    /// the rows may stand for these.
    pub fn merges(&self) -> bool {
        let merges = |call: &AggregateCall| {
            // States that hold every value are no smaller than the rows.
            let small = call.function.state_types().iter().all(|data_type| !data_type.is_nested());
            !call.distinct && !call.function.is_order_sensitive() && small
        };
        self.aggregates.iter().all(merges)
    }
}

/// Groups rows by several sets of keys: by the largest sets first, and what these give by the sets that are parts of them.
///
/// Puts out all keys, those that are not in the set as NULL, the set's number, and the results.
#[derive(Debug, Clone)]
pub struct SetsSpec {
    /// By all keys, without a window, at the end of the input; its standing groups have the number behind the keys. It
    /// [merges](AggregateSpec::merges).
    pub aggregate: AggregateSpec,
    pub sets: Vec<GroupingSet>,
}

/// One of several sets of keys.
#[derive(Debug, Clone)]
pub struct GroupingSet {
    /// Which of the keys it has, ascending.
    pub keys: Vec<usize>,
    /// Its number, as a column of one row.
    pub id: ArrayRef,
}

impl SetsSpec {
    /// The aggregate that puts together what several have given: by all keys and the number.
    pub fn merged(&self) -> AggregateSpec {
        let types = &self.aggregate.program.output_types;
        let (keys, args) = types.split_at(self.aggregate.key_count);
        let id = self.sets.first().map(|set| set.id.data_type().clone());
        let columns: Vec<(usize, DataType)> =
            keys.iter().cloned().chain(id).chain(args.iter().cloned()).enumerate().collect();
        let program = Arc::new(Program::columns(&columns));
        AggregateSpec { program, key_count: self.aggregate.key_count + 1, ..self.aggregate.clone() }
    }
}

/// One aggregate of an [`AggregateSpec`].
#[derive(Debug, Clone)]
pub struct AggregateCall {
    pub function: Arc<dyn AggregateFunction>,
    /// How many of the program's outputs are its arguments.
    pub arg_count: usize,
    /// The arguments' types.
    pub arg_types: Vec<DataType>,
    pub distinct: bool,
    /// Whether one more output of the program says which rows count.
    pub filtered: bool,
    /// The call whose states tell its result too: it has no arguments, no filter and no states of its own then.
    pub of: Option<usize>,
    /// As EXPLAIN shows it.
    pub text: String,
}

/// The window of a windowed aggregate. Sessions and windows of rows are those of the aggregate's keys.
#[derive(Debug, Clone)]
pub struct AggregateWindow {
    pub kind: WindowKind,
    /// The time column of the input; unused by windows of rows.
    pub column: usize,
    /// The type of the window columns.
    pub data_type: DataType,
    /// Which window columns the node puts out behind the keys, in this order.
    pub outputs: Vec<WindowColumn>,
}

/// A column that tells the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowColumn {
    Start,
    End,
    /// The last tick inside: end less one.
    Time,
}

impl WindowColumn {
    /// Its value for a window.
    pub fn of(self, bounds: Bounds) -> i64 {
        match self {
            WindowColumn::Start => bounds.start,
            WindowColumn::End => bounds.end,
            WindowColumn::Time => bounds.end.saturating_sub(1),
        }
    }
}

/// When an aggregate's results leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmitMode {
    /// Once: when the window closes, or when the input ends.
    Final,
    /// After each batch, the groups that changed.
    Changes,
}

/// Holds the watermark back, so that windows behind it take late rows for longer.
#[derive(Debug, Clone)]
pub struct DelaySpec {
    /// In ticks of the event time.
    pub ticks: i64,
}

/// Sends rows that are late for all their windows elsewhere, with all their columns.
#[derive(Debug, Clone)]
pub struct DivertSpec {
    pub kind: WindowKind,
    /// The time column of the input.
    pub column: usize,
    /// The name of the sink.
    pub sink: String,
}

/// Holds changes back and shows what they come to: by the clock, and when windows close.
#[derive(Debug, Clone)]
pub struct FiringSpec {
    /// How many of the first columns tell the group that a row is the result of; `None`: rows stand for themselves.
    pub key_count: Option<usize>,
    /// How many of the first columns decide the partition.
    pub route_count: usize,
    /// The column with the window's end, where results belong to windows.
    pub window_end: Option<usize>,
    /// How far the watermark here is behind the one that closes windows, in ticks.
    pub lateness: i64,
    /// Microseconds from one look at the clock to the next; `None`: results of open windows do not leave.
    pub every: Option<i64>,
    /// Whether results leave when their window closes.
    pub on_close: bool,
    /// Microseconds between two looks at the results of closed windows; `None`: they leave at once.
    pub late_every: Option<i64>,
}

/// Sorts all rows; with `fetch`, keeps the first ones only.
#[derive(Debug, Clone)]
pub struct SortSpec {
    /// Over the input's columns, one output per key.
    pub program: Arc<Program>,
    pub options: Vec<SortOptions>,
    pub fetch: Option<usize>,
}

/// Skips rows, then lets some pass.
#[derive(Debug, Clone)]
pub struct LimitSpec {
    pub skip: usize,
    pub fetch: Option<usize>,
}

/// Gives the rows of one pipeline, then of another over what came last, until nothing new comes.
#[derive(Debug, Clone)]
pub struct RecursionSpec {
    pub name: String,
    pub initial: Arc<Pipeline>,
    /// Reads [`Spec::WorkTable`].
    pub body: Arc<Pipeline>,
    /// `UNION`: a row that was there before is not new.
    pub distinct: bool,
}

/// Joins two inputs: the node's first is the left one, its second the right one.
#[derive(Debug, Clone)]
pub struct JoinSpec {
    pub kind: JoinKind,
    /// Over the left columns: what rows are matched by. No output at all: every row meets every other.
    pub left_keys: Arc<Program>,
    /// The same over the right columns; as many outputs, of the same types.
    pub right_keys: Arc<Program>,
    /// Whether a NULL key matches a NULL key.
    pub nulls_match: bool,
    /// `NOT IN`: a NULL on either side leaves it unknown whether there is a match. With `LeftAnti` only.
    pub null_aware: bool,
    /// Whether each row of the right side answers for one row of the left alone, as `INTERSECT ALL` and `EXCEPT ALL` count.
    /// With `LeftSemi` and `LeftAnti` and without a residual only.
    pub each_once: bool,
    /// What a pair with equal keys must fulfil as well: over left ++ right, one boolean output.
    pub residual: Option<Arc<Program>>,
    /// The columns that the node puts out, as numbers over left ++ right, whatever the kind; the mark is the next one.
    pub outputs: Vec<usize>,
    pub strategy: JoinStrategy,
}

/// Which pairs and rows a join puts out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    /// Left rows with a match, each once.
    LeftSemi,
    RightSemi,
    /// Left rows without a match.
    LeftAnti,
    RightAnti,
    /// Left rows, and whether they have a match.
    LeftMark,
    RightMark,
}

/// One of a join's inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinSide {
    Left,
    Right,
}

/// How a join is run.
#[derive(Debug, Clone)]
pub enum JoinStrategy {
    /// One side, which ends, is read whole into a table; then the other passes by it, batch by batch.
    ///
    /// `everywhere`: with up to so many workers each reads the whole side, so that the other need not be exchanged.
    Hash { build: JoinSide, everywhere: usize },
    /// Both sides are kept, and rows of either meet those of the other that came before.
    Symmetric(SymmetricSpec),
    /// Each left row meets the right row of its key that is nearest.
    AsOf(AsOfSpec),
}

impl JoinKind {
    /// The sides whose rows appear in what the kind puts out: left, right.
    pub fn sides(self) -> (bool, bool) {
        match self {
            JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full => (true, true),
            JoinKind::LeftSemi | JoinKind::LeftAnti | JoinKind::LeftMark => (true, false),
            JoinKind::RightSemi | JoinKind::RightAnti | JoinKind::RightMark => (false, true),
        }
    }

    /// Whether a column behind those of the sides says whether a row has a match.
    pub fn has_mark(self) -> bool {
        matches!(self, JoinKind::LeftMark | JoinKind::RightMark)
    }
}

impl JoinSide {
    pub fn other(self) -> JoinSide {
        match self {
            JoinSide::Left => JoinSide::Right,
            JoinSide::Right => JoinSide::Left,
        }
    }
}

impl JoinSpec {
    /// What a kind puts out when nothing is left out, `left` and `right` being the numbers of columns of the inputs.
    pub fn all_outputs(kind: JoinKind, left: usize, right: usize) -> Vec<usize> {
        let (of_left, of_right) = kind.sides();
        let left_columns = (0..left).filter(|_| of_left);
        let right_columns = (left..left + right).filter(|_| of_right);
        left_columns.chain(right_columns).chain(kind.has_mark().then_some(left + right)).collect()
    }

    /// The keys of one side.
    pub fn keys(&self, side: JoinSide) -> &Arc<Program> {
        match side {
            JoinSide::Left => &self.left_keys,
            JoinSide::Right => &self.right_keys,
        }
    }

    /// Whether rows are matched by keys at all.
    pub fn has_keys(&self) -> bool {
        !self.left_keys.outputs.is_empty()
    }
}
