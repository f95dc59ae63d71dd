//! Scans over Arrow Flight.

use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use spanlake_model::{
    Caller, Code, Fault, Filter, Position, Receipt, SpanFilter, SpanId, Timestamp, TraceId, WriterId,
};
use spanlake_proto::internal::connect;
use spanlake_proto::query::{
    FlightClient, RowSource, Rows, RowsOf, RowsRequest, Scan, ScanRequest, SpanSource, Window, flight_service,
};
use tokio::sync::oneshot;

use crate::world::{Served, caller, range, rows, serve, token, wrong_token};

/// Streams batches: as many as the limit says, then an error when it is odd, and for ever when it is huge.
#[derive(Default)]
struct Source {
    /// What was asked last.
    asked: Mutex<Option<(Caller, ScanRequest)>>,
    /// The rows that were asked for last.
    asked_rows: Mutex<Option<(Caller, RowsRequest)>>,
    /// Dropped with the endless stream.
    alive: Mutex<Option<oneshot::Sender<()>>>,
}

#[async_trait]
impl SpanSource for Source {
    async fn scan(&self, caller: &Caller, request: ScanRequest) -> Result<Scan, Fault> {
        let limit = request.limit;
        *self.asked.lock().unwrap() = Some((*caller, request));
        if limit == 13 {
            return Err(Fault::new(Code::InvalidFilter, "Not thirteen.").detail("limit", "is unlucky"));
        }
        let alive = self.alive.lock().unwrap().take();
        let batches = stream::iter(0..limit).map(move |number| {
            let _held = &alive;
            if limit % 2 == 1 && number == limit - 1 {
                return Err(Fault::new(Code::Timeout, "The query ran out of time.").detail("limit", "is odd"));
            }
            Ok(rows(number * 100, 100, 1_000))
        });
        let rows = limit as u64 * 100;
        Ok(Scan { total: rows + 1, rows, last: (rows > 0).then(place), batches: batches.boxed() })
    }
}

#[async_trait]
impl RowSource for Source {
    async fn rows(&self, caller: &Caller, request: RowsRequest) -> Result<Rows, Fault> {
        *self.asked_rows.lock().unwrap() = Some((*caller, request));
        let batches = stream::iter([0, 100]).map(|from| Ok(rows(from, 100, 1_000))).boxed();
        let (through, scores_through) = (vec![receipt()], vec![receipt(), receipt()]);
        Ok(Rows { total: 200, through, scores_through, taken_at: Timestamp::from_nanos(-5), batches })
    }
}

fn receipt() -> Receipt {
    Receipt { writer: WriterId::from_bytes([3; 16]), sequence: u64::MAX }
}

fn place() -> Position {
    Position {
        start: Timestamp::from_nanos(17),
        trace_id: TraceId::from_bytes([1; 16]).unwrap(),
        span_id: SpanId::from_bytes([2; 8]).unwrap(),
    }
}

fn request(limit: usize) -> ScanRequest {
    let filter = SpanFilter { tag: Some("beta".to_owned()), ..SpanFilter::default() };
    let receipt = (limit == 20).then_some(Receipt { writer: WriterId::from_bytes([3; 16]), sequence: 9 });
    ScanRequest { range: range(), filter, after: Some(place()), limit, without_io: limit == 2, receipt }
}

async fn served() -> (Served, Arc<Source>, FlightClient) {
    let source = Arc::new(Source::default());
    let served = serve(flight_service(source.clone(), source.clone(), token())).await;
    let client = FlightClient::new(connect(&served.address, &token()).unwrap(), token());
    (served, source, client)
}

#[tokio::test]
async fn a_scan_over_the_wire_is_the_scan() {
    let (_served, source, client) = served().await;
    for limit in [0, 2, 20] {
        let far = client.scan(&caller(), request(limit)).await.unwrap();
        let asked = source.asked.lock().unwrap().take();
        assert_eq!(asked, Some((caller(), request(limit))));
        let near = source.scan(&caller(), request(limit)).await.unwrap();
        assert_eq!((far.total, far.rows, far.last), (near.total, near.rows, near.last));
        let far: Vec<RecordBatch> = far.batches.try_collect().await.unwrap();
        let near: Vec<RecordBatch> = near.batches.try_collect().await.unwrap();
        let schema = rows(0, 0, 0).schema();
        assert_eq!(concat_batches(&schema, &far).unwrap(), concat_batches(&schema, &near).unwrap());
    }
}

#[tokio::test]
async fn all_rows_over_the_wire_are_all_rows() {
    let (_served, source, client) = served().await;
    let windows = [
        None,
        Some(Window::default()),
        Some(Window { after: vec![receipt()], again: vec![place().trace_id], scores_after: vec![receipt()] }),
    ];
    for (of, window) in RowsOf::ALL.into_iter().zip(windows) {
        let filter = SpanFilter { tag: Some("beta".to_owned()), ..SpanFilter::default() };
        let score_filter = match of {
            RowsOf::Scores => Filter::of_scores("value > 0.5 and source = 'a b'").unwrap(),
            RowsOf::Spans | RowsOf::Traces => Filter::default(),
        };
        let (without_details, with_scores) = (of == RowsOf::Spans, of == RowsOf::Traces);
        let request = RowsRequest { of, range: range(), filter, score_filter, window, without_details, with_scores };
        let far = client.rows(&caller(), request.clone()).await.unwrap();
        assert_eq!(source.asked_rows.lock().unwrap().take(), Some((caller(), request)));
        assert_eq!((far.total, far.through, far.taken_at), (200, vec![receipt()], Timestamp::from_nanos(-5)));
        assert_eq!(far.scores_through, [receipt(), receipt()]);
        let far: Vec<RecordBatch> = far.batches.try_collect().await.unwrap();
        assert_eq!(concat_batches(&rows(0, 0, 0).schema(), &far).unwrap(), rows(0, 200, 1_000));
    }
}

#[tokio::test]
async fn an_error_before_or_within_the_rows_arrives_as_it_was() {
    let (_served, source, client) = served().await;
    let far = client.scan(&caller(), request(13)).await.unwrap_err();
    assert_eq!(far, source.scan(&caller(), request(13)).await.unwrap_err());

    let mut rows: Vec<_> = client.scan(&caller(), request(5)).await.unwrap().batches.collect().await;
    let fault = rows.pop().unwrap().unwrap_err();
    assert_eq!(fault, Fault::new(Code::Timeout, "The query ran out of time.").detail("limit", "is odd"));
    assert_eq!(rows.into_iter().map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 400);
}

#[tokio::test]
async fn who_drops_the_stream_stops_the_query() {
    let (_served, source, client) = served().await;
    let (alive, stopped) = oneshot::channel();
    *source.alive.lock().unwrap() = Some(alive);
    let mut scan = client.scan(&caller(), request(1 << 40)).await.unwrap();
    assert!(scan.batches.next().await.unwrap().is_ok());
    drop(scan);
    assert!(stopped.await.is_err(), "the sender is dropped with the stream");
}

#[tokio::test]
async fn a_server_that_goes_away_breaks_the_stream_loudly() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = listener.local_addr().unwrap().to_string();
    let (served, _source, _client) = served().await;
    let back = served.address.clone();
    // A wire between the two that is cut on command.
    let (cut, cutting) = oneshot::channel::<()>();
    let wire = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(back).await.unwrap();
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
            _ = cutting => {}
        }
    });
    let client = FlightClient::new(connect(&front, &token()).unwrap(), token());
    let mut scan = client.scan(&caller(), request(1 << 40)).await.unwrap();
    assert!(scan.batches.next().await.unwrap().is_ok());
    cut.send(()).unwrap();
    wire.await.unwrap();
    let end = scan.batches.try_fold(0, |rows, batch| async move { Ok(rows + batch.num_rows()) }).await;
    assert_eq!(end.unwrap_err().code, Code::ServiceUnavailable);
}

#[tokio::test]
async fn a_stranger_scans_nothing() {
    let (served, source, _) = served().await;
    let client = FlightClient::new(connect(&served.address, &token()).unwrap(), wrong_token());
    let fault = client.scan(&caller(), request(2)).await.unwrap_err();
    assert_eq!(fault.code, Code::ServiceUnavailable);
    assert!(source.asked.lock().unwrap().is_none());
}
