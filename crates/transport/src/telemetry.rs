//! Our own log: to stderr, as text for people or JSON for machines.
//!
//! What others sent is never in it. Other people's code says at `debug` and `trace` what goes over its wires, credentials among it, so of that nothing
//! below `info` is logged, whatever the filter says. A panic's message may have been made of what somebody sent; unless it is a literal of the code,
//! only its place is logged.

use std::any::Any;
use std::io::Write as _;
use std::panic::PanicHookInfo;

use serde::{Deserialize, Serialize};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How lines look.
    pub format: Format,
    /// What is logged: a level (`info`), or levels per module (`info,spanlake_ingest=debug`).
    pub filter: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { format: Format::Text, filter: "info".to_owned() }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter does not parse.
    #[error(
        "telemetry.filter = {filter:?} is not a log filter ({source}); use a level such as info, or module=level pairs"
    )]
    Filter {
        /// As configured.
        filter: String,
        /// What the parser says.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something in this process logs already.
    #[error("logging has been started before in this process")]
    Started(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Flushes on drop; hold it until the process ends.
#[must_use = "what is still buffered is lost when this is dropped too early"]
#[derive(Debug)]
pub struct Guard(());

impl Drop for Guard {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = std::io::stderr().flush();
    }
}

/// Logs to stderr from now on, for the whole process.
///
/// # Errors
/// When the filter does not parse, or logging has been started before.
pub fn init(config: &Config) -> Result<Guard, Error> {
    tracing::subscriber::set_global_default(subscriber(config, std::io::stderr)?)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(Guard(()))
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    tracing::error!(
        panic.place = place,
        panic.message = literal(panic.payload()),
        panic.thread = thread.name().unwrap_or_default(),
        "a thread panicked"
    );
}

/// The message of a panic, if it stands in the code as it is.
pub(crate) fn literal(payload: &(dyn Any + Send)) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("(made at run time; not shown)")
}

/// Of ours all that is asked for; of others nothing below `info`.
fn is_ours_or_tame(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || metadata.target().starts_with("spanlake")
}

/// The same, to any writer and not yet in place.
fn subscriber<W>(config: &Config, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, Error>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(&config.filter)
        .map_err(|source| Error::Filter { filter: config.filter.clone(), source })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    Ok(match config.format {
        Format::Text => Box::new(builder.finish().with(filter_fn(is_ours_or_tame))),
        Format::Json => Box::new(builder.json().flatten_event(true).finish().with(filter_fn(is_ours_or_tame))),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(config: &Config, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        tracing::subscriber::with_default(subscriber(config, move || writer.clone()).unwrap(), log);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_lines_hold_the_message_and_its_fields() {
        let config = Config { format: Format::Json, ..Config::default() };
        let line = logged(&config, || tracing::info!(file.rows = 7, "flushed"));
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["message"], &line["file.rows"]), (&"flushed".into(), &7.into()));
    }

    #[test]
    fn the_filter_decides_what_is_logged() {
        let say = || tracing::debug!("details");
        assert_eq!(logged(&Config::default(), say), "");
        assert!(logged(&Config { filter: "debug".into(), ..Config::default() }, say).contains("details"));
    }

    #[test]
    fn what_others_say_below_info_is_not_logged_whatever_the_filter_says() {
        let config = Config { filter: "trace,h2=trace".into(), ..Config::default() };
        let line = logged(&config, || {
            tracing::trace!(target: "h2::hpack", "authorization: Bearer hunter2");
            tracing::debug!(target: "sqlx::query", "hunter2");
            tracing::info!(target: "sqlx::query", "slow");
            tracing::trace!(target: "spanlake_access", "ours");
        });
        assert!(!line.contains("hunter2") && line.contains("slow") && line.contains("ours"), "{line}");
    }

    #[test]
    fn of_a_panic_only_what_stands_in_the_code_is_told() {
        let caught = |panics: fn()| std::panic::catch_unwind(panics).unwrap_err();
        let word = "hunter2";
        assert_eq!(literal(&*caught(|| panic!("a queue is gone"))), "a queue is gone");
        let made = std::panic::catch_unwind(|| panic!("no such user: {word}")).unwrap_err();
        assert!(!literal(&*made).contains(word));
    }

    #[test]
    fn a_filter_that_does_not_parse_is_an_error_that_names_it() {
        let config = Config { filter: "a=b=c".into(), ..Config::default() };
        let error = subscriber(&config, std::io::sink).err().unwrap();
        assert!(error.to_string().contains("a=b=c"), "{error}");
    }
}
