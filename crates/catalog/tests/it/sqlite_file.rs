//! What only a SQLite file has: a path, a mode, a query plan one can rely on.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use spanlake_catalog::{Catalog, Config, Files as _};

use crate::database::Database;
use crate::samples::{TENANT, WRITER, at, commit, file, take_in};

#[tokio::test]
async fn only_its_owner_may_read_the_file() {
    let database = Database::sqlite();
    let catalog = database.open().await;
    let lease = catalog.register_writer(WRITER, "", at(0)).await.unwrap();
    take_in(&catalog, commit(lease, TENANT, 1, vec![file(TENANT, at(0))])).await.unwrap();
    let path = database.url.strip_prefix("sqlite:").unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let mode = std::fs::metadata(format!("{path}{suffix}")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix}");
    }
}

#[tokio::test]
async fn the_catalog_is_where_the_path_says_and_nowhere_else() {
    let database = Database::sqlite();
    database.open().await.close().await;
    let path = Path::new(database.url.strip_prefix("sqlite:").unwrap());
    let names: Vec<_> =
        std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["catalog.db"], "closing leaves one file");
    // With two slashes it is the same path, as sqlx has it.
    Catalog::open(&Config::new(format!("sqlite://{}", path.display()))).await.unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn what_is_no_catalog_is_refused_with_the_reason() {
    let nowhere = std::env::temp_dir().join("spanlake no such folder").join("catalog.db");
    for (url, reason) in [
        (format!("sqlite:{}", nowhere.display()), "no such folder"),
        ("sqlite:".into(), "plain path"),
        ("sqlite::memory:".into(), "plain path"),
        ("sqlite:catalog.db?mode=ro".into(), "plain path"),
        ("mysql://localhost/spanlake".into(), "postgres://"),
        ("catalog.db".into(), "sqlite:PATH"),
    ] {
        let error = Catalog::open(&Config::new(&url)).await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(reason), "{url}: {cause}");
    }
}
