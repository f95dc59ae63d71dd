//! What deleting names, hides and refuses.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use spanlake_catalog::{
    Act, DataFile, Deed, Deeds, ErasedFile, ErasureProof, Erasures, Error, Files, NewErasure, Removed, Replacement,
    Subject,
};
use spanlake_model::{
    AgentId, AppId, Erasure, ErasureId, ErasureScope, Receipt, Score, Span, Table, TenantId, TimeRange, Timestamp,
    TraceId,
};
use spanlake_store::rows::score_key;

use crate::face::{Face, face};
use crate::pages::score;
use crate::world::{WRITER, World, app, fresh, id, span, tenant, trace};

#[async_trait]
impl Erasures for World {
    async fn add_erasure(&self, new: NewErasure) -> Result<(), Error> {
        self.hide(new.erasure.clone());
        self.stored.lock().unwrap().push(new);
        Ok(())
    }
    async fn agents_told(&self, _: TenantId, _: AppId) -> Result<Vec<AgentId>, Error> {
        Ok(self.agents_told.lock().unwrap().clone())
    }
    async fn erasure(&self, owner: TenantId, id: ErasureId) -> Result<Option<ErasureProof>, Error> {
        let found = erasures(self).await.into_iter().find(|erasure| (erasure.tenant, erasure.id) == (owner, id));
        Ok(found.map(|erasure| ErasureProof {
            id,
            subject: Subject::Traces,
            app: None,
            traces: match &erasure.scope {
                ErasureScope::Traces(_, traces) => traces.as_slice().len() as u64,
                _ => 0,
            },
            requested_at: Timestamp::from_secs(0),
            rewritten_at: None,
            finished_at: None,
            rows: 0,
            file_count: 0,
            files: vec![],
        }))
    }
    async fn tenants_to_erase(&self, _: u32) -> Result<Vec<TenantId>, Error> {
        Err(Error::Changed("nobody compacts this"))
    }
    async fn erase(&self, _: Replacement, _: &[ErasedFile]) -> Result<(), Error> {
        Err(Error::Changed("nobody compacts this"))
    }
    async fn rewritten(&self, _: ErasureId, _: Timestamp) -> Result<(), Error> {
        Err(Error::Changed("nobody compacts this"))
    }
    async fn finish_erasures(&self, _: Timestamp) -> Result<u64, Error> {
        Err(Error::Changed("nobody compacts this"))
    }
    async fn erased_removable(&self, _: Timestamp, _: Duration, _: u32) -> Result<Vec<Removed>, Error> {
        Err(Error::Changed("nobody compacts this"))
    }
    async fn expired(&self, _: Table, _: Timestamp, _: u32) -> Result<Vec<DataFile>, Error> {
        Err(Error::Changed("nobody compacts this"))
    }
}

/// Takes what is on record, and of tenant 3 nothing.
#[async_trait]
impl Deeds for World {
    async fn put_on_record(&self, owner: TenantId, _: Act, _: Deed) -> Result<(), Error> {
        if owner == tenant(3) { Err(Error::Changed("nothing can be recorded")) } else { Ok(()) }
    }
}

#[tokio::test]
async fn what_cannot_be_put_on_record_is_not_deleted() {
    let world = two_users().await;
    let face = face(&world);
    let before = world.snapshot(tenant(3), Table::Spans, TimeRange::all()).await.unwrap().erasures;
    let everything = json!({"trace_ids": [trace(1).to_string()]});
    let (status, answer) = post(&face, [3, 1, 0], everything).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    assert_eq!(world.snapshot(tenant(3), Table::Spans, TimeRange::all()).await.unwrap().erasures, before);
}

async fn erasures(world: &World) -> Vec<Erasure> {
    world.snapshot(tenant(1), Table::Spans, TimeRange::all()).await.unwrap().erasures
}

/// Trace 1 has a span of ada's and one of nobody's, in session `s`; trace 2 is bob's, in session `s`; trace 3 is ada's in app 2.
async fn two_users() -> Arc<World> {
    let world = World::new();
    let of = |user: &str, span: Span| Span { user_id: Some(user.into()), ..span };
    let in_session = |span: Span| Span { session_id: Some("s".into()), ..span };
    let elsewhere = Span { app_id: app(2), ..of("ada", span(3, 5, 0)) };
    world.file(tenant(1), 3, &[of("ada", span(1, 1, 0)), in_session(span(1, 2, 0)), elsewhere], &[]).await;
    world.writer(3, vec![fresh(tenant(1), &[in_session(of("bob", span(2, 3, 0))), span(4, 4, 0)], &[])]);
    world
}

async fn post(face: &Face, holder: [u8; 3], body: Value) -> (StatusCode, Value) {
    let request = Request::post("/v1/deletions").header("content-type", "application/json");
    face.send_as(holder, request, Body::from(body.to_string())).await
}

async fn delete(face: &Face, holder: [u8; 3], path: &str) -> StatusCode {
    face.send_as(holder, Request::delete(path), Body::empty()).await.0
}

async fn traces(face: &Face) -> Vec<String> {
    let list = face.ok("/v1/traces").await;
    let mut ids: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()[..2].to_owned()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn a_deleted_trace_is_gone_and_what_is_not_there_cannot_be_deleted() {
    let world = two_users().await;
    let face = face(&world);
    let path = format!("/v1/traces/{}", trace(1));
    assert_eq!(delete(&face, [1, 1, 0], &path).await, StatusCode::NO_CONTENT);
    assert_eq!(traces(&face).await, ["02", "04"]);
    assert_eq!(face.get(&path).await.0, StatusCode::NOT_FOUND);
    let stored = erasures(&world).await;
    assert_eq!(stored[0].scope, ErasureScope::Traces(app(1), [trace(1)].into_iter().collect()));
    assert_eq!(stored[0].bounds, [Receipt { writer: WRITER, sequence: 9 }], "what was acknowledged until now");
    // Gone already, of another app, of nobody.
    for byte in [1, 3, 9] {
        assert_eq!(delete(&face, [1, 1, 0], &format!("/v1/traces/{}", trace(byte))).await, StatusCode::NOT_FOUND);
    }
    assert_eq!(erasures(&world).await.len(), 1);
}

#[tokio::test]
async fn a_user_is_every_trace_that_names_them_and_all_of_it() {
    let world = two_users().await;
    let face = face(&world);
    let (status, body) = post(&face, [1, 1, 0], json!({"user_id": "ada"})).await;
    assert_eq!((status, &body["data"]["traces"]), (StatusCode::CREATED, &json!(1)), "{body}");
    assert_eq!(body["data"]["status"], "hidden");
    assert_eq!(traces(&face).await, ["02", "04"]);
    assert_eq!(face.get_as([1, 2, 0], "/v1/spans").await.1["data"].as_array().unwrap().len(), 1, "another app's ada");
    let path = format!("/v1/deletions/{}", body["data"]["id"].as_str().unwrap());
    assert_eq!(face.ok(&path).await, body);
    assert_eq!(face.get_as([2, 1, 0], &path).await.0, StatusCode::NOT_FOUND, "another tenant's");
}

#[tokio::test]
async fn sessions_lists_of_traces_and_apps_are_deleted_alike() {
    for (body, left) in [
        (json!({"session_id": "s"}), vec!["04"]),
        (json!({"session_id": "t"}), vec!["01", "02", "04"]),
        (json!({"trace_ids": [trace(2).to_string(), trace(4).to_string(), trace(3).to_string()]}), vec!["01"]),
        (json!({"app_id": app(1).to_string()}), vec![]),
    ] {
        let face = face(&two_users().await);
        let (status, answer) = post(&face, [1, 1, 0], body).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        assert_eq!(traces(&face).await, left);
        assert_eq!(face.get_as([1, 2, 0], "/v1/traces").await.1["data"].as_array().unwrap().len(), 1, "another app");
    }
}

#[tokio::test]
async fn a_deletion_names_exactly_one_thing() {
    let world = two_users().await;
    let face = face(&world);
    for body in [
        json!({}),
        json!({"user_id": "ada", "session_id": "s"}),
        json!({"trace_ids": []}),
        json!({"trace_ids": ["xyz"]}),
        json!({"app_id": "xyz"}),
        json!({"colour": "red"}),
    ] {
        let (status, answer) = post(&face, [1, 1, 0], body).await;
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_request_body")));
    }
    assert_eq!(erasures(&world).await, []);
}

#[tokio::test]
async fn who_may_not_delete_is_told_so_and_nothing_happens() {
    let world = two_users().await;
    let face = face(&world);
    let one = json!({"trace_ids": [trace(1).to_string()]});
    assert_eq!(post(&face, [1, 1, 5], one).await.0, StatusCode::FORBIDDEN, "a key of an agent");
    assert_eq!(delete(&face, [1, 1, 5], &format!("/v1/traces/{}", trace(1))).await, StatusCode::FORBIDDEN);
    let everything = |owner| json!({"tenant_id": tenant(owner).to_string()});
    assert_eq!(post(&face, [1, 1, 0], everything(1)).await.0, StatusCode::FORBIDDEN, "a key is no owner");
    assert_eq!(post(&face, [1, 1, 0], everything(2)).await.0, StatusCode::NOT_FOUND);
    assert_eq!(erasures(&world).await, []);
}

#[tokio::test]
async fn schedules_hear_which_traces_lose_a_score_and_an_agents_of_what_it_had() {
    let world = World::new();
    let (seventh, eighth) = (AgentId::from_bytes([7; 16]), AgentId::from_bytes([8; 16]));
    let owned = |agent, span: Span| Span { agent_id: Some(agent), ..span };
    let spans = [owned(seventh, span(1, 1, 0)), owned(eighth, span(1, 2, 0)), owned(eighth, span(2, 3, 0))];
    world.file(tenant(1), 3, &spans, &[]).await;
    world.writer(3, vec![fresh(tenant(1), &[], &[])]);
    let given = |id: &str, score: Score| Score { id: id.into(), value: Some(0.5), agent_id: Some(seventh), ..score };
    let of_trace = given("of a trace", Score { trace_id: Some(trace(2)), ..score("") });
    let of_span = given("of a span", Score { span_id: Some(id(1)), ..score("") });
    world.scores.lock().unwrap().extend([of_trace, of_span]);
    *world.agents_told.lock().unwrap() = vec![seventh, eighth];
    let face = face(&world);
    let key = |score: &str| score_key(app(1), score).trace_id;
    for (path, erased, touched, of_agents) in [
        ("/v1/scores/of%20a%20trace", key("of a trace"), vec![trace(2)], [vec![key("of a trace")], vec![trace(2)]]),
        (
            "/v1/scores/of%20a%20span",
            key("of a span"),
            vec![trace(1)],
            [vec![trace(1), key("of a span")], vec![trace(1)]],
        ),
    ] {
        assert_eq!(delete(&face, [1, 1, 0], path).await, StatusCode::NO_CONTENT);
        let stored = world.stored.lock().unwrap().pop().unwrap();
        assert_eq!(stored.erasure.scope, ErasureScope::Traces(app(1), [erased].into_iter().collect()));
        assert_eq!(stored.touched, touched, "{path}");
        let sorted = |mut traces: Vec<TraceId>| {
            traces.sort();
            traces
        };
        let told: Vec<_> = stored.of_agents.into_iter().map(|(agent, traces)| (agent, sorted(traces))).collect();
        let [of_seventh, of_eighth] = of_agents.map(sorted);
        assert_eq!(told, [(seventh, of_seventh), (eighth, of_eighth)], "{path}");
    }
    assert_eq!(delete(&face, [1, 1, 0], &format!("/v1/traces/{}", trace(2))).await, StatusCode::NO_CONTENT);
    let stored = world.stored.lock().unwrap().pop().unwrap();
    assert_eq!(stored.of_agents, [(seventh, vec![]), (eighth, vec![trace(2)])], "an agent hears of no other's trace");
}
