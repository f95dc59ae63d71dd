//! Page after page.

use spanlake_model::Span;

use crate::world::{List, World, span, world};

const START: &str = "2026-04-10T11:30:45.123456789Z";

fn of(spans: Vec<Span>) -> World {
    world(List { spans, ..List::default() })
}

/// All trace ids of an export read page by page.
async fn walk(world: &World, query: &str) -> (Vec<u128>, usize) {
    let (mut ids, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = world.page(&format!("?{query}{cursor}")).await;
        ids.extend(page.trace_ids());
        pages += 1;
        match page.cursor() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (ids, pages),
        }
    }
}

#[tokio::test]
async fn pages_over_rows_of_one_instant_lose_none_and_repeat_none() {
    let world = of((1..=25).map(|number| span(number, START)).collect());
    let (ids, pages) = walk(&world, "limit=4").await;
    assert_eq!(ids, (1..=25).rev().collect::<Vec<_>>());
    assert_eq!(pages, 7);
}

#[tokio::test]
async fn a_full_page_has_a_cursor_and_the_total_of_all_pages() {
    let world = of((1..=4).map(|number| span(number, START)).collect());
    let page = world.page("?limit=2&name=chat").await;
    assert_eq!((&page.meta["total"], &page.meta["exported"]), (&4.into(), &2.into()));
    let next = world.page(&format!("?limit=3&name=chat&cursor={}", page.cursor().unwrap())).await;
    assert_eq!(next.trace_ids(), [2, 1], "another page size is the same query");
    assert_eq!((&next.meta["total"], next.cursor()), (&4.into(), None));
}

#[tokio::test]
async fn many_rows_come_in_order_and_up_to_the_limit() {
    let world = of((1..=2_500).map(|number| span(number, START)).collect());
    let page = world.page("?limit=2000").await;
    assert_eq!(page.trace_ids(), (501..=2_500).rev().collect::<Vec<_>>());
    assert_eq!(world.page("").await.rows.len(), 500, "the default");
}

#[tokio::test]
async fn a_time_as_cursor_means_strictly_before_it() {
    let starts = ["2026-04-10T11:00:00Z", "2026-04-10T11:00:00.000000001Z", "2026-04-10T11:00:01Z"];
    let world = of(starts.iter().zip(1..).map(|(start, number)| span(number, start)).collect());
    for (cursor, found) in [(starts[2], vec![2, 1]), (starts[1], vec![1]), (starts[0], vec![])] {
        let page = world.page(&format!("?cursor={cursor}")).await;
        assert_eq!(page.trace_ids(), found, "{cursor}");
        assert_eq!(page.meta["total"], 3, "{cursor}");
    }
}

#[tokio::test]
async fn the_last_thirty_days_do_not_move_between_pages() {
    let oldest = "2026-03-11T12:00:00Z";
    let world = of(vec![span(1, oldest), span(2, START)]);
    let page = world.page("?limit=1").await;
    world.clock.set("2026-04-11T12:00:00Z");
    let next = world.page(&format!("?limit=1&cursor={}", page.cursor().unwrap())).await;
    assert_eq!(next.trace_ids(), [1], "it was within the range when the export began");
}

#[tokio::test]
async fn a_cursor_of_another_query_is_refused() {
    let world = of((1..=4).map(|number| span(number, START)).collect());
    let page = world.page("?limit=2&model=gpt-4o").await;
    let cursor = page.cursor().unwrap();
    for query in ["", "&model=gpt-4", "&model=gpt-4o&tag=beta", "&model=gpt-4o&startDate=2026-04-01"] {
        let (status, error) = world.refusal(&format!("?limit=2&cursor={cursor}{query}"), Some(&world.key)).await;
        assert_eq!((status.as_u16(), error["code"].as_str()), (400, Some("invalid_query_params")), "{query}");
        assert!(error["details"]["cursor"].as_str().unwrap().contains("another query"), "{error}");
    }
}
