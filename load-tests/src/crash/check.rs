//! Reads slots back by every way there is, and compares them with what was promised.

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, SecondsFormat};
use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::promises::{Expected, Key, Slot};
use crate::client::get_json;
use crate::target::join;

/// So many ids are printed of each kind.
const EXAMPLES_MAX: usize = 20;
/// A slot has at most so many pages of a thousand; more means that a cursor does not move.
const PAGES_MAX: usize = 1_000;

/// What was wrong, of all that was checked.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) checked_spans: u64,
    /// Acknowledged and not there.
    pub(super) lost: u64,
    /// There more than once in one answer.
    pub(super) doubled: u64,
    /// There, and never sent.
    pub(super) foreign: u64,
    /// How far the sum over the trace list was from the number of spans.
    pub(super) miscounted: u64,
    pub(super) examples: Vec<String>,
}

impl Findings {
    pub(super) fn is_clean(&self) -> bool {
        self.lost + self.doubled + self.foreign + self.miscounted == 0
    }

    /// Holds the spans that one way of reading showed against what was promised.
    fn compare(&mut self, way: &str, expected: &Expected, found: &[Key]) {
        let mut seen = HashSet::with_capacity(found.len());
        for key in found {
            if !seen.insert(key) {
                self.doubled += 1;
                self.example("doubled", way, key);
            }
            if !expected.contains_key(key) {
                self.foreign += 1;
                self.example("foreign", way, key);
            }
        }
        for (key, _) in expected.iter().filter(|(key, acknowledged)| **acknowledged && !seen.contains(key)) {
            self.lost += 1;
            self.example("lost", way, key);
        }
        self.checked_spans += found.len() as u64;
    }

    fn count(&mut self, slot: Slot, spans: &[Key], counted: u64) {
        let distinct = spans.iter().collect::<HashSet<_>>().len() as u64;
        if counted != distinct {
            self.miscounted += counted.abs_diff(distinct);
            self.examples.push(format!("{slot:?}: the trace list counts {counted} spans and there are {distinct}"));
        }
    }

    fn example(&mut self, what: &str, way: &str, (trace, span): &Key) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(format!("{what} in {way}: {trace:032x}/{span:016x}"));
        }
    }
}

/// Reads from one server.
pub(super) struct Checker {
    pub(super) client: reqwest::Client,
    pub(super) base: Url,
}

impl Checker {
    /// The list of spans, and the sums over the list of traces.
    pub(super) async fn lists(&self, slot: Slot, expected: &Expected, findings: &mut Findings) -> Result<()> {
        let spans: Vec<Key> = self.all::<SpanRow, _>("/v1/spans", slot, |row| row.key()).await?;
        findings.compare("the list of spans", expected, &spans);
        let counts = self.all::<TraceRow, _>("/v1/traces", slot, |row| Ok(row.span_count)).await?;
        findings.count(slot, &spans, counts.iter().sum());
        Ok(())
    }

    /// The export. Exports are few an hour, but a server that was killed begins to count anew.
    pub(super) async fn export(&self, slot: Slot, expected: &Expected, findings: &mut Findings) -> Result<()> {
        let mut spans = Vec::new();
        let mut cursor = None;
        for _ in 0..EXPORTS_MAX {
            cursor = self.export_page(slot, cursor.as_deref(), &mut spans).await?;
            if cursor.is_none() {
                findings.compare("the export", expected, &spans);
                return Ok(());
            }
        }
        anyhow::bail!("a slot holds more than {EXPORTS_MAX} exports")
    }

    async fn export_page(&self, slot: Slot, cursor: Option<&str>, spans: &mut Vec<Key>) -> Result<Option<String>> {
        let mut url = self.url("/v1/traces/export", slot, ["startDate", "endDate"], "2000")?;
        url.query_pairs_mut().append_pair("lightweight", "true").extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
        let response = self.client.get(url).send().await?.error_for_status()?;
        let text = response.text().await.context("an export broke off")?;
        let mut lines: Vec<&str> = text.lines().collect();
        let trailer: Value = serde_json::from_str(lines.pop().unwrap_or_default())?;
        let meta = trailer.get("_export_meta").context("an export has no trailer")?;
        for line in lines {
            let row: ExportRow = serde_json::from_str(line)?;
            spans.push(key(&row.trace_id, &row.span_id)?);
        }
        Ok(meta["next_cursor"].as_str().map(str::to_owned))
    }

    /// All pages of a list.
    async fn all<R: DeserializeOwned, T>(
        &self,
        path: &str,
        slot: Slot,
        take: impl Fn(R) -> Result<T>,
    ) -> Result<Vec<T>> {
        let first = self.url(path, slot, ["start_date", "end_date"], "1000")?;
        let mut url = first.clone();
        let mut rows = Vec::new();
        for _ in 0..PAGES_MAX {
            let page: Page<R> = get_json(&self.client, url.clone()).await?.context("a list is not found")?;
            for row in page.data {
                rows.push(take(row)?);
            }
            let Some(cursor) = page.pagination.next_cursor else { return Ok(rows) };
            url = first.clone();
            url.query_pairs_mut().append_pair("cursor", &cursor);
        }
        anyhow::bail!("{path} has more than {PAGES_MAX} pages")
    }

    fn url(&self, path: &str, slot: Slot, [start, end]: [&str; 2], limit: &str) -> Result<Url> {
        let (from, to) = slot.range();
        let mut url = join(&self.base, path)?;
        url.query_pairs_mut()
            .append_pair(start, &rfc3339(from))
            .append_pair(end, &rfc3339(to))
            .append_pair("limit", limit);
        Ok(url)
    }
}

/// Below the ten an hour that a tenant may have.
const EXPORTS_MAX: usize = 8;

#[derive(Deserialize)]
struct Page<R> {
    data: Vec<R>,
    pagination: Pagination,
}

#[derive(Deserialize)]
struct Pagination {
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct SpanRow {
    id: String,
    trace_id: String,
}

impl SpanRow {
    fn key(&self) -> Result<Key> {
        key(&self.trace_id, &self.id)
    }
}

#[derive(Deserialize)]
struct TraceRow {
    span_count: u64,
}

#[derive(Deserialize)]
struct ExportRow {
    trace_id: String,
    span_id: String,
}

fn key(trace: &str, span: &str) -> Result<Key> {
    ensure!(trace.len() == 32 && span.len() == 16, "'{trace}/{span}' is no span");
    Ok((u128::from_str_radix(trace, 16)?, u64::from_str_radix(span, 16)?))
}

fn rfc3339(nanos: u64) -> String {
    DateTime::from_timestamp_nanos(nanos.cast_signed()).to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_doubled_and_foreign_spans_are_told_apart() {
        let expected = Expected::from([((1, 1), true), ((1, 2), true), ((1, 3), false)]);
        let mut findings = Findings::default();
        findings.compare("a list", &expected, &[(1, 2), (1, 2), (9, 9)]);
        assert_eq!((findings.lost, findings.doubled, findings.foreign), (1, 1, 1));
        assert_eq!(findings.examples.len(), 3);
        assert!(!findings.is_clean());
    }

    #[test]
    fn what_was_sent_and_not_acknowledged_may_be_there_or_not() {
        let expected = Expected::from([((1, 1), true), ((1, 2), false)]);
        let mut findings = Findings::default();
        findings.compare("a list", &expected, &[(1, 1)]);
        findings.compare("a list", &expected, &[(1, 2), (1, 1)]);
        assert!(findings.is_clean());
        assert_eq!(findings.checked_spans, 3);
    }

    #[test]
    fn a_sum_that_differs_from_the_number_of_spans_is_a_finding() {
        let mut findings = Findings::default();
        let slot = crate::crash::promises::Promises::new(7, 1, 1, 1 << 60).unwrap();
        let slot = *slot.slots([slot.next(0).number]).first().unwrap();
        findings.count(slot, &[(1, 1), (1, 2)], 2);
        assert!(findings.is_clean());
        findings.count(slot, &[(1, 1), (1, 2)], 3);
        assert_eq!(findings.miscounted, 1);
    }
}
