use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::channel::mpsc;
use spanlake_transport::shutdown::{Error, Shutdown, signals};
use tokio::sync::oneshot;

use crate::support::PATIENCE;

#[tokio::test]
async fn the_first_signal_drains_and_the_second_ends_at_once() {
    let shutdown = Shutdown::new(PATIENCE);
    let (send, signals) = mpsc::unbounded();
    let (second, called) = oneshot::channel();
    shutdown.on_signals(signals, move || second.send(()).unwrap());
    let token = shutdown.token();
    assert!(!token.is_cancelled());
    send.unbounded_send("SIGTERM").unwrap();
    token.cancelled().await;
    send.unbounded_send("SIGINT").unwrap();
    called.await.unwrap();
}

#[tokio::test]
async fn sigterm_is_heard() {
    let shutdown = Shutdown::new(PATIENCE);
    shutdown.on_signals(signals().unwrap(), || {});
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
    tokio::time::timeout(PATIENCE, shutdown.token().cancelled()).await.expect("heard");
}

#[tokio::test]
async fn every_task_is_awaited() {
    let shutdown = Shutdown::new(PATIENCE);
    let flushed = Arc::new(AtomicBool::new(false));
    let (token, done) = (shutdown.token(), Arc::clone(&flushed));
    shutdown.tasks().spawn("flush", async move {
        token.cancelled().await;
        tokio::task::yield_now().await;
        done.store(true, Ordering::SeqCst);
    });
    shutdown.trigger();
    assert_eq!(shutdown.finish().await, Ok(()));
    assert!(flushed.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_task_that_is_late_is_cut_and_reported() {
    let shutdown = Shutdown::new(Duration::from_millis(20));
    let (held, dropped) = oneshot::channel::<()>();
    shutdown.tasks().spawn("stuck", async move {
        std::future::pending::<()>().await;
        drop(held);
    });
    shutdown.trigger();
    assert_eq!(shutdown.finish().await, Err(Error::Late(1)));
    assert!(dropped.await.is_err(), "its future is gone");
}

#[tokio::test]
async fn a_task_that_panics_stops_the_process() {
    let shutdown = Shutdown::new(PATIENCE);
    shutdown.tasks().spawn("broken", async { panic!("out of luck") });
    assert_eq!(shutdown.finish().await, Err(Error::Panicked));
}
