//! The local store through several lives of a machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures::future::join_all;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use spanlake_model::TenantId;
use spanlake_store::{Config, Store, file};
use spanlake_testkit::disk::Sync;
use spanlake_testkit::{Dice, SimulatedDisk, TemporaryFolder};

use crate::ledger::{Broken, ensure};

const LIVES: usize = 3;
const ROUNDS: usize = 5;

/// What the store was asked, and what it answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Put, or deleted, without an answer.
    Unsure,
    There,
    Gone,
}

/// Every object that was ever to be put.
type Sent = BTreeMap<String, (Vec<u8>, State)>;

/// Several lives of one folder. What was put and answered is whole in all later ones, what was deleted and answered does
/// not come back, and what was not answered is whole or not there.
pub(crate) async fn live(seed: u64, ignored: impl Fn(&Sync) -> bool + Send + 'static) -> Result<(), Broken> {
    let folder = TemporaryFolder::in_memory("put-life");
    let dice = Dice::new(seed);
    let mut disk = SimulatedDisk::new(folder.path());
    disk.ignore(ignored);
    let mut sent = Sent::new();
    for life in 0..=LIVES {
        if life < LIVES {
            disk.stop_after(1 + dice.below(50) as u64, dice.number());
        }
        match open(folder.path(), &disk) {
            Ok(store) => {
                check(&store, &sent).await?;
                work(&store, &mut sent, &dice, &disk).await?;
            }
            Err(error) => ensure(disk.is_stopped(), || format!("the store does not open: {error:?}"))?,
        }
        disk = if dice.chance(25) { disk.killed() } else { disk.power_loss(dice.number()) };
    }
    Ok(())
}

fn open(folder: &Path, disk: &SimulatedDisk) -> Result<Store, spanlake_store::OpenError> {
    let url = format!("file:{}", folder.join("data/store").display());
    Store::open(&Config { url }, Arc::new(disk.clone()))
}

fn tenant(path: &str) -> TenantId {
    path.split('/').nth(1).unwrap().parse().unwrap()
}

async fn check(store: &Store, sent: &Sent) -> Result<(), Broken> {
    for (path, (bytes, state)) in sent {
        match store.tenant(tenant(path)).get(&ObjectPath::from(path.as_str())).await {
            Ok(found) => {
                let found = found.bytes().await.map_err(|error| error.to_string())?;
                ensure(found == *bytes, || format!("{path} is not what was put"))?;
                ensure(*state != State::Gone, || format!("{path} was deleted and is back"))?;
            }
            Err(object_store::Error::NotFound { .. }) => {
                ensure(*state != State::There, || format!("{path} was answered and is lost"))?;
            }
            Err(other) => return Err(other.to_string()),
        }
    }
    Ok(())
}

async fn work(store: &Store, sent: &mut Sent, dice: &Dice, disk: &SimulatedDisk) -> Result<(), Broken> {
    for _ in 0..ROUNDS {
        if dice.chance(25) { delete(store, sent, dice, disk).await? } else { put(store, sent, dice, disk).await? }
    }
    Ok(())
}

async fn put(store: &Store, sent: &mut Sent, dice: &Dice, disk: &SimulatedDisk) -> Result<(), Broken> {
    let paths: Vec<_> = (0..=dice.below(2)).map(|_| name(sent, dice)).collect();
    let answers = join_all(paths.iter().map(|path| put_one(store, path, &sent[path].0))).await;
    for (path, answer) in paths.iter().zip(answers) {
        match answer {
            Ok(()) => sent.get_mut(path).unwrap().1 = State::There,
            Err(error) => ensure(disk.is_stopped(), || format!("{path} is refused: {error:?}"))?,
        }
    }
    Ok(())
}

/// Whole, or one time in three in parts.
async fn put_one(store: &Store, path: &str, bytes: &[u8]) -> object_store::Result<()> {
    let (objects, location) = (store.tenant(tenant(path)), ObjectPath::from(path));
    if !bytes.len().is_multiple_of(3) {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        return objects.put_opts(&location, PutPayload::from(bytes.to_vec()), options).await.map(drop);
    }
    let mut upload = objects.put_multipart(&location).await?;
    for part in bytes.chunks(300) {
        upload.put_part(PutPayload::from(part.to_vec())).await?;
    }
    upload.complete().await.map(drop)
}

/// Deletes one that is there.
async fn delete(store: &Store, sent: &mut Sent, dice: &Dice, disk: &SimulatedDisk) -> Result<(), Broken> {
    let there: Vec<_> = sent.iter().filter(|(_, (_, state))| *state == State::There).map(|(path, _)| path).collect();
    if there.is_empty() {
        return Ok(());
    }
    let path = there[dice.below(there.len())].clone();
    let deleted = file::delete(store.tenant(tenant(&path)).as_ref(), &path).await;
    ensure(deleted.is_ok() || disk.is_stopped(), || format!("{path} is not deleted: {deleted:?}"))?;
    sent.get_mut(&path).unwrap().1 = if deleted.is_ok() { State::Gone } else { State::Unsure };
    Ok(())
}

/// A name that was never used, in one of a few folders.
fn name(sent: &mut Sent, dice: &Dice) -> String {
    let tenant = TenantId::from_bytes([1 + u8::from(dice.chance(30)); 16]);
    let path = format!("t/{tenant}/spans/2026-01-0{}/{}.parquet", 1 + dice.below(3), sent.len());
    sent.insert(path.clone(), (dice.noise(1 + dice.below(900)), State::Unsure));
    path
}
