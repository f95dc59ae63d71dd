//! What the machine itself gives, in the same run: the figures beside which the server's are read.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use serde::Serialize;

use crate::batch::{Encoding, Pool};
use crate::report::rounded;

/// Written before one sync.
const WRITE_BYTES: usize = 256 << 20;
const CHUNK_BYTES: usize = 8 << 20;
/// Small writes that are synced one by one.
const SYNCS: u32 = 200;
const SYNC_BYTES: usize = 4 << 10;
/// Compressed batch by batch, on one core.
const BATCHES: usize = 64;

/// Megabytes are millions of bytes.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    cores: usize,
    /// 256 MiB in big writes, then one sync.
    write_mb_per_second: f64,
    /// One write of 4 KiB and its sync.
    sync_ms: f64,
    /// Requests of the generator, one core.
    zstd_1_mb_per_second: f64,
    zstd_3_mb_per_second: f64,
    zstd_1_ratio: f64,
    zstd_3_ratio: f64,
}

/// Measures in `folder`, on the disk that the server will use.
pub(super) fn measure(folder: &Path, seed: u64, batch: usize) -> Result<Machine> {
    let pool = Pool::write(seed, BATCHES, batch, Encoding::Protobuf)?;
    let bodies: Vec<Bytes> = (0..BATCHES as u64).map(|number| pool.batch(seed, number, seed).body).collect();
    let path = folder.join("machine");
    let write = write(&path, &bodies)?;
    let sync = sync(&path)?;
    std::fs::remove_file(&path)?;
    let (zstd_1_mb_per_second, zstd_1_ratio) = compress(&bodies, 1)?;
    let (zstd_3_mb_per_second, zstd_3_ratio) = compress(&bodies, 3)?;
    Ok(Machine {
        cores: std::thread::available_parallelism()?.get(),
        write_mb_per_second: per_second(WRITE_BYTES, write),
        sync_ms: rounded(sync.as_secs_f64() * 1e3 / f64::from(SYNCS)),
        zstd_1_mb_per_second,
        zstd_3_mb_per_second,
        zstd_1_ratio,
        zstd_3_ratio,
    })
}

fn write(path: &Path, bodies: &[Bytes]) -> Result<Duration> {
    let chunk: Vec<u8> = bodies.iter().flatten().copied().cycle().take(CHUNK_BYTES).collect();
    let mut file = File::create(path)?;
    let begun = Instant::now();
    for _ in 0..WRITE_BYTES / CHUNK_BYTES {
        file.write_all(&chunk)?;
    }
    file.sync_data()?;
    Ok(begun.elapsed())
}

fn sync(path: &Path) -> Result<Duration> {
    let file = File::create(path)?;
    let begun = Instant::now();
    for number in 0..SYNCS {
        file.write_all_at(&[0x5a; SYNC_BYTES], u64::from(number) * SYNC_BYTES as u64)?;
        file.sync_data()?;
    }
    Ok(begun.elapsed())
}

/// Megabytes a second, and how many times smaller.
fn compress(bodies: &[Bytes], level: i32) -> Result<(f64, f64)> {
    let mut compressor = zstd::bulk::Compressor::new(level)?;
    let bytes: usize = bodies.iter().map(Bytes::len).sum();
    let begun = Instant::now();
    let mut compressed = 0;
    for body in bodies {
        compressed += compressor.compress(body)?.len();
    }
    Ok((per_second(bytes, begun.elapsed()), rounded(bytes as f64 / compressed as f64)))
}

fn per_second(bytes: usize, time: Duration) -> f64 {
    (bytes as f64 / 1e6 / time.as_secs_f64()).round()
}
