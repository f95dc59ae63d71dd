//! Scores on the way that spans go.

use spanlake_ingest::Service;
use spanlake_model::{Code, Score};
use spanlake_testkit::otlp::trace_id;

use crate::machine::{Machine, caller, send, tenant};

async fn give(service: &Service, scores: serde_json::Value) -> Vec<Result<String, Code>> {
    let given = serde_json::from_value(scores).unwrap();
    let taken = service.accept_scores(&caller(tenant(1)), given, 100).await.unwrap();
    assert_eq!(taken.receipt.is_some(), taken.outcomes.iter().any(Result::is_ok));
    taken.outcomes.into_iter().map(|outcome| outcome.map(|score| score.id).map_err(|fault| fault.code)).collect()
}

/// As they are in memory, each once.
async fn scores(machine: &Machine, service: &Service) -> Vec<Score> {
    machine.scores(service, tenant(1)).await
}

#[tokio::test]
async fn scores_are_the_same_to_the_last_bit_after_a_replay_and_in_files() {
    let mut machine = Machine::new().await;
    let service = machine.start().await.unwrap();
    // Not 0.3, and told from it in the last bit only.
    let number = 0.1 + 0.2;
    let outcomes = give(
        &service,
        serde_json::json!([
            {"id": "mine", "resource_id": trace_id(1).to_string(), "name": "n", "score": 1, "reason": "why", "metadata": {"a": [1]}},
            {"session_id": "s", "name": "refused"},
            {"session_id": "s", "name": "named by us", "score": number},
        ]),
    )
    .await;
    assert_eq!(outcomes[1], Err(Code::InvalidRequestBody));
    send(&service, tenant(1), &[1, 2]).await.unwrap();
    assert_eq!(give(&service, serde_json::json!([{"session_id": "s"}])).await, [Err(Code::InvalidRequestBody)]);
    give(&service, serde_json::json!([{"id": "mine", "session_id": "s", "name": "n", "score": 2}])).await;

    let before = scores(&machine, &service).await;
    let told: Vec<_> = before.iter().map(|score| (score.id.clone(), score.value)).collect();
    let of_ours = outcomes[2].clone().unwrap();
    assert_eq!(told.len(), 2, "{before:?}");
    assert!(told.contains(&("mine".into(), Some(2.0))) && told.contains(&(of_ours, Some(number))), "{told:?}");

    drop(service);
    machine.disk = machine.disk.killed();
    let service = machine.start().await.unwrap();
    assert_eq!(scores(&machine, &service).await, before, "after a replay");
    assert_eq!(machine.seen(&service, tenant(1)).await.len(), 2, "spans lie in a table of their own");
    service.flush().await.unwrap();
    assert_eq!(scores(&machine, &service).await, before, "in files");
    // What is in files is not read from the log again.
    drop(service);
    machine.disk = machine.disk.killed();
    let service = machine.start().await.unwrap();
    assert_eq!(scores(&machine, &service).await, before, "after another start");
}
