#!/usr/bin/env python3
"""The questions of `spanlake-load queries`, put to the ClickHouse engine (chdb) over the same rows.

usage: clickhouse.py FOLDER QUERIES.json [--rounds N]

FOLDER is the one that `spanlake-load queries` filled; its report is QUERIES.json. The rows are read from the Parquet files
once, into tables ordered as Langfuse's: observations by project, type, date and id, traces by project, date and id, with bloom
indexes on ids. What Langfuse keeps beside its spans, a row for each trace, is made from the root spans; a cost, which Langfuse
computes when a span arrives, is made from its tokens. In favour of ClickHouse: rows are there once, so nothing asks for FINAL;
the engine runs in this process, without HTTP. Prints JSON.
"""

import argparse
import json
import os
import pathlib
import sys
import time

from chdb import session

TABLES = [
    """
    CREATE TABLE observations (
        project_id String, type LowCardinality(String), start_time DateTime64(6, 'UTC'), end_time Nullable(DateTime64(6, 'UTC')),
        trace_id String, id String, parent_observation_id Nullable(String), name String, level LowCardinality(String),
        status_message Nullable(String), model Nullable(String), provider Nullable(String), environment LowCardinality(String),
        user_id Nullable(String), session_id Nullable(String), metadata String CODEC(ZSTD(3)), attributes String CODEC(ZSTD(3)),
        input Nullable(String) CODEC(ZSTD(3)), output Nullable(String) CODEC(ZSTD(3)),
        input_tokens Nullable(Int64), output_tokens Nullable(Int64), total_tokens Nullable(Int64), cached_input_tokens Nullable(Int64),
        cost Nullable(Decimal(18, 12)), duration_ns Nullable(Int64), time_to_first_token_ns Nullable(Int64), event_ts DateTime64(6, 'UTC'),
        INDEX idx_id id TYPE bloom_filter(0.001) GRANULARITY 1,
        INDEX idx_trace_id trace_id TYPE bloom_filter(0.001) GRANULARITY 1
    ) ENGINE = ReplacingMergeTree(event_ts) PARTITION BY toYYYYMM(start_time)
    PRIMARY KEY (project_id, type, toDate(start_time)) ORDER BY (project_id, type, toDate(start_time), id)
    """,
    """
    CREATE TABLE traces (
        project_id String, timestamp DateTime64(6, 'UTC'), id String, name String, user_id Nullable(String), session_id Nullable(String),
        environment LowCardinality(String), tags Array(String), metadata Map(LowCardinality(String), String) CODEC(ZSTD(3)),
        input_preview Nullable(String), output_preview Nullable(String), event_ts DateTime64(6, 'UTC'),
        INDEX idx_id id TYPE bloom_filter(0.001) GRANULARITY 1,
        INDEX idx_session_id session_id TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX idx_user_id user_id TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX idx_metadata_value mapValues(metadata) TYPE bloom_filter(0.01) GRANULARITY 1
    ) ENGINE = ReplacingMergeTree(event_ts) PARTITION BY toYYYYMM(timestamp)
    PRIMARY KEY (project_id, toDate(timestamp)) ORDER BY (project_id, toDate(timestamp), id)
    """,
    """
    CREATE TABLE scores (
        project_id String, timestamp DateTime64(6, 'UTC'), id String, name LowCardinality(String), trace_id Nullable(String),
        observation_id Nullable(String), value Nullable(Float64), event_ts DateTime64(6, 'UTC'),
        INDEX idx_trace_id trace_id TYPE bloom_filter(0.001) GRANULARITY 1
    ) ENGINE = ReplacingMergeTree(event_ts) PARTITION BY toYYYYMM(timestamp)
    PRIMARY KEY (project_id, toDate(timestamp), name) ORDER BY (project_id, toDate(timestamp), name, id)
    """,
]

FILL = [
    """
    INSERT INTO observations SELECT
        lower(hex(tenant_id)), multiIf(kind IN ('llm', 'embedding'), 'GENERATION', kind = 'event', 'EVENT', 'SPAN'), start_time, end_time,
        lower(hex(trace_id)), lower(hex(span_id)), lower(hex(parent_span_id)), name, if(status = 2, 'ERROR', 'DEFAULT'),
        status_message, model, provider, ifNull(environment, 'default'), user_id, session_id, metadata, attributes, input, output,
        input_tokens, output_tokens, total_tokens, cached_input_tokens,
        toDecimal64(ifNull(input_tokens, 0) * 0.0000025 + ifNull(output_tokens, 0) * 0.00001, 12), duration_ns, time_to_first_token_ns, received_at
    FROM file('{data}/spans/*/*.parquet', Parquet)
    """,
    """
    INSERT INTO traces SELECT
        lower(hex(tenant_id)), start_time, lower(hex(trace_id)), ifNull(trace_name, name), user_id, session_id, ifNull(environment, 'default'),
        tags, CAST(JSONExtractKeysAndValues(metadata, 'String'), 'Map(LowCardinality(String), String)'), input_preview, output_preview, received_at
    FROM file('{data}/spans/*/*.parquet', Parquet) WHERE is_root
    """,
    """
    INSERT INTO scores SELECT
        lower(hex(tenant_id)), start_time, id, name, lower(hex(trace_id)), lower(hex(span_id)), value, received_at
    FROM file('{data}/scores/*/*.parquet', Parquet)
    """,
]


# Seconds; a question that takes long is asked fewer times, as in src/queries/ask.rs.
ASKED_FOR = 15


def page(where="", order="timestamp DESC, id DESC"):
    """Fifty traces, and what their observations add up to."""
    return f"""
    WITH page AS (SELECT id, timestamp, name, user_id, session_id, environment, tags, input_preview, output_preview FROM traces
        WHERE project_id = '{{project}}' AND timestamp >= '{{all_days_ago}}' AND timestamp < '{{now}}' {where} ORDER BY {order} LIMIT 50)
    SELECT page.*, sums.* FROM page LEFT JOIN (
        SELECT trace_id, count(), countIf(level = 'ERROR'), sum(cost), sum(total_tokens), sum(input_tokens), sum(output_tokens),
            groupUniqArray(model), min(start_time), max(end_time)
        FROM observations WHERE project_id = '{{project}}' AND start_time >= toDateTime64('{{all_days_ago}}', 6) - INTERVAL 1 HOUR
            AND trace_id IN (SELECT id FROM page) GROUP BY trace_id
    ) AS sums ON sums.trace_id = page.id ORDER BY timestamp DESC
    """


OBSERVED = """AND id IN (SELECT trace_id FROM observations WHERE project_id = '{{project}}'
    AND start_time >= '{{all_days_ago}}' AND start_time < '{{now}}' AND {condition})"""
SPANS = "FROM observations WHERE project_id = '{project}' AND start_time >= '{since}' AND start_time < '{now}'"


def observed(condition):
    return page(OBSERVED.format(condition=condition))


def search(since, word):
    spans = SPANS.replace("{since}", since)
    matches = f"(positionCaseInsensitiveUTF8(input, '{word}') > 0 OR positionCaseInsensitiveUTF8(output, '{word}') > 0)"
    return f"SELECT trace_id, id, name, type, start_time, model, total_tokens, cost {spans} AND {matches} ORDER BY start_time DESC LIMIT 50"


SESSION = """
    SELECT t.session_id, min(t.timestamp) AS begun, max(o.last), count(), sum(o.cost), sum(o.tokens), sum(o.errors), groupUniqArray(t.user_id)
    FROM traces AS t LEFT JOIN (SELECT trace_id, max(end_time) AS last, sum(cost) AS cost, sum(total_tokens) AS tokens, countIf(level = 'ERROR') AS errors
        FROM observations WHERE project_id = '{project}' AND session_id IN (SELECT session_id FROM chosen) GROUP BY trace_id) AS o ON o.trace_id = t.id
    WHERE t.project_id = '{project}' AND t.session_id IN (SELECT session_id FROM chosen) GROUP BY t.session_id ORDER BY begun DESC
"""

QUESTIONS = {
    "latest 50 traces": page(),
    "traces by model": observed("model = '{model}'"),
    "traces by user": page("AND user_id = '{user}'"),
    "traces by tag": page("AND has(tags, '{tag}')"),
    "traces by metadata": page("AND metadata['plan'] = 'enterprise'"),
    "traces by score": page(
        "AND id IN (SELECT trace_id FROM scores WHERE project_id = '{project}' AND name = 'quality' GROUP BY trace_id HAVING avg(value) > 0.9)"
    ),
    "traces that failed": observed("level = 'ERROR'"),
    "traces by cost": """
        WITH sums AS (SELECT trace_id, sum(cost) AS cost, count(), countIf(level = 'ERROR'), sum(total_tokens), groupUniqArray(model), min(start_time), max(end_time)
            FROM observations WHERE project_id = '{project}' AND start_time >= '{all_days_ago}' AND start_time < '{now}'
            GROUP BY trace_id ORDER BY cost DESC, trace_id DESC LIMIT 50)
        SELECT sums.*, t.name, t.user_id, t.session_id, t.tags, t.input_preview, t.output_preview FROM sums
        LEFT JOIN (SELECT * FROM traces WHERE project_id = '{project}' AND id IN (SELECT trace_id FROM sums)) AS t ON t.id = sums.trace_id ORDER BY cost DESC
    """,
    "trace by id": """
        SELECT id, parent_observation_id, name, type, level, start_time, end_time, model, input_tokens, output_tokens, total_tokens, cost, metadata
        FROM observations WHERE project_id = '{project}' AND trace_id = '{trace}' ORDER BY start_time
    """,
    "sessions": """
        WITH chosen AS (SELECT session_id, min(timestamp) AS begun FROM traces WHERE project_id = '{project}' AND timestamp >= '{all_days_ago}' AND timestamp < '{now}'
            AND session_id IS NOT NULL GROUP BY session_id ORDER BY begun DESC LIMIT 50)
    """
    + SESSION,
    "one session": "WITH chosen AS (SELECT '{session}' AS session_id)" + SESSION,
    "cost by model by hour, 7 days": "SELECT toStartOfHour(start_time) AS hour, model, count(), sum(cost), sum(input_tokens), sum(output_tokens), countIf(level = 'ERROR'), quantile(0.95)(duration_ns) "
    + SPANS.replace("{since}", "{seven_days_ago}")
    + " GROUP BY hour, model ORDER BY hour",
    "latency p95 by name": "SELECT name, count(), quantiles(0.5, 0.9, 0.95, 0.99)(duration_ns), sum(cost) "
    + SPANS.replace("{since}", "{all_days_ago}")
    + " GROUP BY name ORDER BY count() DESC LIMIT 100",
    "common word, a day": search("{a_day_ago}", "{common_word}"),
    "common word, all days": search("{all_days_ago}", "{common_word}"),
    "rare word, a day": search("{a_day_ago}", "{rare_word}"),
    "rare word, all days": search("{all_days_ago}", "{rare_word}"),
    "metadata keys": """
        SELECT arrayJoin(mapKeys(metadata)) AS key, count() FROM traces WHERE project_id = '{project}' AND timestamp >= '{all_days_ago}'
        AND timestamp < '{now}' GROUP BY key ORDER BY count() DESC
    """,
}


def fill(engine, tenants):
    """Creates the tables and reads the tenants' files into them, merged as far as they go."""
    begun = time.monotonic()
    for statement in TABLES:
        engine.query(statement)
    for tenant in tenants:
        for statement in FILL:
            table = "scores" if "INTO scores" in statement else "spans"
            if list(tenant.glob(f"{table}/*/*.parquet")):
                engine.query(statement.replace("{data}", str(tenant)))
    for table in ("observations", "traces", "scores"):
        engine.query(f"OPTIMIZE TABLE {table} FINAL")
    return time.monotonic() - begun


def forget(folder):
    """Tells the system that nobody needs the files in memory."""
    for path in folder.rglob("*.bin"):
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def ask(engine, statement):
    begun = time.monotonic()
    answer = engine.query(statement, "JSONEachRow")
    return (time.monotonic() - begun) * 1e3, answer.rows_read(), len(answer.bytes())


def percentile(times, share):
    return round(sorted(times)[max(0, -(-len(times) * share // 100) - 1)], 3)


def measure(engine, folder, statement, rounds):
    for cache in ("MARK", "UNCOMPRESSED", "INDEX MARK"):
        engine.query(f"SYSTEM DROP {cache} CACHE")
    forget(folder)
    cold, rows, size = ask(engine, statement)
    begun, times = time.monotonic(), []
    while len(times) < rounds and time.monotonic() - begun <= ASKED_FOR:
        times.append(ask(engine, statement)[0])
    return {"cold_ms": round(cold, 3), "p50": percentile(times, 50), "p95": percentile(times, 95), "rows": rows, "bytes": size}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("queries", type=pathlib.Path)
    arguments.add_argument("--rounds", type=int, default=20)
    arguments = arguments.parse_args()
    asked = json.loads(arguments.queries.read_text())
    tenants = [path.parent for path in (arguments.folder / "data").rglob("spans") if path.is_dir()]
    folder = arguments.folder / "clickhouse"
    is_full = (folder / "full").exists()
    engine = session.Session(str(folder))
    engine.query("CREATE DATABASE IF NOT EXISTS spanlake ENGINE = Atomic")
    engine.query("USE spanlake")
    load_seconds = None
    if not is_full:
        load_seconds = fill(engine, tenants)
        (folder / "full").touch()
    # The tenant that was asked is the one with the most rows.
    project = engine.query("SELECT project_id FROM traces GROUP BY project_id ORDER BY count() DESC LIMIT 1", "TSV").data().strip()
    values = {**asked["samples"], "project": project}
    values = {name: value.replace("T", " ").removesuffix("Z") if name in ("now", "a_day_ago", "seven_days_ago", "all_days_ago") else value for name, value in values.items()}
    spans, size = json.loads(engine.query("SELECT sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'observations'", "JSONCompactEachRow").data())
    answers = {}
    for question in asked["questions"]:
        name = question["name"]
        print(f"clickhouse: {name}", file=sys.stderr)
        answers[name] = measure(engine, folder, QUESTIONS[name].format(**values), arguments.rounds)
    report = {"load_seconds": load_seconds, "spans": int(spans), "bytes_per_span": round(int(size) / int(spans), 1), "questions": answers}
    json.dump(report, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
