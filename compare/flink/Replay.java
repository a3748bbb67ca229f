// The table connector 'replay': rows that are in memory before a job starts, dealt out to its readers in turn; they can also
// be looked up by a BIGINT column. So Flink's time is that of its operators, as it is for the engines beside it.

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.LookupTableSource;
import org.apache.flink.table.connector.source.ScanTableSource;
import org.apache.flink.table.connector.source.SourceProvider;
import org.apache.flink.table.connector.source.lookup.LookupFunctionProvider;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.binary.BinaryStringData;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.functions.LookupFunction;

public final class Replay implements DynamicTableSourceFactory {
    private static final ConfigOption<String> TABLE = ConfigOptions.key("table").stringType().noDefaultValue();
    /** Rows handed out between two looks at what else there is to do. */
    private static final int ROWS_PER_POLL = 64;
    private static final Map<String, GenericRowData[]> TABLES = new HashMap<>();

    /** Reads a table: a line per row, columns between \u0001, each BIGINT (b), STRING (s) or milliseconds (t). */
    static void load(String name, String types, Path file) throws IOException {
        List<GenericRowData> rows = new ArrayList<>();
        try (var lines = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
            for (String line; (line = lines.readLine()) != null;) {
                String[] cells = line.split("\u0001", -1);
                var row = new GenericRowData(cells.length);
                for (int column = 0; column < cells.length; column++) {
                    row.setField(column, cell(types.charAt(column), cells[column]));
                }
                rows.add(row);
            }
        }
        TABLES.put(name, rows.toArray(new GenericRowData[0]));
    }

    private static Object cell(char type, String text) {
        if (type == 's') {
            BinaryStringData string = BinaryStringData.fromString(text);
            string.ensureMaterialized();
            return string;
        }
        long number = Long.parseLong(text);
        return type == 't' ? (Object) TimestampData.fromEpochMillis(number) : (Object) number;
    }

    @Override
    public String factoryIdentifier() {
        return "replay";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of(TABLE);
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of();
    }

    @Override
    public DynamicTableSource createDynamicTableSource(Context context) {
        return new Rows(context.getCatalogTable().getOptions().get("table"));
    }

    private record Rows(String table) implements ScanTableSource, LookupTableSource {
        @Override
        public ChangelogMode getChangelogMode() {
            return ChangelogMode.insertOnly();
        }

        @Override
        public ScanRuntimeProvider getScanRuntimeProvider(ScanContext context) {
            return SourceProvider.of(new Events(table));
        }

        @Override
        public LookupRuntimeProvider getLookupRuntimeProvider(LookupContext context) {
            return LookupFunctionProvider.of(new ByKey(table, context.getKeys()[0][0]));
        }

        @Override
        public DynamicTableSource copy() {
            return this;
        }

        @Override
        public String asSummaryString() {
            return "replay of " + table;
        }
    }

    public static final class ByKey extends LookupFunction {
        private final String table;
        private final int column;
        private transient Map<Long, List<RowData>> rows;

        ByKey(String table, int column) {
            this.table = table;
            this.column = column;
        }

        @Override
        public Collection<RowData> lookup(RowData key) {
            if (rows == null) {
                rows = new HashMap<>();
                for (RowData row : TABLES.get(table)) {
                    rows.computeIfAbsent(row.getLong(column), unseen -> new ArrayList<>()).add(row);
                }
            }
            return rows.getOrDefault(key.getLong(0), List.of());
        }
    }

    private static final class Split implements SourceSplit {
        private final int step;
        private int next;

        Split(int next, int step) {
            this.next = next;
            this.step = step;
        }

        @Override
        public String splitId() {
            return "every " + step + " from " + next % step;
        }
    }

    private record Events(String table) implements Source<RowData, Split, Integer> {
        @Override
        public Boundedness getBoundedness() {
            return Boundedness.BOUNDED;
        }

        @Override
        public SplitEnumerator<Split, Integer> createEnumerator(SplitEnumeratorContext<Split> context) {
            return new Dealer(context);
        }

        @Override
        public SplitEnumerator<Split, Integer> restoreEnumerator(SplitEnumeratorContext<Split> context, Integer saved) {
            return new Dealer(context);
        }

        @Override
        public SourceReader<RowData, Split> createReader(SourceReaderContext context) {
            return new Reader(TABLES.get(table));
        }

        @Override
        public SimpleVersionedSerializer<Split> getSplitSerializer() {
            return new Numbers<>() {
                @Override
                long number(Split split) {
                    return (long) split.next << 32 | split.step;
                }

                @Override
                Split value(long number) {
                    return new Split((int) (number >> 32), (int) number);
                }
            };
        }

        @Override
        public SimpleVersionedSerializer<Integer> getEnumeratorCheckpointSerializer() {
            return new Numbers<>() {
                @Override
                long number(Integer value) {
                    return value;
                }

                @Override
                Integer value(long number) {
                    return (int) number;
                }
            };
        }
    }

    /** What is one number when it is stored. */
    private abstract static class Numbers<T> implements SimpleVersionedSerializer<T> {
        abstract long number(T value);

        abstract T value(long number);

        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(T value) {
            return java.nio.ByteBuffer.allocate(8).putLong(number(value)).array();
        }

        @Override
        public T deserialize(int version, byte[] bytes) {
            return value(java.nio.ByteBuffer.wrap(bytes).getLong());
        }
    }

    private record Dealer(SplitEnumeratorContext<Split> context) implements SplitEnumerator<Split, Integer> {
        @Override
        public void addReader(int reader) {
            context.assignSplit(new Split(reader, context.currentParallelism()), reader);
            context.signalNoMoreSplits(reader);
        }

        @Override
        public void start() {}

        @Override
        public void handleSplitRequest(int reader, String host) {}

        @Override
        public void addSplitsBack(List<Split> splits, int reader) {}

        @Override
        public Integer snapshotState(long checkpoint) {
            return 0;
        }

        @Override
        public void close() {}
    }

    private static final class Reader implements SourceReader<RowData, Split> {
        private final GenericRowData[] rows;
        private final CompletableFuture<Void> given = new CompletableFuture<>();
        private Split split;

        Reader(GenericRowData[] rows) {
            this.rows = rows;
        }

        @Override
        public InputStatus pollNext(ReaderOutput<RowData> output) {
            if (split == null) {
                return InputStatus.NOTHING_AVAILABLE;
            }
            for (int count = 0; count < ROWS_PER_POLL && split.next < rows.length; count++, split.next += split.step) {
                output.collect(fresh(rows[split.next]));
            }
            return split.next < rows.length ? InputStatus.MORE_AVAILABLE : InputStatus.END_OF_INPUT;
        }

        /** A row of its own: operators write kinds of changes into those they get. */
        private static RowData fresh(GenericRowData row) {
            var fresh = new GenericRowData(row.getArity());
            for (int column = 0; column < row.getArity(); column++) {
                fresh.setField(column, row.getField(column));
            }
            return fresh;
        }

        @Override
        public void addSplits(List<Split> splits) {
            split = splits.get(0);
            given.complete(null);
        }

        @Override
        public CompletableFuture<Void> isAvailable() {
            return given;
        }

        @Override
        public List<Split> snapshotState(long checkpoint) {
            return split == null ? List.of() : List.of(split);
        }

        @Override
        public void start() {}

        @Override
        public void notifyNoMoreSplits() {}

        @Override
        public void close() {}
    }
}
