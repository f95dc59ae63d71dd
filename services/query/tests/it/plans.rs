//! The plans of what people ask most, and what each of their steps did, so that a change of one is seen in review. The questions are those of `load-tests/src/queries/set.rs`.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use spanlake_engine::{Config, PLANS};
use spanlake_model::{Kind, Span, Usage};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::face::face_over;
use crate::filters::scores;
use crate::world::{World, fresh, id, span, tenant};

const QUESTIONS: [(&str, &str); 18] = [
    ("latest 50 traces", "/v1/traces?limit=50"),
    ("traces by model", "/v1/traces?limit=50&model=m"),
    ("traces by user", "/v1/traces?limit=50&user_id=u"),
    ("traces by tag", "/v1/traces?limit=50&tag=t"),
    ("traces by metadata", "/v1/traces?limit=50&metadata_key=plan&metadata_value=pro"),
    ("traces by score", "/v1/traces?limit=50&filter=score__quality%3E0.9"),
    ("traces that failed", "/v1/traces?limit=50&status=ERROR"),
    ("traces by cost", "/v1/traces?limit=50&sort_by=cost"),
    ("trace by id", "/v1/traces/01010101010101010101010101010101"),
    ("sessions", "/v1/sessions?limit=50"),
    ("sessions by cost", "/v1/sessions?limit=50&sort_by=cost"),
    ("one session", "/v1/sessions/s"),
    ("metrics", "/v1/metrics?granularity=hour"),
    ("cost by model by hour", "/v1/metrics?group_by=model&granularity=hour"),
    ("latency p95 by name", "/v1/metrics?group_by=name"),
    ("metrics by tag", "/v1/metrics?group_by=tag"),
    ("text search", "/v1/spans?limit=50&search=word"),
    ("metadata keys", "/v1/metadata/keys"),
];

/// Keeps the plans it is told of by one thread: other tests may plan beside this one.
#[derive(Clone)]
struct Listener {
    thread: ThreadId,
    plans: Arc<Mutex<Vec<String>>>,
    /// With what each step did.
    analyzed: Arc<Mutex<Vec<String>>>,
}

impl<S: tracing::Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == PLANS && std::thread::current().id() == self.thread {
            event.record(&mut |field: &tracing::field::Field, value: &dyn Debug| match field.name() {
                "plan" => self.plans.lock().unwrap().push(format!("{value:?}")),
                "analyzed" => self.analyzed.lock().unwrap().push(format!("{value:?}")),
                _ => {}
            });
        }
    }
}

/// Two files, and scores. A scan of rows in memory beside them would only repeat what stands above that of the files.
async fn world() -> Arc<World> {
    let world = World::new();
    let root = |byte: u8| Span {
        user_id: Some("u".into()),
        session_id: Some("s".into()),
        tags: vec!["t".into()],
        metadata: r#"{"plan":"pro"}"#.into(),
        input: Some("a word".into()),
        ..span(byte, 1, u64::from(byte))
    };
    let call = |byte: u8| Span {
        parent_span_id: Some(id(1)),
        kind: Kind::new(Kind::LLM),
        model: Some("m".into()),
        usage: Usage { input: Some(10), output: Some(1), ..Usage::default() },
        ..span(byte, 2, u64::from(byte))
    };
    world.file(tenant(1), 1, &[root(1), call(1)], &[]).await;
    world.file(tenant(1), 2, &[root(2), call(2)], &[]).await;
    world.writer(2, vec![fresh(tenant(1), &[], &[])]);
    world.scores.lock().unwrap().extend(scores());
    world
}

/// Without what differs from run to run, or says only how much there is: files, times, ids; and what follows from the predicate.
fn in_general(plan: &str) -> String {
    let mut general = String::new();
    for line in plan.lines() {
        let line = match (line.find("file_groups={"), line.find("]]}")) {
            (Some(from), Some(to)) if from < to => format!("{}file_groups{}", &line[..from], &line[to + 3..]),
            _ => line.to_owned(),
        };
        let line = line.split(", pruning_predicate=").next().unwrap_or_default();
        writeln!(general, "{}", without_numbers(line)).unwrap();
    }
    general
}

/// What is told of each step that is the same in every run: rows, and what of the files was passed over.
const TOLD: [&str; 5] = [
    "output_rows",
    "files_ranges_pruned_statistics",
    "row_groups_pruned_statistics",
    "row_groups_pruned_bloom_filter",
    "pushdown_rows_pruned",
];

/// The steps of a plan that was run, each with what it did.
fn steps(analyzed: &str) -> String {
    let mut steps = String::new();
    for line in analyzed.lines() {
        let (step, metrics) = line.split_once("metrics=[").unwrap_or((line, ""));
        let name = step.split([':', ',']).next().unwrap_or_default();
        let told = metrics.trim_end_matches(']').split(", ");
        let told: Vec<_> =
            told.filter(|metric| TOLD.iter().any(|name| metric.starts_with(&format!("{name}=")))).collect();
        writeln!(steps, "{name} {}", told.join(", ")).unwrap();
    }
    steps
}

/// Long numbers are times and ids.
fn without_numbers(line: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for letter in line.chars() {
        match parts.last_mut() {
            Some(part) if part.ends_with(char::is_alphanumeric) && letter.is_alphanumeric() => part.push(letter),
            _ => parts.push(letter.into()),
        }
    }
    let is_number = |part: &String| part.len() > 4 && part.chars().all(|letter| letter.is_ascii_digit());
    parts.iter().map(|part| if is_number(part) { "#" } else { part }).collect()
}

#[tokio::test]
async fn what_people_ask_most_is_planned_as_it_was() {
    // The runtime of this test has one thread. What listens to one only may miss what others have made known before it.
    let thread = std::thread::current().id();
    let listener = Listener { thread, plans: Arc::default(), analyzed: Arc::default() };
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(listener.clone())).unwrap();
    let world = world().await;
    let face = face_over(world.engine(Config::default()), &world);
    let (mut pages, mut all_steps) = (String::new(), String::new());
    for (name, path) in QUESTIONS {
        face.ok(path).await;
        let plans = std::mem::take(&mut *listener.plans.lock().unwrap());
        assert!(!plans.is_empty(), "{name}: no plan was told");
        writeln!(pages, "=== {name}: {path}").unwrap();
        plans.iter().for_each(|plan| writeln!(pages, "{}", in_general(plan)).unwrap());
        writeln!(all_steps, "=== {name}: {path}").unwrap();
        let analyzed = std::mem::take(&mut *listener.analyzed.lock().unwrap());
        analyzed.iter().for_each(|plan| writeln!(all_steps, "{}", steps(plan)).unwrap());
    }
    insta::assert_snapshot!(pages);
    insta::assert_snapshot!("what_each_step_of_it_did", all_steps);
}
