//! What became of an export, as the server counts.

use std::collections::BTreeMap;

use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};

/// Of a page, or of all so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Summary {
    /// Rows that match, on all pages.
    pub(super) total: Option<u64>,
    /// Rows that were written.
    pub(super) exported: u64,
    /// Rows that could not be.
    pub(super) skipped: u64,
    /// Why not, and how many.
    #[serde(default)]
    pub(super) skip_reasons: BTreeMap<String, u64>,
    /// Where the next page starts; none when there is none.
    pub(super) next_cursor: Option<String>,
}

impl Summary {
    /// Of a table, which has no trailer: what the server knew when it began. Absent where `X-Export-Exported` is.
    pub(super) fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let number = |name: &str| text(name).and_then(|value| value.parse().ok());
        Some(Self {
            total: number("x-export-total"),
            exported: number("x-export-exported")?,
            skipped: number("x-export-skipped").unwrap_or(0),
            skip_reasons: BTreeMap::new(),
            next_cursor: text("x-export-next-cursor").map(str::to_owned),
        })
    }

    /// Adds the page that follows. The first page's total stays: later ones also count what has come meanwhile.
    pub(super) fn add(&mut self, page: Self) {
        self.total = self.total.or(page.total);
        self.exported += page.exported;
        self.skipped += page.skipped;
        for (reason, count) in page.skip_reasons {
            *self.skip_reasons.entry(reason).or_default() += count;
        }
        self.next_cursor = page.next_cursor;
    }

    /// Of rows that could not be written, in words.
    pub(super) fn skipped_in_words(&self) -> Option<String> {
        let reasons: Vec<_> = self.skip_reasons.iter().map(|(reason, count)| format!("{reason}={count}")).collect();
        let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
        (self.skipped > 0).then(|| format!("Skipped (unconvertible): {}{reasons}.", self.skipped))
    }
}
