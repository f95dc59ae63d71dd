//! One trace, read from the aggregate.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, PrimitiveArray, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Decimal128Type, Int64Type};
use spanlake_model::{AgentId, AppId, Money, Status, Timestamp, TraceId};

use crate::error::Error;

/// All spans of one trace id in one app, taken together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trace {
    pub(crate) id: TraceId,
    pub(crate) app_id: AppId,
    pub(crate) agent_id: Option<AgentId>,
    pub(crate) name: String,
    pub(crate) status: Status,
    pub(crate) start: Timestamp,
    /// The last end; none while no span has ended.
    pub(crate) end: Option<Timestamp>,
    pub(crate) cost: Option<Money>,
    pub(crate) tokens: Option<i64>,
    pub(crate) input_tokens: Option<i64>,
    pub(crate) output_tokens: Option<i64>,
    pub(crate) span_count: i64,
    pub(crate) error_count: i64,
    pub(crate) models: Vec<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) session_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) environment: Option<String>,
    pub(crate) input_preview: Option<String>,
    pub(crate) output_preview: Option<String>,
    /// A JSON object.
    pub(crate) metadata: String,
}

pub(super) fn read(batch: &RecordBatch) -> Result<Vec<Trace>, Error> {
    (0..batch.num_rows()).map(|row| Row { batch, row }.trace()).collect()
}

struct Row<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl<'a> Row<'a> {
    fn trace(&self) -> Result<Trace, Error> {
        let error_count = self.required("error_count")?;
        let root_is_fine = self.number::<Int64Type>("root_status")? == Some(i64::from(Status::Ok.as_i8()));
        let status = match (error_count > 0, root_is_fine) {
            (true, _) => Status::Error,
            (false, true) => Status::Ok,
            (false, false) => Status::Unset,
        };
        let either = |first, second| Ok::<_, Error>(self.text(first)?.or(self.text(second)?));
        Ok(Trace {
            id: TraceId::from_slice(self.bytes("trace_id")?.unwrap_or_default())
                .map_err(|_| Error::Column("trace_id"))?,
            app_id: self.id("app_id")?.map(AppId::from_bytes).ok_or(Error::Column("app_id"))?,
            agent_id: self.id("agent_id")?.map(AgentId::from_bytes),
            name: either("given_name", "root_name")?.unwrap_or_default(),
            status,
            start: Timestamp::from_nanos(self.required("start_ns")?),
            end: self.number::<Int64Type>("end_ns")?.map(Timestamp::from_nanos),
            cost: self.number::<Decimal128Type>("cost")?.map(Money::from_pico),
            tokens: self.number::<Int64Type>("tokens")?,
            input_tokens: self.number::<Int64Type>("input_tokens")?,
            output_tokens: self.number::<Int64Type>("output_tokens")?,
            span_count: self.required("span_count")?,
            error_count,
            models: self.words("models")?,
            tags: self.words("tags")?,
            session_id: self.text("session_id")?,
            user_id: self.text("user_id")?,
            environment: self.text("environment")?,
            input_preview: either("root_input", "llm_input")?,
            output_preview: either("root_output", "llm_output")?,
            metadata: self.text("metadata")?.unwrap_or_else(|| "{}".into()),
        })
    }

    /// The column, or nothing when it is null here.
    fn column(&self, name: &'static str) -> Result<Option<&'a dyn Array>, Error> {
        let column = self.batch.column_by_name(name).ok_or(Error::Column(name))?;
        Ok(column.is_valid(self.row).then_some(&**column))
    }

    fn number<T: ArrowPrimitiveType>(&self, name: &'static str) -> Result<Option<T::Native>, Error> {
        let Some(column) = self.column(name)? else { return Ok(None) };
        let numbers: &PrimitiveArray<T> = column.as_primitive_opt().ok_or(Error::Column(name))?;
        Ok(Some(numbers.value(self.row)))
    }

    fn required(&self, name: &'static str) -> Result<i64, Error> {
        self.number::<Int64Type>(name)?.ok_or(Error::Column(name))
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, Error> {
        let Some(column) = self.column(name)? else { return Ok(None) };
        Ok(Some(column.as_string_view_opt().ok_or(Error::Column(name))?.value(self.row).to_string()))
    }

    fn bytes(&self, name: &'static str) -> Result<Option<&'a [u8]>, Error> {
        let Some(column) = self.column(name)? else { return Ok(None) };
        Ok(Some(column.as_fixed_size_binary_opt().ok_or(Error::Column(name))?.value(self.row)))
    }

    fn id(&self, name: &'static str) -> Result<Option<[u8; 16]>, Error> {
        self.bytes(name)?.map(|bytes| bytes.try_into().map_err(|_| Error::Column(name))).transpose()
    }

    /// A list of texts, or of lists of texts: sorted, each once.
    fn words(&self, name: &'static str) -> Result<Vec<String>, Error> {
        let Some(column) = self.column(name)? else { return Ok(Vec::new()) };
        let list = column.as_list_opt::<i32>().ok_or(Error::Column(name))?.value(self.row);
        let mut words = BTreeSet::new();
        gather(&*list, &mut words).ok_or(Error::Column(name))?;
        Ok(words.into_iter().collect())
    }
}

fn gather(array: &dyn Array, words: &mut BTreeSet<String>) -> Option<()> {
    if let Some(lists) = array.as_list_opt::<i32>() {
        return lists.iter().flatten().try_for_each(|list| gather(&*list, words));
    }
    words.extend(array.as_string_view_opt()?.iter().flatten().map(str::to_string));
    Some(())
}
