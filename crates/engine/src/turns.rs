//! Whose turn it is: so many queries at once, of each tenant so many of them, and those that wait are served tenant by tenant.
//!
//! ```text
//!   tenant A: q q q q q q  ─┐                        a turn ends ─► the next tenant that waits and may,
//!   tenant B: q            ─┼─► turns (at_once)                      its oldest query first
//!   tenant C: q q          ─┘
//! ```
//! A tenant that asks for a hundred things at once waits for itself: another's single query is next but one at the latest.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spanlake_model::TenantId;
use tokio::sync::oneshot;

/// How many queries run, and how many may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Of all tenants together.
    pub(crate) at_once: usize,
    /// Of one tenant.
    pub(crate) of_tenant: usize,
    /// Of one tenant.
    pub(crate) waiting_of_tenant: usize,
}

/// The tenant has as many queries waiting as may wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Gives out turns.
#[derive(Debug)]
pub(crate) struct Turns {
    bounds: Bounds,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    tenants: HashMap<TenantId, Line>,
    /// Tenants with queries that wait, each once, the one whose turn is next at the front.
    next: VecDeque<TenantId>,
}

#[derive(Debug, Default)]
struct Line {
    running: usize,
    /// Of them at the same time, as whoever came last was told.
    most: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// The right to run, given back when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Turns>,
    tenant: TenantId,
}

impl Turns {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { bounds, state: Mutex::default() })
    }

    /// How many queries of a tenant run at the same time that has this limit of its own: no more than of any tenant, and one.
    pub(crate) fn of_tenant(&self, own: Option<u32>) -> usize {
        let own = own.map_or(usize::MAX, |own| usize::try_from(own).unwrap_or(usize::MAX));
        own.clamp(1, self.bounds.of_tenant.max(1))
    }

    /// Waits for a turn, of a tenant that runs `most` at the same time. Dropping the future gives up the place in the line.
    ///
    /// # Errors
    /// [`Full`], at once.
    pub(crate) async fn take(self: &Arc<Self>, tenant: TenantId, most: usize) -> Result<Turn, Full> {
        let (sender, given) = oneshot::channel();
        {
            let mut state = self.lock();
            let line = state.tenants.entry(tenant).or_default();
            line.most = most;
            // Whoever gave up does not count.
            line.waiting.retain(|waiting| !waiting.is_closed());
            if line.waiting.len() >= self.bounds.waiting_of_tenant {
                return Err(Full);
            }
            line.waiting.push_back(sender);
            if !state.next.contains(&tenant) {
                state.next.push_back(tenant);
            }
        }
        self.give();
        given.await.map_err(|_| Full)
    }

    /// How many run.
    pub(crate) fn running(&self) -> usize {
        self.lock().running
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        let state = self.lock();
        let waiting = |line: &Line| line.waiting.iter().filter(|waiting| !waiting.is_closed()).count();
        state.tenants.values().map(waiting).sum()
    }

    /// Gives turns to those who wait, as long as there are any to give.
    fn give(self: &Arc<Self>) {
        loop {
            // A statement of its own: the lock is not held when a turn is dropped, which takes it.
            let picked = self.lock().pick(self.bounds);
            let Some((tenant, waiting)) = picked else { return };
            // One who gives up just now drops it, and it falls back to us.
            drop(waiting.send(Turn { turns: self.clone(), tenant }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next who may run; counted as running.
    fn pick(&mut self, bounds: Bounds) -> Option<(TenantId, oneshot::Sender<Turn>)> {
        if self.running >= bounds.at_once {
            return None;
        }
        for _ in 0..self.next.len() {
            let tenant = self.next.pop_front()?;
            let Some(line) = self.tenants.get_mut(&tenant) else { continue };
            if line.running >= line.most {
                self.next.push_back(tenant);
                continue;
            }
            // Whoever gave up is passed over.
            let waiting = std::iter::from_fn(|| line.waiting.pop_front()).find(|waiting| !waiting.is_closed());
            let Some(waiting) = waiting else {
                if line.running == 0 {
                    self.tenants.remove(&tenant);
                }
                continue;
            };
            if !line.waiting.is_empty() {
                self.next.push_back(tenant);
            }
            line.running += 1;
            self.running += 1;
            return Some((tenant, waiting));
        }
        None
    }

    fn end(&mut self, tenant: TenantId) {
        self.running -= 1;
        if let Some(line) = self.tenants.get_mut(&tenant) {
            line.running -= 1;
            if line.running == 0 && line.waiting.is_empty() {
                self.tenants.remove(&tenant);
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.lock().end(self.tenant);
        self.turns.give();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    const BOUNDS: Bounds = Bounds { at_once: 3, of_tenant: 2, waiting_of_tenant: 4 };

    fn tenant(byte: u8) -> TenantId {
        TenantId::from_bytes([byte; 16])
    }

    type Asking = Pin<Box<dyn Future<Output = Result<Turn, Full>>>>;

    fn ask(turns: &Arc<Turns>, byte: u8) -> Asking {
        let turns = turns.clone();
        let mut asking: Asking = Box::pin(async move { turns.take(tenant(byte), turns.bounds.of_tenant).await });
        // The first look puts it into the line.
        match look(&mut asking) {
            Poll::Pending => asking,
            Poll::Ready(turn) => Box::pin(std::future::ready(turn)),
        }
    }

    fn look(asking: &mut Asking) -> Poll<Result<Turn, Full>> {
        asking.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn now(asking: &mut Asking) -> Turn {
        match look(asking) {
            Poll::Ready(turn) => turn.unwrap(),
            Poll::Pending => panic!("it is not its turn"),
        }
    }

    #[test]
    fn a_tenant_runs_no_more_than_its_share_though_turns_are_free() {
        let turns = Turns::new(BOUNDS);
        let _held: Vec<_> = (0..2).map(|_| now(&mut ask(&turns, 1))).collect();
        let mut third = ask(&turns, 1);
        assert!(look(&mut third).is_pending());
        let _other = now(&mut ask(&turns, 2));
        assert_eq!(turns.running(), 3);
    }

    #[test]
    fn a_changed_limit_holds_for_those_who_wait_already() {
        let turns = Turns::new(BOUNDS);
        let allowed = [None, Some(1), Some(9), Some(0)].map(|own| turns.of_tenant(own));
        assert_eq!(allowed, [2, 1, 2, 1], "of its own, no more than any tenant's, and never none");
        let (first, _second) = (now(&mut ask(&turns, 1)), now(&mut ask(&turns, 1)));
        let mut third = ask(&turns, 1);
        let fewer = turns.clone();
        let mut fourth: Asking = Box::pin(async move { fewer.take(tenant(1), 1).await });
        assert!(look(&mut fourth).is_pending());
        drop(first);
        assert!(look(&mut third).is_pending(), "one runs, and one is the limit now");
    }

    #[test]
    fn a_turn_that_ends_goes_to_the_tenant_that_has_waited_not_to_the_longest_line() {
        let turns = Turns::new(BOUNDS);
        let first = now(&mut ask(&turns, 1));
        let _second = now(&mut ask(&turns, 1));
        let third = now(&mut ask(&turns, 2));
        let mut crowd: Vec<_> = (0..4).map(|_| ask(&turns, 1)).collect();
        let mut single = ask(&turns, 3);
        drop(third);
        let _single = now(&mut single);
        assert!(crowd.iter_mut().all(|asking| look(asking).is_pending()));
        drop(first);
        let _oldest = now(&mut crowd[0]);
        assert!(look(&mut crowd[1]).is_pending());
    }

    #[test]
    fn who_gives_up_holds_neither_a_place_nor_a_turn() {
        let turns = Turns::new(BOUNDS);
        let held: Vec<_> = [1, 1, 2].map(|byte| now(&mut ask(&turns, byte))).into();
        let waiting: Vec<_> = (0..4).map(|_| ask(&turns, 1)).collect();
        assert_eq!(look(&mut ask(&turns, 1)).map(|turn| turn.unwrap_err()), Poll::Ready(Full));
        drop(waiting);
        let mut patient = ask(&turns, 1);
        drop(held);
        let _turn = now(&mut patient);
        assert_eq!(turns.running(), 1);
    }

    #[test]
    fn nothing_is_remembered_of_tenants_that_are_done() {
        let turns = Turns::new(BOUNDS);
        let mut waiting = Vec::new();
        let held: Vec<_> = (0..3).map(|byte| now(&mut ask(&turns, byte))).collect();
        waiting.extend((10..20).map(|byte| ask(&turns, byte)));
        drop(waiting);
        drop(held);
        assert_eq!(turns.running(), 0);
        now(&mut ask(&turns, 99));
        let state = turns.lock();
        assert!(state.tenants.len() <= 10 && state.running == 0, "{state:?}");
    }

    /// One who asks again as soon as it was answered.
    struct Client {
        tenant: u8,
        asking: Asking,
        asked: usize,
        /// Until when.
        running: Option<(Turn, usize)>,
    }

    /// For how long each query of a small tenant waits, of which one is asked at a time, beside three that have so many clients each and ask
    /// for ten times as much.
    fn waits_beside(clients: usize) -> Vec<usize> {
        let turns = Turns::new(Bounds { at_once: 8, of_tenant: 4, waiting_of_tenant: 64 });
        let client = |tenant| Client { tenant, asking: ask(&turns, tenant), asked: 0, running: None };
        let mut all: Vec<_> = (0..clients).flat_map(|_| [1, 2, 3]).map(client).collect();
        all.push(client(9));
        let mut waits = Vec::new();
        for time in 0..20_000 {
            for (place, client) in all.iter_mut().enumerate() {
                if client.running.as_ref().is_some_and(|(_, until)| *until <= time) {
                    client.running = None;
                    (client.asking, client.asked) = (ask(&turns, client.tenant), time);
                }
                if client.running.is_some() {
                    continue;
                }
                if let Poll::Ready(turn) = look(&mut client.asking) {
                    let lasts = if client.tenant == 9 { 3 } else { 25 + (place * 7 + time) % 11 };
                    waits.extend((client.tenant == 9).then(|| time - client.asked));
                    client.running = Some((turn.unwrap(), time + lasts));
                }
            }
        }
        waits.sort_unstable();
        waits
    }

    #[test]
    fn ten_times_its_share_of_one_tenant_slows_no_other_by_more_than_a_fifth() {
        let p95 = |waits: &[usize]| waits[waits.len() * 95 / 100];
        // With what each of them takes itself, as whoever asks feels it.
        let [share, ten_times] = [4, 40].map(|clients| p95(&waits_beside(clients)) + 3);
        assert!(share > 3, "beside nobody who is in the way this shows nothing");
        assert!(ten_times * 5 <= share * 6, "{ten_times} where it was {share}");
    }
}
