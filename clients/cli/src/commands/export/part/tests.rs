use spanlake_testkit::TemporaryFolder;

use super::*;

fn source(filter: &str) -> Source {
    Source { url: "http://x".into(), app: None, query: vec![("name".into(), filter.into())] }
}

fn after(rows: u64) -> Summary {
    Summary { exported: rows, next_cursor: Some(format!("after {rows}")), ..Summary::default() }
}

/// An export that broke after its first page, of one row.
fn leave_unfinished(target: &Path) {
    let mut part = Part::resume(target, &source("a"), false).unwrap().0;
    part.write(b"one\n").unwrap();
    part.keep(&source("a"), &after(1)).unwrap();
}

fn names(folder: &TemporaryFolder) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_whole_file_appears_under_its_name_and_nothing_else_is_left() {
    let folder = TemporaryFolder::new("part");
    let target = folder.path().join("rows.jsonl");
    let mut part = Part::begin(&target, false).unwrap();
    part.write(b"one\n").unwrap();
    assert_eq!(names(&folder), ["rows.jsonl.part"]);
    assert_eq!(part.finish().unwrap(), 4);
    assert_eq!(names(&folder), ["rows.jsonl"]);
    assert_eq!(fs::read_to_string(&target).unwrap(), "one\n");
}

#[test]
fn what_breaks_before_a_page_is_whole_leaves_nothing() {
    let folder = TemporaryFolder::new("part");
    let mut part = Part::resume(&folder.path().join("rows"), &source("a"), false).unwrap().0;
    part.write(b"half a ro").unwrap();
    drop(part);
    assert!(names(&folder).is_empty());
}

#[test]
fn what_breaks_later_goes_on_after_the_last_whole_page() {
    let folder = TemporaryFolder::new("part");
    let target = folder.path().join("rows");
    let (mut part, so_far) = Part::resume(&target, &source("a"), false).unwrap();
    assert_eq!(so_far, None);
    part.write(b"one\ntwo\n").unwrap();
    part.keep(&source("a"), &after(2)).unwrap();
    part.write(b"half a ro").unwrap();
    drop(part);
    assert_eq!(names(&folder), ["rows.part", "rows.part.json"]);
    let (mut part, so_far) = Part::resume(&target, &source("a"), false).unwrap();
    assert_eq!(so_far, Some(after(2)));
    part.write(b"three\n").unwrap();
    part.finish().unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "one\ntwo\nthree\n");
    assert_eq!(names(&folder), ["rows"]);
}

#[test]
fn an_unfinished_export_is_neither_lost_nor_mixed_with_another() {
    let folder = TemporaryFolder::new("part");
    let target = folder.path().join("rows");
    leave_unfinished(&target);
    for refused in [Part::begin(&target, false).err(), Part::resume(&target, &source("b"), false).err()] {
        let refused = refused.unwrap();
        assert_eq!(refused.code(), 2);
        assert!(refused.to_string().contains("--force"), "{refused}");
    }
    assert_eq!(fs::read_to_string(folder.path().join("rows.part")).unwrap(), "one\n");
    let (part, so_far) = Part::resume(&target, &source("b"), true).unwrap();
    assert_eq!((so_far, part.bytes), (None, 0));
}

#[test]
fn rows_that_the_state_speaks_of_and_that_are_gone_are_not_taken_for_there() {
    let folder = TemporaryFolder::new("part");
    let target = folder.path().join("rows");
    leave_unfinished(&target);
    fs::write(folder.path().join("rows.part"), "o").unwrap();
    assert_eq!(Part::resume(&target, &source("a"), false).unwrap_err().code(), 2);
    fs::write(folder.path().join("rows.part.json"), "{").unwrap();
    assert_eq!(Part::resume(&target, &source("a"), true).unwrap_err().code(), 2);
}

#[test]
fn two_at_a_time_do_not_write_to_one_file() {
    let folder = TemporaryFolder::new("part");
    let target = folder.path().join("rows");
    let mut first = Part::begin(&target, false).unwrap();
    let second = Part::begin(&target, true).unwrap_err();
    assert!(second.to_string().contains("another spanlake"), "{second}");
    first.write(b"one\n").unwrap();
    first.finish().unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "one\n");
}

#[test]
fn a_link_stays_a_link_and_what_is_no_file_is_left_alone() {
    let folder = TemporaryFolder::new("part");
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::write(&real, "old").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let mut part = Part::begin(&link, false).unwrap();
    part.write(b"new").unwrap();
    part.finish().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&real).unwrap(), "new");
    for no_file in [Path::new("/dev/null"), folder.path()] {
        assert_eq!(Part::begin(no_file, true).unwrap_err().code(), 2);
    }
}

/// The state as the first version wrote it, which later ones must read.
#[test]
fn a_state_of_version_one_is_read() {
    let folder = TemporaryFolder::new("part");
    let target = folder.path().join("rows");
    fs::write(folder.path().join("rows.part"), "one\ntwo\nhalf").unwrap();
    let state = r#"{"version":1,"source":{"url":"http://x","app":null,"query":[["name","a"]]},"bytes":8,
        "summary":{"total":3,"exported":2,"skipped":1,"skip_reasons":{"no_input":1},"next_cursor":"c"}}"#;
    fs::write(folder.path().join("rows.part.json"), state).unwrap();
    let (part, so_far) = Part::resume(&target, &source("a"), false).unwrap();
    let so_far = so_far.unwrap();
    assert_eq!((part.bytes, so_far.exported, so_far.next_cursor.as_deref()), (8, 2, Some("c")));
}
