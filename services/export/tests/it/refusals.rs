//! Who and what is refused.

use serde_json::json;

use crate::world::{List, span, world};

const START: &str = "2026-04-10T11:30:45Z";

#[tokio::test]
async fn strangers_and_keys_without_the_scope_export_nothing() {
    let world = world(List::default());
    for query in ["", "?limit=0&unknown=1"] {
        let (status, error) = world.refusal(query, None).await;
        assert_eq!((status.as_u16(), &error["code"]), (401, &json!("unauthenticated")));
        let (status, error) = world.refusal(query, Some(&world.reader)).await;
        assert_eq!((status.as_u16(), &error["code"]), (403, &json!("forbidden")));
    }
    assert!(world.list.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn each_bad_parameter_is_named() {
    let world = world(List::default());
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=2001", "limit"),
        ("limit=many", "limit"),
        ("limit=-1", "limit"),
        ("format=xml", "format"),
        ("startDate=yesterday", "startDate"),
        ("endDate=2026-13-01", "endDate"),
        ("startDate=2026-04-09&endDate=2026-04-09", "startDate"),
        ("startDate=2027-01-01", "startDate"),
        ("type=generation", "type"),
        ("status=FINE", "status"),
        ("name=", "name"),
        ("agentId=mine", "agentId"),
        ("metadata_key=env", "metadata_value"),
        ("metadata_value=prod", "metadata_key"),
        ("lightweight=perhaps", "lightweight"),
        ("format=openai&lightweight=true", "lightweight"),
        ("after=yesterday", "after"),
        ("cursor=next", "cursor"),
        ("minScore=high", "minScore"),
        ("maxScore=NaN", "maxScore"),
        ("score=correctness%3E0.8&score=tone", "score"),
        ("score=%3E0.8", "score"),
        ("score=correctness%3Elots", "score"),
        ("start_date=2026-04-01", "start_date"),
        ("model=a&model=b", "model"),
    ] {
        let (status, error) = world.refusal(&format!("?{query}"), Some(&world.key)).await;
        assert_eq!((status.as_u16(), error["code"].as_str()), (400, Some("invalid_query_params")), "{query}");
        assert!(error["details"][field].is_string(), "{query}: {error}");
    }
    let (status, error) = world.refusal("?filter=modle%3Dx", Some(&world.key)).await;
    assert_eq!((status.as_u16(), &error["code"]), (400, &json!("invalid_filter")), "as in lists");
    assert!(error["details"]["filter"].as_str().unwrap().contains("did you mean 'model'?"), "{error}");
    let (_, error) = world.refusal("?format=xml&score=quality&status=x", Some(&world.key)).await;
    assert_eq!(error["details"].as_object().unwrap().len(), 3, "all at once: {error}");
    assert!(error["details"]["format"].as_str().unwrap().contains("jsonl, openai or csv"), "{error}");
    assert!(world.list.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn ten_exports_an_hour_and_mistakes_do_not_count() {
    let world = world(List { spans: vec![span(1, START)], ..List::default() });
    for _ in 0..10 {
        world.refusal("?limit=0", Some(&world.key)).await;
        world.refusal("?cursor=next", Some(&world.key)).await;
        assert_eq!(world.page("").await.rows.len(), 1);
    }
    let response = world.send("", Some(&world.key)).await;
    assert_eq!(response.status().as_u16(), 429);
    assert_eq!(response.headers()["retry-after"], "3600");
    world.clock.set("2026-04-10T13:00:01Z");
    assert_eq!(world.page("").await.rows.len(), 1);
}

#[tokio::test]
async fn rows_leave_only_when_that_is_on_record() {
    let world = world(List::default());
    world.page("?limit=7&startDate=2026-04-01&endDate=2026-04-10&filter=user_id%20%3D%20ada").await;
    let deeds = world.record.deeds.lock().unwrap().clone();
    let [deed] = &deeds[..] else { panic!("{deeds:?}") };
    assert_eq!(
        (deed.action, &deed.asked["limit"], &deed.asked["format"]),
        ("traces.exported", &7.into(), &"jsonl".into())
    );
    assert!(deed.asked["start_date"].as_str().unwrap().starts_with("2026-04-01"), "{deed:?}");
    assert!(!format!("{deed:?}").contains("ada"), "whom the filter names is not recorded");
    world.record.is_away.store(true, std::sync::atomic::Ordering::SeqCst);
    let (status, error) = world.refusal("", Some(&world.key)).await;
    assert_eq!((status.as_u16(), &error["code"]), (503, &"service_unavailable".into()));
    // Refused for what it says: nothing leaves, and nothing is recorded.
    world.record.is_away.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(world.refusal("?limit=0", Some(&world.key)).await.0.as_u16(), 400);
    assert_eq!(world.record.deeds.lock().unwrap().len(), 1);
}
