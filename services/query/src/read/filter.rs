//! A span filter as an expression.

pub(crate) mod condition;
pub(crate) mod grouped;
mod metadata;
pub(crate) mod scored;
mod tags;

use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_model::{Caller, Kind, SpanFilter, Type};

use super::columns::{id, is_trace, own, text};
use super::metadata::text_at;
use crate::error::Error;

/// What every field that is set asks for, beside the filter language; none asks for nothing.
pub(crate) fn conditions(filter: &SpanFilter) -> Vec<Expr> {
    let SpanFilter { trace_id, name, name_contains, coarse_type, kind, status, .. } = filter;
    let SpanFilter { model, user_id, session_id, environment, tag, metadata, agent_id, .. } = filter;
    let is = |column: &str, value: &Option<String>| value.as_ref().map(|value| col(column).eq(text(value)));
    [
        trace_id.map(is_trace),
        is("name", name),
        name_contains.as_ref().map(|part| col("name").ilike(lit(format!("%{}%", literally(part))))),
        coarse_type.map(is_type),
        is("kind", kind),
        status.map(|status| col("status").eq(lit(status.as_i8()))),
        model.as_ref().map(|model| col("model").eq(text(model)).or(col("request_model").eq(text(model)))),
        is("user_id", user_id),
        is("session_id", session_id),
        is("environment", environment),
        tag.as_ref().map(|tag| tags::is(tag)),
        metadata.as_ref().map(|(key, value)| text_at(key).eq(text(value))),
        agent_id.map(|agent| col("agent_id").eq(id(agent.as_bytes()))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The caller's spans of the frame, which has all columns and is not priced yet, that are like this.
///
/// # Errors
/// The filter asks for scores and the session was made without them, or for what cannot be answered.
pub(crate) async fn filtered(
    session: &TenantSession,
    caller: &Caller,
    frame: DataFrame,
    filter: &SpanFilter,
) -> Result<DataFrame, Error> {
    let frame = scored::spans(session, caller, frame, &filter.filter).await?;
    Ok(frame.filter(own(caller).and(matches(session, filter)?))?)
}

/// All conditions on a span at once, those of the filter language among them, of a frame that is not priced yet and that
/// [`scored::spans`] has made when it asks for scores.
///
/// # Errors
/// The filter asks for what cannot be answered.
pub(crate) fn matches(session: &TenantSession, filter: &SpanFilter) -> Result<Expr, Error> {
    let said = condition::clauses(session, &filter.filter)?;
    Ok(conditions(filter).into_iter().chain(said).reduce(Expr::and).unwrap_or(lit(true)))
}

/// Of a coarse type, as [`Kind::coarse`] has it.
fn is_type(wanted: Type) -> Expr {
    let generations = || vec![text(Kind::LLM), text(Kind::EMBEDDING)];
    match wanted {
        Type::Generation => col("kind").in_list(generations(), false),
        Type::Event => col("kind").eq(text(Kind::EVENT)),
        Type::Span => {
            let mut others = generations();
            others.push(text(Kind::EVENT));
            col("kind").in_list(others, true)
        }
    }
}

/// Text in which `LIKE` sees no wildcard.
pub(super) fn literally(part: &str) -> String {
    part.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_of_the_type_that_the_model_says() {
        for kind in [Kind::LLM, Kind::EMBEDDING, Kind::EVENT, Kind::TOOL, "something else"] {
            let listed = [Kind::LLM, Kind::EMBEDDING].contains(&kind);
            assert_eq!(Kind::new(kind).coarse() == Type::Generation, listed, "{kind}");
            assert_eq!(Kind::new(kind).coarse() == Type::Event, kind == Kind::EVENT, "{kind}");
        }
    }

    #[test]
    fn a_wildcard_in_a_name_is_only_itself() {
        assert_eq!(literally(r"50%_\"), r"50\%\_\\");
    }
}
