//! Whatever is sent, flushed, merged and swept in whatever order: a query sees the last word on each span, once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use spanlake_compactor::Config;
use spanlake_model::TenantId;
use spanlake_proto::compactor::Compactor;

use crate::meddled::Meddled;
use crate::world::{OTHER, TENANT, World, shown, text, trace_of};

/// Few, so that most are sent again.
const NUMBERS: u8 = 4;
/// About five files without large values, or one and a half with one.
const LITTLE: u64 = 150_000;

#[derive(Clone, Debug)]
enum Step {
    Send {
        to: usize,
        number: u8,
        large: bool,
    },
    Flush {
        of: usize,
    },
    Merge {
        bound: u64,
        least_files: u64,
    },
    /// Somebody flushes, or merges everything, before the merge is committed.
    MergeMeanwhile {
        bound: u64,
        flush: Option<usize>,
    },
    /// What is in files of a span's trace is erased.
    Erase {
        of: usize,
        number: u8,
    },
    Pass {
        seconds: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let bound = prop_oneof![4 => Just(LITTLE), 1 => Just(1 << 30)];
    prop_oneof![
        6 => (0..2_usize, 0..NUMBERS, prop::bool::weighted(0.2)).prop_map(|(to, number, large)| Step::Send { to, number, large }),
        5 => (0..2_usize).prop_map(|of| Step::Flush { of }),
        3 => (bound.clone(), 2..4_u64).prop_map(|(bound, least_files)| Step::Merge { bound, least_files }),
        2 => (bound, prop::option::of(0..2_usize)).prop_map(|(bound, flush)| Step::MergeMeanwhile { bound, flush }),
        2 => (0..2_usize, 0..NUMBERS).prop_map(|(of, number)| Step::Erase { of, number }),
        1 => (0..900_u64).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

/// What ingest knows of a tenant: rows in memory, and the keys in its files.
#[derive(Clone, Default)]
struct Tenant {
    memory: BTreeMap<u8, String>,
    in_files: BTreeSet<u8>,
    oracle: BTreeMap<u8, String>,
}

struct Story {
    world: Arc<World>,
    tenants: [Tenant; 2],
    sent: u32,
}

fn id(of: usize) -> TenantId {
    [TENANT, OTHER][of]
}

async fn flush(world: &World, of: usize, tenant: Tenant) {
    let said: Vec<_> = tenant.memory.iter().map(|(number, says)| (*number, says.as_str())).collect();
    let replaced: Vec<_> = tenant.memory.keys().copied().filter(|number| tenant.in_files.contains(number)).collect();
    if !said.is_empty() {
        world.flush(id(of), &said, &replaced).await;
    }
}

impl Story {
    /// The rows leave memory for files.
    fn hand_over(&mut self, of: usize) -> Tenant {
        let before = self.tenants[of].clone();
        let memory = std::mem::take(&mut self.tenants[of].memory);
        self.tenants[of].in_files.extend(memory.into_keys());
        before
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Send { to, number, large } => {
                self.sent += 1;
                let says = format!("{} {}", self.sent, if large { text(100_000) } else { String::new() });
                self.tenants[to].memory.insert(number, says.clone());
                self.tenants[to].oracle.insert(number, says);
            }
            Step::Flush { of } => {
                let tenant = self.hand_over(of);
                flush(&self.world, of, tenant).await;
            }
            Step::Merge { bound, least_files } => {
                let config = Config { target_bytes: bound, least_files, superseded_keys_max: 1, ..Config::default() };
                self.world.compactor(config).run_once().await.unwrap();
            }
            Step::MergeMeanwhile { bound, flush: Some(of) } => {
                let (world, tenant) = (self.world.clone(), self.hand_over(of));
                if let Some(still_to_happen) =
                    self.merge_meanwhile(bound, async move { flush(&world, of, tenant).await }).await
                {
                    still_to_happen.await;
                }
            }
            Step::MergeMeanwhile { bound, flush: None } => {
                let faster = self.world.compactor(Config { least_files: 2, ..Config::default() });
                let clock = self.world.clock.clone();
                let all = async move {
                    clock.pass(Config::default().lease_s);
                    faster.run_once().await.unwrap();
                };
                drop(self.merge_meanwhile(bound, all).await);
            }
            Step::Erase { of, number } => {
                let tenant = self.hand_over(of);
                flush(&self.world, of, tenant).await;
                self.world.erase(id(of), trace_of(number)).await;
                self.tenants[of].oracle.remove(&number);
            }
            Step::Pass { seconds } => self.world.clock.pass(seconds),
        }
    }

    /// Gives back what was to happen meanwhile when there was nothing to merge.
    async fn merge_meanwhile(
        &self,
        bound: u64,
        happens: impl Future<Output = ()> + Send + 'static,
    ) -> Option<futures::future::BoxFuture<'static, ()>> {
        let files = Meddled::with(&self.world).await;
        files.before_replace(happens);
        let config = Config { target_bytes: bound, least_files: 2, ..Config::default() };
        self.world.compactor_over(files.clone(), config).run_once().await.unwrap();
        files.before_replace.lock().unwrap().take()
    }

    async fn check(&self) {
        for (of, tenant) in self.tenants.iter().enumerate() {
            let fresh: Vec<_> =
                tenant.memory.keys().copied().filter(|number| tenant.in_files.contains(number)).collect();
            let mut seen = self.world.visible(id(of), &fresh).await;
            let rows = |rows: &BTreeMap<u8, String>| -> Vec<_> {
                rows.iter().map(|(number, says)| (*number, shown(says))).collect()
            };
            seen.extend(rows(&tenant.memory));
            seen.sort();
            assert_eq!(seen, rows(&tenant.oracle), "tenant {of}");
        }
        assert_eq!(self.world.stored().await, self.world.known().await, "no orphan, and nothing missing");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_query_sees_the_last_word_on_each_span_once(steps in prop::collection::vec(step(), 20..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = Arc::new(World::new().await);
            let mut story = Story { world, tenants: Default::default(), sent: 0 };
            for step in steps {
                story.take(step).await;
                story.check().await;
            }
            // In the end it is gone from the files as well.
            story.take(Step::Merge { bound: LITTLE, least_files: 2 }).await;
            story.check().await;
            for of in 0..2 {
                assert!(story.world.hidden(id(of)).await.is_empty());
            }
        });
    }
}
