//! Each sync is there because something is lost without it: the disk ignores one kind at a time, and a promise breaks.

use spanlake_testkit::disk::{Change, Sync};

use crate::ledger::Broken;
use crate::{log_life, put_life, quarantine};

/// Without a sync something is lost within so many seeds, many times over.
const SEEDS_TO_NOTICE: u64 = 400;

fn of_file(sync: &Sync, end: &str, change: &Change) -> bool {
    !sync.is_folder && sync.path.to_string_lossy().ends_with(end) && sync.changes.contains(change)
}

fn of_name(sync: &Sync, is_one: impl Fn(&Change) -> bool) -> bool {
    sync.is_folder && sync.changes.iter().any(is_one)
}

fn named(end: &'static str) -> impl Fn(&Change) -> bool {
    move |change| matches!(change, Change::Named(name) if name.ends_with(end))
}

/// Something is lost when these syncs are not done.
async fn is_noticed<F: Future<Output = Result<(), Broken>>>(live: impl Fn(u64) -> F) {
    for seed in 0..SEEDS_TO_NOTICE {
        if live(seed).await.is_err() {
            return;
        }
    }
    panic!("{SEEDS_TO_NOTICE} seeds lose nothing without it: it is not needed, or the simulation is too kind");
}

#[tokio::test]
async fn the_sync_of_an_append_is_needed() {
    is_noticed(|seed| log_life::live(seed, |sync| of_file(sync, ".log", &Change::Appended))).await;
}

#[tokio::test]
async fn the_sync_of_a_segments_name_is_needed() {
    is_noticed(|seed| log_life::live(seed, |sync| of_name(sync, named(".log")))).await;
}

#[tokio::test]
async fn the_sync_of_a_removed_segments_name_is_needed() {
    let removed = |change: &Change| matches!(change, Change::Removed(name) if name.ends_with(".log"));
    is_noticed(|seed| log_life::live(seed, move |sync| of_name(sync, removed))).await;
}

#[tokio::test]
async fn the_sync_of_a_cut_tail_is_needed() {
    is_noticed(|seed| log_life::live(seed, |sync| of_file(sync, ".log", &Change::Cut))).await;
}

#[tokio::test]
async fn the_sync_of_the_writers_file_is_needed() {
    is_noticed(|seed| log_life::live(seed, |sync| of_file(sync, "writer.tmp", &Change::Appended))).await;
}

#[tokio::test]
async fn the_sync_of_the_writers_name_is_needed() {
    is_noticed(|seed| log_life::live(seed, |sync| of_name(sync, named("writer")))).await;
}

#[tokio::test]
async fn the_sync_of_a_writers_name_that_a_killed_process_left_is_needed() {
    is_noticed(|seed| quarantine::tell_writer(seed, |sync| sync.is_folder)).await;
}

#[tokio::test]
async fn the_syncs_of_a_quarantined_copy_are_needed() {
    is_noticed(|seed| quarantine::keep_copy(seed, |sync| of_file(sync, ".quarantined.tmp", &Change::Appended))).await;
    is_noticed(|seed| quarantine::keep_copy(seed, |sync| of_name(sync, named(".quarantined")))).await;
}

#[tokio::test]
async fn the_sync_of_the_logs_folder_in_the_one_above_is_needed() {
    let folder = |change: &Change| matches!(change, Change::Folder(name) if name == "log");
    is_noticed(|seed| log_life::live(seed, move |sync| of_name(sync, folder))).await;
}

#[tokio::test]
async fn the_sync_of_an_objects_bytes_is_needed() {
    is_noticed(|seed| put_life::live(seed, |sync| of_file(sync, ".tmp", &Change::Appended))).await;
}

#[tokio::test]
async fn the_sync_of_an_objects_name_is_needed() {
    is_noticed(|seed| put_life::live(seed, |sync| of_name(sync, named(".parquet")))).await;
}

#[tokio::test]
async fn the_sync_of_a_deleted_objects_name_is_needed() {
    let removed = |change: &Change| matches!(change, Change::Removed(name) if name.ends_with(".parquet"));
    is_noticed(|seed| put_life::live(seed, move |sync| of_name(sync, removed))).await;
}

#[tokio::test]
async fn the_sync_of_each_new_folder_level_is_needed() {
    for level in ["store", "t", "spans", "2026-01-01"] {
        let folder = move |change: &Change| matches!(change, Change::Folder(name) if name == level);
        is_noticed(|seed| put_life::live(seed, move |sync| of_name(sync, folder))).await;
    }
}
