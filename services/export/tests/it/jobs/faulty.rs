//! Objects in memory, behind calls that fail or never answer when told.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::Notify;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It fails, and nothing has happened.
    Fails,
    /// It is never answered, and nothing has happened: the process died before.
    DiesBefore,
    /// It is never answered, though it has happened: the process died after.
    DiesAfter,
}

/// Counts calls, and troubles one of them.
#[derive(Default)]
pub(crate) struct Faulty {
    objects: Arc<InMemory>,
    calls: AtomicUsize,
    trouble: Mutex<Option<(usize, Trouble)>>,
    /// Whether every call fails.
    is_gone: AtomicBool,
    /// Told when a call is never answered.
    pub(crate) died: Notify,
}

impl Faulty {
    /// Troubles the call with this number from now on, counted from 0.
    pub(crate) fn trouble(&self, call: usize, trouble: Trouble) {
        *self.trouble.lock().unwrap() = Some((self.calls.load(Ordering::SeqCst) + call, trouble));
    }

    /// Fails every call from now on, until told otherwise.
    pub(crate) fn vanish(&self, is_gone: bool) {
        self.is_gone.store(is_gone, Ordering::SeqCst);
    }

    pub(crate) fn heal(&self) {
        *self.trouble.lock().unwrap() = None;
    }

    /// Whether the trouble is still to come.
    pub(crate) fn is_waiting(&self) -> bool {
        self.trouble.lock().unwrap().is_some()
    }

    fn next(&self) -> Option<Trouble> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if self.is_gone.load(Ordering::SeqCst) {
            return Some(Trouble::Fails);
        }
        let mut trouble = self.trouble.lock().unwrap();
        let (_, happens) = trouble.filter(|(at, _)| *at == call)?;
        *trouble = None;
        Some(happens)
    }

    async fn call<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match self.next() {
            None => work.await,
            Some(Trouble::Fails) => Err(Error::Generic {
                store: "faulty",
                source: Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull)),
            }),
            Some(Trouble::DiesBefore) => self.die().await,
            Some(Trouble::DiesAfter) => {
                let _ = work.await;
                self.die().await
            }
        }
    }

    async fn die<T>(&self) -> T {
        self.died.notify_one();
        std::future::pending().await
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty objects")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.call(self.objects.put_opts(location, payload, options)).await
    }
    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.call(self.objects.put_multipart_opts(location, options)).await
    }
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.call(self.objects.get_opts(location, options)).await
    }
    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(locations)
    }
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.next() {
            Some(Trouble::Fails) => {
                let error = Error::Generic {
                    store: "faulty",
                    source: Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull)),
                };
                stream::iter([Err(error)]).boxed()
            }
            Some(_) => {
                self.died.notify_one();
                stream::pending().boxed()
            }
            None => self.objects.list(prefix),
        }
    }
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}
