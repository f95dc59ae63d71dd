//! Opening, reopening, and rows that are not as they should be.

use spanlake_catalog::{Accounts as _, Error, Files as _, Keys as _};
use spanlake_model::{Fault, FaultKind, Table, TimeRange};

use crate::database::Database;
use crate::files::snapshot;
use crate::samples::{TENANT, WRITER, account, at, commit, file, key, take_in};

pub(crate) async fn opening_again_keeps_everything(database: &Database) {
    let catalog = database.open().await;
    let ann = account(TENANT, "ann@example.com");
    catalog.sign_up(ann.clone()).await.unwrap();
    let key = key(TENANT);
    catalog.add_key(key.clone()).await.unwrap();
    let lease = catalog.register_writer(WRITER, "", at(0)).await.unwrap();
    take_in(&catalog, commit(lease, TENANT, 1, vec![file(TENANT, at(0))])).await.unwrap();
    let before = snapshot(&catalog, TENANT).await;
    catalog.close().await;

    let catalog = database.open().await;
    catalog.ping().await.unwrap();
    assert_eq!(catalog.tenant(TENANT).await.unwrap(), Some(ann.tenant));
    assert_eq!(catalog.keys(TENANT).await.unwrap(), [key]);
    assert_eq!(snapshot(&catalog, TENANT).await, before);
    // The lease outlives a connection; versions go on where they were.
    assert_eq!(take_in(&catalog, commit(lease, TENANT, 2, vec![])).await.unwrap(), Some(2));
}

pub(crate) async fn many_may_open_an_up_to_date_catalog_at_once(database: &Database) {
    let first = database.open().await;
    first.sign_up(account(TENANT, "ann@example.com")).await.unwrap();
    let (second, third, fourth) = tokio::join!(database.open(), database.open(), database.open());
    for catalog in [first, second, third, fourth] {
        assert!(catalog.tenant(TENANT).await.unwrap().is_some());
    }
}

pub(crate) async fn a_newer_schema_is_taken_as_it_is(database: &Database) {
    database.open().await.close().await;
    // What a later version of ours may have left behind: a step we do not know, and what it expanded.
    database
        .tamper(
            "ALTER TABLE tenants ADD COLUMN plan TEXT; \
             INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             SELECT 9999, 'from the future', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1;",
        )
        .await;
    let catalog = database.open().await;
    let ann = account(TENANT, "ann@example.com");
    catalog.sign_up(ann.clone()).await.unwrap();
    assert_eq!(catalog.tenant(TENANT).await.unwrap(), Some(ann.tenant));
}

pub(crate) async fn a_broken_row_is_reported_and_not_guessed(database: &Database) {
    let catalog = database.open().await;
    let lease = catalog.register_writer(WRITER, "", at(0)).await.unwrap();
    take_in(&catalog, commit(lease, TENANT, 1, vec![file(TENANT, at(0))])).await.unwrap();
    for (damage, column) in [
        ("UPDATE data_files SET superseded = 'abcd'", "superseded"),
        ("UPDATE data_files SET superseded = 'not hex'", "superseded"),
        ("UPDATE data_files SET superseded = '', row_count = -1", "row_count"),
        ("UPDATE data_files SET row_count = 1, id = 'no uuid'", "id"),
    ] {
        database.tamper(damage).await;
        let error = catalog.snapshot(TENANT, Table::Spans, TimeRange::all()).await.unwrap_err();
        assert!(matches!(error, Error::Corrupt { what, .. } if what == column), "{damage}: {error:?}");
        assert_eq!(Fault::from(error).kind(), FaultKind::Internal);
    }
    // The connection on which the read failed is as good as new.
    database.tamper("DELETE FROM data_files").await;
    assert_eq!(snapshot(&catalog, TENANT).await.files, []);
}

pub(crate) async fn a_closed_catalog_answers_that_it_is_away(database: &Database) {
    let catalog = database.open().await;
    catalog.close().await;
    let error = catalog.ping().await.unwrap_err();
    assert_eq!(Fault::from(error).kind(), FaultKind::Unavailable);
    assert!(catalog.tenant(TENANT).await.is_err());
}
