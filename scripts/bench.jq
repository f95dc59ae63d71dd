# The report of scripts/bench as Markdown, from its JSON.

def whole: . + 0.5 | floor;
def tenths: . * 10 + 0.5 | floor / 10;
def thousands: whole | tostring | [match(".{1,3}(?=(.{3})*$)"; "g").string] | join(" ");
def percent($of): "\(100 * . / $of | whole) %";
def row(cells): "| " + ([cells] | map(tostring) | join(" | ")) + " |";

# One load: rates and latencies.
def load($name; $through): row($name, (.spans_per_second | thousands), $through, (.mb_per_second | whole),
    .latency_ms.p50, .latency_ms.p95, .latency_ms.p99);
def through($name): .spans_per_second as $through | .load | load($name; $through | thousands);

.servers as $all | $all.machine as $machine | $all.ingest as $ingest | $all.disk as $disk | $all.recovery as $recovery
| ($ingest.protobuf.spans_per_second) as $through
| ($ingest.protobuf.load.average_span_bytes) as $span_bytes
| "## \($machine.cores) cores, \(.cpu), commit \(.commit)",
"",
"Spans of \($span_bytes | whole) bytes, batches of \($ingest.protobuf.load.batch), \($ingest.protobuf.load.connections) connections; generator, server and compactor share the cores; every acknowledgement is synced.",
"",
"| ingest | acknowledged spans/s | through to Parquet, spans/s | MB/s | p50 ms | p95 ms | p99 ms |",
"|---|---|---|---|---|---|---|",
($ingest.protobuf | through("OTLP/HTTP protobuf, full load, \(.load.seconds | whole) s + \(.drain_seconds | tenths) s drain")),
($ingest.json | through("OTLP/HTTP JSON, full load")),
($ingest.grpc | through("OTLP/gRPC, full load")),
($ingest.half_load | load("OTLP/HTTP protobuf, half load"; "")),
"",
"Processor time at full load: server \($ingest.protobuf.server_cpu_us | tenths) µs a span, generator \($ingest.protobuf.generator_cpu_us | tenths) µs. The generator's connections waited \($ingest.protobuf.load.generator.starved_seconds) s for it, all together.",
"",
"| where the time goes, one core | µs a span | spans/s |",
"|---|---|---|",
(.stages.stages[] | row(.name, (.micros_per_span | . * 100 + 0.5 | floor / 100), (.spans_per_second | thousands))),
"",
"| the machine, same run | | the server's \($through | thousands) spans/s (\($through * $span_bytes / 1e6 | whole) MB/s) beside it |",
"|---|---|---|",
(.stages as $stages | $stages.decode_spans_per_second | row("decode and normalise, one core", "\(thousands) spans/s", ($through | percent($stages.decode_spans_per_second)))),
row("zstd 1, one core", "\($machine.zstd_1_mb_per_second) MB/s, \($machine.zstd_1_ratio) times smaller", ($through * $span_bytes / 1e6 | percent($machine.zstd_1_mb_per_second))),
row("zstd 3, one core", "\($machine.zstd_3_mb_per_second) MB/s, \($machine.zstd_3_ratio) times smaller", ($through * $span_bytes / 1e6 | percent($machine.zstd_3_mb_per_second))),
row("256 MiB written, then synced", "\($machine.write_mb_per_second) MB/s", ($through * $span_bytes / 1e6 | percent($machine.write_mb_per_second))),
row("4 KiB written and synced", "\($machine.sync_ms) ms", ""),
"",
"| disk, \($disk.spans | thousands) spans | bytes a span | files |",
"|---|---|---|",
row("as sent", ($disk.request_bytes_per_span | whole), ""),
row("flushed", ($disk.flushed_bytes_per_span | whole), $disk.flushed_files),
row("merged while the day may grow, in \($disk.merged.seconds | tenths) s", ($disk.merged.bytes_per_span | whole), $disk.merged.files),
row("packed when it is over, in \($disk.packed.seconds | tenths) s", ($disk.packed.bytes_per_span | whole), $disk.packed.files),
"",
"| column, packed | bytes a span | share | times compressed |",
"|---|---|---|---|",
(.columns.columns[:14][] | row(.name, .bytes_per_row, "\(.percent) %", .compressed_times)),
row("the other \(.columns.columns[14:] | length) columns", (.columns.columns[14:] | map(.bytes_per_row) | add // 0 | tenths), "\(.columns.columns[14:] | map(.percent) | add // 0 | tenths) %", ""),
row("bloom filters, indexes, footers", .columns.other_bytes_per_row, "\(100 * .columns.other_bytes / .columns.bytes | tenths) %", ""),
"",
"| recovery, \($recovery.spans | thousands) spans, \($recovery.log_mb | whole) MB of log (\($recovery.request_mb | whole) MB of requests) | s to ready | log MB/s | request MB/s | resident MB |",
"|---|---|---|---|---|",
($recovery.in_memory | row("into memory", .ready_seconds, .log_mb_per_second, .request_mb_per_second, (.resident_mb | whole))),
($recovery.flushing | row("flushed meanwhile, as configured by default", .ready_seconds, .log_mb_per_second, .request_mb_per_second, (.resident_mb | whole))),
"",
"| resident memory | min MB | median MB | max MB |",
"|---|---|---|---|",
row("idle (\($ingest.idle.cpu_percent) % of a core)", "", ($ingest.idle.resident_mb | whole), ""),
row("full load, \($ingest.protobuf.memory_mb.seconds) s", "", "", ($ingest.protobuf.memory_mb.max | whole)),
($all.soak // empty
 | row("\(.rate | thousands) spans/s, first minute of \(.memory_mb.seconds) s", (.memory_mb.first_minute.min | whole), (.memory_mb.first_minute.median | whole), (.memory_mb.first_minute.max | whole)),
   row("last minute; slope after the first \(.memory_mb.slope_mb_per_minute | tenths) MB/min", (.memory_mb.last_minute.min | whole), (.memory_mb.last_minute.median | whole), (.memory_mb.last_minute.max | whole)))
