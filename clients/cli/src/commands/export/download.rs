//! Pages, one after another, and where their rows go.

use std::time::Duration;

use super::page::Page;
use super::part::{Part, Source};
use super::query::Query;
use super::rows::Rows;
use super::summary::Summary;
use crate::args::ExportTraces;
use crate::client::Client;
use crate::console::Console;
use crate::error::Error;
use crate::progress::Progress;
use crate::text::Cleaner;

/// The longest wait before a page is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Where rows go.
pub(super) enum Out {
    /// Cleaned when it is a terminal. Counts the bytes of the page at hand, which cannot be taken back.
    Stdout(Option<Cleaner>, u64),
    File(Part, Source),
}

impl Out {
    pub(super) fn stdout(console: &Console) -> Self {
        Self::Stdout(console.out_is_terminal.then(Cleaner::default), 0)
    }

    fn write(&mut self, rows: &[u8], console: &mut Console) -> Result<(), Error> {
        match self {
            Self::Stdout(cleaner, written) => {
                *written += rows.len() as u64;
                let shown = cleaner.as_mut().map(|cleaner| cleaner.clean(rows));
                console.out.write_all(shown.as_deref().unwrap_or(rows)).map_err(Error::output)
            }
            Self::File(part, _) => part.write(rows),
        }
    }

    /// As if the page at hand had not begun; whether that is so.
    fn back(&mut self) -> Result<bool, Error> {
        match self {
            Self::Stdout(_, written) => Ok(*written == 0),
            Self::File(part, _) => part.back().map(|()| true),
        }
    }

    /// A page ended, and another follows.
    fn keep(&mut self, summary: &Summary) -> Result<(), Error> {
        match self {
            Self::Stdout(_, written) => {
                *written = 0;
                Ok(())
            }
            Self::File(part, source) => part.keep(source, summary),
        }
    }
}

/// An export under way.
pub(super) struct Download<'a> {
    pub(super) client: Client,
    pub(super) query: Query,
    pub(super) args: &'a ExportTraces,
    pub(super) out: Out,
    /// Of what is there already: the download goes on after it.
    pub(super) summary: Summary,
    pub(super) progress: Progress,
}

/// An export that is whole.
pub(super) struct Done {
    pub(super) out: Out,
    pub(super) summary: Summary,
}

impl Download<'_> {
    /// One page, or all of them. A page that breaks is begun again a few times, unless rows of it are out already.
    pub(super) async fn run(mut self, console: &mut Console) -> Result<Done, Error> {
        let mut broken = 0;
        loop {
            if let Err(error) = self.page(console).await {
                self.progress.clear();
                if broken >= self.args.retries || !error.may_pass() || !self.out.back()? {
                    return Err(error);
                }
                console.tell(&format!("{error}; going on after {} rows.", self.summary.exported));
                tokio::time::sleep(wait(broken)).await;
                self.progress.at(self.summary.exported + self.summary.skipped, 0);
                broken += 1;
                continue;
            }
            broken = 0;
            if !self.args.all || self.summary.next_cursor.is_none() {
                break;
            }
            self.out.keep(&self.summary)?;
        }
        console.out.flush().map_err(Error::output)?;
        Ok(Done { out: self.out, summary: self.summary })
    }

    async fn page(&mut self, console: &mut Console) -> Result<(), Error> {
        let page = self.ask(console).await?;
        let rows = Rows::new(self.query.format, self.summary.next_cursor.is_none());
        let write = &mut |rows: &[u8]| self.out.write(rows, console);
        self.summary.add(page.read(rows, write, &mut self.progress).await?);
        Ok(())
    }

    /// Asks for the next page; where the server has had enough for now, waits if that was wished.
    async fn ask(&mut self, console: &mut Console) -> Result<Page, Error> {
        loop {
            // A token may have ended while others of the many pages came.
            self.client.renew(console).await?;
            let request = match &self.summary.next_cursor {
                None => self.query.first(&self.client, self.args.cursor.as_deref()),
                Some(cursor) => self.query.next(&self.client, cursor),
            };
            match Page::ask(&self.client, request).await {
                Err(Error::RateLimited { retry_after, .. }) if self.args.wait => {
                    self.progress.clear();
                    let minutes = retry_after.as_secs().div_ceil(60);
                    console.tell(&format!("The server takes so many exports an hour; going on in {minutes} min."));
                    tokio::time::sleep(retry_after).await;
                }
                Err(error) => return Err(self.explained(error)),
                Ok(page) => return Ok(page),
            }
        }
    }

    /// With how to go on.
    fn explained(&self, error: Error) -> Error {
        match (error, &self.out, &self.summary.next_cursor) {
            (Error::RateLimited { message, retry_after }, Out::File(part, _), Some(_)) => {
                let rows = self.summary.exported;
                let message = format!(
                    "{message} {rows} rows are in {}; the same command goes on with them, and --wait waits by itself.",
                    part.shown()
                );
                Error::RateLimited { message, retry_after }
            }
            (Error::RateLimited { message, retry_after }, Out::Stdout(..), Some(cursor)) => {
                let message = format!("{message} --cursor {cursor} goes on after the rows so far.");
                Error::RateLimited { message, retry_after }
            }
            (error, _, _) => error,
        }
    }
}

/// At once, then a second, and twice as long each time.
fn wait(broken: u32) -> Duration {
    let seconds = broken.checked_sub(1).map_or(0, |doubled| 1_u64.checked_shl(doubled).unwrap_or(u64::MAX));
    Duration::from_secs(seconds).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_nothing_to_a_minute() {
        let seconds: Vec<_> = [0, 1, 2, 3, 7, 64, u32::MAX].map(|broken| wait(broken).as_secs()).into();
        assert_eq!(seconds, [0, 1, 2, 4, 60, 60, 60]);
    }
}
