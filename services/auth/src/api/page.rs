//! Pages of the short lists: apps, agents, keys.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use spanlake_model::{Code, Fault};
use spanlake_transport::response::Page;
use utoipa::IntoParams;

const LIMIT: usize = 50;
const LIMIT_MAX: usize = 1_000;

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// Rows on the page: 1 to 1,000, 50 unless said.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl Paging {
    /// The page of `rows` that was asked for. The cursor names the last row of the page before, and which list it is of;
    /// rows are the tenant's, so another tenant's cursor names none of them.
    pub(super) fn cut<T>(
        &self,
        list: &'static str,
        rows: Vec<T>,
        id: impl Fn(&T) -> &[u8; 16],
    ) -> Result<Page<T>, Fault> {
        let limit = self.limit.map_or(LIMIT, |limit| limit as usize);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(invalid("limit", "must be 1 to 1,000"));
        }
        let start = match &self.cursor {
            None => 0,
            Some(cursor) => {
                let at = rows.iter().position(|row| write_cursor(list, id(row)) == *cursor);
                at.ok_or_else(|| invalid("cursor", "is not from this list; begin without one"))? + 1
            }
        };
        let total = u64::try_from(rows.len()).ok();
        let has_more = rows.len() > start + limit;
        let data: Vec<T> = rows.into_iter().skip(start).take(limit).collect();
        let next_cursor = data.last().filter(|_| has_more).map(|row| write_cursor(list, id(row)));
        Ok(Page { data, limit, next_cursor, total })
    }
}

/// Turns each row into what is sent.
pub(super) fn map<T, U>(page: Page<T>, to: impl FnMut(T) -> U) -> Page<U> {
    let Page { data, limit, next_cursor, total } = page;
    Page { data: data.into_iter().map(to).collect(), limit, next_cursor, total }
}

fn write_cursor(list: &str, id: &[u8; 16]) -> String {
    URL_SAFE_NO_PAD.encode([list.as_bytes(), b":", id].concat())
}

fn invalid(parameter: &'static str, why: &'static str) -> Fault {
    Fault::new(Code::InvalidQueryParams, format!("'{parameter}' {why}.")).detail(parameter, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(limit: Option<u32>, cursor: Option<String>) -> Result<Page<[u8; 16]>, Fault> {
        let rows = (0..5).map(|number| [number; 16]).collect();
        Paging { limit, cursor }.cut("apps", rows, |row| row)
    }

    #[test]
    fn pages_hold_every_row_once() {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = cut(Some(2), cursor).unwrap();
            assert_eq!((page.limit, page.total), (2, Some(5)));
            seen.extend(page.data.iter().map(|row| row[0]));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        assert_eq!(cut(Some(5), None).unwrap().next_cursor, None);
    }

    #[test]
    fn a_cursor_of_another_list_and_a_limit_out_of_bounds_are_refused() {
        assert!(cut(None, Some(write_cursor("agents", &[1; 16]))).is_err());
        assert!(cut(None, Some(write_cursor("apps", &[9; 16]))).is_err());
        assert!(cut(Some(0), None).is_err());
        assert!(cut(Some(1_001), None).unwrap_err().details.contains_key("limit"));
    }
}
