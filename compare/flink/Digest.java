// The table connector 'digest': an answer as a few numbers, its changes folded up; as src/command/bench/digest.rs has it.

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import java.util.Set;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.connector.sink.SinkV2Provider;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DynamicTableSinkFactory;
import org.apache.flink.table.types.logical.DecimalType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.types.RowKind;

public final class Digest implements DynamicTableSinkFactory {
    private static long rows;
    private static long hash;
    private static double[] sums;

    /** Forgets what was counted. */
    static synchronized void clear(int columns) {
        rows = 0;
        hash = 0;
        sums = new double[columns];
    }

    /** What was counted, as JSON. */
    static synchronized String text() {
        var list = new StringBuilder();
        for (double sum : sums) {
            list.append(list.isEmpty() ? "" : ",").append(sum);
        }
        String low = new BigInteger(Long.toUnsignedString(hash)).toString();
        return "{\"rows\":" + rows + ",\"hash\":\"" + low + "\",\"sums\":[" + list + "]}";
    }

    private static synchronized void add(long weight, long low, double[] values) {
        rows += weight;
        hash += weight * low;
        for (int column = 0; column < values.length; column++) {
            sums[column] += weight * values[column];
        }
    }

    @Override
    public String factoryIdentifier() {
        return "digest";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of();
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of();
    }

    @Override
    public DynamicTableSink createDynamicTableSink(Context context) {
        return new Table(context.getPhysicalRowDataType().getLogicalType().getChildren());
    }

    private record Table(List<LogicalType> types) implements DynamicTableSink {
        @Override
        public ChangelogMode getChangelogMode(ChangelogMode wanted) {
            return ChangelogMode.all();
        }

        @Override
        public SinkRuntimeProvider getSinkRuntimeProvider(Context context) {
            return SinkV2Provider.of(new Counter(types));
        }

        @Override
        public DynamicTableSink copy() {
            return this;
        }

        @Override
        public String asSummaryString() {
            return "digest";
        }
    }

    private record Counter(List<LogicalType> types) implements Sink<RowData> {
        @Override
        public SinkWriter<RowData> createWriter(WriterInitContext context) {
            return new Writer(types);
        }
    }

    private static final class Writer implements SinkWriter<RowData> {
        private final List<LogicalType> types;
        private final MessageDigest md5;

        Writer(List<LogicalType> types) {
            this.types = types;
            try {
                md5 = MessageDigest.getInstance("MD5");
            } catch (NoSuchAlgorithmException impossible) {
                throw new IllegalStateException(impossible);
            }
        }

        @Override
        public void write(RowData row, Context context) {
            var text = new StringBuilder();
            double[] values = new double[types.size()];
            for (int column = 0; column < values.length; column++) {
                LogicalType type = types.get(column);
                if (isRounded(type)) {
                    values[column] = row.isNullAt(column) ? 0 : number(row, column, type);
                } else {
                    text.append('|').append(row.isNullAt(column) ? "~" : cell(row, column, type));
                }
            }
            byte[] hashed = md5.digest(text.toString().getBytes(StandardCharsets.UTF_8));
            long low = ByteBuffer.wrap(hashed).order(ByteOrder.LITTLE_ENDIAN).getLong(8);
            boolean isTaken = row.getRowKind() == RowKind.DELETE || row.getRowKind() == RowKind.UPDATE_BEFORE;
            add(isTaken ? -1 : 1, low, values);
        }

        private static boolean isRounded(LogicalType type) {
            return switch (type.getTypeRoot()) {
                case FLOAT, DOUBLE -> true;
                case DECIMAL -> ((DecimalType) type).getScale() > 0;
                default -> false;
            };
        }

        private static double number(RowData row, int column, LogicalType type) {
            return switch (type.getTypeRoot()) {
                case FLOAT -> row.getFloat(column);
                case DOUBLE -> row.getDouble(column);
                default -> {
                    var decimal = (DecimalType) type;
                    yield row.getDecimal(column, decimal.getPrecision(), decimal.getScale()).toBigDecimal().doubleValue();
                }
            };
        }

        private static String cell(RowData row, int column, LogicalType type) {
            return switch (type.getTypeRoot()) {
                case BOOLEAN -> Boolean.toString(row.getBoolean(column));
                case TINYINT -> Byte.toString(row.getByte(column));
                case SMALLINT -> Short.toString(row.getShort(column));
                case INTEGER, DATE -> Integer.toString(row.getInt(column));
                case BIGINT -> Long.toString(row.getLong(column));
                case CHAR, VARCHAR -> row.getString(column).toString();
                case DECIMAL -> row.getDecimal(column, ((DecimalType) type).getPrecision(), 0).toString();
                case TIMESTAMP_WITHOUT_TIME_ZONE, TIMESTAMP_WITH_LOCAL_TIME_ZONE ->
                    Long.toString(row.getTimestamp(column, 3).getMillisecond() * 1000);
                default -> throw new IllegalArgumentException("no digest of columns of type " + type);
            };
        }

        @Override
        public void flush(boolean isEnd) {}

        @Override
        public void close() {}
    }
}
