//! A server, a token, and rows with every column type of the store.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, FixedSizeBinaryArray, Int64Array, ListBuilder, RecordBatch, StringViewArray,
    StringViewBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use spanlake_model::{AppId, Caller, KeyId, Principal, Role, TenantId, TimeRange, Timestamp};
use spanlake_proto::internal::{GrpcService, InternalToken, Trust};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::RoutesBuilder;
use tonic::transport::Server;

/// A gRPC server on a free port; gone when dropped.
pub(crate) struct Served {
    pub(crate) address: String,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) async fn serve(service: impl GrpcService) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut routes = RoutesBuilder::default();
    routes.add_service(service);
    let server = Server::builder().add_routes(routes.routes());
    let task = tokio::spawn(async move { server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap() });
    Served { address, task }
}

pub(crate) fn token() -> Trust {
    Trust::Token(InternalToken::new("the-internal-token").unwrap())
}

pub(crate) fn wrong_token() -> Trust {
    Trust::Token(InternalToken::new("another-internal-token").unwrap())
}

pub(crate) fn caller() -> Caller {
    let key = Principal::Key(KeyId::from_bytes([3; 16]));
    Caller::verified(TenantId::from_bytes([1; 16]), AppId::from_bytes([2; 16]), None, Role::Member.scopes(), key)
}

pub(crate) fn range() -> TimeRange {
    TimeRange::new(Timestamp::from_secs(0), Timestamp::from_secs(86_400)).unwrap()
}

/// `count` rows from number `first` on, each with a text of its own of `text_bytes`.
pub(crate) fn rows(first: usize, count: usize, text_bytes: usize) -> RecordBatch {
    let numbers = || first..first + count;
    let ids: Vec<_> = numbers().map(|row| Some((row as u128).to_be_bytes())).collect();
    let texts: StringViewArray =
        numbers().map(|row| (row % 7 > 0).then(|| format!("{row:012}{}", "x".repeat(text_bytes)))).collect();
    let mut tags = ListBuilder::new(StringViewBuilder::new()).with_field(field("element", DataType::Utf8View, "21"));
    for row in numbers() {
        tags.append_option((row % 5 > 0).then(|| [Some(format!("tag of row {row} that is not inlined")), None]));
    }
    let start = TimestampMicrosecondArray::from_iter(numbers().map(|row| Some(row as i64))).with_timezone("UTC");
    let cost = Decimal128Array::from_iter(numbers().map(|row| (row % 2 > 0).then_some(row as i128)));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(ids.into_iter(), 16).unwrap()),
        Arc::new(texts),
        Arc::new(tags.finish()),
        Arc::new(start),
        Arc::new(cost.with_precision_and_scale(18, 12).unwrap()),
        Arc::new(Int64Array::from_iter(numbers().map(|row| (row % 3 > 0).then_some(row as i64)))),
    ];
    let schema = Schema::new(vec![
        field("trace_id", DataType::FixedSizeBinary(16), "1"),
        field("input", DataType::Utf8View, "2"),
        field("tags", DataType::List(Arc::new(field("element", DataType::Utf8View, "21"))), "3"),
        field("start", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), "4"),
        field("cost", DataType::Decimal128(18, 12), "5"),
        field("tokens", DataType::Int64, "6"),
    ]);
    let versioned = schema.with_metadata([("spanlake.format".to_owned(), "1".to_owned())].into());
    RecordBatch::try_new(Arc::new(versioned), columns).unwrap()
}

fn field(name: &str, data_type: DataType, id: &str) -> Field {
    Field::new(name, data_type, true).with_metadata([("PARQUET:field_id".to_owned(), id.to_owned())].into())
}
