//! One page, from the server to wherever its rows go.

use reqwest::{Method, RequestBuilder, Response};

use super::rows::Rows;
use super::summary::Summary;
use crate::client::Client;
use crate::error::Error;
use crate::progress::Progress;

/// An answer that has begun.
pub(super) struct Page {
    response: Response,
    known: Option<Summary>,
}

impl Page {
    /// Asks; a refusal comes here.
    pub(super) async fn ask(client: &Client, request: RequestBuilder) -> Result<Self, Error> {
        let response = client.send(request).await?;
        let known = Summary::of_headers(response.headers());
        Ok(Self { response, known })
    }

    /// Reads it whole, or fails.
    pub(super) async fn read(
        mut self,
        mut rows: Rows,
        write: &mut impl FnMut(&[u8]) -> Result<(), Error>,
        progress: &mut Progress,
    ) -> Result<Summary, Error> {
        progress.expect(self.known.as_ref().and_then(|known| known.total));
        let before = progress.rows();
        while let Some(bytes) = self.response.chunk().await.map_err(|error| broke_off(&error))? {
            rows.take(&bytes, write)?;
            progress.at(before + rows.count(), bytes.len() as u64);
        }
        rows.finish(self.known)
    }
}

/// How many rows match, without taking them.
pub(super) async fn total(client: &Client, query: &[(&str, String)]) -> Result<u64, Error> {
    let request = client.authorized(Method::GET, "/v1/traces/export").query(query);
    let page = Page::ask(client, request).await?;
    let total = page.known.and_then(|known| known.total);
    total.ok_or_else(|| Error::Server("the server did not say how many rows match".into()))
}

fn broke_off(error: &reqwest::Error) -> Error {
    Error::Server(format!("the export broke off: {}", crate::error::root(error)))
}
