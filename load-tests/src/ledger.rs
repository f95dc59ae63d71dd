//! The list of what was acknowledged, so that it can be looked for later, also after a crash of the server.
//!
//! One line per batch, written after its acknowledgement: `<trace>:<span>,<span> <trace>:<span>`, ids in lower-case hex.
//! The file is not synced: it has to survive the server, not the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::batch::Ids;

/// Appends batches. Shared by all connections.
pub(crate) struct Ledger(Mutex<File>);

impl Ledger {
    pub(crate) fn append_to(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self(Mutex::new(file.with_context(|| format!("cannot open the ledger {}", path.display()))?)))
    }

    /// Notes one acknowledged batch.
    pub(crate) fn note(&self, ids: &Ids) -> Result<()> {
        let line = line(ids);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(line.as_bytes())
            .context("cannot write the ledger")
    }
}

fn line(ids: &Ids) -> String {
    let mut line = String::with_capacity(ids.iter().map(|(_, spans)| 34 + 17 * spans.len()).sum());
    for (trace, spans) in ids {
        let _ = write!(line, "{}{trace:032x}", if line.is_empty() { "" } else { " " });
        for (index, span) in spans.iter().enumerate() {
            let _ = write!(line, "{}{span:016x}", if index == 0 { ':' } else { ',' });
        }
    }
    line.push('\n');
    line
}

/// What a ledger promises: per trace id, its span ids.
pub(crate) type Promised = BTreeMap<String, BTreeSet<String>>;

/// Reads a ledger. A last line without its end was cut off while it was written and counts for nothing.
pub(crate) fn read(path: &Path) -> Result<Promised> {
    let file = File::open(path).with_context(|| format!("cannot open the ledger {}", path.display()))?;
    let mut reader = BufReader::new(file);
    let mut promised = Promised::new();
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 && line.ends_with('\n') {
        for trace in line.split_whitespace() {
            let (trace, spans) = trace.split_once(':').context("a line of the ledger is not trace:span,span")?;
            promised.entry(trace.to_owned()).or_default().extend(spans.split(',').map(str::to_owned));
        }
        line.clear();
    }
    Ok(promised)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_back_and_a_torn_last_line_is_not() {
        let path = std::env::temp_dir().join(format!("spanlake-ledger-{}", std::process::id()));
        let ledger = Ledger::append_to(&path).unwrap();
        ledger.note(&vec![(1, vec![2, 3]), (4, vec![5])]).unwrap();
        ledger.note(&vec![(1, vec![9])]).unwrap();
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"00ff:00").unwrap();
        let promised = read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let spans = |ids: &[u64]| ids.iter().map(|id| format!("{id:016x}")).collect();
        let expected = [(format!("{:032x}", 1), spans(&[2, 3, 9])), (format!("{:032x}", 4), spans(&[5]))];
        assert_eq!(promised, Promised::from(expected));
    }
}
