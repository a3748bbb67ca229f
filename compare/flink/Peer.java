// Runs the queries of a file of JSON in Flink, as jobs over streams: `Peer QUERIES.json THREADS REPEAT`. Each runs once for
// its answer, which also warms up, and then for its time; a line of JSON per query, as compare/peers.py prints it.

import com.sun.management.OperatingSystemMXBean;
import java.io.File;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.util.EnvironmentInformation;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.catalog.Column;
import org.apache.flink.table.functions.ScalarFunction;

public final class Peer {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final JsonNode suite;
    private final int threads;

    private Peer(JsonNode suite, int threads) {
        this.suite = suite;
        this.threads = threads;
    }

    public static void main(String[] given) throws Exception {
        JsonNode suite = JSON.readTree(new File(given[0]));
        var peer = new Peer(suite, Integer.parseInt(given[1]));
        for (JsonNode table : suite.get("tables")) {
            Replay.load(table.get("name").asText(), table.get("kinds").asText(), Path.of(table.get("rows").asText()));
        }
        for (JsonNode query : suite.get("queries")) {
            System.out.println(peer.measure(query, Integer.parseInt(given[2])));
            System.out.flush();
        }
        System.exit(0);
    }

    private ObjectNode measure(JsonNode query, int repeat) {
        ObjectNode line = JSON.createObjectNode().put("engine", "flink").put("version", EnvironmentInformation.getVersion())
            .put("query", query.get("name").asText()).put("threads", threads);
        String sql = query.get("sql").asText();
        try {
            run(sql, "digest");
            line.set("digest", JSON.readTree(Digest.text()));
            var system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
            double wall = Double.MAX_VALUE, cpu = Double.MAX_VALUE;
            for (int time = 0; time < repeat; time++) {
                System.gc();
                long before = system.getProcessCpuTime();
                wall = Math.min(wall, run(sql, "blackhole"));
                cpu = Math.min(cpu, (system.getProcessCpuTime() - before) / 1e9);
            }
            line.put("wall", wall).put("cpu", cpu).put("peak_bytes", peakBytes());
        } catch (Exception error) {
            Throwable cause = error;
            while (cause.getCause() != null) {
                cause = cause.getCause();
            }
            String text = String.valueOf(cause.getMessage()).lines().findFirst().orElse(cause.getClass().getName());
            line.put("error", text.substring(0, Math.min(200, text.length())));
        }
        return line;
    }

    /** Runs a query into a sink; the seconds from its submission to its end. */
    private double run(String sql, String connector) throws Exception {
        TableEnvironment flink = environment();
        var columns = new StringBuilder();
        int count = 0;
        for (Column column : flink.sqlQuery(sql).getResolvedSchema().getColumns()) {
            String type = column.getDataType().getLogicalType().asSerializableString().replace(" NOT NULL", "");
            columns.append(count++ == 0 ? "" : ", ").append('`').append(column.getName()).append("` ").append(type);
        }
        Digest.clear(count);
        flink.executeSql("CREATE TABLE answer (" + columns + ") WITH ('connector' = '" + connector + "')");
        long start = System.nanoTime();
        flink.executeSql("INSERT INTO answer " + sql).await();
        return (System.nanoTime() - start) / 1e9;
    }

    private TableEnvironment environment() {
        var settings = new Configuration();
        settings.setString("parallelism.default", Integer.toString(threads));
        settings.setString("taskmanager.numberOfTaskSlots", Integer.toString(threads));
        settings.setString("pipeline.object-reuse", "true");
        settings.setString("table.local-time-zone", "UTC");
        settings.setString("rest.port", "0");
        settings.setString("taskmanager.memory.managed.size", "1g");
        // Faster for most queries; and without it Flink 2.3 loses retractions of ROW_NUMBER() = 1 in an order of two columns.
        settings.setString("table.exec.mini-batch.enabled", "true");
        settings.setString("table.exec.mini-batch.allow-latency", "2s");
        settings.setString("table.exec.mini-batch.size", "50000");
        var environment = EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(settings).build();
        TableEnvironment flink = TableEnvironment.create(environment);
        flink.createTemporarySystemFunction("COUNT_CHAR", CountChar.class);
        for (JsonNode table : suite.get("tables")) {
            String name = table.get("name").asText();
            String options = "('connector' = 'replay', 'table' = '" + name + "')";
            flink.executeSql("CREATE TABLE " + name + " (" + table.get("columns").asText() + ") WITH " + options);
        }
        return flink;
    }

    /** The most memory the process has held. */
    private static long peakBytes() throws Exception {
        String line = Files.readAllLines(Path.of("/proc/self/status")).stream()
            .filter(text -> text.startsWith("VmHWM")).findFirst().orElse("0");
        return Long.parseLong(line.replaceAll("\\D", "")) * 1024;
    }

    /** How often a character stands in a text; Flink has no such function of its own. */
    public static final class CountChar extends ScalarFunction {
        public Long eval(String text, String character) {
            return text == null ? null : text.chars().filter(at -> at == character.charAt(0)).count();
        }
    }
}
