use super::*;
use crate::TemporaryFolder;

/// Every state that a power loss makes of what `work` does, over many seeds: names and contents.
fn found(work: impl Fn(&SimulatedDisk, &Path)) -> Vec<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for seed in 0..200 {
        let folder = TemporaryFolder::in_memory("simulated");
        let disk = SimulatedDisk::new(folder.path());
        work(&disk, folder.path());
        let disk = disk.power_loss(seed);
        let files = disk.list(folder.path()).unwrap();
        let named = |path: &PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), disk.read(path).unwrap());
        found.push(files.iter().map(named).collect());
    }
    found.sort();
    found.dedup();
    found
}

fn write(disk: &SimulatedDisk, path: &Path, bytes: &[u8]) -> Box<dyn DiskFile> {
    let mut file = disk.create(path).unwrap();
    file.append(bytes).unwrap();
    file
}

#[test]
fn what_was_synced_with_its_name_is_never_touched() {
    let states = found(|disk, root| {
        let mut file = write(disk, &root.join("a"), b"kept");
        file.sync().unwrap();
        disk.sync_dir(root).unwrap();
    });
    assert_eq!(states, [[("a".to_owned(), b"kept".to_vec())]]);
}

#[test]
fn a_synced_file_without_its_folder_may_be_gone_and_a_named_one_without_its_sync_may_hold_anything() {
    let nameless = found(|disk, root| write(disk, &root.join("a"), b"kept").sync().unwrap());
    assert_eq!(nameless, [vec![], vec![("a".to_owned(), b"kept".to_vec())]]);
    let unsure = found(|disk, root| {
        write(disk, &root.join("a"), b"some bytes");
        disk.sync_dir(root).unwrap();
    });
    let holds = |bytes: &[u8]| unsure.iter().any(|state| state[0].1 == bytes);
    assert!(holds(b"") && holds(b"some") && holds(b"some bytes") && holds(&[0; 10]), "{unsure:?}");
}

#[test]
fn bytes_behind_a_sync_are_lost_alone_and_a_cut_may_not_have_happened() {
    let appended = found(|disk, root| {
        let mut file = write(disk, &root.join("a"), b"kept");
        file.sync().unwrap();
        disk.sync_dir(root).unwrap();
        file.append(b"unsure").unwrap();
    });
    assert!(appended.len() > 3 && appended.iter().all(|state| state[0].1.starts_with(b"kept")), "{appended:?}");
    let cut = found(|disk, root| {
        let mut file = write(disk, &root.join("a"), b"whole");
        file.sync().unwrap();
        disk.sync_dir(root).unwrap();
        file.cut(2).unwrap();
    });
    let holds = |bytes: &[u8]| cut.iter().any(|state| state[0].1 == bytes);
    assert!(holds(b"whole") && holds(b"wh"), "{cut:?}");
}

#[test]
fn an_unsynced_rename_or_removal_happened_or_not() {
    let states = found(|disk, root| {
        write(disk, &root.join("a"), b"x").sync().unwrap();
        write(disk, &root.join("b"), b"y").sync().unwrap();
        disk.sync_dir(root).unwrap();
        disk.rename(&root.join("a"), &root.join("c")).unwrap();
        std::fs::remove_file(root.join("b")).unwrap();
    });
    let names = |state: &Vec<(String, Vec<u8>)>| state.iter().map(|(name, _)| name.as_str()).collect::<String>();
    assert_eq!(states.iter().map(names).collect::<Vec<_>>(), ["a", "ab", "bc", "c"]);
}

#[test]
fn a_folder_whose_name_is_lost_takes_what_is_in_it_along() {
    let folder = TemporaryFolder::in_memory("simulated");
    let inner = folder.path().join("inner");
    let gone = (0..20).any(|seed| {
        let disk = SimulatedDisk::new(folder.path());
        disk.make_folder(&inner).unwrap();
        write(&disk, &inner.join("a"), b"x").sync().unwrap();
        disk.sync_dir(&inner).unwrap();
        let disk = disk.power_loss(seed);
        let gone = !disk.is_folder(&inner);
        let _ = std::fs::remove_dir_all(&inner);
        gone
    });
    assert!(gone);
}

#[test]
fn a_stopped_process_fails_from_then_on_and_so_does_one_whose_machine_went_on_without_it() {
    let folder = TemporaryFolder::in_memory("simulated");
    let disk = SimulatedDisk::new(folder.path());
    disk.stop_after(1, 7);
    let mut file = disk.create(&folder.path().join("a")).unwrap();
    assert!(file.append(b"x").is_err() && file.sync().is_err() && disk.is_stopped());
    let next = disk.killed();
    assert!(next.create(&folder.path().join("b")).is_ok());
    assert!(disk.create(&folder.path().join("c")).is_err());
}

#[test]
fn a_full_disk_takes_half_of_a_write_and_all_of_it_when_there_is_room() {
    let folder = TemporaryFolder::in_memory("simulated");
    let disk = SimulatedDisk::new(folder.path());
    let mut file = disk.create(&folder.path().join("a")).unwrap();
    disk.fill_after(0);
    assert_eq!(file.append(b"1234").unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.free_bytes(folder.path()).unwrap(), 0);
    disk.make_room();
    file.append(b"56").unwrap();
    assert_eq!(disk.read(&folder.path().join("a")).unwrap(), b"1256");
}
