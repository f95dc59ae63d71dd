use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use spanlake_transport::config::{self, Errors, Secret};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    data_dir: PathBuf,
    catalog: Option<String>,
    workers: Option<u16>,
    password: Secret,
    token: Option<Secret>,
    ingest: Ingest,
    labels: BTreeMap<String, String>,
    origins: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Ingest {
    flush_rows: u32,
    strict: bool,
    #[serde(with = "config::duration")]
    flush_after: Duration,
}

impl Default for Ingest {
    fn default() -> Self {
        Self { flush_rows: 1_000, strict: true, flush_after: Duration::from_secs(5) }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: "./spanlake-data".into(),
            catalog: None,
            workers: None,
            password: Secret::default(),
            token: None,
            ingest: Ingest { flush_rows: 2_000, ..Ingest::default() },
            labels: BTreeMap::new(),
            origins: Vec::new(),
        }
    }
}

/// A file that goes away with the test.
struct File(PathBuf);

impl File {
    fn new(text: &str) -> Self {
        let name = format!("spanlake-config-{}-{:?}.toml", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn load(file: &str, environment: &[(&str, &str)], flags: &str) -> Result<Settings, Errors> {
    let file = File::new(file);
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    config::load(Some(&file.0), environment, flags.parse().unwrap())
}

#[test]
fn flags_beat_the_environment_which_beats_the_file_which_beats_the_default() {
    let file = "data_dir = 'file'\n[ingest]\nflush_rows = 1\nstrict = false";
    let environment = [("SPANLAKE_DATA_DIR", "environment"), ("SPANLAKE_INGEST__FLUSH_ROWS", "2"), ("PATH", "/bin")];
    let settings = load(file, &environment, "ingest.flush_rows = 3").unwrap();
    assert_eq!(settings.data_dir, PathBuf::from("environment"));
    let ingest = Ingest { flush_rows: 3, strict: false, flush_after: Duration::from_secs(5) };
    assert_eq!(settings.ingest, ingest);
}

#[test]
fn without_any_source_the_defaults_hold_even_where_the_whole_differs_from_its_part() {
    assert_eq!(load("", &[], "").unwrap(), Settings::default());
    assert_eq!(
        config::load::<Settings>(None, std::iter::empty(), toml::Table::new()).unwrap().ingest.flush_rows,
        2_000
    );
}

#[test]
fn text_from_the_environment_becomes_what_the_key_takes() {
    let environment = [
        ("SPANLAKE_INGEST__STRICT", "false"),
        ("SPANLAKE_INGEST__FLUSH_AFTER", "250ms"),
        ("SPANLAKE_CATALOG", "4711"),
        ("SPANLAKE_WORKERS", "4"),
        ("SPANLAKE_LABELS__ZONE", "1"),
        ("SPANLAKE_ORIGINS", "https://a, https://b"),
        ("SPANLAKE_DATA_DIR", "true"),
    ];
    let settings = load("", &environment, "").unwrap();
    assert_eq!((settings.ingest.strict, settings.ingest.flush_after), (false, Duration::from_millis(250)));
    assert_eq!((settings.catalog.as_deref(), settings.workers), (Some("4711"), Some(4)));
    assert_eq!(settings.labels["zone"], "1");
    assert_eq!(settings.origins, ["https://a", "https://b"]);
    assert_eq!(settings.data_dir, PathBuf::from("true"));
    assert_eq!(load("", &[("SPANLAKE_ORIGINS", "['x,y']")], "").unwrap().origins, ["x,y"]);
}

#[test]
fn all_problems_are_reported_at_once_with_where_they_came_from() {
    let file =
        "catalogue = 'x'\nflush_rows = 3\n[ingest]\nflush_rows = 'many'\nstrict = false\n[compaction]\non = true";
    let environment =
        [("SPANLAKE_INGEST__FLUSH_AFTER", "soon"), ("SPANLAKE_DATA__DIR", "x"), ("SPANLAKE_WORKERS", "70000")];
    let Errors(problems) = load(file, &environment, "ingest.strict = 'no'").unwrap_err();
    let found: Vec<_> = problems.iter().map(|problem| (problem.key.as_str(), problem.why.as_str())).collect();
    let expect = |key: &str, origin: &str, why: &str| {
        let problem =
            problems.iter().find(|problem| problem.key == key).unwrap_or_else(|| panic!("{key} in {found:?}"));
        assert!(problem.origin.contains(origin), "{problem}");
        assert!(problem.why.contains(why), "{problem}");
    };
    expect("catalogue", ".toml", "'catalog' is meant");
    expect("flush_rows", ".toml", "'ingest.flush_rows' is meant");
    expect("compaction", ".toml", "known here are");
    expect("ingest.flush_rows", ".toml", "expected u32 (the default is 2000)");
    expect("data.dir", "SPANLAKE_DATA__DIR", "'data_dir' is meant");
    expect("ingest.flush_after", "SPANLAKE_INGEST__FLUSH_AFTER", "'soon' is not a duration");
    expect("workers", "SPANLAKE_WORKERS", "expected u16");
    expect("ingest.strict", "command line", "expected a boolean");
    assert_eq!(problems.len(), 8, "{found:?}");
}

#[test]
fn test_variables_and_the_path_of_the_file_are_not_settings() {
    let environment = [("SPANLAKE_TEST_POSTGRES", "x"), ("SPANLAKE_CONFIG", "spanlake.toml")];
    assert_eq!(load("", &environment, "").unwrap(), Settings::default());
}

#[test]
fn a_secret_is_taken_and_shown_nowhere() {
    let environment = [("SPANLAKE_PASSWORD", "hunter2"), ("SPANLAKE_TOKEN", "4711")];
    let settings = load("", &environment, "").unwrap();
    assert_eq!(settings.password.expose(), "hunter2");
    assert_eq!(settings.token.as_ref().unwrap().expose(), "4711");
    let shown = config::show(&settings).unwrap();
    assert!(shown.contains("password = \"***\"") && shown.contains("token = \"***\""), "{shown}");
    let printed = format!("{shown}{settings:?}");
    assert!(!printed.contains("hunter2") && !printed.contains("4711"), "{printed}");
}

#[test]
fn an_error_never_quotes_a_secret() {
    for file in ["password = hunter2", "password = 4711", "token = [4711]", "passwort = 'hunter2'"] {
        let error = load(file, &[], "").unwrap_err().to_string();
        assert!(!error.contains("hunter2") && !error.contains("4711"), "{error}");
        assert!(error.contains("line 1") || error.contains("pass") || error.contains("token"), "{error}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_one_problem_among_others() {
    let environment = [("SPANLAKE_WORKERS".to_owned(), "many".to_owned())].into_iter();
    let missing = std::path::Path::new("/nowhere/spanlake.toml");
    let Errors(problems) = config::load::<Settings>(Some(missing), environment, toml::Table::new()).unwrap_err();
    assert_eq!(problems.len(), 2);
    assert!(problems[0].to_string().starts_with("/nowhere/spanlake.toml: cannot read the file"), "{}", problems[0]);
}

#[test]
fn the_reference_lists_every_key_with_its_variable_and_default() {
    let entries = config::reference::<Settings>().unwrap();
    let flush = entries.iter().find(|entry| entry.key == "ingest.flush_after").unwrap();
    assert_eq!((flush.variable.as_str(), flush.default.as_str()), ("SPANLAKE_INGEST__FLUSH_AFTER", "\"5s\""));
    assert_eq!(entries.len(), 10);
}
