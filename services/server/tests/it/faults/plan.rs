//! What goes wrong, and where.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use futures::executor::block_on;
use tokio::sync::watch;

/// One call among all that processes make of catalog, objects and disk: the `nth` of its name by whoever has this role.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) who: &'static str,
    pub(crate) call: Call,
    pub(crate) nth: u32,
}

/// A call by its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// Whether it makes a difference that it was done.
    pub(crate) changes: bool,
}

impl Call {
    pub(crate) const fn reads(name: &'static str) -> Self {
        Self { name, changes: false }
    }
    pub(crate) const fn changes(name: &'static str) -> Self {
        Self { name, changes: true }
    }
}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.who, self.call.name, self.nth)
    }
}

/// What goes wrong at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails; of a write to disk half has been done.
    Refuse,
    /// It is done, and its caller is told that it failed.
    LoseReply,
    /// It is done later, after everybody else has gone on.
    Stall,
    /// The process ends instead.
    CrashBefore,
    /// The process ends when it is done.
    CrashAfter,
}

impl Fault {
    /// Those that differ from each other at a call.
    pub(crate) fn of(call: Call) -> &'static [Self] {
        const ALL: [Fault; 5] = [Fault::Refuse, Fault::Stall, Fault::CrashBefore, Fault::LoseReply, Fault::CrashAfter];
        if call.changes { &ALL } else { &ALL[..3] }
    }
}

pub(crate) type Plan = Vec<(Point, Fault)>;

/// What is planned for a run, and what has been called in it.
pub(crate) struct Faults {
    plan: Mutex<Plan>,
    counts: Mutex<HashMap<(&'static str, Call), u32>>,
    called: Mutex<Vec<Point>>,
    /// Whether a call waits to be released.
    stalled: watch::Sender<bool>,
}

impl Faults {
    pub(crate) fn new(plan: Plan) -> Arc<Self> {
        Arc::new(Self {
            plan: Mutex::new(plan),
            counts: Mutex::default(),
            called: Mutex::default(),
            stalled: watch::Sender::new(false),
        })
    }

    /// Every point that was passed so far, in order.
    pub(crate) fn called(&self) -> Vec<Point> {
        self.called.lock().unwrap().clone()
    }

    /// What of the plan has not come about.
    pub(crate) fn left(&self) -> Plan {
        self.plan.lock().unwrap().clone()
    }

    /// Nothing goes wrong any more.
    pub(crate) fn end(&self) {
        self.plan.lock().unwrap().clear();
        self.release();
    }

    pub(crate) async fn stalled(&self) {
        let _ = self.stalled.subscribe().wait_for(|stalled| *stalled).await;
    }

    pub(crate) fn release(&self) {
        self.stalled.send_replace(false);
    }

    fn meet(&self, who: &'static str, call: Call) -> Option<Fault> {
        let nth = {
            let mut counts = self.counts.lock().unwrap();
            let count = counts.entry((who, call)).or_default();
            *count += 1;
            *count
        };
        let point = Point { who, call, nth };
        self.called.lock().unwrap().push(point);
        let mut plan = self.plan.lock().unwrap();
        let at = plan.iter().position(|(planned, _)| *planned == point)?;
        Some(plan.swap_remove(at).1)
    }
}

/// One process: when it has ended, none of its calls does anything any more.
pub(crate) struct Process {
    faults: Arc<Faults>,
    who: &'static str,
    ended: watch::Sender<bool>,
}

/// What a call is to do.
enum Verdict {
    Pass,
    /// The process has ended before.
    Gone,
    Refuse,
    LoseReply,
    Stall,
    End,
}

impl Process {
    pub(crate) fn new(faults: &Arc<Faults>, who: &'static str) -> Arc<Self> {
        Arc::new(Self { faults: faults.clone(), who, ended: watch::Sender::new(false) })
    }

    pub(crate) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    pub(crate) async fn ended(&self) {
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// From now on nothing of it reaches anything.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    fn judge(&self, call: Call) -> Verdict {
        if self.has_ended() {
            return Verdict::Gone;
        }
        match self.faults.meet(self.who, call) {
            None => Verdict::Pass,
            Some(Fault::Refuse) => Verdict::Refuse,
            Some(Fault::LoseReply) => Verdict::LoseReply,
            Some(Fault::Stall) => Verdict::Stall,
            Some(Fault::CrashAfter) => Verdict::End,
            Some(Fault::CrashBefore) => {
                self.end();
                Verdict::Gone
            }
        }
    }

    /// Makes a call, or what the plan makes of it; `fail` is how its caller is told.
    pub(crate) async fn around<T, E>(
        &self,
        call: Call,
        fail: impl Fn() -> E,
        done: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match self.judge(call) {
            Verdict::Pass => done.await,
            Verdict::Refuse | Verdict::Gone => Err(fail()),
            Verdict::LoseReply => done.await.and(Err(fail())),
            Verdict::Stall => {
                self.wait().await;
                if self.has_ended() { Err(fail()) } else { done.await }
            }
            Verdict::End => {
                let _ = done.await;
                self.end();
                Err(fail())
            }
        }
    }

    /// As [`Self::around`], for calls that block; `half` is what is left of one that fails.
    pub(crate) fn around_blocking<T, E>(
        &self,
        call: Call,
        fail: impl Fn() -> E,
        half: impl FnOnce(),
        done: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        match self.judge(call) {
            Verdict::Pass => done(),
            Verdict::Gone => Err(fail()),
            Verdict::Refuse => {
                half();
                Err(fail())
            }
            Verdict::LoseReply => done().and(Err(fail())),
            Verdict::Stall => {
                block_on(self.wait());
                if self.has_ended() { Err(fail()) } else { done() }
            }
            Verdict::End => {
                let _ = done();
                self.end();
                Err(fail())
            }
        }
    }

    async fn wait(&self) {
        self.faults.stalled.send_replace(true);
        let _ = self.faults.stalled.subscribe().wait_for(|stalled| !*stalled).await;
    }
}
