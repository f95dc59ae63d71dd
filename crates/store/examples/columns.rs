//! What each column takes in data files: `cargo run --release -p spanlake-store --example columns -- FOLDER`.
//!
//! Reads the metadata of every Parquet file below the folder and prints one JSON document; bytes are those on disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use serde::Serialize;

#[derive(Default, Serialize)]
struct Report {
    files: u64,
    rows: i64,
    bytes: u64,
    bytes_per_row: f64,
    row_groups: usize,
    /// Largest first.
    columns: Vec<Column>,
    /// Bloom filters, page indexes, footers.
    other_bytes: u64,
    other_bytes_per_row: f64,
}

#[derive(Serialize)]
struct Column {
    name: String,
    bytes: i64,
    bytes_per_row: f64,
    percent: f64,
    /// Before compression, after encoding, by bytes on disk.
    compressed_times: f64,
}

#[derive(Default)]
struct Size {
    compressed: i64,
    uncompressed: i64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: columns FOLDER")?;
    let mut report = Report::default();
    let mut columns = BTreeMap::<String, Size>::new();
    for path in files(Path::new(&folder))? {
        let file = File::open(path)?;
        report.files += 1;
        report.bytes += file.metadata()?.len();
        add(&ParquetMetaDataReader::new().parse_and_finish(&file)?, &mut report, &mut columns);
    }
    finish(&mut report, columns);
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &report)?;
    Ok(writeln!(out)?)
}

fn add(metadata: &ParquetMetaData, report: &mut Report, columns: &mut BTreeMap<String, Size>) {
    report.rows += metadata.file_metadata().num_rows();
    report.row_groups += metadata.num_row_groups();
    for chunk in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        let size = columns.entry(chunk.column_path().string()).or_default();
        size.compressed += chunk.compressed_size();
        size.uncompressed += chunk.uncompressed_size();
    }
}

fn finish(report: &mut Report, columns: BTreeMap<String, Size>) {
    let rows = report.rows.max(1) as f64;
    let tenths = |value: f64| (value * 10.0).round() / 10.0;
    let in_columns: i64 = columns.values().map(|size| size.compressed).sum();
    report.other_bytes = report.bytes.saturating_sub(in_columns.unsigned_abs());
    report.other_bytes_per_row = tenths(report.other_bytes as f64 / rows);
    report.bytes_per_row = tenths(report.bytes as f64 / rows);
    report.columns = columns
        .into_iter()
        .map(|(name, size)| Column {
            name,
            bytes: size.compressed,
            bytes_per_row: tenths(size.compressed as f64 / rows),
            percent: tenths(100.0 * size.compressed as f64 / report.bytes.max(1) as f64),
            compressed_times: tenths(size.uncompressed as f64 / size.compressed.max(1) as f64),
        })
        .collect();
    report.columns.sort_by_key(|column| std::cmp::Reverse(column.bytes));
}

/// Every Parquet file below a folder.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            found.push(path);
        }
    }
    Ok(found)
}
