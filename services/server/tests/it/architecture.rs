//! The architecture as a test: who may see whom, where heavy dependencies live, and who may make a `Caller`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::cluster::files_in;

/// What each crate may see of ours. Everything else, and every arrow the other way, is refused.
///
/// `services → transport, access, engine → store, catalog, dialects, prices, proto → model`
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("dialects", &["model"]),
    ("prices", &["model"]),
    ("proto", &["model"]),
    ("catalog", &["model"]),
    ("store", &["model"]),
    ("engine", &["store", "catalog", "dialects", "prices", "proto", "model"]),
    ("access", &["store", "catalog", "dialects", "prices", "proto", "model"]),
    ("transport", &["store", "catalog", "dialects", "prices", "proto", "model"]),
    ("auth", SERVICE),
    ("ingest", SERVICE),
    ("query", SERVICE),
    ("export", SERVICE),
    ("compactor", SERVICE),
    // The composition root alone names the services.
    (
        "server",
        &[
            "auth",
            "ingest",
            "query",
            "export",
            "compactor",
            "transport",
            "access",
            "engine",
            "store",
            "catalog",
            "dialects",
            "prices",
            "proto",
            "model",
        ],
    ),
    // A client like any other: it knows the public API and nothing of ours.
    ("load-tests", &[]),
    // Ids and times, as everybody spells them; for the rest a client like any other.
    ("cli", &["model"]),
    ("testkit", &["store", "catalog", "proto", "model"]),
];

const SERVICE: &[&str] = &["transport", "access", "engine", "store", "catalog", "dialects", "prices", "proto", "model"];

/// Heavy dependencies and who may link them, so that a change in one place never rebuilds the world. Test-only use is
/// free; `server` is the composition root and names what it hands over.
const HOMES: &[(&str, &[&str])] = &[
    ("datafusion", &["engine"]),
    // Testkit makes and drops the databases of tests.
    ("sqlx", &["catalog", "testkit"]),
    ("jsonwebtoken", &["access"]),
    ("redis", &["access"]),
    ("ed25519-dalek", &["access"]),
    ("ring", &["access"]),
    ("argon2", &["auth"]),
    // Access remembers callers; ingest remembers the keys of data files.
    ("moka", &["access", "engine", "ingest"]),
    ("parquet", &["store", "engine"]),
    ("object_store", &["store", "engine"]),
    ("arrow-flight", &["proto"]),
    // Rows are Arrow batches from the log to the export, so everybody on that way speaks it.
    ("arrow", &["store", "engine", "proto", "ingest", "query", "export", "compactor"]),
    ("tonic-prost", &["proto"]),
    ("tonic-prost-build", &["proto"]),
    ("protox", &["proto"]),
    // Foreign formats stop in dialects; the generator and testkit are clients.
    ("opentelemetry-proto", &["dialects", "testkit", "load-tests"]),
    ("prost", &["dialects", "proto", "testkit", "load-tests"]),
    ("hyper", &["transport"]),
    ("prometheus-client", &["transport"]),
    // Proto dials its peers over TLS itself, to use certificates that were renewed.
    ("hyper-util", &["transport", "proto"]),
    ("tracing-subscriber", &["transport"]),
    ("clap", &["server", "load-tests", "cli"]),
    // The demo is a client of the public API; exports reach buckets that others name through a client of their own.
    ("reqwest", &["store", "server", "load-tests", "cli"]),
    ("rustls", &["server"]),
    ("tokio-rustls", &["transport", "proto"]),
    // Library code does not choose how its process allocates.
    ("tikv-jemallocator", &["server"]),
    ("anyhow", &["server", "load-tests"]),
];

/// Files that may make a `Caller`: who verifies a credential, and who reads one that a service of ours passed on.
const MAKES_CALLERS: &[&str] = &["crates/access/src/gate.rs", "crates/proto/src/convert.rs"];

/// A crate and what it depends on.
struct Manifest {
    name: String,
    /// Build dependencies included.
    dependencies: BTreeSet<String>,
    development: BTreeSet<String>,
}

#[test]
fn no_crate_sees_what_it_may_not_see() {
    let mut wrong = Vec::new();
    let manifests = manifests();
    let known: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for manifest in &manifests {
        let name = manifest.name.as_str();
        let Some(allowed) = known.get(name) else {
            wrong.push(format!("{name} is a new crate: say in ARROWS what it may see"));
            continue;
        };
        let sees = |names: &BTreeSet<String>| -> Vec<String> {
            names.iter().filter_map(|name| name.strip_prefix("spanlake-")).map(str::to_owned).collect()
        };
        for seen in sees(&manifest.dependencies).iter().filter(|seen| !allowed.contains(&seen.as_str())) {
            wrong.push(format!("{name} must not see {seen}"));
        }
        for seen in sees(&manifest.development) {
            // The stories of the command line are told against a whole server.
            let is_story = (name, &*seen) == ("server", "cli");
            if seen != "testkit" && !is_story && !allowed.contains(&seen.as_str()) {
                wrong.push(format!("{name}'s tests must not see {seen}"));
            }
        }
    }
    assert_eq!(manifests.len(), ARROWS.len(), "every crate of the table is there");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn heavy_dependencies_stay_at_home() {
    let mut wrong = Vec::new();
    for manifest in manifests() {
        for (heavy, homes) in HOMES {
            if manifest.dependencies.contains(*heavy) && !homes.contains(&manifest.name.as_str()) {
                wrong.push(format!("{} uses {heavy}, which lives in {}", manifest.name, homes.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A home that nobody lives in any more is a rule that protects nothing.
#[test]
fn every_home_is_lived_in() {
    let manifests = manifests();
    let uses = |home: &str, heavy: &str| {
        manifests.iter().any(|manifest| manifest.name == home && manifest.dependencies.contains(heavy))
    };
    for (heavy, homes) in HOMES {
        let empty: Vec<_> = homes.iter().filter(|home| !uses(home, heavy)).collect();
        assert!(empty.is_empty(), "{empty:?} no longer use {heavy}: take them off the list");
    }
}

#[test]
fn a_caller_is_made_only_where_a_credential_is_verified() {
    let mut found = BTreeSet::new();
    for folder in ["crates", "services", "clients", "load-tests"] {
        for path in files_in(&root().join(folder), "rs") {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            let is_test = name.contains("/tests/") || name.ends_with("/tests.rs") || name.contains("/testkit/");
            if !is_test && makes_callers(&product_code(&fs::read_to_string(&path).unwrap())) {
                found.insert(name);
            }
        }
    }
    let allowed: BTreeSet<String> = MAKES_CALLERS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(found, allowed, "who makes a Caller on the left, who may on the right");
}

/// By the name, or by `Self` where a `Caller` is made of something else.
fn makes_callers(code: &str) -> bool {
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let code: String = code.lines().filter(is_code).collect();
    code.contains("Caller::verified") || (code.contains("for Caller") && code.contains("Self::verified"))
}

/// Without the tests at the end of the file.
fn product_code(text: &str) -> String {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()
}

fn root() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../..").canonicalize().unwrap()
}

fn manifests() -> Vec<Manifest> {
    let mut folders = vec![root().join("load-tests")];
    for group in ["crates", "services", "clients"] {
        folders.extend(fs::read_dir(root().join(group)).unwrap().map(|entry| entry.unwrap().path()));
    }
    folders
        .iter()
        .filter_map(|folder| fs::read_to_string(folder.join("Cargo.toml")).ok())
        .map(|text| manifest(&text))
        .collect()
}

fn manifest(text: &str) -> Manifest {
    let table: toml::Table = text.parse().unwrap();
    let name = table["package"]["name"].as_str().unwrap();
    let names = |section: &str| -> BTreeSet<String> {
        table.get(section).and_then(toml::Value::as_table).into_iter().flat_map(|table| table.keys().cloned()).collect()
    };
    assert!(!table.contains_key("target"), "{name}: dependencies by target would go unseen here");
    Manifest {
        name: name.strip_prefix("spanlake-").unwrap().to_owned(),
        dependencies: names("dependencies").union(&names("build-dependencies")).cloned().collect(),
        development: names("dev-dependencies"),
    }
}
