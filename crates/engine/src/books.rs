//! A price book for each tenant: the list, under the tenant's own prices.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use spanlake_model::TenantId;
use spanlake_prices::{Book, OwnPrices};

use crate::error::Error;

/// Tenants whose prices are kept read; when there are more, all are read again.
const KEPT_MAX: usize = 1_000;

/// Own prices as they were set, and the book that they make.
#[derive(Default)]
pub(crate) struct Books(Mutex<HashMap<TenantId, (String, Arc<Book>)>>);

impl Books {
    pub(crate) fn of(&self, tenant: TenantId, own: Option<&str>) -> Result<Arc<Book>, Error> {
        static LISTED: LazyLock<Arc<Book>> = LazyLock::new(|| Arc::new(Book::standard().clone()));
        let Some(own) = own else { return Ok(LISTED.clone()) };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, book)) = kept.get(&tenant).filter(|(read, _)| read == own) {
            return Ok(book.clone());
        }
        let prices: OwnPrices = serde_json::from_str(own).map_err(Error::Prices)?;
        let book = Arc::new(Book::standard().with_own(prices));
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(tenant, (own.to_owned(), book.clone()));
        Ok(book)
    }
}
