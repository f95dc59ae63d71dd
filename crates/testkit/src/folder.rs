//! A folder per test.

use std::path::{Path, PathBuf};

use spanlake_model::{Entropy as _, SystemEntropy};

/// An empty folder that is removed, with all it holds, when this is dropped.
#[derive(Debug)]
pub struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// A new folder; `name` says in a listing whose it is.
    pub fn new(name: &str) -> Self {
        Self::under(&std::env::temp_dir(), name)
    }

    /// In memory where the machine has a place for that: for tests that make and remove files by the thousand.
    pub fn in_memory(name: &str) -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::under(memory, name) } else { Self::new(name) }
    }

    fn under(above: &Path, name: &str) -> Self {
        let path = above.join(format!("spanlake-{name}-{}", unique()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Text that no other test has.
pub(crate) fn unique() -> String {
    let mut random = [0; 8];
    SystemEntropy.fill(&mut random);
    format!("{:016x}", u64::from_be_bytes(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_what_is_in_it() {
        let folder = TemporaryFolder::new("folder");
        let path = folder.path().to_owned();
        std::fs::write(path.join("file"), b"x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
