//! Prices of a tenant's own.

use std::collections::HashSet;

use serde_json::Value;
use spanlake_model::TenantId;
use sqlx::{AnyConnection, query};

use super::row::{Columns as _, refused};
use crate::error::Error;

pub(super) async fn own(connection: &mut AnyConnection, tenant: TenantId) -> Result<Option<String>, Error> {
    let found = query("SELECT prices FROM own_prices WHERE tenant_id = $1").bind(tenant.to_string());
    found.fetch_optional(connection).await?.map(|row| row.text("prices")).transpose()
}

pub(super) async fn set_own(connection: &mut AnyConnection, tenant: TenantId, prices: &str) -> Result<(), Error> {
    query(
        "INSERT INTO own_prices (tenant_id, prices) VALUES ($1, $2) \
         ON CONFLICT (tenant_id) DO UPDATE SET prices = excluded.prices",
    )
    .bind(tenant.to_string())
    .bind(prices)
    .execute(connection)
    .await
    .map_err(refused("prices"))?;
    Ok(())
}

/// The prices of one list that the other has not, and the other way round. What does not read is no list of prices.
pub(super) fn differing(one: &str, other: &str) -> (Vec<Value>, Vec<Value>) {
    let [one, other] = [one, other].map(|text| serde_json::from_str::<Vec<Value>>(text).unwrap_or_default());
    let texts = |list: &[Value]| list.iter().map(Value::to_string).collect::<HashSet<_>>();
    let (in_one, in_other) = (texts(&one), texts(&other));
    let without = |list: Vec<Value>, known: &HashSet<String>| {
        list.into_iter().filter(|entry| !known.contains(&entry.to_string())).collect()
    };
    (without(one, &in_other), without(other, &in_one))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_is_what_only_one_list_has() {
        let (one, other) = (r#"[{"a": 1}, {"b": 2}]"#, r#"[{"b": 2}, {"b": 3}]"#);
        assert_eq!(differing(one, other), (vec![json!({"a": 1})], vec![json!({"b": 3})]));
        assert_eq!(differing("", one), (vec![], vec![json!({"a": 1}), json!({"b": 2})]));
        assert_eq!(differing(one, one), (vec![], vec![]));
    }
}
