//! `spanlake send`

mod answer;
mod content;

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use self::answer::Refused;
use self::content::{Encoding, Request, Signal};
use crate::args::{Global, Send};
use crate::client::Client;
use crate::console::Console;
use crate::error::Error;

/// Of a file, unpacked as well; a larger one is to be split, since an exporter writes many.
const BYTES_MAX: u64 = 512 << 20;
/// How often a server that is busy is asked again, and for how long at most each time.
const ATTEMPTS: u32 = 5;
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What became of a file.
#[derive(Default)]
struct Sent {
    requests: usize,
    refused: Vec<Refused>,
    receipt: Option<String>,
}

pub(crate) async fn run(global: &Global, args: Send, console: &mut Console) -> Result<(), Error> {
    let bytes = read(&args.file)?;
    let requests = content::requests(&bytes, args.logs).map_err(|why| named(&args.file, &why))?;
    let mut client = Client::open(global, console).await?;
    let mut sent = Sent::default();
    let count = requests.len();
    for (number, request) in (1..).zip(&requests) {
        client.renew(console).await?;
        let outcome = send(&client, request).await;
        outcome.map(|answer| sent.add(answer)).inspect_err(|_| {
            console.tell(&format!("{} of {count} requests were taken; number {number} was not:", sent.requests));
        })?;
    }
    report(&sent, global, console)
}

impl Sent {
    fn add(&mut self, (refused, receipt): (Option<Refused>, Option<String>)) {
        self.requests += 1;
        self.refused.extend(refused);
        self.receipt = receipt.or(self.receipt.take());
    }
}

fn report(sent: &Sent, global: &Global, console: &mut Console) -> Result<(), Error> {
    let refused: u64 = sent.refused.iter().map(|refused| refused.count).sum();
    if global.json {
        let messages: Vec<_> = sent.refused.iter().map(|refused| &refused.message).collect();
        console.json(&json!({
            "requests": sent.requests, "refused": refused, "messages": messages, "receipt": sent.receipt,
        }))?;
    } else {
        console.tell(&format!("Sent {} {}.", sent.requests, if sent.requests == 1 { "request" } else { "requests" }));
    }
    match sent.refused.first() {
        Some(first) => Err(Error::invalid(format!("{refused} of what they held were refused: {}", first.message))),
        None => Ok(()),
    }
}

fn named(path: &Path, why: &str) -> Error {
    Error::invalid(format!("{}: {why}", path.display()))
}

/// The file unpacked, or standard input.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut packed: Vec<u8> = Vec::new();
    let taken = if path == Path::new("-") {
        std::io::stdin().take(BYTES_MAX + 1).read_to_end(&mut packed)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut packed))
    };
    taken.map_err(|error| Error::file(path, error))?;
    let bytes = content::unpacked(packed, BYTES_MAX).map_err(|error| Error::file(path, error))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(named(path, &format!("is larger than {} MiB; split it", BYTES_MAX >> 20)));
    }
    Ok(bytes)
}

/// Sends one request, again where the server is busy: a span that comes twice is there once.
async fn send(client: &Client, request: &Request<'_>) -> Result<(Option<Refused>, Option<String>), Error> {
    let path = match request.signal {
        Signal::Traces => "/v1/traces",
        Signal::Logs => "/v1/logs",
    };
    for attempt in 1.. {
        let outgoing = client.authorized(Method::POST, path).header(CONTENT_TYPE, request.encoding.content_type());
        match client.send(outgoing.body(request.body.to_vec())).await {
            Ok(response) => {
                let receipt = response.headers().get("x-spanlake-receipt").and_then(|value| value.to_str().ok());
                let receipt = receipt.map(str::to_owned);
                let body = client.body(response).await?;
                return Ok((request.encoding.refused(&body), receipt));
            }
            Err(Error::RateLimited { retry_after, .. }) if attempt < ATTEMPTS && retry_after <= WAIT_MAX => {
                tokio::time::sleep(retry_after).await;
            }
            Err(Error::Unavailable { retry_after, .. }) if attempt < ATTEMPTS => {
                tokio::time::sleep(retry_after.min(WAIT_MAX)).await;
            }
            Err(error) => return Err(error),
        }
    }
    unreachable!("attempts end with an answer or an error")
}

impl Encoding {
    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/x-protobuf",
        }
    }

    /// What an answer in this encoding says was refused.
    fn refused(self, body: &[u8]) -> Option<Refused> {
        match self {
            Self::Json => Refused::of_json(body),
            Self::Protobuf => Refused::of_protobuf(body),
        }
    }
}
