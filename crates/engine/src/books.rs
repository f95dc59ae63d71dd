//! A price book for each tenant: the list, under the tenant's own prices.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use spanlake_model::TenantId;
use spanlake_prices::{Book, OwnPrices};

/// Tenants whose prices are kept read; when there are more, all are read again.
const KEPT_MAX: usize = 1_000;

/// Own prices as they were set, and the book that they make.
#[derive(Default)]
pub(crate) struct Books(Mutex<HashMap<TenantId, (String, Arc<Book>)>>);

impl Books {
    pub(crate) fn of(&self, tenant: TenantId, own: Option<&str>) -> Arc<Book> {
        static LISTED: LazyLock<Arc<Book>> = LazyLock::new(|| Arc::new(Book::standard().clone()));
        let Some(own) = own else { return LISTED.clone() };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, book)) = kept.get(&tenant).filter(|(read, _)| read == own) {
            return book.clone();
        }
        let prices = serde_json::from_str(own).unwrap_or_else(|error| {
            // A newer version of us may have stored what this one does not know; that must stop no read.
            tracing::error!(tenant.id = %tenant, error = &error as &dyn std::error::Error, "own prices cannot be read; list prices count");
            OwnPrices::default()
        });
        let book = Arc::new(Book::standard().with_own(prices));
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(tenant, (own.to_owned(), book.clone()));
        book
    }
}
