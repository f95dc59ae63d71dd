//! A runtime of a few threads that give way: for work that waits for others in between, as reading rows for an export does.

use std::fmt;
use std::io;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Cut, give_way};

/// Items that have been made and nobody has taken yet.
const AHEAD: usize = 1;

/// Threads that get what those leave that answer requests; so do those on which they block. They are there as long as it is, or a
/// stream of it.
pub struct Pool(Arc<Threads>);

/// Always some, until it is dropped.
struct Threads(Option<Runtime>);

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Pool {
    /// Of so many threads.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(threads: usize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("background")
            .on_thread_start(give_way)
            .enable_all()
            .build()?;
        Ok(Self(Arc::new(Threads(Some(runtime)))))
    }

    /// Runs this there. Dropping the future stops it.
    ///
    /// # Errors
    /// [`Cut`].
    pub async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, Cut> {
        let Some(runtime) = &self.0.0 else { return Err(Cut) };
        let mut tasks = JoinSet::new();
        tasks.spawn_on(work, runtime.handle());
        match tasks.join_next().await {
            Some(Ok(done)) => Ok(done),
            Some(Err(_)) | None => Err(Cut),
        }
    }

    /// Makes the items there, one ahead of whoever takes them. Dropping the stream stops that. One that panics ends early: whoever takes
    /// the items is to know how many there are.
    pub fn stream<T: Send + 'static>(&self, mut items: BoxStream<'static, T>) -> BoxStream<'static, T> {
        let (give, take) = mpsc::channel(AHEAD);
        if let Some(runtime) = &self.0.0 {
            runtime.spawn(async move {
                let giving = async {
                    while let Some(item) = items.next().await {
                        if give.send(item).await.is_err() {
                            break;
                        }
                    }
                };
                tokio::select! {
                    () = giving => {}
                    () = give.closed() => {}
                }
            });
        }
        let threads = self.0.clone();
        let taken = |(mut take, threads): (mpsc::Receiver<T>, Arc<Threads>)| async move {
            take.recv().await.map(|item| (item, (take, threads)))
        };
        stream::unfold((take, threads), taken).boxed()
    }
}

impl Drop for Threads {
    /// What runs there ends at its next pause; nobody waits for it.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustix::process::getpriority_process;

    use super::*;

    fn nice() -> i32 {
        getpriority_process(None).unwrap()
    }

    #[tokio::test]
    async fn its_threads_give_way_and_its_callers_do_not() {
        let (pool, before) = (Pool::new(2).unwrap(), nice());
        let below = (before + super::super::NICE).min(19);
        let look = async { (nice(), tokio::task::spawn_blocking(nice).await.unwrap()) };
        assert_eq!(pool.run(look).await.unwrap(), (below, below));
        let seen: Vec<i32> = pool.stream(stream::iter(0..3).map(|_| nice()).boxed()).collect().await;
        assert_eq!((seen, nice()), (vec![below; 3], before));
    }

    #[tokio::test]
    async fn items_come_in_order_and_not_far_ahead_of_who_takes_them() {
        let (pool, made) = (Pool::new(1).unwrap(), Arc::new(AtomicUsize::new(0)));
        let counted = made.clone();
        let mut items = pool.stream(
            stream::iter(0..1_000)
                .inspect(move |_| {
                    counted.fetch_add(1, Ordering::SeqCst);
                })
                .boxed(),
        );
        for expected in 0..10 {
            assert_eq!(items.next().await, Some(expected));
            assert!(made.load(Ordering::SeqCst) <= expected + 3, "one taken, one waiting, one on its way");
        }
        drop(pool);
        assert_eq!(items.count().await, 990, "a stream outlives its pool");
    }

    #[tokio::test]
    async fn who_drops_it_stops_the_work() {
        struct Told(Option<tokio::sync::oneshot::Sender<()>>);
        impl Drop for Told {
            fn drop(&mut self) {
                let _ = self.0.take().map(|tell| tell.send(()));
            }
        }
        let pool = Pool::new(1).unwrap();
        let (tell, told) = tokio::sync::oneshot::channel();
        let held = Told(Some(tell));
        let endless = stream::pending::<()>().chain(stream::once(async move { drop(held) }));
        drop(pool.stream(endless.boxed()));
        told.await.unwrap();
        assert!(matches!(pool.run(async { panic!("on purpose") }).await, Err::<(), _>(Cut)));
    }
}
