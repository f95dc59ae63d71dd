//! What has been erased.

use crate::ids::{AppId, ErasureId, TenantId, TraceId, WriterId};
use crate::receipt::Receipt;

/// Which rows of a tenant: always whole traces, so that every version of a span goes, and each row can be judged alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErasureScope {
    /// These traces of one app.
    Traces(AppId, TraceSet),
    /// Everything in one app.
    App(AppId),
    /// Everything.
    Tenant,
}

/// Some trace ids, each once, quickly looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceSet(Vec<TraceId>);

impl FromIterator<TraceId> for TraceSet {
    fn from_iter<I: IntoIterator<Item = TraceId>>(traces: I) -> Self {
        let mut traces: Vec<_> = traces.into_iter().collect();
        traces.sort_unstable();
        traces.dedup();
        Self(traces)
    }
}

impl TraceSet {
    /// Whether it holds this trace.
    pub fn has(&self, trace: TraceId) -> bool {
        self.0.binary_search(&trace).is_ok()
    }
    /// In their order.
    pub fn as_slice(&self) -> &[TraceId] {
        &self.0
    }
}

/// What is erased: the rows of `scope` that were acknowledged before it was made. What is sent later is new data.
///
/// *Before* is told without clocks: by the place a row has in its writer's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Its id.
    pub id: ErasureId,
    /// Whose rows.
    pub tenant: TenantId,
    /// Which of them.
    pub scope: ErasureScope,
    /// Of each writer that had rows of the tenant, the last write that is meant; a writer that is not listed had none.
    pub bounds: Vec<Receipt>,
}

/// Where a row stands: what decides whether it is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowPlace {
    /// Its app.
    pub app: AppId,
    /// Its trace.
    pub trace: TraceId,
    /// Through which writer it came.
    pub writer: WriterId,
    /// In which frame of that writer's log.
    pub sequence: u64,
}

impl Erasure {
    /// Whether the tenant's row that stands here is erased.
    pub fn covers(&self, row: RowPlace) -> bool {
        let is_meant = match &self.scope {
            ErasureScope::Traces(app, traces) => *app == row.app && traces.has(row.trace),
            ErasureScope::App(app) => *app == row.app,
            ErasureScope::Tenant => true,
        };
        is_meant && row.sequence <= self.bound(row.writer)
    }

    /// The last write of this writer that is meant; 0 when none is.
    pub fn bound(&self, writer: WriterId) -> u64 {
        self.bounds.iter().find(|bound| bound.writer == writer).map_or(0, |bound| bound.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: AppId = AppId::from_bytes([1; 16]);
    const WRITER: WriterId = WriterId::from_bytes([7; 16]);

    fn trace(byte: u8) -> TraceId {
        TraceId::from_bytes([byte; 16]).unwrap()
    }

    fn erasure(scope: ErasureScope) -> Erasure {
        let bounds = vec![Receipt { writer: WRITER, sequence: 5 }];
        Erasure { id: ErasureId::from_bytes([0; 16]), tenant: TenantId::from_bytes([0; 16]), scope, bounds }
    }

    #[test]
    fn a_row_goes_when_it_is_meant_and_no_later_than_the_bound_of_its_writer() {
        let row = RowPlace { app: APP, trace: trace(3), writer: WRITER, sequence: 5 };
        let other_app = AppId::from_bytes([2; 16]);
        let traces = erasure(ErasureScope::Traces(APP, [trace(9), trace(3), trace(9)].into_iter().collect()));
        for erasure in [&traces, &erasure(ErasureScope::App(APP)), &erasure(ErasureScope::Tenant)] {
            assert!(erasure.covers(row));
            assert!(!erasure.covers(RowPlace { sequence: 6, ..row }), "sent later");
            assert!(
                !erasure.covers(RowPlace { writer: WriterId::from_bytes([8; 16]), ..row }),
                "a writer that had none"
            );
        }
        assert!(!traces.covers(RowPlace { trace: trace(4), ..row }));
        assert!(!traces.covers(RowPlace { app: other_app, ..row }), "the same id in another app");
        assert!(!erasure(ErasureScope::App(APP)).covers(RowPlace { app: other_app, ..row }));
        assert_eq!(
            match traces.scope {
                ErasureScope::Traces(_, set) => set.as_slice().len(),
                _ => 0,
            },
            2
        );
    }
}
