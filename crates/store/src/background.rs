//! Work that can wait, on threads that give way to those that answer requests.
//!
//! A merge keeps a core busy for seconds. On the runtime's threads the kernel shares that core out evenly, and requests
//! that arrive meanwhile wait for their slice of it; a thread that is nice gets what they leave.

mod pool;

pub use pool::Pool;

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

/// How far a thread gives way: at 10 it gets about a tenth of a core that another thread wants as well (`sched(7)`).
const NICE: i32 = 10;
/// The nicest there is.
const NICE_MAX: i32 = 19;

/// How a thread stands to those that answer requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// It gives way to them.
    Below,
    /// It is as urgent as they are: what it makes is missing already.
    Even,
}

/// The work ended without an answer: it panicked, or its thread could not be started.
#[derive(Debug, thiserror::Error)]
#[error("work in the background was cut off")]
pub struct Cut;

/// Runs this on a thread of its own and of this rank, inside the caller's runtime, or one that gives way as well; it may block. It goes on to its end when the future
/// is dropped. How many run at a time is the caller's affair.
///
/// # Errors
/// [`Cut`].
pub async fn run<T: Send + 'static>(rank: Rank, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Cut> {
    let (answer, answered) = oneshot::channel();
    let runtime = match rank {
        Rank::Below => nice_runtime().unwrap_or_else(Handle::current),
        Rank::Even => Handle::current(),
    };
    let body = move || {
        if rank == Rank::Below {
            give_way();
        }
        let _inside = runtime.enter();
        // Nobody may be waiting any more.
        let _ = answer.send(work());
    };
    let started = std::thread::Builder::new().name("background".into()).spawn(body);
    started.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "could not start a thread");
        Cut
    })?;
    answered.await.map_err(|_| Cut)
}

/// Where work of lower rank blocks and waits. A thread that is started by one that gives way does so too, for good: in the runtime of
/// requests, threads for blocking would come to give way one after the other, and flushes with them.
fn nice_runtime() -> Option<Handle> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let start = || {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_name("background").on_thread_start(give_way).enable_all();
        runtime.build().inspect_err(|error| tracing::error!(%error, "could not start a runtime that gives way")).ok()
    };
    RUNTIME.get_or_init(start).as_ref().map(|runtime| runtime.handle().clone())
}

/// On Linux this is the calling thread's alone. Measured from the process's first thread: the caller may have given way before.
#[cfg(target_os = "linux")]
fn give_way() {
    use rustix::process::{getpid, getpriority_process, setpriority_process};
    let first = getpriority_process(Some(getpid()));
    if let Err(error) = first.and_then(|first| setpriority_process(None, (first + NICE).min(NICE_MAX))) {
        // Then it is as urgent as the rest.
        tracing::debug!(error = &error as &dyn std::error::Error, "a thread could not be made nice");
    }
}

/// Elsewhere it would be the whole process's.
#[cfg(not(target_os = "linux"))]
fn give_way() {}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::{Cut, Handle, NICE, NICE_MAX, Rank, run};

    #[tokio::test]
    async fn gives_way_without_taking_its_caller_along() {
        let before = getpriority_process(None).unwrap();
        let look = || (getpriority_process(None).unwrap(), tokio::runtime::Handle::try_current().is_ok());
        assert_eq!(run(Rank::Below, look).await.unwrap(), ((before + NICE).min(NICE_MAX), true));
        assert_eq!(run(Rank::Even, look).await.unwrap(), (before, true));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }

    #[tokio::test]
    async fn threads_that_its_work_blocks_on_give_way_and_those_of_its_caller_do_not() {
        let nice = || getpriority_process(None).unwrap();
        let before = nice();
        let blocking = move || Handle::current().block_on(tokio::task::spawn_blocking(nice)).unwrap();
        assert_eq!(run(Rank::Below, blocking).await.unwrap(), (before + NICE).min(NICE_MAX));
        assert_eq!(tokio::task::spawn_blocking(nice).await.unwrap(), before);
    }

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let outcome = run(Rank::Even, || panic!("on purpose")).await;
        assert!(matches!(outcome, Err::<(), _>(Cut)));
    }
}
