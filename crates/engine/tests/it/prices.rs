//! What calls cost under a tenant's own prices.

use arrow::array::AsArray;
use arrow::datatypes::Decimal128Type;
use spanlake_engine::datafusion::prelude::col;
use spanlake_engine::{Config, Error};
use spanlake_model::{Kind, Span, Table, TimeRange, Usage};

use crate::world::{World, caller, span, tenant};

async fn costs(world: &std::sync::Arc<World>) -> Result<Vec<Option<i128>>, Error> {
    let engine = world.engine(Config::default());
    let request = spanlake_engine::SnapshotRequest { table: Table::Spans, range: TimeRange::all(), after: None };
    let session = engine.snapshot(&caller(1, 1), &request).await?;
    let frame = session.priced(session.frame()?)?.select(vec![col("span_id"), col("cost")])?;
    let batches = session.collect(frame.sort(vec![col("span_id").sort(true, false)])?).await?;
    Ok(batches.iter().flat_map(|batch| batch.column(1).as_primitive::<Decimal128Type>().iter()).collect())
}

#[tokio::test]
async fn each_read_counts_by_the_prices_of_its_snapshot() {
    let world = World::new();
    let call = |byte, model: &str| Span {
        kind: Kind::new(Kind::LLM),
        model: Some(model.into()),
        usage: Usage { input: Some(3), output: Some(1), ..Usage::default() },
        ..span(1, byte, 0)
    };
    world.file(tenant(1), 1, &[call(1, "acme-large"), call(2, "other"), span(1, 3, 0)], &[]).await;
    assert_eq!(costs(&world).await.unwrap(), [None, None, None]);
    for (dollars, pico) in [("1", 5_000_000), ("2", 8_000_000)] {
        world.price(&format!(r#"[{{"model":"acme-*","prices":{{"input":"{dollars}","output":"2"}}}}]"#));
        assert_eq!(costs(&world).await.unwrap(), [Some(pico), None, None]);
    }
    world.price("no prices");
    assert_eq!(costs(&world).await.unwrap(), [None, None, None], "what cannot be read stops no query");
}
