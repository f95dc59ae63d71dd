//! A store whose answers get lost.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

use super::plan::{Call, Process};

/// Passes everything on, but for what is planned.
#[derive(Clone)]
pub(crate) struct FaultyObjects {
    pub(crate) inner: Arc<dyn ObjectStore>,
    pub(crate) process: Arc<Process>,
}

fn away() -> Error {
    Error::Generic { store: "faulty", source: "the store is away".into() }
}

impl fmt::Debug for FaultyObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyObjects")
    }
}

impl fmt::Display for FaultyObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty objects")
    }
}

#[async_trait]
impl ObjectStore for FaultyObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.process.around(Call::changes("objects.put"), away, self.inner.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let begin = self.inner.put_multipart_opts(location, options);
        let inner = self.process.around(Call::changes("objects.begin_upload"), away, begin).await?;
        Ok(Box::new(FaultyUpload { inner, process: self.process.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.process.around(Call::reads("objects.get"), away, self.inner.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.process.around(Call::reads("objects.get_ranges"), away, self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let delete = move |location: Result<Path>| {
            let this = this.clone();
            async move {
                let location = location?;
                let delete = this.inner.delete(&location);
                this.process.around(Call::changes("objects.delete"), away, delete).await?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, prefix) = (self.clone(), prefix.cloned());
        let begin = async move {
            let list = this.inner.list(prefix.as_ref());
            this.process.around(Call::reads("objects.list"), away, async { Ok(list) }).await
        };
        stream::once(begin).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let list = self.inner.list_with_delimiter(prefix);
        self.process.around(Call::reads("objects.list_with_delimiter"), away, list).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.process.around(Call::changes("objects.copy"), away, self.inner.copy_opts(from, to, options)).await
    }
}

/// An object on its way in parts.
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    process: Arc<Process>,
}

impl fmt::Debug for FaultyUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyUpload")
    }
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (process, part) = (self.process.clone(), self.inner.put_part(data));
        async move { process.around(Call::changes("objects.put_part"), away, part).await }.boxed()
    }
    async fn complete(&mut self) -> Result<PutResult> {
        self.process.around(Call::changes("objects.complete_upload"), away, self.inner.complete()).await
    }
    async fn abort(&mut self) -> Result<()> {
        self.process.around(Call::changes("objects.abort_upload"), away, self.inner.abort()).await
    }
}
