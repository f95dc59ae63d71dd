//! A folder or a part of a bucket that files for others go to.

use std::path::Path as FolderPath;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::bucket::{self, ANSWER_BYTES_MAX, Bucket, Refusal};
use super::trouble::Impatience;
use crate::disk::Disk;
use crate::file::{Error, delete};
use crate::local::LocalStore;

/// Size of a part of a large file: above what S3 takes at least (5 MiB), and all but the last alike.
const PART_BYTES: usize = 8 << 20;
/// How long a call may take, its repetitions included; of a large file, each part.
const CALL_TIMEOUT: Duration = Duration::from_secs(600);
/// Bytes of paths that a listing holds at most: more than a hundred thousand files. A fuller folder is refused.
const LISTED_BYTES_MAX: usize = 64 << 20;

/// A path that names no place below a folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no path below a folder: use names separated by single slashes, without '..' or special characters")]
pub struct PathError(String);

/// Where files of one export go. Paths are below it.
#[derive(Clone, Debug)]
pub struct Outlet {
    objects: Arc<dyn ObjectStore>,
    call_timeout: Duration,
}

impl Outlet {
    /// A folder below `root`, which is made when it is not there.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn folder(root: &FolderPath, below: &str, disk: Arc<dyn Disk>) -> Result<Self, Error> {
        let store = LocalStore::open(root.to_path_buf(), disk)?;
        Ok(Self::below(Arc::new(store), below))
    }

    /// A part of a bucket.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn bucket(bucket: &Bucket, prefix: &str, private_allowed: bool) -> Result<Self, Refusal> {
        Ok(Self::below(bucket::open(bucket, private_allowed).await?, prefix))
    }

    /// Part of any objects, for tests.
    pub fn below(objects: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        let objects: Arc<dyn ObjectStore> =
            if prefix.is_empty() { objects } else { Arc::new(PrefixStore::new(objects, Path::from(prefix))) };
        Self { objects, call_timeout: CALL_TIMEOUT }
    }

    /// Whether this is a path that stays below a folder, and reads the same everywhere. Empty means the folder itself.
    ///
    /// # Errors
    /// See [`PathError`].
    pub fn check_path(path: &str) -> Result<(), PathError> {
        let is_plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.chars().all(|char| char.is_ascii_alphanumeric() || "-_.=+@".contains(char))
        };
        let fits = path.is_empty() || (path.len() <= 512 && path.split('/').all(is_plain));
        if fits { Ok(()) } else { Err(PathError(path.to_string())) }
    }

    /// Puts a file whose name says what is in it: one that is there already is it. Durable when it answers.
    ///
    /// # Errors
    /// When the place refuses or is away; then nothing is there under this name.
    pub async fn put(&self, path: &str, bytes: Bytes) -> Result<(), Error> {
        let path = Path::from(path);
        if bytes.len() > PART_BYTES {
            return self.put_in_parts(&path, bytes).await;
        }
        self.create_at(&path, bytes).await.map(drop)
    }

    /// Puts a file unless one of that name is there: then nothing changes, and the answer is `false`.
    ///
    /// # Errors
    /// When the place refuses or is away.
    pub async fn create(&self, path: &str, bytes: Bytes) -> Result<bool, Error> {
        self.create_at(&Path::from(path), bytes).await
    }

    async fn create_at(&self, path: &Path, bytes: Bytes) -> Result<bool, Error> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.in_time(self.objects.put_opts(path, PutPayload::from(bytes), options)).await {
            Ok(_) => Ok(true),
            Err(StoreError::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn put_in_parts(&self, path: &Path, mut bytes: Bytes) -> Result<(), Error> {
        let mut upload = match self.in_time(self.objects.put_multipart(path)).await {
            Err(StoreError::AlreadyExists { .. }) => return Ok(()),
            begun => begun?,
        };
        let parts = async {
            while !bytes.is_empty() {
                let part = bytes.split_to(bytes.len().min(PART_BYTES));
                self.in_time(upload.put_part(PutPayload::from(part))).await?;
            }
            self.in_time(upload.complete()).await
        };
        match parts.await {
            Ok(_) | Err(StoreError::AlreadyExists { .. }) => Ok(()),
            Err(error) => {
                // What fails is told; a rule of the bucket cleans up what cannot be taken back.
                let _ = self.in_time(upload.abort()).await;
                Err(error.into())
            }
        }
    }

    /// A file that we have written, or `None` when there is none of that name.
    ///
    /// # Errors
    /// When the place refuses or is away, or the file is longer than any that is to be read back (16 MiB).
    pub async fn get(&self, path: &str) -> Result<Option<Bytes>, Error> {
        let path = Path::from(path);
        let getting = async {
            let mut pieces = self.objects.get(&path).await?.into_stream();
            let mut bytes = BytesMut::new();
            while let Some(piece) = pieces.try_next().await? {
                if bytes.len() + piece.len() > ANSWER_BYTES_MAX as usize {
                    return Err(StoreError::from(Impatience::TooLong));
                }
                bytes.extend_from_slice(&piece);
            }
            Ok::<_, StoreError>(bytes.freeze())
        };
        match self.in_time(getting).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The paths of all files below a folder.
    ///
    /// # Errors
    /// When the place refuses or is away, or there are more than anybody but us would have put there.
    pub async fn list(&self, folder: &str) -> Result<Vec<String>, Error> {
        let folder = Path::from(folder);
        let listing = async {
            let (mut found, mut paths, mut held) = (self.objects.list(Some(&folder)), Vec::new(), 0);
            while let Some(object) = found.try_next().await? {
                let path = object.location.to_string();
                held += path.len() + size_of::<String>();
                if held > LISTED_BYTES_MAX {
                    return Err(StoreError::from(Impatience::TooMany));
                }
                paths.push(path);
            }
            Ok::<_, StoreError>(paths)
        };
        self.in_time(listing).await.map_err(Error::from)
    }

    /// Deletes a file; one that is gone already is fine.
    ///
    /// # Errors
    /// When the place refuses or is away.
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        self.in_time(delete(&*self.objects, path)).await
    }

    /// A place of somebody else's may take for ever; we do not wait for that.
    async fn in_time<T, E: From<StoreError>>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let late = |_| Err(StoreError::from(Impatience::Late).into());
        tokio::time::timeout(self.call_timeout, call).await.unwrap_or_else(late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;
    use futures::stream::{self, BoxStream};
    use object_store::memory::InMemory;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions, PutResult,
    };

    /// Never answers.
    #[derive(Debug)]
    struct Silent;

    impl std::fmt::Display for Silent {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("silence")
        }
    }

    #[async_trait::async_trait]
    impl ObjectStore for Silent {
        async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult, StoreError> {
            std::future::pending().await
        }
        async fn put_multipart_opts(
            &self,
            _: &Path,
            _: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>, StoreError> {
            std::future::pending().await
        }
        async fn get_opts(&self, _: &Path, _: GetOptions) -> Result<GetResult, StoreError> {
            std::future::pending().await
        }
        fn delete_stream(
            &self,
            _: BoxStream<'static, Result<Path, StoreError>>,
        ) -> BoxStream<'static, Result<Path, StoreError>> {
            stream::pending().boxed()
        }
        fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta, StoreError>> {
            stream::pending().boxed()
        }
        async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult, StoreError> {
            std::future::pending().await
        }
        async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<(), StoreError> {
            std::future::pending().await
        }
    }

    #[test]
    fn a_path_stays_below_its_folder() {
        for path in ["", "a", "a/b-c/d_e=f.g", "warehouse/agents@eu"] {
            assert_eq!(Outlet::check_path(path), Ok(()), "{path}");
        }
        let long = "a".repeat(513);
        for path in ["/", "/a", "a/", "a//b", "..", "a/../b", ".", ".hidden", "a b", "a\\b", "ä", "a\0", "~", &long] {
            assert!(Outlet::check_path(path).is_err(), "{path}");
        }
    }

    #[tokio::test]
    async fn a_name_that_says_what_is_in_it_may_be_put_twice() {
        let outlet = Outlet::below(Arc::new(InMemory::new()), "x");
        for bytes in [vec![1; 10], vec![2; PART_BYTES + 1]] {
            let name = format!("f/{}", bytes.len());
            for _ in 0..2 {
                outlet.put(&name, Bytes::from(bytes.clone())).await.unwrap();
            }
            assert_eq!(outlet.get(&name).await.unwrap().unwrap(), bytes);
        }
        let mut names = outlet.list("f").await.unwrap();
        names.sort();
        assert_eq!(names, ["f/10".to_string(), format!("f/{}", PART_BYTES + 1)]);
        assert_eq!(outlet.list("nowhere").await.unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn of_two_who_create_a_file_one_does() {
        let outlet = Outlet::below(Arc::new(InMemory::new()), "");
        assert!(outlet.create("m", Bytes::from_static(b"one")).await.unwrap());
        assert!(!outlet.create("m", Bytes::from_static(b"two")).await.unwrap());
        assert_eq!(outlet.get("m").await.unwrap().unwrap(), "one");
        for _ in 0..2 {
            outlet.delete("m").await.unwrap();
        }
        assert_eq!(outlet.get("m").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_place_that_never_answers_is_given_up() {
        let outlet = Outlet { objects: Arc::new(Silent), call_timeout: Duration::from_millis(1) };
        assert!(outlet.get("a").await.is_err());
        assert!(outlet.list("a").await.is_err());
        assert!(outlet.delete("a").await.is_err());
        assert!(outlet.create("a", Bytes::from_static(b"a")).await.is_err());
        assert!(outlet.put("a", Bytes::from(vec![0; PART_BYTES + 1])).await.is_err());
    }

    #[tokio::test]
    async fn what_is_too_long_or_too_much_is_not_read() {
        let objects = Arc::new(InMemory::new());
        let outlet = Outlet::below(objects.clone(), "");
        outlet.put("long", Bytes::from(vec![0; ANSWER_BYTES_MAX as usize + 1])).await.unwrap();
        assert!(outlet.get("long").await.is_err());
        let long = "n".repeat(1 << 20);
        for number in 0..65 {
            outlet.put(&format!("many/{number}{long}"), Bytes::new()).await.unwrap();
        }
        assert!(outlet.list("many").await.is_err());
        assert_eq!(outlet.list("none").await.unwrap(), Vec::<String>::new());
    }
}
