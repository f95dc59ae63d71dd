//! What our own code logs, kept per thread: a `#[tokio::test]` stays on one.
//!
//! One subscriber for the whole binary, in place before a route is built: with one per test, a call site that another
//! test's thread reaches first is remembered as wanted by nobody.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Lines;

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.extend_from_slice(bytes));
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let subscriber =
            tracing_subscriber::fmt().json().with_env_filter("spanlake_transport=trace").with_writer(|| Lines).finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// The lines since the last call, on this thread.
pub(crate) fn take() -> String {
    String::from_utf8(LINES.take()).unwrap()
}
