//! What stands on top of every scan: the tripwire, and the filter that hides replaced and erased rows.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{AsArray, BooleanArray, FixedSizeBinaryArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::filter_pushdown::{ChildFilterDescription, FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, SendableRecordBatchStream,
};
use futures::StreamExt;
use spanlake_model::{Erasure, Table, TenantId};
use spanlake_store::{erased, schema};

use crate::hidden::Hidden;

/// A row of another tenant came out of a scan: an isolation bug, never the caller's mistake.
#[derive(Debug, thiserror::Error)]
#[error("a scan met a row of another tenant")]
pub(crate) struct Trespass;

/// Whose rows may pass, and where others are counted.
#[derive(Debug, Clone)]
pub(crate) struct Tripwire {
    pub(crate) tenant: TenantId,
    pub(crate) trespasses: Arc<AtomicU64>,
}

/// The keys hidden from the files below, which all lie above or all below each hiding version.
#[derive(Debug, Clone)]
pub(crate) struct Veil {
    pub(crate) hidden: Arc<Hidden>,
    pub(crate) version: u64,
}

/// What a guard holds each row against.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    pub(crate) table: Table,
    pub(crate) tripwire: Tripwire,
    /// `None`: no row of the input has been replaced.
    pub(crate) veil: Option<Veil>,
    /// The tenant's; nearly always none.
    pub(crate) erased: Arc<[Erasure]>,
}

/// Columns a guard reads, beside those that were asked for.
const WIRED: &[&str] = &["tenant_id"];

impl Watch {
    /// The columns it reads; some may be there twice.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &'static str> {
        let [high, low] = schema::key_columns(self.table);
        let veiled = self.veil.iter().flat_map(move |_| ["app_id", high, low]);
        let erased = erased::columns(self.table).iter().filter(|_| !self.erased.is_empty());
        WIRED.iter().copied().chain(veiled).chain(erased.copied())
    }

    /// What it hides, for plans.
    fn hides(&self) -> &'static str {
        match (self.veil.is_some(), !self.erased.is_empty()) {
            (false, false) => "GuardExec",
            (true, false) => "GuardExec: hides replaced rows",
            (false, true) => "GuardExec: hides erased rows",
            (true, true) => "GuardExec: hides replaced and erased rows",
        }
    }
}

/// Columns it reads besides when attributes are asked for, which refer to content that is stored once.
pub(crate) const REFERRED: &[&str] = &["input", "output"];
/// The column that is not what is stored.
pub(crate) const ATTRIBUTES: &str = "attributes";

/// Passes the first `width` columns of its input, after checking each row's tenant, dropping what is hidden, and putting
/// together the attributes. Filters from above travel through it, because it looks at one row at a time; but not those on
/// attributes, which are something else below.
#[derive(Debug)]
pub(crate) struct GuardExec {
    input: Arc<dyn ExecutionPlan>,
    width: usize,
    watch: Watch,
    properties: Arc<PlanProperties>,
}

impl GuardExec {
    /// `input` holds [`Watch::columns`] among its columns, and [`REFERRED`] when it holds [`ATTRIBUTES`].
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, width: usize, watch: Watch) -> Result<Self> {
        let schema: SchemaRef = Arc::new(input.schema().project(&Vec::from_iter(0..width))?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            datafusion::physical_plan::Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Ok(Self { input, width, watch, properties: Arc::new(properties) })
    }
}

impl DisplayAs for GuardExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.watch.hides())
    }
}

impl ExecutionPlan for GuardExec {
    fn name(&self) -> &str {
        "GuardExec"
    }
    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }
    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().ok_or_else(|| DataFusionError::Internal("a guard has one input".into()))?;
        Ok(Arc::new(Self::new(input, self.width, self.watch.clone())?))
    }
    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let schema = self.schema();
        let as_stored = (0..self.width).filter(|column| schema.field(*column).name() != ATTRIBUTES).collect();
        let child = ChildFilterDescription::from_child_with_allowed_indices(&filters, as_stored, &self.input)?;
        Ok(FilterDescription::new().with_child(child))
    }
    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (width, watch) = (self.width, self.watch.clone());
        let guarded = input.map(move |batch| watch.pass(batch?, width));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), guarded)))
    }
}

impl Watch {
    fn pass(&self, mut batch: RecordBatch, width: usize) -> Result<RecordBatch> {
        self.tripwire.check(ids(&batch, "tenant_id")?)?;
        if let Some(veil) = &self.veil {
            batch = filter_record_batch(&batch, &veil.live(self.table, &batch)?)?;
        }
        if !self.erased.is_empty() {
            let kept = erased::kept(self.table, &batch, &self.erased)
                .map_err(|error| DataFusionError::External(Box::new(error)))?;
            batch = filter_record_batch(&batch, &kept)?;
        }
        whole(&batch)?.project(&Vec::from_iter(0..width)).map_err(DataFusionError::from)
    }
}

/// With attributes as they were sent.
fn whole(batch: &RecordBatch) -> Result<RecordBatch> {
    let Ok(at) = batch.schema().index_of(ATTRIBUTES) else { return Ok(batch.clone()) };
    let attributes = spanlake_store::rows::whole_attributes(batch);
    let mut columns = batch.columns().to_vec();
    columns[at] = attributes.map_err(|error| DataFusionError::External(Box::new(error)))?;
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}

fn ids<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a FixedSizeBinaryArray> {
    let column = batch.column_by_name(name).and_then(|column| column.as_fixed_size_binary_opt());
    column.ok_or_else(|| DataFusionError::Internal(format!("a scan brought no ids {name}")))
}

impl Tripwire {
    fn check(&self, tenants: &FixedSizeBinaryArray) -> Result<()> {
        let own = self.tenant.as_bytes().as_slice();
        let strangers = tenants.iter().filter(|tenant| *tenant != Some(own)).count();
        if strangers == 0 {
            return Ok(());
        }
        self.trespasses.fetch_add(1, Ordering::Relaxed);
        tracing::error!(tenant.id = %self.tenant, rows = strangers, "a scan met rows of another tenant; the query is stopped");
        Err(DataFusionError::External(Box::new(Trespass)))
    }
}

impl Veil {
    fn live(&self, table: Table, batch: &RecordBatch) -> Result<BooleanArray> {
        let keys =
            spanlake_store::rows::row_keys(table, batch).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(keys.iter().map(|key| Some(!self.hidden.hides(key, self.version))).collect())
    }
}
