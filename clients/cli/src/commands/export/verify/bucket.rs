//! Files of an S3-compatible bucket, with the credentials of whoever checks them: enough of S3 to read and to list, signed as Amazon's
//! Signature Version 4 has it, <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac};
use reqwest::{Response, StatusCode, Url};
use sha2::{Digest, Sha256};
use spanlake_model::Clock;

use crate::args::BucketAccess;
use crate::error::{Error, root};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(120);
/// Of a page of a list, or of what a bucket says of an error.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// Names of a run at most: more than any has files.
const KEYS_MAX: usize = 100_000;
/// SHA-256 of nothing: a request that reads has no body.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A bucket, and who reads it.
#[derive(Clone)]
pub(super) struct Bucket {
    pub(super) name: String,
    http: reqwest::Client,
    /// `https://host[:port]`.
    endpoint: Url,
    signer: Signer,
    clock: Arc<dyn Clock>,
}

/// Credentials, and where they count.
#[derive(Clone)]
struct Signer {
    region: String,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

impl Bucket {
    pub(super) fn open(name: &str, access: BucketAccess, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let (Some(access_key_id), Some(secret_access_key)) = (access.access_key_id, access.secret_access_key) else {
            return Err(Error::invalid("a bucket needs credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
        };
        let region = access.region.unwrap_or_else(|| "us-east-1".to_owned());
        let endpoint = access.endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let parsed =
            Url::parse(&endpoint).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
        let endpoint = parsed
            .ok_or_else(|| Error::invalid(format!("'{endpoint}' is no endpoint; it looks like https://HOST[:PORT]")))?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::Server(format!("cannot begin: {error}")))?;
        let signer = Signer { region, access_key_id, secret_access_key, session_token: access.session_token };
        Ok(Self { name: name.to_owned(), http, endpoint, signer, clock })
    }

    /// What is there, the first `most` bytes of it; nothing when it is not there.
    pub(super) async fn get(&self, key: &str, most: u64) -> Result<Option<Vec<u8>>, Error> {
        let response = self.send(&format!("/{}/{key}", self.name), &[]).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.body(self.allowed(response).await?, most).await.map(Some)
    }

    /// All keys that begin so.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let (mut keys, mut token): (Vec<String>, Option<String>) = (Vec::new(), None);
        loop {
            let mut query = vec![("list-type", "2"), ("prefix", prefix)];
            query.extend(token.as_deref().map(|token| ("continuation-token", token)));
            let response = self.allowed(self.send(&format!("/{}", self.name), &query).await?).await?;
            let page = self.body(response, ANSWER_BYTES_MAX).await?;
            let page = String::from_utf8_lossy(&page);
            keys.extend(all(&page, "Key"));
            if keys.len() > KEYS_MAX {
                return Err(Error::invalid(format!("there are more than {KEYS_MAX} files below {prefix}")));
            }
            token = all(&page, "NextContinuationToken").next();
            if token.is_none() {
                return Ok(keys);
            }
        }
    }

    async fn send(&self, path: &str, query: &[(&str, &str)]) -> Result<Response, Error> {
        let (path, query) = (encoded_path(path), canonical(query));
        let mut url = self.endpoint.clone();
        url.set_path(&path);
        url.set_query((!query.is_empty()).then_some(query.as_str()));
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let at = basic(&self.clock.now().to_string());
        let headers = self.signer.headers(&host, &path, &query, &at);
        let request = headers.iter().fold(self.http.get(url), |request, (name, value)| request.header(*name, value));
        request.send().await.map_err(|error| self.unreachable(&error))
    }

    async fn allowed(&self, response: Response) -> Result<Response, Error> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.body(response, ANSWER_BYTES_MAX).await.unwrap_or_default();
        let said = all(&String::from_utf8_lossy(&body), "Message").next().unwrap_or_else(|| status.to_string());
        let message = format!("the bucket '{}' refuses: {said}", self.name);
        Err(match status.as_u16() {
            401 | 403 => Error::Auth(message),
            300..500 => Error::Invalid(message),
            _ => Error::Server(message),
        })
    }

    async fn body(&self, mut response: Response, most: u64) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            let left = usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(body.len());
            body.extend_from_slice(&chunk[..chunk.len().min(left)]);
            if chunk.len() >= left {
                break;
            }
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        Error::Unreachable { url: self.endpoint.to_string(), why: root(error) }
    }
}

impl Signer {
    /// Those of a GET that is signed: the path and the query are encoded already.
    fn headers(&self, host: &str, path: &str, query: &str, at: &str) -> Vec<(&'static str, String)> {
        let mut signed = vec![("host", host), ("x-amz-content-sha256", NOTHING), ("x-amz-date", at)];
        signed.extend(self.session_token.as_deref().map(|token| ("x-amz-security-token", token)));
        let authorization = self.authorization(&signed, path, query, at);
        let mut headers: Vec<_> = signed.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        headers.push(("authorization", authorization));
        headers
    }

    fn authorization(&self, signed: &[(&str, &str)], path: &str, query: &str, at: &str) -> String {
        let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let request = format!("GET\n{path}\n{query}\n{lines}\n{names}\n{NOTHING}");
        let day = at.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let text = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{}", hex(&Sha256::digest(request)));
        let secret = format!("AWS4{}", self.secret_access_key).into_bytes();
        let key = [day, &self.region, "s3", "aws4_request"].iter().fold(secret, |key, part| digest(&key, part));
        let signature = hex(&digest(&key, &text));
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}",
            self.access_key_id
        )
    }
}

fn digest(key: &[u8], text: &str) -> Vec<u8> {
    let mut digest = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    digest.update(text.as_bytes());
    digest.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `20130524T000000Z` of an RFC 3339 time in UTC.
fn basic(at: &str) -> String {
    let digits: String = at.chars().take(19).filter(|letter| letter.is_ascii_digit() || *letter == 'T').collect();
    digits + "Z"
}

fn encoded_path(path: &str) -> String {
    path.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

/// In the order of the names, which are few.
fn canonical(query: &[(&str, &str)]) -> String {
    let mut pairs: Vec<_> = query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    pairs.sort();
    pairs.join("&")
}

/// All but what RFC 3986 leaves alone.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// What stands in elements of this name, in a document without elements of that name within.
fn all<'a>(document: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = document;
    std::iter::from_fn(move || {
        let from = rest.find(&begin)? + begin.len();
        let to = from + rest[from..].find(&end)?;
        let text = &rest[from..to];
        rest = &rest[to + end.len()..];
        Some(plain(text))
    })
}

/// Without the entities of XML; those that a bucket writes.
fn plain(text: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&apos;", "'"), ("&amp;", "&")]
        .into_iter()
        .fold(text.to_owned(), |text, (entity, letter)| text.replace(entity, letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of Amazon's manual, "Authenticating Requests: Using the Authorization Header".
    #[test]
    fn requests_are_signed_as_the_manual_signs_them() {
        let signer = Signer {
            region: "us-east-1".into(),
            access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            session_token: None,
        };
        for (query, signature) in [
            (&[("lifecycle", "")][..], "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            (&[("prefix", "J"), ("max-keys", "2")], "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ] {
            let headers = signer.headers("examplebucket.s3.amazonaws.com", "/", &canonical(query), "20130524T000000Z");
            let (_, authorization) = headers.last().unwrap();
            assert!(authorization.ends_with(&format!("Signature={signature}")), "{authorization}");
            assert!(authorization.contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date,"), "{authorization}");
        }
    }

    #[test]
    fn what_is_sent_is_what_is_signed() {
        assert_eq!(encoded_path("/b/run=000001/tenant=ä/x y"), "/b/run%3D000001/tenant%3D%C3%A4/x%20y");
        assert_eq!(canonical(&[("prefix", "a/b="), ("list-type", "2")]), "list-type=2&prefix=a%2Fb%3D");
        assert_eq!(basic("2013-05-24T00:00:00.123Z"), "20130524T000000Z");
        assert_eq!(basic("2013-05-24T00:00:00Z"), "20130524T000000Z");
    }

    #[test]
    fn a_list_is_read_as_buckets_write_it() {
        let page = "<ListBucketResult><Prefix>p</Prefix><Contents><Key>p/a&amp;b</Key><Size>1</Size></Contents>\
            <Contents><Key>p/c</Key></Contents><NextContinuationToken>t</NextContinuationToken></ListBucketResult>";
        assert_eq!(all(page, "Key").collect::<Vec<_>>(), ["p/a&b", "p/c"]);
        assert_eq!(all(page, "NextContinuationToken").next().as_deref(), Some("t"));
        assert_eq!(all("<Key>unfinished", "Key").next(), None);
    }
}
