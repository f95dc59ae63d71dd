//! Query parameters, each known and given once.

use axum::extract::{FromRequestParts, Query as AxumQuery};
use http::request::Parts;
use serde::de::DeserializeOwned;
use spanlake_model::{Code, Fault};

use super::values::{self, Pairs};
use crate::response::ErrorResponse;

/// The query parameters, parsed into a struct. A field of type `Vec` takes a parameter that may be repeated;
/// all others may be given once. `appId` is taken off first: `access` reads it.
///
/// `T` is a plain struct with `#[serde(default)]`; `#[serde(flatten)]` does not work, since it loses the field list.
///
/// # Errors
/// `invalid_query_params`, naming every unknown or repeated parameter, or the one whose value does not parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<T>(pub T);

/// Read by `access` on every route.
const APP_PARAMETER: &str = "appId";

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ErrorResponse;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ErrorResponse> {
        let AxumQuery(pairs) = AxumQuery::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| Fault::new(Code::InvalidQueryParams, "The query string cannot be decoded."))?;
        let pairs = pairs.into_iter().filter(|(name, _)| name != APP_PARAMETER);
        match T::deserialize(Pairs::new(pairs)) {
            Ok(value) => Ok(Self(value)),
            Err(error) => Err(invalid(error).into()),
        }
    }
}

fn invalid(error: values::Error) -> Fault {
    let message = match error.problems.as_slice() {
        [(name, why)] => format!("The query parameter '{name}' is refused: {why}."),
        problems => {
            let names: Vec<_> = problems.iter().map(|(name, _)| format!("'{name}'")).collect();
            format!("The query parameters {} are refused; details say why.", names.join(", "))
        }
    };
    let fault = Fault::new(Code::InvalidQueryParams, message);
    error.problems.into_iter().fold(fault, |fault, (name, why)| fault.detail(name, why))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Wanted {
        limit: Option<u32>,
        name: Option<String>,
        wide: bool,
        order: Order,
        score: Vec<String>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Order {
        #[default]
        Desc,
        Asc,
    }

    async fn parse(query: &str) -> Result<Wanted, Fault> {
        let uri = format!("http://host/path?{query}");
        let (mut parts, ()) = http::Request::builder().uri(uri).body(()).unwrap().into_parts();
        Query::<Wanted>::from_request_parts(&mut parts, &()).await.map(|Query(value)| value).map_err(|error| error.0)
    }

    #[tokio::test]
    async fn known_parameters_are_parsed_and_absent_ones_take_their_default() {
        let got = parse("limit=5&name=a%20b&order=asc&score=x%3E1&score=y&wide=true").await.unwrap();
        let score = vec!["x>1".to_owned(), "y".to_owned()];
        let expected = Wanted { limit: Some(5), name: Some("a b".into()), wide: true, order: Order::Asc, score };
        assert_eq!(got, expected);
        assert_eq!(parse("").await.unwrap(), Wanted::default());
    }

    #[tokio::test]
    async fn every_unknown_or_repeated_parameter_is_named() {
        let fault = parse("limt=5&name=a&name=b&colour=red").await.unwrap_err();
        assert_eq!(fault.code, Code::InvalidQueryParams);
        assert_eq!(fault.details.keys().collect::<Vec<_>>(), ["colour", "limt", "name"]);
        assert!(fault.details["limt"].contains("'limit'"), "{fault:?}");
        assert_eq!(fault.details["name"], "given 2 times, takes one value");
    }

    #[tokio::test]
    async fn a_value_that_does_not_parse_is_named_with_what_is_expected() {
        assert!(parse("limit=many").await.unwrap_err().details["limit"].contains("u32"));
        assert!(parse("wide=yes").await.unwrap_err().details["wide"].contains("true or false"));
        assert!(parse("order=up").await.unwrap_err().details["order"].contains("asc"));
    }

    #[tokio::test]
    async fn the_app_parameter_is_always_accepted() {
        assert_eq!(parse("appId=x&limit=1").await.unwrap().limit, Some(1));
        assert_eq!(parse("appId=x&app%49d=y").await.unwrap(), Wanted::default());
    }
}
