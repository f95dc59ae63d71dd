//! A warehouse that merges every run, beside the source.

use std::collections::BTreeMap;

use serde_json::Value;

use super::bench::Bench;
use super::files::check;

/// Rows by trace and span: what a warehouse knows of each.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Warehouse {
    pub(crate) rows: BTreeMap<(String, String), String>,
    /// The run that was merged last, and the digest of its manifest.
    run: u64,
    sha256: Option<String>,
    /// Upserts that changed nothing: told twice without need.
    pub(crate) repeated: usize,
}

impl Warehouse {
    /// Merges the runs since the last one, in order: deletes first, then rows.
    pub(crate) async fn catch_up(&mut self, bench: &Bench, id: &str) {
        let runs = bench.get(&format!("/v1/exports/{id}/runs?limit=1000")).await["data"].clone();
        for written in runs.as_array().unwrap().iter().rev() {
            let run = written["run"].as_u64().unwrap();
            if run <= self.run {
                continue;
            }
            let manifest = bench.get(&format!("/v1/exports/{id}/manifest?run={run}")).await["data"].clone();
            check(bench, id, &manifest).await;
            assert_eq!(run, self.run + 1, "no run is missing");
            assert_eq!(manifest["parent"]["sha256"].as_str(), self.sha256.as_deref(), "each run names the one before");
            self.merge(bench, id, &manifest).await;
            self.run = run;
            self.sha256 = Some(written["sha256"].as_str().unwrap().to_owned());
        }
    }

    async fn merge(&mut self, bench: &Bench, id: &str, manifest: &Value) {
        for kind in ["deletes", "rows"] {
            for file in manifest["files"].as_array().unwrap().iter().filter(|file| file["kind"] == kind) {
                let path = format!("run={:06}/{}", manifest["run"].as_u64().unwrap(), file["path"].as_str().unwrap());
                let text = String::from_utf8(bench.read(id, &path).await).unwrap();
                for line in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
                    if kind == "deletes" { self.delete(&line) } else { self.upsert(&line) }
                }
            }
        }
    }

    fn delete(&mut self, line: &Value) {
        let fits = |wanted: &Value, is: &String| wanted.as_str().is_none_or(|wanted| wanted == is);
        self.rows.retain(|(trace, span), _| !(fits(&line["trace_id"], trace) && fits(&line["span_id"], span)));
    }

    fn upsert(&mut self, line: &Value) {
        let text = |field: &str| line[field].as_str().unwrap().to_owned();
        let before = self.rows.insert((text("trace_id"), text("span_id")), line.to_string());
        self.repeated += usize::from(before == Some(line.to_string()));
    }
}
