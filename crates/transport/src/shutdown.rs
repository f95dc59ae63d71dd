//! Ending politely: one signal drains, a second one or the deadline cuts it short, and every task is awaited.
//!
//! ```text
//!   SIGTERM / SIGINT ──► token cancelled ──► listeners and tasks finish ──► `finish` returns
//!        └ again ──► exit at once              └ deadline ──► they are dropped where they stand
//! ```

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt, stream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The stop signal of a process, and the tasks that must have ended before it may.
#[derive(Debug, Clone)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: Tasks,
    deadline: Duration,
}

/// Why the process did not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Tasks were still busy at the deadline.
    #[error("{0} tasks were still busy at the shutdown deadline and have been cut")]
    Late(usize),
    /// A task panicked; it has been logged.
    #[error("a background task panicked, so the process stopped")]
    Panicked,
}

impl Shutdown {
    /// `deadline` counts from the moment the stop is asked for.
    pub fn new(deadline: Duration) -> Self {
        let token = CancellationToken::new();
        let tasks = Tasks {
            tracker: TaskTracker::new(),
            stop: token.clone(),
            cut: CancellationToken::new(),
            panicked: Arc::default(),
        };
        Self { token, tasks, deadline }
    }

    /// Cancelled when the process should stop. Pass it to listeners and loops.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Where background tasks are spawned.
    pub fn tasks(&self) -> Tasks {
        self.tasks.clone()
    }

    /// Asks for the stop, as a signal does.
    pub fn trigger(&self) {
        self.token.cancel();
    }

    /// Stops at the first of `signals`; `second` is called at the next one, and is expected to end the process.
    pub fn on_signals(
        &self,
        signals: impl Stream<Item = &'static str> + Send + 'static,
        second: impl FnOnce() + Send + 'static,
    ) {
        let token = self.token.clone();
        // Not tracked: it waits for a second signal as long as the process lives.
        tokio::spawn(async move {
            let mut signals = std::pin::pin!(signals);
            let Some(name) = signals.next().await else { return };
            tracing::info!(signal.name = name, "stopping; a second signal stops at once");
            token.cancel();
            if let Some(name) = signals.next().await {
                tracing::warn!(signal.name = name, "stopping at once");
                second();
            }
        });
    }

    /// Waits for the stop to be asked for, then for every task, at most until the deadline; what is left then is dropped.
    ///
    /// # Errors
    /// When tasks had to be cut, or one has panicked.
    pub async fn finish(self) -> Result<(), Error> {
        self.token.cancelled().await;
        self.tasks.tracker.close();
        let late = tokio::time::timeout(self.deadline, self.tasks.tracker.wait()).await.is_err();
        let left = self.tasks.tracker.len();
        if late {
            self.tasks.cut.cancel();
            self.tasks.tracker.wait().await;
            return Err(Error::Late(left));
        }
        if self.tasks.panicked.load(Ordering::Acquire) { Err(Error::Panicked) } else { Ok(()) }
    }
}

/// SIGTERM and SIGINT of this process, from now on.
///
/// # Errors
/// When the operating system refuses the handlers.
pub fn signals() -> std::io::Result<impl Stream<Item = &'static str> + Send + 'static> {
    let terminate = received(SignalKind::terminate(), "SIGTERM")?;
    let interrupt = received(SignalKind::interrupt(), "SIGINT")?;
    Ok(stream::select(terminate, interrupt))
}

fn received(kind: SignalKind, name: &'static str) -> std::io::Result<impl Stream<Item = &'static str> + Send> {
    let signals = signal(kind)?;
    Ok(stream::unfold(signals, move |mut signals| async move {
        signals.recv().await?;
        Some((name, signals))
    })
    .boxed())
}

/// Spawns background tasks that the process waits for when it ends.
#[derive(Debug, Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    cut: CancellationToken,
    panicked: Arc<AtomicBool>,
}

impl Tasks {
    /// Runs `task`, which should end soon after the stop is asked for. When it panics the whole process is stopped:
    /// a service without its flush loop looks alive and is not.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let (stop, cut, panicked) = (self.stop.clone(), self.cut.clone(), Arc::clone(&self.panicked));
        self.tracker.spawn(async move {
            let run = std::panic::AssertUnwindSafe(task).catch_unwind();
            match cut.run_until_cancelled(run).await {
                Some(Ok(())) => {}
                Some(Err(_)) => {
                    tracing::error!(task.name = name, "a background task panicked; stopping");
                    panicked.store(true, Ordering::Release);
                    stop.cancel();
                }
                None => tracing::warn!(task.name = name, "a background task was cut at the shutdown deadline"),
            }
        });
    }

    /// How many tasks run.
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Whether none runs.
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }
}
