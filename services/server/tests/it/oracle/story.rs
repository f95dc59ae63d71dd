//! One story: the steps, and what is looked at between them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use futures::future::join_all;
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
use serde_json::json;
use spanlake_model::{Clock as _, FaultKind};
use spanlake_testkit::otlp;

use super::reader::{Reader, Seen, Sum, is_old_or_new};
use super::truth::{NUMBERS, Number, Truth, Version};
use crate::world::{Keep, World};

/// A span to be sent, and whether it has ended.
type Draft = (Number, bool);

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// New versions of some spans.
    Send { holder: usize, writer: usize, drafts: Vec<Draft> },
    /// The bytes of an earlier batch once more, `copies` of them at the same time.
    SendAgain { batch: usize, writer: usize, copies: usize },
    /// All that a writer holds goes into files.
    Flush { writer: usize },
    /// Compactors look for work, several at the same time or one.
    Compact { compactors: usize },
    /// A writer ends and starts again; without a word, or after it has put everything away.
    Restart { writer: usize, crash: bool },
    /// What is in this trace, or has its user or session, or everything of the app is deleted.
    Delete { holder: usize, like: Number, what: Named },
    /// Nothing happens for a while.
    Pass { minutes: u64 },
    /// A batch is sent through every writer while all of them flush and compactors look, and a tenant reads.
    Storm { holder: usize, drafts: Vec<Draft> },
}

/// What a deletion names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Trace,
    User,
    Session,
    App,
}

pub(crate) fn step(writers: usize) -> impl Strategy<Value = Step> {
    let writer = 0..writers;
    let one = (writer.clone(), 1..4_usize);
    prop_oneof![
        8 => (0..2_usize, writer.clone(), drafts())
            .prop_map(|(holder, writer, drafts)| Step::Send { holder, writer, drafts }),
        4 => (any::<usize>(), one).prop_map(|(batch, (writer, copies))| Step::SendAgain { batch, writer, copies }),
        5 => writer.clone().prop_map(|writer| Step::Flush { writer }),
        3 => (1..3_usize).prop_map(|compactors| Step::Compact { compactors }),
        3 => (writer, any::<bool>()).prop_map(|(writer, crash)| Step::Restart { writer, crash }),
        1 => prop_oneof![Just(1), Just(11), Just(1_500)].prop_map(|minutes| Step::Pass { minutes }),
        1 => (0..2_usize, 0..NUMBERS, named())
            .prop_map(|(holder, number, what)| Step::Delete { holder, like: Number(number), what }),
        2 => (0..2_usize, drafts()).prop_map(|(holder, drafts)| Step::Storm { holder, drafts }),
    ]
}

fn named() -> impl Strategy<Value = Named> {
    prop_oneof![3 => Just(Named::Trace), 1 => Just(Named::User), 1 => Just(Named::Session), 1 => Just(Named::App)]
}

/// Spans of one batch, each once.
fn drafts() -> impl Strategy<Value = Vec<Draft>> {
    let draft = prop::collection::btree_map(0..NUMBERS, prop::bool::weighted(0.7), 1..5);
    draft.prop_map(|drafts| drafts.into_iter().map(|(number, ended)| (Number(number), ended)).collect())
}

/// What was once sent.
struct Batch {
    holder: usize,
    versions: Vec<(Number, Version)>,
    bytes: Vec<u8>,
}

pub(crate) struct Story {
    world: World,
    writers: usize,
    truths: [Truth; 2],
    sent: Vec<Batch>,
    versions: u64,
    /// Spans of which a finished version was deleted. Their unfinished ones are not sent any more: they would lose to a
    /// row that is erased, which is not as it should be, and known.
    buried: [BTreeSet<Number>; 2],
}

impl Story {
    pub(crate) async fn begin(seed: u64, writers: usize, forgetful: bool) -> Self {
        let mut world = World::new(seed, Keep::Memory).await;
        if forgetful {
            world.config.known_keys_max = 3;
        }
        for writer in 0..writers {
            world.start_writer(writer, &world.outside()).await.unwrap();
        }
        Self { world, writers, truths: Default::default(), sent: Vec::new(), versions: 0, buried: Default::default() }
    }

    pub(crate) async fn take(&mut self, step: &Step) {
        match step {
            Step::Send { holder, writer, drafts } => {
                let batch = self.write(*holder, drafts);
                self.send(batch, &[*writer]).await;
            }
            Step::SendAgain { batch, writer, copies } => {
                let batch = batch % self.sent.len().max(1);
                if self.sent.get(batch).is_some_and(|batch| !self.is_buried(batch)) {
                    self.send(batch, &vec![*writer; *copies]).await;
                }
            }
            Step::Flush { writer } => self.flush(*writer).await,
            Step::Compact { compactors } => self.compact(*compactors).await,
            Step::Restart { writer, crash } => self.restart(*writer, *crash).await,
            Step::Delete { holder, like, what } => self.delete(*holder, *like, *what).await,
            Step::Pass { minutes } => self.world.clock.advance(Duration::from_secs(minutes * 60)),
            Step::Storm { holder, drafts } => self.storm(*holder, drafts).await,
        }
    }

    /// A batch of new versions.
    fn write(&mut self, holder: usize, drafts: &[Draft]) -> usize {
        let mut version = |is_finished| {
            self.versions += 1;
            Version::of(holder, self.versions, is_finished)
        };
        let buried = &self.buried[holder];
        let written = drafts.iter().map(|(number, ended)| (*number, version(*ended || buried.contains(number))));
        let versions: Vec<_> = written.collect();
        let bytes = otlp::protobuf(versions.iter().map(|(number, version)| version.to_otlp(*number)).collect());
        self.sent.push(Batch { holder, versions, bytes });
        self.sent.len() - 1
    }

    fn is_buried(&self, batch: &Batch) -> bool {
        let buried = &self.buried[batch.holder];
        batch.versions.iter().any(|(number, version)| !version.is_finished && buried.contains(number))
    }

    /// Sends a batch to all of these writers at the same time; each must acknowledge it whole.
    async fn send(&mut self, batch: usize, to: &[usize]) {
        let Batch { holder, versions, bytes } = &self.sent[batch];
        let sends = to.iter().map(|writer| self.world.send(*writer, *holder, bytes));
        for accepted in join_all(sends).await {
            let accepted = accepted.unwrap();
            assert!(accepted.receipt.is_some() && accepted.rejected == 0, "{accepted:?}");
        }
        let received_at = self.world.clock.now();
        for (number, version) in versions {
            self.truths[*holder].take(*number, version.clone(), received_at);
        }
    }

    async fn flush(&self, writer: usize) {
        self.world.writers.get(writer).unwrap().flush().await.unwrap();
    }

    async fn compact(&self, compactors: usize) {
        let outside = self.world.outside();
        for done in join_all((0..compactors).map(|_| self.world.compact(&outside))).await {
            done.unwrap();
        }
    }

    async fn restart(&self, writer: usize, crash: bool) {
        if !crash {
            self.world.writers.get(writer).unwrap().drain().await.unwrap();
        }
        self.world.crash_writer(writer);
        self.world.start_writer(writer, &self.world.outside()).await.unwrap();
    }

    async fn delete(&mut self, holder: usize, like: Number, what: Named) {
        let reader = Reader { world: &self.world, holder };
        let is_like = move |number: Number| match what {
            Named::Trace => number.trace() == like.trace(),
            Named::User => number.user() == like.user(),
            Named::Session => number.session() == like.session(),
            Named::App => true,
        };
        let body = match what {
            Named::Trace => {
                let is_there = self.truths[holder].rows().into_keys().any(is_like);
                let expected = if is_there { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND };
                let path = format!("/v1/traces/{}", like.trace());
                let (status, answer) = reader.ask(Method::DELETE, &path, Body::empty()).await;
                assert_eq!(status, expected, "{answer}");
                return self.bury(holder, is_like);
            }
            Named::User => json!({"user_id": like.user()}),
            Named::Session => json!({"session_id": like.session()}),
            Named::App => json!({"app_id": self.world.holders[holder].caller.app().to_string()}),
        };
        let (status, answer) = reader.ask(Method::POST, "/v1/deletions", body.to_string().into()).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        self.bury(holder, is_like);
    }

    fn bury(&mut self, holder: usize, is_like: impl Fn(Number) -> bool) {
        let gone = self.truths[holder].erase(is_like);
        self.buried[holder]
            .extend(gone.into_iter().filter(|(_, version)| version.is_finished).map(|(number, _)| number));
    }

    async fn storm(&mut self, holder: usize, drafts: &[Draft]) {
        let before = self.truths[holder].rows();
        let batch = self.write(holder, drafts);
        let everybody: Vec<_> = (0..self.writers).collect();
        let (world, versions) = (&self.world, &self.sent[batch].versions);
        let flushes = join_all(everybody.iter().map(|writer| self.flush(*writer)));
        let sends = join_all(everybody.iter().map(|writer| world.send(*writer, holder, &self.sent[batch].bytes)));
        let (sent, ..) = futures::join!(sends, flushes, self.compact(2), meanwhile(world, holder, &before, versions));
        sent.into_iter().for_each(|accepted| assert!(accepted.unwrap().receipt.is_some()));
        // Once more, one after the other, so that it is known which was received last.
        self.send(batch, &everybody).await;
    }

    /// Between two steps: everything of one tenant, and one way more to look at it.
    pub(crate) async fn look(&self, at: usize) {
        let holder = at % 2;
        let reader = Reader { world: &self.world, holder };
        assert_eq!(reader.rows().await.unwrap(), self.truths[holder].rows(), "all rows of tenant {holder}");
        match at % 7 {
            0 => self.look_at_spans(&reader).await,
            1 => self.look_at_sums(&reader).await,
            2 => self.look_at_a_range(&reader, at).await,
            3 => self.look_at_a_trace(&reader, at).await,
            4 => self.look_at_export(&reader).await,
            _ => {}
        }
    }

    /// Every way to look, at both tenants: as it stands, and once everything is in files and merged.
    pub(crate) async fn end(self) {
        self.look_at_everything().await;
        for writer in 0..self.writers {
            self.flush(writer).await;
        }
        self.compact(1).await;
        self.look_at_everything().await;
        assert_eq!(self.world.engine.trespasses(), 0, "no scan has met another tenant's row");
    }

    async fn look_at_everything(&self) {
        for holder in 0..2 {
            let reader = Reader { world: &self.world, holder };
            self.look_at_export(&reader).await;
            self.look_at_spans(&reader).await;
            self.look_at_sums(&reader).await;
            self.look_at_a_range(&reader, holder).await;
            self.look_at_a_trace(&reader, holder).await;
        }
    }

    async fn look_at_export(&self, reader: &Reader<'_>) {
        assert_eq!(reader.export().await.unwrap(), self.truths[reader.holder].rows(), "the export");
    }

    async fn look_at_spans(&self, reader: &Reader<'_>) {
        assert_eq!(reader.spans(None).await, self.truths[reader.holder].rows(), "the list of spans");
    }

    async fn look_at_a_range(&self, reader: &Reader<'_>, at: usize) {
        let (one, two) = (Number((at % 12) as u8).start(), Number((at * 7 % 12) as u8).start());
        let (from, to) = (one.min(two), one.max(two).plus(Duration::from_nanos(1)));
        let mut expected = self.truths[reader.holder].rows();
        expected.retain(|number, _| from <= number.start() && number.start() < to);
        assert_eq!(reader.spans(Some((from, to))).await, expected, "spans from {from} to {to}");
    }

    async fn look_at_a_trace(&self, reader: &Reader<'_>, at: usize) {
        let of = Number((at % 4) as u8);
        let mut expected = self.truths[reader.holder].rows();
        expected.retain(|number, _| number.trace() == of.trace());
        assert_eq!(reader.trace(of).await, expected, "trace {}", of.trace());
    }

    async fn look_at_sums(&self, reader: &Reader<'_>) {
        let mut expected: BTreeMap<String, (i64, i64, spanlake_model::Timestamp)> = BTreeMap::new();
        for (number, version) in self.truths[reader.holder].rows() {
            let (spans, tokens, start) = expected.entry(number.trace().to_string()).or_insert((0, 0, number.start()));
            (*spans, *tokens, *start) = (*spans + 1, *tokens + version.tokens, number.start().min(*start));
        }
        let sum = |(trace, (spans, tokens, start)): (String, (i64, i64, spanlake_model::Timestamp))| {
            (trace, Sum { spans, tokens, start: start.to_string() })
        };
        let expected: BTreeMap<_, _> = expected.into_iter().map(sum).collect();
        assert_eq!(reader.traces().await, expected, "the list of traces");
    }
}

async fn meanwhile(world: &World, holder: usize, before: &Seen, versions: &[(Number, Version)]) {
    match (Reader { world, holder }).rows().await {
        Ok(seen) => is_old_or_new(&seen, before, versions),
        // Files were overtaken again and again; a client asks once more.
        Err(fault) => assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}"),
    }
}
