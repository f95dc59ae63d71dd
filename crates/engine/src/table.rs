//! A snapshot as a table: its files and its fresh rows, each guarded.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DFSchema, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::prelude::Expr;
use datafusion::scalar::ScalarValue;
use spanlake_catalog::DataFile;
use spanlake_model::{Erasure, Table, Timestamp};

use crate::guard::{ATTRIBUTES, GuardExec, REFERRED, Tripwire, Veil, Watch};
use crate::hidden::Hidden;
use crate::pieces::{CUT_BY, Cut};

/// One tenant's rows of one table, as they were at one instant.
#[derive(Clone)]
pub(crate) struct SnapshotTable {
    pub(crate) table: Table,
    pub(crate) schema: SchemaRef,
    /// Lowest version first.
    pub(crate) files: Vec<DataFile>,
    pub(crate) fresh: Vec<RecordBatch>,
    pub(crate) hidden: Arc<Hidden>,
    pub(crate) erased: Arc<[Erasure]>,
    /// Rows of some of the files that are not to be seen here.
    pub(crate) cut: Option<Cut>,
    pub(crate) tripwire: Tripwire,
    pub(crate) store: ObjectStoreUrl,
    pub(crate) reader: Arc<CachedParquetFileReaderFactory>,
}

impl fmt::Debug for SnapshotTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotTable").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for SnapshotTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
    fn table_type(&self) -> TableType {
        TableType::Base
    }
    /// Inexact keeps a filter above the scan; the physical optimizer then takes it through the guard into the Parquet
    /// reader, and leaves one only above the rows in memory.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let asked = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let mut parts = Vec::new();
        for (version, files) in self.hidden.runs(&self.files) {
            let veil = version.map(|version| Veil { hidden: self.hidden.clone(), version });
            let (cut, whole): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| self.is_cut(file));
            for (files, is_cut) in [(whole, false), (cut, true)].into_iter().filter(|(files, _)| !files.is_empty()) {
                parts.push(self.scan_files(session, &asked, self.watch(veil.clone()), &files, is_cut)?);
            }
        }
        if !self.fresh.is_empty() {
            parts.push(self.scan_fresh(&asked)?);
        }
        match parts.len() {
            0 => Ok(Arc::new(EmptyExec::new(Arc::new(self.schema.project(&asked)?)))),
            1 => Ok(parts.swap_remove(0)),
            _ => UnionExec::try_new(parts),
        }
    }
}

impl SnapshotTable {
    fn watch(&self, veil: Option<Veil>) -> Watch {
        Watch { table: self.table, tripwire: self.tripwire.clone(), veil, erased: self.erased.clone() }
    }

    fn is_cut(&self, file: &DataFile) -> bool {
        self.cut.as_ref().is_some_and(|cut| cut.files.contains(&file.id))
    }

    fn scan_files(
        &self,
        session: &dyn Session,
        asked: &[usize],
        watch: Watch,
        files: &[&DataFile],
        is_cut: bool,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let kept = self.cut.as_ref().filter(|_| is_cut).map(Cut::kept);
        let held_against = kept.iter().flat_map(|_| CUT_BY.iter().copied());
        let columns = self.with_columns(asked, watch.columns().chain(held_against))?;
        let source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(session.default_table_options().parquet)
            .with_parquet_file_reader_factory(self.reader.clone());
        let groups = self.groups(files, session.config().target_partitions())?;
        let scan = FileScanConfigBuilder::new(self.store.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(Some(columns))?
            .build();
        let mut scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(scan);
        if let Some(kept) = kept {
            let schema = DFSchema::try_from(scan.schema())?;
            scan = Arc::new(FilterExec::try_new(session.create_physical_expr(kept, &schema)?, scan)?);
        }
        Ok(Arc::new(GuardExec::new(scan, asked.len(), watch)?))
    }

    fn scan_fresh(&self, asked: &[usize]) -> Result<Arc<dyn ExecutionPlan>> {
        let watch = self.watch(None);
        let columns = self.with_columns(asked, watch.columns())?;
        let parts = std::slice::from_ref(&self.fresh);
        let scan = MemorySourceConfig::try_new_exec(parts, self.schema.clone(), Some(columns))?;
        Ok(Arc::new(GuardExec::new(scan, asked.len(), watch)?))
    }

    /// The columns asked for, then those of `needed` that are not among them, and those that attributes refer to.
    fn with_columns(&self, asked: &[usize], needed: impl Iterator<Item = &'static str>) -> Result<Vec<usize>> {
        let mut columns = asked.to_vec();
        let has_attributes = self.schema.index_of(ATTRIBUTES).is_ok_and(|column| asked.contains(&column));
        let referred = if has_attributes { REFERRED } else { &[] };
        for name in needed.chain(referred.iter().copied()) {
            let column = self.schema.index_of(name)?;
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        Ok(columns)
    }

    /// Deals the files out, so that each part of the scan has its share of every day.
    fn groups(&self, files: &[&DataFile], parts: usize) -> Result<Vec<FileGroup>> {
        let mut groups = vec![Vec::new(); parts.clamp(1, files.len().max(1))];
        let count = groups.len();
        for (place, file) in files.iter().enumerate() {
            groups[place % count].push(self.partitioned(file)?);
        }
        Ok(groups.into_iter().map(FileGroup::new).collect())
    }

    /// The file with what is known of it without opening it. Only the start: bounds of `tenant_id` would let the reader
    /// put a constant in its place, and the tripwire would check that.
    fn partitioned(&self, file: &DataFile) -> Result<PartitionedFile> {
        let bound = |at: Timestamp| {
            Precision::Exact(ScalarValue::TimestampMicrosecond(Some(at.as_micros()), Some("UTC".into())))
        };
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Exact(usize::try_from(file.rows).unwrap_or(usize::MAX));
        statistics.column_statistics[self.schema.index_of("start_time")?] = ColumnStatistics {
            null_count: Precision::Exact(0),
            min_value: bound(file.min_start),
            max_value: bound(file.max_start),
            ..ColumnStatistics::new_unknown()
        };
        Ok(PartitionedFile::new(&file.path, file.bytes).with_statistics(Arc::new(statistics)))
    }
}
