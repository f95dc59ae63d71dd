//! Whatever four tenants ask for, with whatever ids, cursors and receipts of each other, no byte of any answer says a word of another's,
//! and nothing that one does touches what another has.
//!
//! Each has a word of its own in every text that it sends; that word and every id, key, token, cursor and receipt that it was given
//! are its canaries. The four act at the same time, on every operation of the OpenAPI document, over one server that flushes, merges and
//! erases meanwhile, is started again, and loses one of the four on the way.
//!
//! `make test` takes one seed; `SPANLAKE_SEED=7 SPANLAKE_STORIES=100` as many from there on. A failure prints its seed.

mod ask;
mod body;
mod party;

use futures::future::join_all;
use spanlake_testkit::Dice;
use spanlake_transport::telemetry;

use crate::cluster::Cluster;
use crate::document::{Operation, operations};
use crate::keys::everything_in;
use crate::oracle::number;
use ask::{Asked, Heard, leak};
use party::Party;

/// Seeds in `make test`.
const STORIES: u64 = 1;
const TENANTS: usize = 4;
/// In each of them every tenant asks for one thing, all at the same time.
const ROUNDS: usize = 180;
/// Who is deleted on the way.
const LEAVES: usize = TENANTS - 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_to_one_tenant_holds_a_canary_of_another() {
    log_what_fails();
    let first = number("SPANLAKE_SEED", 1);
    for seed in first..first + number("SPANLAKE_STORIES", STORIES) {
        println!("SPANLAKE_SEED={seed} SPANLAKE_STORIES=1");
        live(seed).await;
    }
}

/// An answer that blames us says no more than that; why is in the log, so it is shown with the failure.
fn log_what_fails() {
    let config = telemetry::Config { filter: "warn".into(), ..telemetry::Config::default() };
    // Another test may have done so before.
    let _started = telemetry::init(&config);
    // A failure is told by the message of its panic.
    drop(std::panic::take_hook());
}

async fn live(seed: u64) {
    let mut cluster = Cluster::start(crate::cluster::Form::Standalone).await;
    let mut parties = Vec::new();
    for number in 0..TENANTS {
        parties.push(Party::move_in(&cluster, seed, number).await);
    }
    let mut story = Story { parties, operations: operations(&cluster.client).await, tally: Tally::default() };
    for round in 0..ROUNDS {
        match round {
            _ if round == ROUNDS / 3 => {
                cluster = cluster.restarted().await;
                story.operations = operations(&cluster.client).await;
            }
            _ if round == ROUNDS * 2 / 3 => story.parties[LEAVES].leave(&cluster).await,
            _ => {}
        }
        story.round(&cluster).await;
    }
    story.end(&cluster).await;
    cluster.stop().await;
}

struct Story {
    parties: Vec<Party>,
    operations: Vec<Operation>,
    tally: Tally,
}

/// So that a story in which nothing works does not pass for one in which nothing leaks.
#[derive(Default)]
struct Tally {
    answered: usize,
    done: usize,
    own_words: usize,
}

impl Story {
    /// Everybody asks for something, all at the same time; then every answer is held against everybody else's canaries.
    async fn round(&mut self, cluster: &Cluster) {
        let mut plans = Vec::new();
        for own in 0..self.parties.len() {
            let operation = self.parties[own].draw(&self.operations);
            let others: Vec<&Party> = others(&self.parties, own).collect();
            plans.push(self.parties[own].plan(&operation, &others));
        }
        let heard = join_all(plans.iter().map(|asked| asked.send(&cluster.client))).await;
        for (own, (asked, heard)) in plans.iter().zip(&heard).enumerate() {
            self.check(own, asked, heard);
            self.parties[own].learn(asked, heard);
        }
    }

    fn check(&mut self, own: usize, asked: &Asked, heard: &Heard) {
        for other in others(&self.parties, own) {
            if let Some(canary) = leak(asked, heard, other) {
                panic!("{} was told '{canary}' of {}:\n{asked:?}\n{heard:?}", self.parties[own].word, other.word);
            }
        }
        // What nobody planned for is an answer of its own kind; it says too much or too little.
        assert!(heard.status < 500, "{asked:?}\n{heard:?}");
        self.tally.answered += 1;
        self.tally.done += usize::from(heard.status < 300);
        self.tally.own_words += usize::from(heard.text.contains(&self.parties[own].word));
    }

    async fn end(&self, cluster: &Cluster) {
        for (own, party) in self.parties.iter().enumerate() {
            match own {
                LEAVES => party.is_gone(cluster).await,
                _ => party.has_what_it_kept(cluster).await,
            }
            self.nothing_foreign_is_stored(cluster, own).await;
        }
        let Tally { answered, done, own_words } = self.tally;
        println!("{answered} answers, {done} successes, {own_words} of them with words of whoever asked");
        assert!(done * 4 > answered && own_words * 10 > answered, "a story in which little works shows little");
    }

    async fn nothing_foreign_is_stored(&self, cluster: &Cluster, own: usize) {
        let tenant = &self.parties[own].tenant.id;
        let mut stored = cluster.cells(tenant).await;
        // Files of a tenant that was deleted go in their own time.
        assert!(own == LEAVES || stored.contains(&self.parties[own].word), "it has stored its own");
        for file in everything_in(&cluster.exports().join(tenant)) {
            stored += &String::from_utf8_lossy(&std::fs::read(&file).unwrap());
        }
        for other in others(&self.parties, own) {
            assert!(!stored.contains(&other.word), "files of {} hold words of {}", self.parties[own].word, other.word);
        }
    }
}

fn others(parties: &[Party], own: usize) -> impl Iterator<Item = &Party> {
    parties.iter().enumerate().filter(move |(number, _)| *number != own).map(|(_, party)| party)
}

/// One of them.
fn pick<'a, T>(dice: &Dice, from: &'a [T]) -> &'a T {
    &from[dice.below(from.len())]
}

/// The story could not fail without this: an answer that one tenant was given is a leak when another is.
#[tokio::test]
async fn a_leak_is_seen_in_body_header_and_error() {
    let cluster = Cluster::start(crate::cluster::Form::Standalone).await;
    let ada = Party::move_in(&cluster, 1, 0).await;
    let asked = ada.ask_plainly("GET", &format!("{}/v1/traces", cluster.client.bases.query));
    let heard = asked.send(&cluster.client).await;
    assert_eq!(heard.status, 200, "{heard:?}");
    assert!(leak(&asked, &heard, &ada).is_some(), "{heard:?}");
    let said = |text: &str, status| Heard { status, text: text.to_lowercase(), ..Heard::default() };
    let app = ada.tenant.app.clone();
    for status in [200, 404] {
        assert_eq!(leak(&asked, &said(&format!("x-app: {app}"), status), &ada), Some(app.as_str()));
        assert_eq!(leak(&asked, &said("nothing", status), &ada), None);
    }
    // An error may repeat what it was asked; a success may not, and nothing may say more.
    let mut asked = ada.ask_plainly("GET", "/v1/traces");
    let handle = format!("{}-user", ada.word);
    asked.named.push(handle.clone());
    assert_eq!(leak(&asked, &said(&format!("'{handle}' is no time"), 400), &ada), None);
    assert!(leak(&asked, &said(&format!("'{handle}' {}-session", ada.word), 400), &ada).is_some());
    assert!(leak(&asked, &said(&handle, 200), &ada).is_some());
    cluster.stop().await;
}
