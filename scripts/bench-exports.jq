# The report of scripts/bench-exports as Markdown, from our JSON and DuckDB's.

def tenth: if . == null then "" elif . < 10 then . * 10 + 0.5 | floor / 10 else . + 0.5 | floor end;
def ratio($of): if $of == null or $of == 0 then "" else . / $of * 100 + 0.5 | floor / 100 end;
def row(cells): "| " + ([cells] | map(tostring) | join(" | ")) + " |";

"## \(.history.spans) spans over \(.history.days) days, \(.bytes_per_span) bytes each",
"",
"| files | seconds | rows/s | MB/s | bytes a row | CPU µs a row | MB before | MB at most | DuckDB \($duck.version // "") rows/s | ours / DuckDB |",
"|---|---|---|---|---|---|---|---|---|---|",
(.jobs[] | ($duck.copies[.name] // null) as $theirs
 | row(.name, (.seconds | tenth), .rows_per_second, (.mb_per_second | tenth), (.bytes / .rows | tenth), (.cpu_us_per_row | tenth),
       (.before_mb | tenth), (.peak_mb | tenth), ($theirs.rows_per_second // ""), (.rows_per_second | ratio($theirs.rows_per_second)))),
(if .pages then .pages |
"",
"\(.pages) pages of `GET /v1/traces/export`, \(.rows / .pages) rows each: p50 \(.page_ms.p50 | tenth) ms, at most \(.page_ms.max | tenth) ms; \(.rows_per_second) rows/s, \(.mb_per_second | tenth) MB/s."
else empty end),
(if .ingest then .ingest |
"",
"Acknowledgements of another tenant's \(.rate) spans a second, p50 / p95 / p99: alone \(.alone.latency_ms | "\(.p50 | tenth) / \(.p95 | tenth) / \(.p99 | tenth)") ms; beside exports (\(.exports) done, one under way for \(.exporting_seconds | tenth) s) \(.beside.latency_ms | "\(.p50 | tenth) / \(.p95 | tenth) / \(.p99 | tenth)") ms: p99 \(.alone.latency_ms.p99 as $alone | .beside.latency_ms.p99 | ratio($alone)) times."
else empty end)
