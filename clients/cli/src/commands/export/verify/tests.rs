use std::fs;
use std::io::Write;

use sha2::{Digest, Sha256};
use spanlake_testkit::TemporaryFolder;

use super::*;

const PARQUET: &[u8] = include_bytes!("three.parquet");

/// A run with a file of each form, as a job writes it.
struct Run {
    folder: TemporaryFolder,
    files: Vec<Value>,
}

impl Run {
    fn write() -> Self {
        let mut run = Self { folder: TemporaryFolder::new("verify"), files: Vec::new() };
        let gzipped = {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            gzip.write_all(b"{\"a\":1}\n{\"a\":2}\n").unwrap();
            gzip.finish().unwrap()
        };
        let packed = zstd::encode_all(&b"a,b\r\n1,\"x\r\ny\"\r\n"[..], 0).unwrap();
        run.add("tenant=t/date=2026-01-01", "parquet", "rows", PARQUET, 3);
        run.add("tenant=t/date=2026-01-02", "jsonl.gz", "rows", &gzipped, 2);
        run.add("tenant=t/date=2026-01-03", "csv.zst", "rows", &packed, 1);
        run.add("deletes", "jsonl", "deletes", b"{\"trace_id\":\"a\"}\n", 1);
        run
    }

    fn add(&mut self, folder: &str, extension: &str, kind: &str, content: &[u8], rows: u64) {
        let sha256: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        let path = format!("{folder}/{sha256}.{extension}");
        let place = self.folder.path().join("run=000001").join(&path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, content).unwrap();
        self.files.push(json!({"path": path, "kind": kind, "rows": rows, "bytes": content.len(), "sha256": sha256}));
    }

    fn place(&self, file: usize) -> std::path::PathBuf {
        self.folder.path().join("run=000001").join(self.files[file]["path"].as_str().unwrap())
    }

    /// What is found wrong with it, the manifest changed as a test wishes.
    async fn problems(&self, change: impl FnOnce(&mut Value)) -> Vec<String> {
        let bytes: u64 = self.files.iter().map(|file| file["bytes"].as_u64().unwrap()).sum();
        let mut text = json!({
            "version": 1, "export_id": "e", "run": 1, "app_id": "a", "table": "spans", "filter": "", "start_date": null,
            "end_date": null, "snapshot_at": "2026-01-04T00:00:00Z", "window": null, "rows": 6, "deletes": 1, "bytes": bytes,
            "skipped": {}, "files": self.files, "parent": null, "added_later": [1],
        });
        change(&mut text);
        let folder = self.folder.path().join("run=000001");
        fs::write(folder.join("manifest.json"), text.to_string()).unwrap();
        let place = Place::Folder(folder);
        let manifest = Manifest::parse(&place.manifest("manifest.json").await.unwrap()).unwrap();
        let mut findings = Findings::default();
        look(&manifest, &place, "manifest.json", &mut findings).await.unwrap();
        findings.problems
    }
}

#[tokio::test]
async fn a_whole_run_has_no_problems() {
    assert_eq!(Run::write().problems(|_| {}).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_is_gone_cut_or_changed_is_named() {
    for file in 0..4 {
        let name = |run: &Run| run.files[file]["path"].as_str().unwrap().to_owned();
        let changes: [fn(&std::path::Path); 3] = [
            |path| fs::remove_file(path).unwrap(),
            |path| fs::write(path, &fs::read(path).unwrap()[1..]).unwrap(),
            |path| {
                let mut bytes = fs::read(path).unwrap();
                bytes[0] ^= 1;
                fs::write(path, bytes).unwrap();
            },
        ];
        for change in changes {
            let run = Run::write();
            change(&run.place(file));
            let problems = run.problems(|_| {}).await;
            assert!(problems.len() == 1 && problems[0].starts_with(&name(&run)), "{problems:?}");
        }
    }
}

#[tokio::test]
async fn numbers_that_do_not_agree_are_told() {
    let run = Run::write();
    for file in 0..4 {
        let problems = run.problems(|manifest| manifest["files"][file]["rows"] = 9.into()).await;
        assert!(problems.len() == 2 && problems[0].contains("rows, not 9"), "{problems:?}");
    }
    for sum in ["rows", "deletes", "bytes"] {
        let problems = run.problems(|manifest| manifest[sum] = 9_999.into()).await;
        assert!(problems.len() == 1 && problems[0].contains("the manifest says 9999"), "{problems:?}");
    }
}

#[tokio::test]
async fn what_the_manifest_does_not_name_does_not_belong_there() {
    let run = Run::write();
    fs::write(run.place(0).with_file_name("old.parquet"), PARQUET).unwrap();
    let problems = run.problems(|_| {}).await;
    assert!(problems.len() == 1 && problems[0].ends_with("old.parquet: is not in the manifest"), "{problems:?}");
}

#[tokio::test]
async fn a_manifest_cannot_lead_out_of_its_folder() {
    let run = Run::write();
    for path in ["/etc/passwd", "../../secret", "a/../../b", ""] {
        let problems = run.problems(|manifest| manifest["files"][0]["path"] = path.into()).await;
        assert!(problems[0].ends_with("a path that leaves the folder"), "{problems:?}");
    }
}

#[tokio::test]
async fn the_run_before_is_the_one_that_was_followed() {
    let run = Run::write();
    let before = run.folder.path().join("run=000000");
    fs::create_dir_all(&before).unwrap();
    fs::write(before.join("manifest.json"), "{}").unwrap();
    let sha256: String = Sha256::digest("{}").iter().map(|byte| format!("{byte:02x}")).collect();
    let follow = |sha256: &str| {
        let parent = json!({"run": 0, "path": "run=000000/manifest.json", "sha256": sha256});
        run.problems(|manifest| manifest["parent"] = parent)
    };
    assert_eq!(follow(&sha256).await, Vec::<String>::new());
    assert!(follow("00").await[0].contains("is not the manifest that this run follows"));
}

#[test]
fn a_manifest_of_another_version_is_refused_rather_than_half_checked() {
    for text in ["{\"version\":2}", "{}", "[]", "{\"version\":1}", "nonsense"] {
        assert!(Manifest::parse(text.as_bytes()).unwrap_err().contains("manifest"), "{text}");
    }
}
