//! The public API, as one profile sees it.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::Global;
use crate::config::{self, Config, DEFAULT_URL, Profile, Tokens};
use crate::console::Console;
use crate::error::{Error, root};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Nothing came for so long. An export may be slow to begin; then it flows.
const READ_TIMEOUT: Duration = Duration::from_secs(120);
/// Tokens that end so soon are renewed first.
const RENEW_BEFORE_S: i64 = 30;
/// Answers beside exports are small.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Of a list that is read whole.
const ROWS_MAX: usize = 100_000;

/// What every token answer holds.
#[derive(Deserialize)]
pub(crate) struct Session {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    pub(crate) expires_in: i64,
}

/// Who asks.
enum Credential {
    Nobody,
    Key(String),
    Member(Tokens),
}

/// A Spanlake, and who asks it about which app.
pub(crate) struct Client {
    http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) app: Option<String>,
    credential: Credential,
    profile: String,
}

impl Client {
    /// As flags, environment and profile say, in this order; stored tokens are renewed when they are old.
    pub(crate) async fn open(global: &Global, console: &Console) -> Result<Self, Error> {
        let mut client = Self::nobody(global, console)?;
        let config = Config::load(&console.config_file)?;
        let name = config.name(global.profile.as_deref()).to_owned();
        let stored = config.profiles.get(&name).cloned();
        if global.profile.is_some() && stored.is_none() && global.api_key.is_none() {
            return Err(Error::Auth(format!("There is no profile '{name}'; run 'spanlake login --profile {name}'.")));
        }
        let stored = stored.unwrap_or_default();
        if global.api_key.is_none() && stored.is_of_another(&client.url) {
            // What was given to one server is shown to no other.
            return Err(Error::Auth(format!(
                "The login of profile '{name}' is for another address than {}: log in there with 'spanlake login --url {} \
                 --profile NAME', or give a key.",
                client.url, client.url
            )));
        }
        let Profile { app_id, api_key, tokens, .. } = stored;
        client.app = global.app.clone();
        client.credential = match (&global.api_key, api_key, tokens) {
            // Another key may be another tenant's, who has other apps.
            (Some(key), _, _) => Credential::Key(key.clone()),
            (None, key, tokens) => {
                client.app = client.app.or(app_id);
                match (key, tokens) {
                    (Some(key), _) => Credential::Key(key),
                    (None, Some(tokens)) => Credential::Member(tokens),
                    (None, None) => Credential::Nobody,
                }
            }
        };
        client.renew(console).await?;
        Ok(client)
    }

    /// Without a credential.
    pub(crate) fn nobody(global: &Global, console: &Console) -> Result<Self, Error> {
        let config = Config::load(&console.config_file)?;
        let profile = config.name(global.profile.as_deref()).to_owned();
        let stored = config.profiles.get(&profile).and_then(|profile| profile.url.clone());
        let url = global.url.clone().or(stored).unwrap_or_else(|| DEFAULT_URL.to_owned());
        let url = url.trim_end_matches('/').to_owned();
        let parsed = reqwest::Url::parse(&url).ok();
        if !parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
            return Err(Error::invalid(format!("'{url}' is no address; it looks like https://spanlake.example.com")));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            // A credential goes where it was meant to go.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("spanlake-cli/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::Server(format!("cannot begin: {error}")))?;
        Ok(Self { http, url, app: None, credential: Credential::Nobody, profile })
    }

    /// New tokens for ones that end soon, kept before they are used: the old ones are spent with that.
    pub(crate) async fn renew(&mut self, console: &Console) -> Result<(), Error> {
        let now_s = console.clock.now().as_secs();
        let is_good = |tokens: &Tokens| tokens.expires_at_s - RENEW_BEFORE_S > now_s;
        let Credential::Member(tokens) = &self.credential else { return Ok(()) };
        if is_good(tokens) {
            return Ok(());
        }
        // A refresh token works once: of several commands at a time, one renews and the others read what it got.
        let _lock = config::lock(&console.config_file)?;
        let mut config = Config::load(&console.config_file)?;
        let stored = config.profiles.entry(self.profile.clone()).or_default();
        let tokens = match stored.tokens.take() {
            Some(tokens) if is_good(&tokens) => tokens,
            Some(tokens) => {
                let body = json!({"refresh_token": tokens.refresh_token});
                let session: Session = self.data(self.request(Method::POST, "/v1/token/refresh").json(&body)).await?;
                let tokens = session.tokens(tokens.email, now_s);
                stored.tokens = Some(tokens.clone());
                config.save(&console.config_file)?;
                tokens
            }
            None => return Err(Error::Auth("Somebody logged out meanwhile; run 'spanlake login'.".into())),
        };
        self.credential = Credential::Member(tokens);
        Ok(())
    }

    /// A request without a credential.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// A request as whoever asks, about the app.
    pub(crate) fn authorized(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.request(method, path);
        let request = match &self.credential {
            Credential::Nobody => request,
            Credential::Key(key) => request.bearer_auth(key),
            Credential::Member(tokens) => request.bearer_auth(&tokens.access_token),
        };
        match &self.app {
            Some(app) => request.header("x-spanlake-app-id", app),
            None => request,
        }
    }

    /// Sends it; anything but a success is an error, with what the server said.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = self.body(response).await.unwrap_or_default();
        Err(Error::of_answer(status.as_u16(), retry_after.map(Duration::from_secs), &body))
    }

    /// The whole answer as JSON.
    pub(crate) async fn json(&self, request: RequestBuilder) -> Result<Value, Error> {
        let response = self.send(request).await?;
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|error| self.not_understood(&error))
    }

    /// `data` of the answer.
    pub(crate) async fn data<T: for<'de> Deserialize<'de>>(&self, request: RequestBuilder) -> Result<T, Error> {
        let mut answer = self.json(request).await?;
        serde_json::from_value(answer["data"].take()).map_err(|error| self.not_understood(&error))
    }

    /// The rows of all pages of a list that is short.
    pub(crate) async fn all(&self, path: &str) -> Result<Vec<Value>, Error> {
        let mut rows: Vec<Value> = Vec::new();
        let mut cursor = None;
        loop {
            let request = self.authorized(Method::GET, path);
            let request = cursor.iter().fold(request, |request, cursor: &String| request.query(&[("cursor", cursor)]));
            let mut page = self.json(request).await?;
            match page["data"].take() {
                Value::Array(more) => rows.extend(more),
                _ => return Err(self.strange()),
            }
            if rows.len() > ROWS_MAX {
                return Err(Error::invalid(format!("there are more than {ROWS_MAX}; ask the API page by page")));
            }
            match page["pagination"]["next_cursor"].take() {
                Value::String(next) => cursor = Some(next),
                _ => return Ok(rows),
            }
        }
    }

    /// An answer that is not one of ours.
    pub(crate) fn strange(&self) -> Error {
        Error::Server(format!("{} does not answer as a Spanlake does", self.url))
    }

    /// A whole body, bounded.
    pub(crate) async fn body(&self, mut response: Response) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(Error::Server(format!(
                    "the answer of {} is larger than {ANSWER_BYTES_MAX} bytes",
                    self.url
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        Error::Unreachable { url: self.url.clone(), why: root(error) }
    }

    fn not_understood(&self, error: &serde_json::Error) -> Error {
        Error::Server(format!("{} does not answer as a Spanlake does ({error})", self.url))
    }
}

impl Session {
    pub(crate) fn tokens(self, email: String, now_s: i64) -> Tokens {
        Tokens {
            email,
            access_token: self.access_token,
            refresh_token: self.refresh_token,
            expires_at_s: now_s + self.expires_in,
        }
    }
}
