//! What holds while many ask at once. Each test starts its tasks together on several threads.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use spanlake_catalog::{Accounts as _, Catalog, DataFile, Error, Files as _, Sessions as _, Snapshot};
use spanlake_model::{TenantId, WriterId};
use tokio::sync::Barrier;
use tokio::task::JoinHandle;

use crate::database::Database;
use crate::files::snapshot;
use crate::samples::{SECOND_WRITER, TENANT, WRITER, account, at, commit, file, refresh_token, replacement, take_in};

/// Runs `count` tasks that start at the same moment, and answers what each answered.
pub(crate) async fn at_once<T, F>(count: u8, task: impl Fn(u8) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(usize::from(count)));
    let tasks: Vec<_> = (0..count)
        .map(|index| {
            let (start, task) = (start.clone(), task(index));
            tokio::spawn(async move {
                start.wait().await;
                task.await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

pub(crate) async fn racing_sign_ups_make_one_tenant(database: &Database) {
    let catalog = database.open().await;
    let answers = at_once(8, |index| {
        let (catalog, account) = (catalog.clone(), account(TenantId::from_bytes([index; 16]), "ann@example.com"));
        async move { catalog.sign_up(account).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Err(Error::Exists { .. }))).count(), 7);
    assert_eq!(catalog.accounts_of("ann@example.com", 9).await.unwrap().len(), 1);
}

pub(crate) async fn racing_users_see_a_refresh_token_unused_once(database: &Database) {
    let catalog = database.open().await;
    let account = account(TENANT, "ann@example.com");
    catalog.sign_up(account.clone()).await.unwrap();
    let token = refresh_token(&account.owner, "family");
    catalog.add_refresh_token(token.clone(), &account.owner.password_hash).await.unwrap();
    let answers = at_once(8, |index| {
        let (catalog, hash) = (catalog.clone(), token.hash.clone());
        async move { catalog.use_refresh_token(&hash, at(i64::from(index))).await.unwrap().unwrap() }
    })
    .await;
    assert_eq!(answers.iter().filter(|token| token.used_at.is_none()).count(), 1);
    let marks: BTreeSet<_> = answers.iter().filter_map(|token| token.used_at).collect();
    assert_eq!(marks.len(), 1, "all others see the same first use");
}

pub(crate) async fn racing_registrations_get_different_epochs(database: &Database) {
    let catalog = database.open().await;
    let leases = at_once(8, |_| {
        let catalog = catalog.clone();
        async move { catalog.register_writer(WRITER, "", at(0)).await.unwrap() }
    })
    .await;
    assert_eq!(leases.iter().map(|lease| lease.epoch).collect::<BTreeSet<_>>(), (1..=8).collect());
    // Only the last of them holds the lease.
    for lease in leases {
        let answer = take_in(&catalog, commit(lease, TENANT, lease.epoch, vec![])).await;
        assert_eq!(answer.is_ok(), lease.epoch == 8, "{answer:?}");
    }
}

pub(crate) async fn concurrent_commits_get_different_versions(database: &Database) {
    let catalog = database.open().await;
    let commits_of = |writer: WriterId, catalog: Catalog| async move {
        let lease = catalog.register_writer(writer, "", at(0)).await.unwrap();
        let mut versions = Vec::new();
        for sequence in 1..=25 {
            let flush = commit(lease, TENANT, sequence, vec![file(TENANT, at(0))]);
            versions.push(take_in(&catalog, flush).await.unwrap().unwrap());
        }
        versions
    };
    let versions = at_once(2, |index| commits_of([WRITER, SECOND_WRITER][usize::from(index)], catalog.clone())).await;
    assert!(versions.iter().all(|mine| mine.is_sorted()), "each writer sees its versions rise");
    assert_eq!(versions.concat().into_iter().collect::<BTreeSet<_>>(), (1..=50).collect());
    let seen = snapshot(&catalog, TENANT).await;
    assert_eq!(seen.files.iter().map(|file| file.version).collect::<Vec<_>>(), (1..=50).collect::<Vec<_>>());
    assert_eq!(seen.watermarks.iter().map(|watermark| watermark.sequence).collect::<Vec<_>>(), [25, 25]);
}

pub(crate) async fn one_commit_asked_for_by_many_happens_once(database: &Database) {
    let catalog = database.open().await;
    let lease = catalog.register_writer(WRITER, "", at(0)).await.unwrap();
    let flush = commit(lease, TENANT, 1, vec![file(TENANT, at(0))]);
    let answers = at_once(8, |_| {
        let (catalog, flush) = (catalog.clone(), flush.clone());
        async move { take_in(&catalog, flush).await.unwrap() }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| **answer == Some(1)).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.is_none()).count(), 7);
    assert_eq!(snapshot(&catalog, TENANT).await.files.len(), 1);
}

pub(crate) async fn of_two_racing_replacements_one_wins(database: &Database) {
    let catalog = database.open().await;
    let lease = catalog.register_writer(WRITER, "", at(0)).await.unwrap();
    for round in 1..=10 {
        let inputs: Vec<_> = (0..4).map(|second| file(TENANT, at(second))).collect();
        take_in(&catalog, commit(lease, TENANT, round, inputs.clone())).await.unwrap();
        let inputs: Vec<_> = inputs.iter().map(|file| file.id).collect();
        let before = snapshot(&catalog, TENANT).await.files.len();
        // They share two inputs and name them in opposite order, which must not make them wait for each other.
        let answers = at_once(2, |index| {
            let mut mine = if index == 0 { inputs[..3].to_vec() } else { inputs[1..].to_vec() };
            if index == 0 {
                mine.reverse();
            }
            let (catalog, outputs) = (catalog.clone(), vec![file(TENANT, at(10))]);
            async move { catalog.replace(replacement(TENANT, &mine, outputs)).await }
        })
        .await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| matches!(answer, Err(Error::Changed(_)))).count(), 1, "{answers:?}");
        assert_eq!(snapshot(&catalog, TENANT).await.files.len(), before - 3 + 1);
    }
}

/// How often a reader has seen the catalog change, so that the one who changes it knows when enough was tested.
#[derive(Clone, Default)]
struct Witness {
    changes: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
}

impl Witness {
    const ENOUGH: u64 = 10;

    fn has_seen_enough(&self) -> bool {
        self.changes.load(Ordering::SeqCst) >= Self::ENOUGH
    }

    /// Takes snapshots until told to stop; each must pass `check`, which answers what it saw.
    fn watch<T: PartialEq + Send + 'static>(
        &self,
        catalog: &Catalog,
        check: impl Fn(Snapshot) -> T + Send + Sync + 'static,
    ) -> JoinHandle<()> {
        let (witness, catalog) = (self.clone(), catalog.clone());
        tokio::spawn(async move {
            let mut last = None;
            while !witness.done.load(Ordering::SeqCst) {
                let seen = Some(check(snapshot(&catalog, TENANT).await));
                if seen != last {
                    witness.changes.fetch_add(1, Ordering::SeqCst);
                }
                last = seen;
            }
        })
    }
}

pub(crate) async fn a_snapshot_never_sees_a_watermark_without_its_file(database: &Database) {
    let catalog = database.open().await;
    let lease = catalog.register_writer(WRITER, "", at(0)).await.unwrap();
    // Every commit moves the watermark by one and brings one file.
    let check = |seen: Snapshot| {
        let watermark = seen.watermarks.first().map_or(0, |watermark| watermark.sequence);
        assert_eq!(u64::try_from(seen.files.len()).unwrap(), watermark);
        watermark
    };
    let witnesses = [Witness::default(), Witness::default()];
    let readers = witnesses.clone().map(|witness| witness.watch(&catalog, check));
    for sequence in 1.. {
        let flush = commit(lease, TENANT, sequence, vec![file(TENANT, at(0))]);
        assert_eq!(take_in(&catalog, flush).await.unwrap(), Some(sequence));
        if witnesses.iter().all(Witness::has_seen_enough) || readers.iter().any(JoinHandle::is_finished) {
            break;
        }
    }
    for (witness, reader) in witnesses.iter().zip(readers) {
        witness.done.store(true, Ordering::SeqCst);
        reader.await.unwrap();
    }
}

pub(crate) async fn a_snapshot_never_sees_half_a_replacement(database: &Database) {
    let catalog = database.open().await;
    let lease = catalog.register_writer(WRITER, "", at(0)).await.unwrap();
    let mut live = vec![file(TENANT, at(0)), file(TENANT, at(0))];
    take_in(&catalog, commit(lease, TENANT, 1, live.clone())).await.unwrap();
    let witness = Witness::default();
    let reader = witness.watch(&catalog, |seen| {
        assert_eq!(seen.files.iter().map(|file| file.rows).sum::<u64>(), 2);
        seen.files.len()
    });
    // Two files of one row become one of two, and that two again, and so on.
    while !witness.has_seen_enough() && !reader.is_finished() {
        let outputs = match live.len() {
            2 => vec![DataFile { rows: 2, ..file(TENANT, at(0)) }],
            _ => vec![file(TENANT, at(0)), file(TENANT, at(0))],
        };
        let inputs: Vec<_> = live.iter().map(|file| file.id).collect();
        catalog.replace(replacement(TENANT, &inputs, outputs.clone())).await.unwrap();
        live = outputs;
    }
    witness.done.store(true, Ordering::SeqCst);
    reader.await.unwrap();
}
