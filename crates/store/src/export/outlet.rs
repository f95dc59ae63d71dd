//! A folder or a part of a bucket that files for others go to.

use std::path::Path as FolderPath;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::bucket::{self, Bucket, Refusal};
use crate::disk::Disk;
use crate::file::{Error, delete};
use crate::local::LocalStore;

/// Size of a part of a large file: above what S3 takes at least (5 MiB), and all but the last alike.
const PART_BYTES: usize = 8 << 20;

/// A path that names no place below a folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no path below a folder: use names separated by single slashes, without '..' or special characters")]
pub struct PathError(String);

/// Where files of one export go. Paths are below it.
#[derive(Clone, Debug)]
pub struct Outlet(Arc<dyn ObjectStore>);

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
        if prefix.is_empty() { Self(objects) } else { Self(Arc::new(PrefixStore::new(objects, Path::from(prefix)))) }
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
        match self.0.put_opts(path, PutPayload::from(bytes), options).await {
            Ok(_) => Ok(true),
            Err(StoreError::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn put_in_parts(&self, path: &Path, mut bytes: Bytes) -> Result<(), Error> {
        let mut upload = match self.0.put_multipart(path).await {
            Err(StoreError::AlreadyExists { .. }) => return Ok(()),
            begun => begun?,
        };
        let parts = async {
            while !bytes.is_empty() {
                let part = bytes.split_to(bytes.len().min(PART_BYTES));
                upload.put_part(PutPayload::from(part)).await?;
            }
            upload.complete().await
        };
        match parts.await {
            Ok(_) | Err(StoreError::AlreadyExists { .. }) => Ok(()),
            Err(error) => {
                // What fails is told; a rule of the bucket cleans up what cannot be taken back.
                let _ = upload.abort().await;
                Err(error.into())
            }
        }
    }

    /// A file, or `None` when there is none of that name.
    ///
    /// # Errors
    /// When the place refuses or is away.
    pub async fn get(&self, path: &str) -> Result<Option<Bytes>, Error> {
        match self.0.get(&Path::from(path)).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The paths of all files below a folder.
    ///
    /// # Errors
    /// When the place refuses or is away.
    pub async fn list(&self, folder: &str) -> Result<Vec<String>, Error> {
        let found = self.0.list(Some(&Path::from(folder))).map_ok(|object| object.location.to_string());
        Ok(found.try_collect().await?)
    }

    /// Deletes a file; one that is gone already is fine.
    ///
    /// # Errors
    /// When the place refuses or is away.
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        delete(&*self.0, path).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

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
        for bytes in [vec![1; 10], vec![2; 2 * PART_BYTES + 1]] {
            let name = format!("f/{}", bytes.len());
            for _ in 0..2 {
                outlet.put(&name, Bytes::from(bytes.clone())).await.unwrap();
            }
            assert_eq!(outlet.get(&name).await.unwrap().unwrap(), bytes);
        }
        let mut names = outlet.list("f").await.unwrap();
        names.sort();
        assert_eq!(names, ["f/10".to_string(), format!("f/{}", 2 * PART_BYTES + 1)]);
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
}
