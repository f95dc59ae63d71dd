//! The OpenAPI documents: every operation that a cluster says it has.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::Value;

use crate::client::Client;

/// One operation of one service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Operation {
    /// Upper case.
    pub(crate) method: String,
    /// With `{…}` where ids go.
    pub(crate) path: String,
    /// Who serves it.
    pub(crate) base: String,
    /// Its query parameters.
    pub(crate) parameters: Vec<String>,
    /// Who may use it, as its router declares.
    pub(crate) permission: String,
}

impl Operation {
    pub(crate) fn method(&self) -> Method {
        self.method.parse().unwrap()
    }

    /// `GET /v1/traces`, for tables and failures.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The URL with these ids, by parameter name; a name that is not there is a test to be extended.
    pub(crate) fn url(&self, ids: &dyn Fn(&str) -> String) -> String {
        let mut url = self.base.clone();
        for (place, part) in self.path.split('/').enumerate() {
            url.push_str(if place == 0 { "" } else { "/" });
            match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                Some(name) => url.push_str(&ids(name)),
                None => url.push_str(part),
            }
        }
        url
    }
}

/// Every operation of every document, sorted.
pub(crate) async fn operations(client: &Client) -> Vec<Operation> {
    let mut all = BTreeMap::new();
    for base in client.bases.distinct() {
        let answer = client.send(client.at(Method::GET, &format!("{base}/v1/openapi.json"))).await;
        assert_eq!(answer.status, 200);
        for operation in read(base, &answer.json()) {
            let name = operation.name();
            assert!(all.insert(name.clone(), operation).is_none(), "two services answer {name}");
        }
    }
    all.into_values().collect()
}

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

fn read(base: &str, document: &Value) -> Vec<Operation> {
    assert_eq!(document["info"]["title"], "Spanlake");
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().filter(|(method, _)| METHODS.contains(&method.as_str())).map(
            |(method, about)| {
                let parameters = about["parameters"].as_array().cloned().unwrap_or_default();
                let in_query = parameters.iter().filter(|parameter| parameter["in"] == "query");
                Operation {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    base: base.to_owned(),
                    parameters: in_query.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect(),
                    permission: about["x-permission"].as_str().unwrap().to_owned(),
                }
            },
        )
    });
    operations.collect()
}
