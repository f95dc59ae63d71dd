//! What surrounds a command: where it writes, whom it asks, what time it is.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use spanlake_model::Clock;

use crate::error::Error;
use crate::text;

/// Handed to every command, so that tests can be one.
pub struct Console {
    /// Data.
    pub out: Box<dyn Write + Send>,
    /// What is going on.
    pub err: Box<dyn Write + Send>,
    /// Whether data is shown to a person at once.
    pub out_is_terminal: bool,
    /// Whether somebody watches.
    pub err_is_terminal: bool,
    /// Whether somebody can be asked.
    pub in_is_terminal: bool,
    /// Whom to ask.
    pub person: Box<dyn Person>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where profiles are kept.
    pub config_file: PathBuf,
}

/// Who answers questions.
pub trait Person: Send {
    /// A line.
    fn line(&mut self) -> io::Result<String>;
    /// A line that is not shown while it is typed.
    fn secret(&mut self) -> io::Result<String>;
}

impl Console {
    /// A line of data for people: its control characters are taken out.
    pub(crate) fn print(&mut self, line: &str) -> Result<(), Error> {
        writeln!(self.out, "{}", text::lines(line)).map_err(Error::output)
    }

    /// A line about what is going on. If nobody can be told, that is no reason to stop.
    pub(crate) fn tell(&mut self, line: &str) {
        let _ = writeln!(self.err, "{}", text::lines(line));
    }

    /// Data for programs: JSON, in lines when a person reads along.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Error> {
        let json = if self.out_is_terminal {
            serde_json::to_string_pretty(value).map(|json| text::lines(&json).into_owned())
        } else {
            serde_json::to_string(value)
        };
        writeln!(self.out, "{}", json.map_err(|error| Error::output(error.into()))?).map_err(Error::output)
    }

    /// Asks for a line; on a terminal only, unless a script answers on standard input.
    pub(crate) fn ask(&mut self, question: &str) -> Result<String, Error> {
        self.question(question);
        self.person.line().map_err(Error::input)
    }

    /// As [`Self::ask`], unseen.
    pub(crate) fn ask_secret(&mut self, question: &str) -> Result<String, Error> {
        self.question(question);
        let secret = self.person.secret().map_err(Error::input)?;
        Ok(secret)
    }

    fn question(&mut self, question: &str) {
        let _ = write!(self.err, "{question}");
        let _ = self.err.flush();
    }
}
