//! What the name of an object says, for whoever finds it.

use spanlake_model::{Day, Table, Timestamp};

use super::Name;

impl Name {
    /// Reads what [`Name::path`] wrote; `None` for anything else, however alike.
    pub fn parse(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix("t/")?.strip_suffix(".parquet")?.split('/');
        let (tenant, table, day, file) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let day = Day::of(Timestamp::parse(&format!("{day}T00:00:00Z"))?);
        let name = Self { tenant: tenant.parse().ok()?, table: Table::parse(table)?, day, file: file.parse().ok()? };
        (name.path() == path).then_some(name)
    }
}

/// Of which data file this is a draft: one that has not got its name yet. An old one was left behind by a crash.
pub fn draft_of(path: &str) -> Option<Name> {
    let (folder, name) = path.rsplit_once('/')?;
    let (file, rest) = name.split_once('.')?;
    rest.strip_suffix(".tmp")?;
    Name::parse(&format!("{folder}/{file}.parquet"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use spanlake_model::{FileId, TenantId};

    #[test]
    fn a_name_reads_back_and_nothing_like_it_does() {
        let (tenant, file) = (TenantId::from_bytes([3; 16]), FileId::from_bytes([4; 16]));
        for day in [Day(-1), Day(0), Day(20_000)] {
            let name = Name { tenant, table: Table::Spans, day, file };
            assert_eq!(Name::parse(&name.path()), Some(name));
        }
        let odd = [
            format!("t/{tenant}/spans/2026-01-01/{file}.parquet.bak"),
            format!("t/{tenant}/spans/2026-01-01/x/{file}.parquet"),
            format!("t/{tenant}/spans/2026-1-1/{file}.parquet"),
            format!("t/{tenant}/other/2026-01-01/{file}.parquet"),
            format!("x/t/{tenant}/spans/2026-01-01/{file}.parquet"),
            format!("t/{tenant}/spans/2026-01-01/notes.txt"),
        ];
        for path in odd {
            assert_eq!(Name::parse(&path), None, "{path}");
        }
        let folder = format!("t/{tenant}/spans/2026-01-01");
        assert!(draft_of(&format!("{folder}/{file}.4711-0.tmp")).is_some());
        for path in [format!("{folder}/{file}.parquet"), format!("{folder}/notes.1-0.tmp"), format!("{file}.1-0.tmp")] {
            assert_eq!(draft_of(&path), None, "{path}");
        }
    }
}
