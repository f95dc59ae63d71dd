//! One of the tenants: what it has, what it knows, what it asks for next.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};
use spanlake_model::Timestamp;
use spanlake_testkit::otlp::{self, span_id, text as attribute, trace_id};
use spanlake_testkit::{Dice, eventually};

use super::ask::{Asked, Content, Heard};
use super::{body, pick};
use crate::cluster::Cluster;
use crate::document::Operation;
use crate::tenant::{Tenant, text};

pub(super) const EVERYTHING: [&str; 5] = ["ingest", "read", "export", "score", "admin"];
/// Ids that all tenants use.
pub(super) const SHARED: u128 = 6;
/// What is remembered of a kind; the oldest but the first go.
const KNOWN_MAX: usize = 12;

pub(super) struct Party {
    pub(super) tenant: Tenant,
    /// In every text that it sends, and in nobody else's.
    pub(super) word: String,
    pub(super) dice: Dice,
    /// Its keys and tokens; the first is a key for everything.
    credentials: Vec<String>,
    /// What it was given, by what that is: `/v1/apps`, `cursor`, `receipt`.
    known: BTreeMap<String, Vec<String>>,
    /// The same, of what it never touches again itself.
    kept: BTreeMap<&'static str, Vec<String>>,
    /// Reads what it keeps.
    keeper: String,
    /// What the server made for it, and for nobody else.
    secrets: BTreeSet<String>,
    /// Operations that are still to be drawn; all of them again when none is left.
    deck: RefCell<Vec<usize>>,
    pub(super) now: Timestamp,
    pub(super) number: usize,
    is_gone: bool,
}

impl Party {
    /// Signs up, and puts away what nobody may ever touch: a trace in an app of its own.
    pub(super) async fn move_in(cluster: &Cluster, seed: u64, number: usize) -> Self {
        let dice = Dice::new(seed << 8 | number as u64);
        let letters: String = (0..8).map(|_| char::from(b'a' + dice.below(26) as u8)).collect();
        let word = format!("zq{letters}");
        let tenant = Tenant::named(cluster, &format!("{word} tenant"), &format!("{word}@example.com")).await;
        let key = async |mut body: Value| {
            body["name"] = format!("{word} key").into();
            tenant.new_key(&body).await
        };
        let main = key(json!({"kind": "workspace", "scopes": EVERYTHING})).await;
        let agent = tenant.agent(&format!("{word} agent")).await;
        let made = cluster.client.post("/v1/apps", &tenant.token, &json!({"name": format!("{word} kept")})).await;
        let kept_app = text(&made.data(), "/id");
        let bound = key(json!({"kind": "agent", "agent_id": agent})).await;
        let reader = key(json!({"kind": "workspace", "scopes": ["read", "export"]})).await;
        let pinned = key(json!({"kind": "workspace", "app_id": kept_app, "scopes": ["read", "ingest", "score"]})).await;
        let viewer = tenant.member("viewer").await;
        let mut party = Self {
            credentials: [&main, &bound, &reader].map(|made| text(made, "/key")).to_vec(),
            known: BTreeMap::new(),
            kept: BTreeMap::from([
                ("/v1/apps", vec![kept_app.clone()]),
                ("/v1/api-keys", vec![text(&main, "/id"), text(&pinned, "/id")]),
            ]),
            keeper: text(&pinned, "/key"),
            secrets: BTreeSet::new(),
            deck: RefCell::default(),
            now: cluster.now(),
            is_gone: false,
            tenant,
            word,
            dice,
            number,
        };
        party.credentials.extend([party.tenant.token.clone(), viewer.token]);
        for (kind, id) in [("/v1/apps", party.tenant.app.clone()), ("/v1/agents", agent), ("/v1/members", viewer.id)] {
            party.remember(kind, &id);
            party.secrets.insert(id);
        }
        party.secrets.extend(party.credentials.iter().chain(party.kept.values().flatten()).cloned());
        party.secrets.extend([party.tenant.id.clone(), party.keeper.clone()]);
        party.send(cluster, &party.keeper, party.kept_trace(), "kept").await;
        party.send(cluster, &party.credentials[0], 1, "first").await;
        party
    }

    async fn send(&self, cluster: &Cluster, key: &str, trace: u128, kind: &str) {
        cluster.client.ingest(key, otlp::protobuf(self.spans(trace, 1, kind))).await;
    }

    /// Whatever would tell others that it exists.
    pub(super) fn canaries(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.word.as_str()).chain(self.secrets.iter().map(String::as_str))
    }

    fn kept_trace(&self) -> u128 {
        0xcafe_0000 + self.number as u128
    }

    /// Spans that say its word in every place.
    pub(super) fn spans(
        &self,
        trace: u128,
        count: usize,
        kind: &str,
    ) -> Vec<opentelemetry_proto::tonic::trace::v1::Span> {
        let word = &self.word;
        let start = self.now.minus(std::time::Duration::from_secs(60));
        (1..=count as u64)
            .map(|number| {
                let mut span = otlp::span(trace_id(trace), span_id(number), &format!("{word} {kind} span"), start);
                span.attributes = vec![
                    attribute("gen_ai.operation.name", "chat"),
                    attribute("gen_ai.request.model", &format!("{word}-model")),
                    attribute("session.id", &self.handle("session", kind)),
                    attribute("user.id", &self.handle("user", kind)),
                    attribute("gen_ai.input.messages", &format!("{word} asks")),
                    attribute("gen_ai.output.messages", &format!("{word} answers")),
                    attribute("tag.tags", &format!("{word}-tag")),
                    attribute("deployment.environment.name", &format!("{word}-environment")),
                    attribute(&format!("{word}.key"), &format!("{word} value")),
                ];
                span
            })
            .collect()
    }

    /// A name that it gives something, and that others might guess.
    pub(super) fn handle(&self, what: &str, kind: &str) -> String {
        format!("{}-{what}-{kind}", self.word)
    }

    /// The next operation: a third of them bring something in, the others come round one by one.
    pub(super) fn draw(&self, operations: &[Operation]) -> Operation {
        if self.dice.chance(30) {
            let brings =
                |one: &&Operation| ["ingest", "score"].contains(&one.permission.as_str()) && one.method == "POST";
            let all: Vec<_> = operations.iter().filter(brings).collect();
            return (*pick(&self.dice, &all)).clone();
        }
        let mut deck = self.deck.borrow_mut();
        if deck.is_empty() {
            deck.extend(0..operations.len());
        }
        let place = self.dice.below(deck.len());
        let drawn = deck.swap_remove(place);
        operations[drawn].clone()
    }

    /// A request for it, with what it has itself and what it has heard of others.
    pub(super) fn plan(&self, operation: &Operation, others: &[&Party]) -> Asked {
        let stranger = *pick(&self.dice, others);
        let mut named = Vec::new();
        let url = operation.url(&|parameter| {
            let owner = self.owner(operation, stranger);
            owner.id(operation, parameter, self)
        });
        let mut query = Vec::new();
        for parameter in &operation.parameters {
            if self.dice.chance(25) {
                let value = self.value(operation, parameter, stranger);
                query.push((parameter.clone(), value));
            }
        }
        let mut headers = Vec::new();
        if self.dice.chance(15) {
            let owner = self.owner(operation, stranger);
            headers.push(("x-spanlake-app-id", owner.one_of("/v1/apps", self).unwrap_or_default()));
        }
        let owner = self.owner(operation, stranger);
        let body = body::of(operation, self, owner);
        let credential = match self.dice.below(3) {
            0 => pick(&self.dice, &self.credentials).clone(),
            _ if operation.permission == "owner" => self.tenant.token.clone(),
            _ => self.credentials[0].clone(),
        };
        // All of theirs that it may say: the request itself is looked through.
        let said = format!("{url} {query:?} {headers:?} {}", body::said(&body)).to_lowercase();
        for other in others {
            named.extend(other.names().filter(|name| said.contains(name.as_str())));
        }
        Asked { operation: operation.name(), method: operation.method(), url, query, headers, credential, body, named }
    }

    /// Everything of it that others may come to name, lower case.
    fn names(&self) -> impl Iterator<Item = String> {
        let handles = ["kept", "first", "more"].into_iter().flat_map(|kind| {
            ["session", "user", "score", "name", "model", "tag", "mail"].map(|what| self.handle(what, kind))
        });
        let given = self.known.values().chain(self.kept.values()).flatten().cloned();
        handles.chain(given).map(|name| name.to_lowercase())
    }

    /// Whose things a request is about: half of the time its own, unless they would go by it.
    fn owner<'a>(&'a self, operation: &Operation, stranger: &'a Party) -> &'a Party {
        let own = if operation.method == "DELETE" { 15 } else { 50 };
        if self.dice.chance(own) { self } else { stranger }
    }

    /// One of its ids that goes into a path.
    fn id(&self, operation: &Operation, parameter: &str, asker: &Party) -> String {
        let dice = &asker.dice;
        let collections = ["/v1/apps", "/v1/agents", "/v1/api-keys", "/v1/members/invites", "/v1/members"];
        let of =
            collections.iter().chain(&["/v1/deletions", "/v1/exports"]).find(|own| operation.path.starts_with(**own));
        match (parameter, of) {
            ("field", _) => (*pick(dice, &["user_id", "session_id", "model", "name", "tag", "nonsense"])).into(),
            ("span_id", _) => span_id(1 + dice.below(3) as u64).to_string(),
            ("session_id", _) => self.handle("session", pick::<&str>(dice, &["kept", "first", "more"])),
            ("score_id", _) => self.score_id(dice),
            ("receipt", _) => self.one_of("receipt", asker).unwrap_or_else(|| "none".into()),
            (_, Some(kind)) => {
                self.one_of(kind, asker).unwrap_or_else(|| "01890000-0000-7000-8000-000000000000".into())
            }
            _ => self.trace(asker),
        }
    }

    /// A trace id: of those that all use, or, for others, the one that it keeps.
    pub(super) fn trace(&self, asker: &Party) -> String {
        let is_own = std::ptr::eq(self, asker);
        let trace = match asker.dice.chance(20) {
            true if !is_own => self.kept_trace(),
            _ => 1 + asker.dice.below(SHARED as usize) as u128,
        };
        trace_id(trace).to_string()
    }

    pub(super) fn score_id(&self, dice: &Dice) -> String {
        if dice.chance(50) { format!("score-{}", dice.below(4)) } else { self.handle("score", "more") }
    }

    /// What a query parameter of this name could be.
    fn value(&self, operation: &Operation, parameter: &str, stranger: &Party) -> String {
        let (dice, owner) = (&self.dice, self.owner(operation, stranger));
        let kind = *pick(dice, &["kept", "first", "more"]);
        let fixed = |words: &[&str]| (*pick(dice, words)).to_owned();
        match parameter {
            "limit" => fixed(&["1", "2", "1000"]),
            "cursor" => owner.one_of("cursor", self).unwrap_or_default(),
            "after" => owner.one_of("receipt", self).unwrap_or_default(),
            "confirm" => stranger.tenant.id.clone(),
            "filter" => owner.condition(dice, kind),
            "search" => owner.handle("session", kind),
            "user_id" | "userId" => owner.handle("user", kind),
            "session_id" => owner.handle("session", kind),
            "agent_id" => owner.one_of("/v1/agents", self).unwrap_or_default(),
            "appId" => owner.one_of("/v1/apps", self).unwrap_or_default(),
            "trace_id" | "resource_id" => owner.trace(self),
            "score_id" => owner.score_id(dice),
            "model" => owner.handle("model", kind),
            "name" => owner.handle("name", kind),
            "tag" => owner.handle("tag", kind),
            "format" => fixed(&["jsonl", "csv", "openai", "xml"]),
            "fields" => "io".into(),
            "sort_by" => fixed(&["start_time", "name", "cost", "tokens", "spans"]),
            "sort_order" => fixed(&["asc", "desc"]),
            "group_by" => fixed(&["model", "user_id", "session_id", "tag", "name,environment", "agent_id"]),
            "granularity" => fixed(&["minute", "day", "auto"]),
            "lightweight" | "extended" => "true".into(),
            _ => owner.handle("name", kind),
        }
    }

    /// A condition in the filter language about its things.
    fn condition(&self, dice: &Dice, kind: &str) -> String {
        let (user, session) = (self.handle("user", kind), self.handle("session", kind));
        let all = [
            format!("user_id = '{user}'"),
            format!("session_id = '{session}' or user_id = '{user}'"),
            format!("name contains '{session}'"),
            format!("user_id != '{user}'"),
            format!("output contains '{user}"),
            format!("'{user}' = user_id"),
        ];
        pick(dice, &all).clone()
    }

    /// Something of this kind; what it keeps is for others to try.
    pub(super) fn one_of(&self, kind: &str, asker: &Party) -> Option<String> {
        let kept = self.kept.get(kind).filter(|_| !std::ptr::eq(self, asker));
        let all: Vec<_> = self.known.get(kind).into_iter().chain(kept).flatten().collect();
        if all.is_empty() { None } else { Some((*pick(&asker.dice, &all)).clone()) }
    }

    /// Keeps in mind what an answer gave it.
    pub(super) fn learn(&mut self, asked: &Asked, heard: &Heard) {
        if heard.status >= 300 {
            return;
        }
        if let Some(receipt) = heard.headers.get("x-spanlake-receipt") {
            // No canary: one may be the beginning of another.
            self.remember("receipt", receipt);
        }
        let path = asked.operation.split_once(' ').map_or("", |(_, path)| path);
        let collection: String = path.split("/{").next().unwrap_or_default().into();
        let mut found = Vec::new();
        walk(&heard.json, &mut |name, value| found.push((name.to_owned(), value.to_owned())));
        for (name, value) in found {
            match &*name {
                // Who signs up begins another tenant; what it is given is a canary and nothing more.
                _ if path == "/v1/signup" => {}
                "next_cursor" => self.remember("cursor", &value),
                "id" if is_uuid(&value) && asked.method != Method::DELETE => self.remember(&collection, &value),
                "key" | "access_token" => self.enter(&value),
                "token" | "refresh_token" => self.remember("token", &value),
                _ => {}
            }
            let is_given = ["next_cursor", "key", "secret_key", "access_token", "token", "refresh_token"];
            // A number is nobody's own.
            if is_uuid(&value) || (is_given.contains(&&*name) && value.len() >= 20) {
                self.secrets.insert(value);
            }
        }
    }

    fn enter(&mut self, credential: &str) {
        // Its own first five stay: whoever asks with a key that it revoked itself learns little.
        if self.credentials.len() >= KNOWN_MAX {
            self.credentials.remove(5);
        }
        self.credentials.push(credential.to_owned());
    }

    fn remember(&mut self, kind: &str, value: &str) {
        let all = self.known.entry(kind.to_owned()).or_default();
        if all.iter().chain(self.kept.values().flatten()).any(|known| known == value) {
            return;
        }
        if all.len() >= KNOWN_MAX {
            all.remove(1);
        }
        all.push(value.to_owned());
    }

    /// A request of its own, for a URL as it is.
    pub(super) fn ask_plainly(&self, method: &str, url: &str) -> Asked {
        Asked {
            operation: format!("{method} {url}"),
            method: method.parse().unwrap(),
            url: url.to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            credential: self.credentials[0].clone(),
            body: Content::Nothing,
            named: Vec::new(),
        }
    }

    /// Deletes the tenant.
    pub(super) async fn leave(&mut self, cluster: &Cluster) {
        let path = format!("/v1/tenant?confirm={}", self.tenant.id);
        let answer = cluster.client.delete(&path, &self.tenant.token).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        self.is_gone = true;
    }

    /// Nothing that it has opens anything.
    pub(super) async fn is_gone(&self, cluster: &Cluster) {
        assert!(self.is_gone);
        for credential in &self.credentials {
            cluster.client.get("/v1/me", credential).await.refused(401, "unauthenticated");
        }
    }

    /// Whatever others have deleted, renamed or overwritten, it was not this.
    pub(super) async fn has_what_it_kept(&self, cluster: &Cluster) {
        let (keeper, word) = (&self.keeper, &self.word);
        let path = format!("/v1/traces/{}", trace_id(self.kept_trace()));
        let trace = eventually("the trace that was kept", || async {
            let answer = cluster.client.get(&path, keeper).await;
            (answer.status != 429).then_some(answer)
        })
        .await;
        let trace = trace.data();
        assert_eq!((&trace["span_count"], &trace["name"]), (&json!(1), &json!(format!("{word} kept span"))));
        assert_eq!(trace["user_id"], self.handle("user", "kept"));
        assert_eq!(cluster.client.get("/v1/me", keeper).await.data()["app"]["name"], format!("{word} kept"));
    }
}

fn walk(value: &Value, found: &mut impl FnMut(&str, &str)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if name != "request_id" => found(name, text),
                    other => walk(other, found),
                }
            }
        }
        _ => {}
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}
