# The report of scripts/bench-queries as Markdown, from the two engines' JSON.

def ms: if . == null then "" elif . < 10 then . * 10 + 0.5 | floor / 10 else . + 0.5 | floor end;
def ratio($of): if $of == null or $of == 0 then "" else . / $of * 100 + 0.5 | floor / 100 end;
def row(cells): "| " + ([cells] | map(tostring) | join(" | ")) + " |";

([.history.tenants[].spans] | add) as $spans
| "## \($spans) spans over \(.history.days) days, \(.history.tenants | length) tenants, one of which is asked",
"",
"Bytes a span on disk: \(.bytes_per_span) in \(.files) files" + (if $other then "; ClickHouse \($other.bytes_per_span)." else "." end),
"",
"| question | cold ms | p50 ms | p95 ms | ClickHouse cold ms | p50 ms | p95 ms | ours / ClickHouse, p50 |",
"|---|---|---|---|---|---|---|---|",
(.questions[] | . as $ours | ($other.questions[.name] // null) as $theirs
 | if .refused then row(.name, "refused", (.refused | .[0:60]), "", ($theirs.cold_ms | ms), ($theirs.p50 | ms), ($theirs.p95 | ms), "")
   else row(.name, (.cold_ms | ms), (.warm_ms.p50 | ms), (.warm_ms.p95 | ms), ($theirs.cold_ms | ms), ($theirs.p50 | ms), ($theirs.p95 | ms), (.warm_ms.p50 | ratio($theirs.p50)))
   end),
(if .neighbours then .neighbours |
"",
"A small tenant's list of traces, p95: alone \(.alone_ms.p95 | ms) ms; beside a tenant that asks for everything with as many clients as may run at once \(.beside_its_share_ms.p95 | ms) ms; with ten times as many \(.beside_ten_times_its_share_ms.p95 | ms) ms (\(.slower) times)."
else empty end)
