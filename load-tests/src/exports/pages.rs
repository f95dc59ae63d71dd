//! Pages of `GET /v1/traces/export`, one after the other as a client follows cursors.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;

use super::History;
use crate::client::reader;
use crate::report::{Percentiles, rounded};
use crate::stage::begin;
use crate::target::join;

/// As many as a tenant may have in an hour, less one.
const PAGES: u64 = 9;
const PAGE_ROWS: u64 = 2_000;

/// What pages of the largest size took.
#[derive(Debug, Serialize)]
pub(super) struct Pages {
    pages: u64,
    rows: u64,
    bytes: u64,
    /// Each finds its place among all rows again.
    page_ms: Percentiles,
    rows_per_second: f64,
    mb_per_second: f64,
}

pub(super) async fn measure(binary: &Path, folder: &Path, history: &History) -> Result<Pages> {
    let (server, http, ..) = begin(binary, folder, &[]).await?;
    let client = reader(&history.key)?;
    let (mut cursor, mut micros, mut bytes) = (String::new(), Vec::new(), 0);
    for _ in 0..PAGES {
        let mut url = join(&http, "/v1/traces/export")?;
        url.query_pairs_mut().append_pair("limit", &PAGE_ROWS.to_string());
        if !cursor.is_empty() {
            url.query_pairs_mut().append_pair("cursor", &cursor);
        }
        let begun = Instant::now();
        let response = client.get(url).send().await?;
        let status = response.status();
        let body = response.text().await?;
        micros.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
        ensure!(status.is_success(), "{status}: {body}");
        bytes += body.len() as u64;
        let trailer: Value = serde_json::from_str(body.lines().last().unwrap_or_default())?;
        let meta = &trailer["_export_meta"];
        ensure!(meta["exported"] == PAGE_ROWS, "a page is not whole: {meta}");
        cursor = meta["next_cursor"].as_str().context("a full page has a cursor")?.to_owned();
    }
    server.kill()?;
    let seconds = micros.iter().map(|micros| f64::from(*micros) / 1e6).sum::<f64>();
    let rows = PAGES * PAGE_ROWS;
    Ok(Pages {
        pages: PAGES,
        rows,
        bytes,
        page_ms: Percentiles::of_micros(micros),
        rows_per_second: (rows as f64 / seconds).round(),
        mb_per_second: rounded(bytes as f64 / 1e6 / seconds),
    })
}
