//! Whether a disk has room, looked at now and then.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Disk;

/// Room on the file system of one folder. Asking is free; looking is a system call, made by whoever has the time.
pub struct Space {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    free_bytes_min: u64,
    is_short: AtomicBool,
}

impl Space {
    /// Short when less than `free_bytes_min` is free; not short before the first look.
    pub fn new(disk: Arc<dyn Disk>, folder: PathBuf, free_bytes_min: u64) -> Self {
        Self { disk, folder, free_bytes_min, is_short: AtomicBool::new(false) }
    }

    /// What the last look found.
    pub fn is_short(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }

    /// Looks. A file system that does not say is not short: a write that finds no room is refused anyway. Blocks.
    pub fn look(&self) {
        let free = self.disk.free_bytes(&self.folder).unwrap_or(u64::MAX);
        let is_short = free < self.free_bytes_min;
        if self.is_short.swap(is_short, Ordering::Relaxed) == is_short {
            return;
        }
        let folder = self.folder.display();
        if is_short {
            tracing::error!(disk.folder = %folder, disk.free_bytes = free, disk.free_bytes_min = self.free_bytes_min,
                "the disk is nearly full: nothing is taken in until there is room");
        } else {
            tracing::info!(disk.folder = %folder, disk.free_bytes = free, "the disk has room again");
        }
    }
}
