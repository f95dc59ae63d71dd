//! A line that says how far an export is, for whoever watches.

use std::io::{Write, stderr};

/// How many bytes come between two looks of it.
const EVERY_BYTES: u64 = 256 << 10;
/// Back to the line's start, and nothing on it.
const CLEAR: &str = "\r\x1b[K";

/// On a terminal it is drawn on standard error; elsewhere it only counts.
#[derive(Debug)]
pub(crate) struct Progress {
    is_seen: bool,
    is_drawn: bool,
    rows: u64,
    total: Option<u64>,
    bytes: u64,
    drawn_bytes: u64,
}

impl Progress {
    /// From this many rows on.
    pub(crate) fn new(is_seen: bool, rows: u64, total: Option<u64>) -> Self {
        Self { is_seen, is_drawn: false, rows, total, bytes: 0, drawn_bytes: 0 }
    }

    /// Takes the line away, so that another can be written.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            let _ = write!(stderr(), "{CLEAR}");
        }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// How many there will be, if that is new.
    pub(crate) fn expect(&mut self, total: Option<u64>) {
        self.total = self.total.or(total);
    }

    /// So many rows are there, with so many bytes more.
    pub(crate) fn at(&mut self, rows: u64, more_bytes: u64) {
        self.rows = rows;
        self.bytes += more_bytes;
        if self.is_seen && (!self.is_drawn || self.bytes - self.drawn_bytes >= EVERY_BYTES) {
            // If nobody can be told, that is no reason to stop.
            let _ = write!(stderr(), "{CLEAR}{}", self.line());
            let _ = stderr().flush();
            (self.is_drawn, self.drawn_bytes) = (true, self.bytes);
        }
    }

    fn line(&self) -> String {
        let of = self.total.map(|total| format!(" of {total}")).unwrap_or_default();
        format!("{}{of} rows, {}", self.rows, bytes(self.bytes))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// For people.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    let mut amount = count as f64;
    let mut unit = "bytes";
    for larger in UNITS {
        if amount < 1_000.0 {
            break;
        }
        (amount, unit) = (amount / 1_000.0, larger);
    }
    if unit == "bytes" { format!("{count} bytes") } else { format!("{amount:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_easily() {
        for (count, shown) in [(0, "0 bytes"), (999, "999 bytes"), (1_500, "1.5 KB"), (2_340_000_000, "2.3 GB")] {
            assert_eq!(bytes(count), shown);
        }
    }

    #[test]
    fn it_says_how_far_it_is() {
        let mut progress = Progress::new(false, 500, None);
        progress.expect(Some(1_200));
        progress.expect(Some(9));
        progress.at(750, 12_000);
        assert_eq!(progress.line(), "750 of 1200 rows, 12.0 KB");
    }
}
