//! What stands on top of every scan: the tripwire, and the filter that hides replaced rows.

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
use datafusion::physical_plan::filter_pushdown::{FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, SendableRecordBatchStream,
};
use futures::StreamExt;
use spanlake_model::TenantId;

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

/// Columns the guard reads, beside those that were asked for.
pub(crate) const WIRED: &[&str] = &["tenant_id"];
/// And when it hides rows.
pub(crate) const VEILED: &[&str] = &["tenant_id", "app_id", "trace_id", "span_id"];

/// Passes the first `width` columns of its input, after checking each row's tenant and dropping replaced rows.
/// Filters from above travel through it: it looks at one row at a time.
#[derive(Debug)]
pub(crate) struct GuardExec {
    input: Arc<dyn ExecutionPlan>,
    width: usize,
    tripwire: Tripwire,
    veil: Option<Veil>,
    properties: Arc<PlanProperties>,
}

impl GuardExec {
    /// `input` holds [`WIRED`] (with a veil, [`VEILED`]) among its columns.
    pub(crate) fn new(
        input: Arc<dyn ExecutionPlan>,
        width: usize,
        tripwire: Tripwire,
        veil: Option<Veil>,
    ) -> Result<Self> {
        let schema: SchemaRef = Arc::new(input.schema().project(&Vec::from_iter(0..width))?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            datafusion::physical_plan::Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Ok(Self { input, width, tripwire, veil, properties: Arc::new(properties) })
    }
}

impl DisplayAs for GuardExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.veil.is_some() { "GuardExec: hides replaced rows" } else { "GuardExec" })
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
        Ok(Arc::new(Self::new(input, self.width, self.tripwire.clone(), self.veil.clone())?))
    }
    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        FilterDescription::from_children(filters, &self.children())
    }
    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (width, tripwire, veil) = (self.width, self.tripwire.clone(), self.veil.clone());
        let guarded = input.map(move |batch| pass(batch?, width, &tripwire, veil.as_ref()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), guarded)))
    }
}

fn pass(batch: RecordBatch, width: usize, tripwire: &Tripwire, veil: Option<&Veil>) -> Result<RecordBatch> {
    tripwire.check(ids(&batch, "tenant_id")?)?;
    let batch = match veil {
        Some(veil) => filter_record_batch(&batch, &veil.live(&batch)?)?,
        None => batch,
    };
    Ok(batch.project(&Vec::from_iter(0..width))?)
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
    fn live(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let keys =
            spanlake_store::rows::span_keys(batch).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(keys.iter().map(|key| Some(!self.hidden.hides(key, self.version))).collect())
    }
}
