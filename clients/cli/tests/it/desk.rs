//! Somebody at a terminal: commands in, what they show out. The stories of `services/server` sit at one as well.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::Parser;
use spanlake_cli::{Args, Console, Person, run};
use spanlake_model::{Clock, SystemClock};
use spanlake_testkit::TemporaryFolder;

/// Where commands are typed. Each keeps its own configuration.
pub(crate) struct Desk {
    pub(crate) folder: TemporaryFolder,
    pub(crate) url: String,
    pub(crate) clock: Arc<dyn Clock>,
    /// What is typed when a command asks; nobody can be asked when there is none.
    pub(crate) answers: Vec<&'static str>,
    pub(crate) is_terminal: bool,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) code: u8,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Desk {
    pub(crate) fn at(url: String) -> Self {
        let folder = TemporaryFolder::new("desk");
        Self { folder, url, clock: Arc::new(SystemClock), answers: Vec::new(), is_terminal: false }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Names of the files there are, but for the configuration's.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with("config")).collect();
        names.sort();
        names
    }

    /// A command, with the address of the server.
    pub(crate) async fn run(&self, words: &[&str]) -> Shown {
        self.run_plain(&[words, &["--url", &self.url]].concat()).await
    }

    /// A command as it is typed.
    pub(crate) async fn run_plain(&self, words: &[&str]) -> Shown {
        let (out, err) = (Page::default(), Page::default());
        let mut console = Console {
            out: Box::new(out.clone()),
            err: Box::new(err.clone()),
            out_is_terminal: self.is_terminal,
            err_is_terminal: false,
            in_is_terminal: !self.answers.is_empty(),
            person: Box::new(Typist(self.answers.iter().copied().collect())),
            clock: self.clock.clone(),
            config_file: self.file("config.toml"),
        };
        let args = Args::try_parse_from([&["spanlake"], words].concat()).unwrap_or_else(|error| panic!("{error}"));
        let outcome = run(args, &mut console).await;
        let code = outcome.as_ref().map_or_else(|error| error.code(), |()| 0);
        if let Err(error) = outcome {
            error.report(&mut console);
        }
        Shown { code, out: out.text(), err: err.text() }
    }
}

/// What has been written.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Typist(VecDeque<&'static str>);

impl Person for Typist {
    fn line(&mut self) -> io::Result<String> {
        self.0.pop_front().map(str::to_owned).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
    fn secret(&mut self) -> io::Result<String> {
        self.line()
    }
}
