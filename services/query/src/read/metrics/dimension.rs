//! What spans can be grouped by.

use std::str::FromStr;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int8Type;
use spanlake_engine::datafusion::common::Column;
use spanlake_engine::datafusion::prelude::Expr;
use spanlake_model::{AgentId, Status};

use crate::error::Error;
use crate::read::attribution::Attributed;
use crate::read::metadata::text_at;

/// One of the things that spans can be grouped by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dimension {
    Model,
    Name,
    Kind,
    Provider,
    Status,
    ToolName,
    PromptName,
    Release,
    Session,
    User,
    Environment,
    Agent,
    Tag,
    Metadata(String),
}

/// Those with a name of their own.
const NAMED: [(&str, Dimension); 13] = [
    ("model", Dimension::Model),
    ("name", Dimension::Name),
    ("kind", Dimension::Kind),
    ("provider", Dimension::Provider),
    ("status", Dimension::Status),
    ("tool_name", Dimension::ToolName),
    ("prompt_name", Dimension::PromptName),
    ("release", Dimension::Release),
    ("session_id", Dimension::Session),
    ("user_id", Dimension::User),
    ("environment", Dimension::Environment),
    ("agent_id", Dimension::Agent),
    ("tag", Dimension::Tag),
];

const STATUSES: [Status; 3] = [Status::Unset, Status::Ok, Status::Error];

/// A word that is no dimension.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not one of {list}, metadata.<key>", list = NAMED.each_ref().map(|(name, _)| *name).join(", "))]
pub(crate) struct Unknown(String);

impl FromStr for Dimension {
    type Err = Unknown;
    fn from_str(text: &str) -> Result<Self, Unknown> {
        let named = NAMED.into_iter().find(|(name, _)| *name == text).map(|(_, dimension)| dimension);
        let metadata = || text.strip_prefix("metadata.").filter(|key| !key.is_empty());
        named.or_else(|| metadata().map(|key| Self::Metadata(key.to_owned()))).ok_or_else(|| Unknown(text.to_owned()))
    }
}

impl Dimension {
    /// As it is asked for.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Metadata(key) => format!("metadata.{key}"),
            others => {
                NAMED.iter().find(|(_, named)| named == others).map_or_else(String::new, |(name, _)| (*name).into())
            }
        }
    }

    /// What a span has from its trace as well.
    pub(in crate::read) fn attributed(&self) -> Option<Attributed> {
        match self {
            Self::Session => Some(Attributed::Session),
            Self::User => Some(Attributed::User),
            Self::Environment => Some(Attributed::Environment),
            Self::Agent => Some(Attributed::Agent),
            Self::Tag => Some(Attributed::Tags),
            Self::Metadata(key) => Some(Attributed::Metadata(key.clone())),
            _ => None,
        }
    }

    /// On a span itself; of tags, the list.
    pub(in crate::read) fn own(&self) -> Expr {
        match self {
            Self::Metadata(key) => text_at(key),
            others => others.column(),
        }
    }

    /// Where a value stands among others: nulls first, a status by its number, any other by its letters.
    pub(in crate::read) fn order<'v>(&self, value: Option<&'v str>) -> (Option<usize>, Option<&'v str>) {
        let place = |value| STATUSES.iter().position(|status| Some(status.as_str()) == value);
        match self {
            Self::Status => (place(value), None),
            _ => (None, value),
        }
    }

    /// Whether its values are texts, of which the first letters can be looked for.
    pub(crate) fn is_text(&self) -> bool {
        !matches!(self, Self::Agent | Self::Status)
    }

    /// The column of an attributed frame that it is in; of tags, the list.
    pub(in crate::read) fn column(&self) -> Expr {
        let name = self.attributed().map_or_else(|| self.name(), |attributed| attributed.column());
        // As it is: the key of metadata may hold dots and capitals.
        Expr::Column(Column::new_unqualified(name))
    }
}

/// A value of a dimension's column in the words of the API.
pub(in crate::read) fn shown(values: &ArrayRef, row: usize) -> Result<Option<String>, Error> {
    if values.is_null(row) {
        return Ok(None);
    }
    let value = if let Some(texts) = values.as_string_view_opt() {
        Some(texts.value(row).to_owned())
    } else if let Some(statuses) = values.as_primitive_opt::<Int8Type>() {
        let of = |status: &Status| status.as_i8() == statuses.value(row);
        [Status::Unset, Status::Ok, Status::Error]
            .iter()
            .find(|status| of(status))
            .map(|status| status.as_str().to_owned())
    } else {
        let ids = values.as_fixed_size_binary_opt();
        let bytes = ids.and_then(|ids| <[u8; 16]>::try_from(ids.value(row)).ok());
        bytes.map(|bytes| AgentId::from_bytes(bytes).to_string())
    };
    value.map(Some).ok_or(Error::Column("dimension"))
}
