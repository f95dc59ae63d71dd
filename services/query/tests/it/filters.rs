//! The filter language means for spans and traces what it says: held against every span by plain code.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};
use spanlake_model::{Condition, Cost, Field, Filter, Kind, Money, Score, Span, Status, Test, TraceId, Usage};

use crate::face::{Face, face};
use crate::pages::score;
use crate::world::{World, fresh, id, span, tenant, trace};

fn children() -> Vec<Span> {
    let names = ["chat gpt-4o", "execute_tool get_weather", "Straße %_\\ 100%", "агент", "plan"];
    (0..36_u8)
        .map(|n| {
            let is_llm = n % 3 == 0;
            let mut one = span(1 + n / 4, 1 + n, u64::from(n % 7) * 60 + u64::from(n));
            one.parent_span_id = (n % 4 != 0).then(|| id(1 + n - n % 4));
            one.end = (n % 11 != 10).then(|| one.start.plus(std::time::Duration::from_millis(u64::from(n) * 250)));
            one.name = names[usize::from(n % 5)].into();
            one.kind = Kind::new(if is_llm { Kind::LLM } else { [Kind::TOOL, Kind::EVENT][usize::from(n % 2)] });
            one.status = [Status::Ok, Status::Unset, Status::Error][usize::from(n % 5 % 3)];
            one.model = (n % 2 == 0).then(|| ["gpt-4o", "GPT-4o", "o3"][usize::from(n / 2 % 3)].into());
            one.request_model = (n % 6 == 1).then(|| "gpt-4o".into());
            one.user_id = (n % 3 != 1).then(|| format!("user {}", n % 4));
            one.tags = match n % 4 {
                0 => vec![],
                1 => vec!["vip".into()],
                2 => vec!["Beta".into(), "eu-west".into()],
                _ => vec!["vipers".into(), String::new(), "one\u{1f}vip\u{1f}tag".into()],
            };
            one.metadata = match n % 5 {
                0 => "{}".into(),
                1 => r#"{"plan":"pro","seats":3}"#.into(),
                2 => r#"{"plan":"Free","seats":"10","team":{"name":"a b"},"serial":"9007199254740992"}"#.into(),
                3 => r#"{"seats":3.0,"plan":null,"serial":9007199254740993}"#.into(),
                _ => r#"{"team.name":"dotted","ok":true,"seats":"NaN","my key":"b"}"#.into(),
            };
            one.input = (n % 2 == 1)
                .then(|| ["Wie spät ist ES?", "50% off_now \\ \"yes\"", "ΣΊΣΥΦΟΣ"][usize::from(n / 2 % 3)].into());
            one.output = (n % 5 == 2).then(|| "it is late".into());
            // Calls lie side by side below their roots, so that each counts.
            if is_llm && n % 4 != 0 {
                let total = i64::from(n) * 10;
                one.usage = Usage { input: Some(total - 5), output: Some(5), total: Some(total), ..Usage::default() };
                one.cost = Cost { total: Money::from_dollars(f64::from(n) / 100.0), ..Cost::default() };
            }
            one
        })
        .collect()
}

/// About traces, about spans, and about spans without their trace; one about a span of another trace than the one it names.
pub fn scores() -> Vec<Score> {
    let given = |name: &str, value: Option<f64>, trace_of: Option<u8>, span_of: Option<u8>| Score {
        trace_id: trace_of.map(trace),
        span_id: span_of.map(id),
        name: name.into(),
        label: value.is_none().then(|| "good".into()),
        value,
        ..score(&format!("{name} {trace_of:?} {span_of:?}"))
    };
    vec![
        given("quality", Some(0.5), Some(1), None),
        given("quality", Some(0.9), Some(1), Some(2)),
        given("quality", Some(0.7), None, Some(2)),
        given("quality", Some(0.25), Some(2), None),
        given("quality", Some(1.0), None, Some(7)),
        given("quality", Some(0.1), Some(3), Some(36)),
        given("Tone.of voice", Some(-2.0), Some(4), None),
        given("Tone.of voice", Some(2.0), Some(4), Some(14)),
        given("quality", None, Some(5), None),
        given("quality", Some(0.9), Some(5), Some(18)),
        given("quality", Some(0.3), None, Some(18)),
        given("speed", Some(40.0), None, Some(22)),
        given("speed", Some(4.0), Some(6), Some(22)),
        given("quality", Some(1.0), None, Some(99)),
    ]
}

type Means = BTreeMap<String, f64>;

fn means<'s>(scores: impl Iterator<Item = &'s Score>) -> Means {
    let mut by_name: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for score in scores {
        by_name.entry(score.name.clone()).or_default().extend(score.value);
    }
    by_name.retain(|_, values| !values.is_empty());
    by_name.into_iter().map(|(name, all)| (name, all.iter().sum::<f64>() / all.len() as f64)).collect()
}

/// Its own, else those of its trace.
fn means_of_span(span: &Span, scores: &[Score]) -> Means {
    let names_it = |score: &&Score| score.span_id == Some(span.span_id);
    let is_own = |score: &&Score| names_it(score) && score.trace_id.is_none_or(|trace| trace == span.trace_id);
    let is_of_trace = |score: &&Score| score.span_id.is_none() && score.trace_id == Some(span.trace_id);
    let mut all = means(scores.iter().filter(is_of_trace));
    all.extend(means(scores.iter().filter(is_own)));
    all
}

/// All that name it or, without naming any trace, one of its spans.
fn means_of_trace(spans: &[&Span], scores: &[Score]) -> Means {
    let is_of = |score: &&Score| match score.trace_id {
        Some(trace) => trace == spans[0].trace_id,
        None => spans.iter().any(|span| score.span_id == Some(span.span_id)),
    };
    means(scores.iter().filter(is_of))
}

const FILTERS: [&str; 51] = [
    "name = 'chat gpt-4o'",
    "name != plan",
    "name contains 'GPT'",
    "name contains '%'",
    "name contains '_'",
    "name contains '\\\\'",
    "name contains 'STRASSE'",
    "name contains 'АГЕНТ'",
    "name not contains a",
    "name starts with 'Execute_'",
    "name ends with '100%'",
    "name in (plan, 'агент')",
    "name not in (plan)",
    "model = gpt-4o",
    "model contains gpt",
    "model exists",
    "model does not exist",
    "user_id = 'user 2' and status = ERROR",
    "user_id does not exist and model exists",
    "status != ok",
    "status in (ERROR, UNSET)",
    "type = GENERATION",
    "type != EVENT",
    "kind = tool",
    "tags = vip",
    "tags contains VIP",
    "tags != vip",
    "tags starts with eu",
    "tags ends with ta",
    "tags exists",
    "tags does not exist",
    "metadata.plan = pro",
    "metadata.plan contains FR",
    "metadata.plan exists",
    "metadata.plan != pro",
    "metadata.seats >= 3",
    "metadata.seats = 3",
    "metadata.serial = 9007199254740993",
    "metadata.serial > 9007199254740992",
    "metadata.serial between 9007199254740991 and 9007199254740992",
    "metadata.team.name contains A",
    "metadata.ok = true",
    "metadata.seats > 9.5",
    "'metadata.my key' = b",
    "latency_ms between 1000 and 3000",
    "latency_ms > 4000",
    "cost > 0.1",
    "(total_tokens >= 150 or input contains 'spät') and name != plan",
    "span_id = 0707070707070707",
    "trace_id in (nothing, 02020202020202020202020202020202)",
    "(input contains 'σίσυφος' or output contains 'LATE') and (model exists or user_id exists)",
];

const ABOUT_SCORES: [&str; 16] = [
    "score__quality > 0.5",
    "score__quality >= 0.5",
    "score__quality < 0.5",
    "score__quality <= 0.5",
    "score__quality = 0.25",
    "score__quality != 0.25",
    "score__quality in (0.25, 1)",
    "score__quality between 0.5 and 0.8",
    "score__quality exists",
    "score__quality does not exist and model exists",
    "'score__Tone.of voice' >= 0",
    "(score__speed > 20 or name = plan)",
    "any_score >= 1",
    "any_score between 0.6 and 3 and score__quality exists",
    "any_score between 0.45 and 0.55",
    "any_score does not exist",
];

fn read(text: &str) -> Filter {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Whether any of the texts passes.
fn texts(values: &[&str], test: &Test) -> bool {
    let low = |text: &str| text.to_lowercase();
    values.iter().any(|value| match test {
        Test::Is(wanted) => wanted.iter().any(|wanted| wanted == value),
        Test::Contains(part) => low(value).contains(&low(part)),
        Test::StartsWith(part) => low(value).starts_with(&low(part)),
        Test::EndsWith(part) => low(value).ends_with(&low(part)),
        _ => true,
    })
}

fn number(value: Option<f64>, test: &Test) -> bool {
    let Some(value) = value else { return false };
    match test {
        Test::Equals(wanted) => wanted.iter().any(|wanted| wanted.get() == value),
        Test::Within { low, high } => {
            low.is_none_or(|(low, is_in)| value > low.get() || is_in && value == low.get())
                && high.is_none_or(|(high, is_in)| value < high.get() || is_in && value == high.get())
        }
        _ => true,
    }
}

fn metadata(span: &Span, key: &str, test: &Test) -> bool {
    let object: Value = serde_json::from_str(&span.metadata).unwrap();
    let path = key.split('.').try_fold(&object, |value, key| value.get(key));
    let Some(value) = object.get(key).or(path).filter(|value| !value.is_null() && !value.is_object()) else {
        return false;
    };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    // All whole numbers here fit, and all others are small.
    let whole = |text: &str| text.parse::<i128>().ok();
    let near = |text: &str| text.parse::<f64>().ok();
    let compared = |wanted: &str| match (whole(&text), whole(wanted)) {
        (Some(one), Some(wanted)) => Some(one.cmp(&wanted)),
        _ => near(&text)?.partial_cmp(&near(wanted)?),
    };
    match test {
        Test::Within { low, high } => {
            low.is_none_or(|(low, is_in)| {
                compared(&low.to_string()).is_some_and(|it| it.is_gt() || is_in && it.is_eq())
            }) && high.is_none_or(|(high, is_in)| {
                compared(&high.to_string()).is_some_and(|it| it.is_lt() || is_in && it.is_eq())
            })
        }
        Test::Is(wanted) => {
            texts(&[&text], test) || wanted.iter().any(|wanted| compared(wanted).is_some_and(Ordering::is_eq))
        }
        _ => texts(&[&text], test),
    }
}

/// The condition itself, not its opposite.
fn holds(span: &Span, scores: &Means, condition: &Condition) -> bool {
    let text = |value: &Option<String>| texts(&value.iter().map(String::as_str).collect::<Vec<_>>(), &condition.test);
    let test = &condition.test;
    match &condition.field {
        Field::Metadata(key) => metadata(span, key, test),
        Field::Score(name) => number(scores.get(name).copied(), test),
        Field::AnyScore => scores.values().any(|mean| number(Some(*mean), test)),
        Field::Known(known) => match known.name {
            "name" => texts(&[&span.name], test),
            "model" => text(&span.model) || text(&span.request_model),
            "user_id" => text(&span.user_id),
            "kind" => texts(&[span.kind.as_str()], test),
            "input" => text(&span.input),
            "output" => text(&span.output),
            "tags" => texts(&span.tags.iter().map(String::as_str).collect::<Vec<_>>(), test),
            "status" => matches!(test, Test::Status(wanted) if wanted.contains(&span.status)),
            "span_id" => texts(&[&span.span_id.to_string()], test),
            "trace_id" => texts(&[&span.trace_id.to_string()], test),
            "type" => matches!(test, Test::Type(wanted) if wanted.contains(&span.kind.coarse())),
            "latency_ms" => number(span.end.map(|end| end.since(span.start).as_secs_f64() * 1e3), test),
            "cost" => number(span.cost.total.map(|cost| cost.as_pico() as f64 / 1e12), test),
            "total_tokens" => number(span.usage.total.map(|total| total as f64), test),
            other => unreachable!("{other}"),
        },
    }
}

fn span_fits(span: &Span, scores: &[Score], filter: &Filter) -> bool {
    let scores = means_of_span(span, scores);
    filter.clauses().iter().all(|clause| clause.iter().any(|one| holds(span, &scores, one) != one.is_not))
}

/// The trace's own, as if it were a span, for the fields that traces have; here each trace's calls are all its tokens and cost.
fn as_span(spans: &[&Span]) -> Span {
    let root = spans.iter().filter(|span| span.parent_span_id.is_none()).min_by_key(|span| span.start);
    let first = root.or_else(|| spans.iter().min_by_key(|span| span.start)).unwrap();
    let start = spans.iter().map(|span| span.start).min().unwrap();
    let sum = |numbers: Vec<i64>| (!numbers.is_empty()).then(|| numbers.iter().sum::<i64>());
    let failed = spans.iter().any(|span| span.status == Status::Error);
    let fine = first.status == Status::Ok;
    Span {
        start,
        end: spans.iter().filter_map(|span| span.end).max(),
        name: first.name.clone(),
        status: if failed {
            Status::Error
        } else if fine {
            Status::Ok
        } else {
            Status::Unset
        },
        usage: Usage {
            total: sum(spans
                .iter()
                .filter_map(|span| span.usage.total.filter(|_| span.usage.total > Some(0)))
                .collect()),
            ..Usage::default()
        },
        cost: Cost {
            total: sum(spans
                .iter()
                .filter_map(|span| span.cost.total.map(Money::as_pico).filter(|pico| *pico > 0))
                .map(|pico| i64::try_from(pico).unwrap())
                .collect())
            .map(|pico| Money::from_pico(i128::from(pico))),
            ..Cost::default()
        },
        ..(*first).clone()
    }
}

fn trace_fits(spans: &[&Span], scores: &[Score], filter: &Filter) -> bool {
    let (own, scores) = (as_span(spans), means_of_trace(spans, scores));
    let held = |one: &Condition| match one.field.is_of_trace() {
        true => holds(&own, &scores, one),
        false => spans.iter().any(|span| holds(span, &scores, one)),
    };
    filter.clauses().iter().all(|clause| clause.iter().any(|one| held(one) != one.is_not))
}

async fn world(spans: &[Span]) -> Face {
    let world = World::new();
    world.file(tenant(1), 1, &spans[..15], &[]).await;
    world.file(tenant(1), 2, &spans[15..30], &[]).await;
    world.writer(0, vec![fresh(tenant(1), &spans[30..], &[])]);
    world.scores.lock().unwrap().extend(scores());
    face(&world)
}

fn quoted(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn found(page: &Value) -> Vec<String> {
    let mut ids: Vec<_> =
        page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn every_operator_finds_the_spans_and_the_traces_that_plain_code_finds() {
    all_find_what_plain_code_finds(&FILTERS, 4).await;
}

#[tokio::test]
async fn every_operator_on_scores_finds_the_spans_and_the_traces_that_plain_code_finds() {
    all_find_what_plain_code_finds(&ABOUT_SCORES, 1).await;
}

/// At most so many may find nothing, or everything.
async fn all_find_what_plain_code_finds(filters: &[&str], idle_max: usize) {
    let (spans, scores) = (children(), scores());
    let face = world(&spans).await;
    let mut traces: BTreeMap<TraceId, Vec<&Span>> = BTreeMap::new();
    for span in &spans {
        traces.entry(span.trace_id).or_default().push(span);
    }
    let mut idle = 0;
    for (number, text) in filters.iter().enumerate() {
        let filter = read(text);
        let written = quoted(&filter.to_string());
        let mut expected: Vec<_> = spans
            .iter()
            .filter(|span| span_fits(span, &scores, &filter))
            .map(|span| span.span_id.to_string())
            .collect();
        expected.sort();
        assert_eq!(found(&face.ok(&format!("/v1/spans?filter={written}")).await), expected, "spans: {text}");
        idle += usize::from(expected.is_empty() || expected.len() == spans.len());
        let mut expected: Vec<_> = traces
            .iter()
            .filter(|(_, of)| trace_fits(of, &scores, &filter))
            .map(|(trace, _)| trace.to_string())
            .collect();
        expected.sort();
        // Newest first is found by parts of the range, by name over all of it.
        let sort = ["start_time", "name"][number % 2];
        let page = face.ok(&format!("/v1/traces?sort_by={sort}&filter={written}")).await;
        assert_eq!(found(&page), expected, "traces by {sort}: {text}");
    }
    assert!(idle <= idle_max, "{idle} filters tell nothing apart");
}

#[tokio::test]
async fn the_three_forms_find_the_same_and_share_a_cursor() {
    let spans = children();
    let face = world(&spans).await;
    let text = quoted("(input contains 'spät' or output contains 'spät') and latency_ms >= 1");
    let by_text = face.ok(&format!("/v1/spans?limit=2&filter={text}")).await;
    let by_parameter = face.ok(&format!("/v1/spans?limit=2&search={}&min_latency_ms=1", quoted("SPÄT"))).await;
    assert_eq!(found(&by_text), found(&by_parameter));
    let body = |cursor: &Value| {
        json!({"filter": [
            {"or": [{"field": "input", "operator": "contains", "value": "spät"}, {"field": "output", "operator": "contains", "value": "spät"}]},
            {"field": "latency_ms", "operator": "gte", "value": 1},
        ], "limit": 2, "cursor": cursor})
    };
    let (status, by_json) = face.post("/v1/spans/search", &body(&Value::Null)).await;
    assert_eq!((status, found(&by_json)), (StatusCode::OK, found(&by_text)));
    let (status, next) = face.post("/v1/spans/search", &body(&by_json["pagination"]["next_cursor"])).await;
    assert_eq!(status, StatusCode::OK, "{next}");
    assert!(found(&next).iter().all(|id| !found(&by_json).contains(id)));
    let (status, traces) = face
        .post("/v1/traces/search", &json!({"filter": [{"field": "model", "operator": "in", "value": ["o3"]}]}))
        .await;
    assert!(status == StatusCode::OK && !found(&traces).is_empty());
}

#[tokio::test]
async fn a_wrong_filter_is_refused_and_points_at_the_place() {
    let face = world(&children()).await;
    for (path, detail) in [
        ("/v1/traces?filter=modle%3Dx", "did you mean 'model'?"),
        ("/v1/spans?filter=name%20%3D", "at character 7: expected a value, found the end"),
        (
            "/v1/spans?filter=trace_id%20contains%20ab",
            "at character 10: 'contains' is not for 'trace_id', which takes =",
        ),
    ] {
        let (status, answer) = face.get(path).await;
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_filter")), "{path}");
        assert!(answer["error"]["details"]["filter"].as_str().unwrap().contains(detail), "{answer}");
    }
    let (status, answer) = face.get("/v1/traces?metadata_key=plan").await;
    assert_eq!(
        (status, &answer["error"]["details"]["metadata_value"]),
        (StatusCode::BAD_REQUEST, &json!("is required together with metadata_key"))
    );
    let (status, answer) = face
        .post("/v1/spans/search", &json!({"filter": [{"field": "nmae", "operator": "equals", "value": "x"}]}))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        answer["error"]["details"]["filter[0].field"].as_str().unwrap().contains("did you mean 'name'?"),
        "{answer}"
    );
}

#[tokio::test]
async fn the_schema_names_every_field_and_its_operators() {
    let face = world(&children()).await;
    let schema = face.ok("/v1/filter-schema").await;
    let fields = schema["data"]["fields"].as_array().unwrap();
    for field in fields {
        let name = field["name"].as_str().unwrap().replace("<key>", "plan").replace("<name>", "quality");
        let condition = |operator: &Value| {
            let value = match (operator.as_str().unwrap(), field["type"].as_str().unwrap()) {
                ("exists" | "doesNotExist", _) => json!(null),
                ("between", _) => json!([1, 2]),
                (_, "status") => json!("OK"),
                (_, "type") => json!("SPAN"),
                _ => json!("1"),
            };
            json!({"field": name, "operator": operator, "value": value})
        };
        let operators = field["operators"].as_array().unwrap().iter();
        let body = json!({"filter": [{"or": operators.map(condition).collect::<Vec<_>>()}]});
        for resource in ["spans", "traces"] {
            let (status, answer) = face.post(&format!("/v1/{resource}/search"), &body).await;
            assert_eq!(status, StatusCode::OK, "{resource} {body}: {answer}");
        }
    }
}
