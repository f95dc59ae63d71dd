//! The power goes at any step of taking in, flushing and starting.

use std::collections::BTreeSet;
use std::ops::Range;

use futures::future::join_all;
use spanlake_ingest::Service;
use spanlake_model::Code;
use spanlake_testkit::Dice;
use spanlake_testkit::otlp::span_id;

use crate::machine::{Machine, send, tenant};

const USUAL_SEEDS: u64 = 25;
const LIVES: usize = 4;
const STEPS: usize = 10;
const TENANTS: [u8; 2] = [1, 2];

/// `SPANLAKE_TEST_SEEDS=n` runs that many, `SPANLAKE_TEST_SEED=n` the one that failed.
fn seeds() -> Range<u64> {
    let number = |name: &str| std::env::var_os(name).map(|text| text.to_str().unwrap().parse::<u64>().unwrap());
    match (number("SPANLAKE_TEST_SEED"), number("SPANLAKE_TEST_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, many) => 0..many.unwrap_or(USUAL_SEEDS),
    }
}

#[tokio::test]
async fn every_acknowledged_span_is_seen_once_whenever_the_power_went() {
    for seed in seeds() {
        Run { seed, dice: Dice::new(seed), machine: Machine::new().await, ledger: Ledger::default() }.live().await;
    }
}

/// By tenant.
#[derive(Default)]
struct Ledger {
    sent: [BTreeSet<u64>; TENANTS.len()],
    acknowledged: [BTreeSet<u64>; TENANTS.len()],
}

struct Run {
    seed: u64,
    dice: Dice,
    machine: Machine,
    ledger: Ledger,
}

impl Run {
    async fn live(mut self) {
        for _ in 0..LIVES {
            self.machine.disk.stop_after(1 + self.dice.below(100) as u64, self.dice.number());
            match self.machine.start().await {
                Ok(service) => self.work(&service).await,
                Err(error) => assert!(self.machine.disk.is_stopped(), "seed {}: {error:?}", self.seed),
            }
            let disk = &self.machine.disk;
            self.machine.disk = if self.dice.chance(25) { disk.killed() } else { disk.power_loss(self.dice.number()) };
        }
        let service = self.machine.start().await.unwrap_or_else(|error| panic!("seed {}: {error:?}", self.seed));
        self.check(&service).await;
        service.flush().await.unwrap();
        self.check(&service).await;
    }

    async fn work(&mut self, service: &Service) {
        if !self.machine.disk.is_stopped() {
            self.check(service).await;
        }
        for _ in 0..STEPS {
            if self.dice.chance(25) {
                let flushed = service.flush().await;
                assert!(flushed.is_ok() || self.machine.disk.is_stopped(), "seed {}: {flushed:?}", self.seed);
            } else {
                self.send(service).await;
            }
        }
    }

    /// A few requests at once, each of a few spans that nobody has sent before.
    async fn send(&mut self, service: &Service) {
        let requests: Vec<_> = (0..=self.dice.below(3)).map(|_| self.request()).collect();
        let sends = requests.iter().map(|(who, spans)| send(service, tenant(TENANTS[*who]), spans));
        for ((who, spans), answer) in requests.iter().zip(join_all(sends).await) {
            match answer {
                Ok(_) => self.ledger.acknowledged[*who].extend(spans),
                Err(fault) => {
                    assert_eq!(fault.code, Code::ServiceUnavailable, "seed {}", self.seed);
                    assert!(self.machine.disk.is_stopped(), "seed {}: {fault:?}", self.seed);
                }
            }
        }
    }

    fn request(&mut self) -> (usize, Vec<u64>) {
        let who = self.dice.below(TENANTS.len());
        let next = self.ledger.sent[who].len() as u64 + 1;
        let spans: Vec<_> = (next..=next + self.dice.below(3) as u64).collect();
        self.ledger.sent[who].extend(&spans);
        (who, spans)
    }

    async fn check(&self, service: &Service) {
        for (who, number) in TENANTS.iter().enumerate() {
            let seen = self.machine.seen(service, tenant(*number)).await;
            let sent: BTreeSet<_> = self.ledger.sent[who].iter().map(|number| span_id(*number)).collect();
            for (span, times) in &seen {
                assert!(sent.contains(span) && *times == 1, "seed {}: {span} is seen {times} times", self.seed);
            }
            let lost: Vec<_> =
                self.ledger.acknowledged[who].iter().filter(|number| !seen.contains_key(&span_id(**number))).collect();
            assert!(lost.is_empty(), "seed {}: acknowledged and lost: {lost:?}", self.seed);
        }
    }
}
