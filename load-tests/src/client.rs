//! One connection to the server, and what an answer means for the sender.

mod grpc;
mod http;

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use reqwest::Url;

pub(crate) use self::grpc::GrpcClient;
pub(crate) use self::http::{HttpClient, get_json, reader};
use crate::batch::Encoding;

/// An attempt that takes longer has failed, and is tried again.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What became of one attempt.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Durable, but for `rejected` spans.
    Accepted { status: String, rejected: u64 },
    /// Not now; `after` so long, if the server said so.
    Later { status: String, after: Option<Duration>, message: String },
    /// Never.
    Refused { status: String, message: String },
}

/// A connection that is kept open.
pub(crate) enum Client {
    Http(HttpClient),
    Grpc(Box<GrpcClient>),
}

impl Client {
    /// Connects at the first request.
    pub(crate) fn new(base: &Url, key: &str, encoding: Encoding, gzip: bool) -> Result<Self> {
        Ok(match encoding {
            Encoding::Grpc => Self::Grpc(Box::new(GrpcClient::new(base, key, gzip)?)),
            Encoding::Protobuf | Encoding::Json => Self::Http(HttpClient::new(base, key, encoding, gzip)?),
        })
    }

    pub(crate) async fn send(&mut self, body: Bytes) -> Outcome {
        match self {
            Self::Http(client) => client.send(body).await,
            Self::Grpc(client) => client.send(body).await,
        }
    }
}

/// How long to wait before attempt number `attempt` (from 1): what the server asked for, else doubling from 100 ms to 5 s.
pub(crate) fn pause(attempt: u32, asked: Option<Duration>) -> Duration {
    let doubled = Duration::from_millis(100) * 2_u32.pow(attempt.saturating_sub(1).min(10));
    asked.map_or(doubled.min(Duration::from_secs(5)), |asked| asked.min(Duration::from_secs(30)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_s_wish_goes_before_our_own_pause_and_both_are_bounded() {
        assert_eq!(pause(1, None), Duration::from_millis(100));
        assert_eq!(pause(3, None), Duration::from_millis(400));
        assert_eq!(pause(40, None), Duration::from_secs(5));
        assert_eq!(pause(1, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(pause(1, Some(Duration::from_secs(7_000))), Duration::from_secs(30));
    }
}
