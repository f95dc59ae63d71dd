//! What is durable, what is not yet, and what a power loss makes of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::sync::Change;
use crate::Dice;

/// A file, whatever its names.
pub(super) type FileNumber = usize;
type FolderNumber = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    File(FileNumber),
    Folder(FolderNumber),
}

type Names = BTreeMap<OsString, Node>;

/// What a file holds.
#[derive(Default)]
struct Content {
    durable: Vec<u8>,
    now: Vec<u8>,
    /// Bytes that have not changed since the last sync, from the start.
    untouched: usize,
    /// The longest it was since.
    longest: usize,
    changes: Vec<Change>,
}

/// One change of a folder's names, which happens as a whole or not.
enum Step {
    Name(OsString, Node),
    Remove(OsString),
    Rename(OsString, OsString, Node),
}

/// The names in a folder.
#[derive(Default)]
struct Folder {
    durable: Names,
    now: Names,
    steps: Vec<Step>,
}

/// Everything under one real folder.
pub(super) struct Medium {
    root: PathBuf,
    files: Vec<Content>,
    folders: Vec<Folder>,
}

/// The root has no name of its own.
const ROOT: FolderNumber = 0;

impl Medium {
    pub(super) fn new(root: &Path) -> Self {
        let mut medium = Self { root: root.to_owned(), files: Vec::new(), folders: vec![Folder::default()] };
        medium.adopt(ROOT, root);
        medium
    }

    /// What lies in a real folder is durable.
    fn adopt(&mut self, folder: FolderNumber, path: &Path) {
        for entry in std::fs::read_dir(path).unwrap().map(Result::unwrap) {
            let node = if entry.file_type().unwrap().is_dir() {
                self.folders.push(Folder::default());
                Node::Folder(self.folders.len() - 1)
            } else {
                let mut content = Content { now: std::fs::read(entry.path()).unwrap(), ..Content::default() };
                content.sync();
                self.files.push(content);
                Node::File(self.files.len() - 1)
            };
            self.folders[folder].now.insert(entry.file_name(), node);
            if let Node::Folder(inner) = node {
                self.adopt(inner, &entry.path());
            }
        }
        self.folders[folder].durable = self.folders[folder].now.clone();
    }

    pub(super) fn create(&mut self, path: &Path) -> FileNumber {
        self.files.push(Content::default());
        let number = self.files.len() - 1;
        self.name(path, Node::File(number));
        number
    }

    pub(super) fn number(&self, path: &Path) -> io::Result<FileNumber> {
        match self.node(path) {
            Some(Node::File(number)) => Ok(number),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let number = self.number(from)?;
        self.name(to, Node::File(number));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = Node::File(self.number(from)?);
        let ((folder, old), (same, new)) = (self.place(from), self.place(to));
        assert_eq!(folder, same, "a rename from one folder to another is not simulated");
        let folder = &mut self.folders[folder];
        folder.now.remove(&old);
        folder.now.insert(new.clone(), node);
        folder.steps.push(Step::Rename(old, new, node));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) {
        if self.node(path).is_some() {
            let (folder, name) = self.place(path);
            self.folders[folder].now.remove(&name);
            self.folders[folder].steps.push(Step::Remove(name));
        }
    }

    pub(super) fn make_folder(&mut self, path: &Path) {
        if path != self.root && self.node(path).is_none() {
            self.folders.push(Folder::default());
            self.name(path, Node::Folder(self.folders.len() - 1));
        }
    }

    pub(super) fn append(&mut self, file: FileNumber, bytes: &[u8]) {
        let file = &mut self.files[file];
        file.now.extend_from_slice(bytes);
        file.longest = file.longest.max(file.now.len());
        file.changes.push(Change::Appended);
    }

    pub(super) fn cut(&mut self, file: FileNumber, length: u64) {
        let file = &mut self.files[file];
        file.now.resize(usize::try_from(length).unwrap(), 0);
        file.untouched = file.untouched.min(file.now.len());
        file.changes.push(Change::Cut);
    }

    pub(super) fn file_changes(&self, file: FileNumber) -> Vec<Change> {
        self.files[file].changes.clone()
    }

    pub(super) fn sync_file(&mut self, file: FileNumber) {
        self.files[file].sync();
    }

    /// None for a folder outside, which is not simulated.
    pub(super) fn folder_changes(&mut self, path: &Path) -> Option<Vec<Change>> {
        let number = self.folder(path)?;
        self.notice_removals(number, path);
        Some(self.folders[number].steps.iter().map(Step::change).collect())
    }

    pub(super) fn sync_folder(&mut self, path: &Path) {
        if let Some(number) = self.folder(path) {
            let folder = &mut self.folders[number];
            folder.durable = folder.now.clone();
            folder.steps.clear();
        }
    }

    pub(super) fn damage(&mut self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let number = self.number(path).unwrap();
        let file = &mut self.files[number];
        change(&mut file.now);
        file.sync();
        std::fs::write(path, &file.now).unwrap();
    }

    /// Decides what is left, and makes the real folder so.
    pub(super) fn lose(&mut self, dice: &Dice) {
        self.notice_all_removals(ROOT, &self.root.clone());
        for file in &mut self.files {
            file.now = file.after_loss(dice);
            file.sync();
        }
        for folder in &mut self.folders {
            folder.now = folder.after_loss(dice);
            folder.durable = folder.now.clone();
            folder.steps.clear();
        }
        for entry in std::fs::read_dir(&self.root).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
        }
        self.write_out(ROOT, &self.root);
    }

    fn write_out(&self, folder: FolderNumber, path: &Path) {
        let mut written = BTreeMap::<FileNumber, PathBuf>::new();
        for (name, node) in &self.folders[folder].now {
            let path = path.join(name);
            match node {
                Node::Folder(number) => {
                    std::fs::create_dir(&path).unwrap();
                    self.write_out(*number, &path);
                }
                Node::File(number) => match written.get(number) {
                    Some(other) => std::fs::hard_link(other, &path).unwrap(),
                    None => {
                        std::fs::write(&path, &self.files[*number].now).unwrap();
                        written.insert(*number, path);
                    }
                },
            }
        }
    }

    fn notice_all_removals(&mut self, folder: FolderNumber, path: &Path) {
        self.notice_removals(folder, path);
        for (name, node) in self.folders[folder].now.clone() {
            if let Node::Folder(number) = node {
                self.notice_all_removals(number, &path.join(name));
            }
        }
    }

    fn notice_removals(&mut self, folder: FolderNumber, path: &Path) {
        let folder = &mut self.folders[folder];
        let gone: Vec<_> = folder.now.keys().filter(|name| !path.join(name).exists()).cloned().collect();
        for name in gone {
            folder.now.remove(&name);
            folder.steps.push(Step::Remove(name));
        }
    }

    fn name(&mut self, path: &Path, node: Node) {
        let (folder, name) = self.place(path);
        self.folders[folder].now.insert(name.clone(), node);
        self.folders[folder].steps.push(Step::Name(name, node));
    }

    fn place(&self, path: &Path) -> (FolderNumber, OsString) {
        let folder = path.parent().and_then(|above| self.folder(above));
        let folder = folder.unwrap_or_else(|| panic!("{} is not on the simulated disk", path.display()));
        (folder, path.file_name().unwrap().to_owned())
    }

    fn folder(&self, path: &Path) -> Option<FolderNumber> {
        match self.node(path) {
            Some(Node::Folder(number)) => Some(number),
            _ => None,
        }
    }

    fn node(&self, path: &Path) -> Option<Node> {
        let inside = path.strip_prefix(&self.root).ok()?;
        inside.components().try_fold(Node::Folder(ROOT), |node, part| match node {
            Node::Folder(number) => self.folders[number].now.get(part.as_os_str()).copied(),
            Node::File(_) => None,
        })
    }
}

impl Content {
    fn sync(&mut self) {
        self.durable.clone_from(&self.now);
        (self.untouched, self.longest) = (self.now.len(), self.now.len());
        self.changes.clear();
    }

    fn after_loss(&self, dice: &Dice) -> Vec<u8> {
        if self.changes.is_empty() {
            return self.durable.clone();
        }
        let longest = self.longest.max(self.durable.len());
        let length = match dice.below(4) {
            0 => self.durable.len(),
            1 => self.now.len(),
            _ => self.untouched + dice.below(longest - self.untouched + 1),
        };
        let mut found = self.now[..self.untouched].to_vec();
        // Small blocks, so that small test files are torn as well; whether blocks are lost one by one is a throw too.
        let (block, in_order) = (if dice.chance(50) { 64 } else { 512 }, dice.chance(40));
        while found.len() < length {
            let end = length.min((found.len() / block + 1) * block);
            let old = if in_order { &self.now } else { self.version(dice) };
            let part = old.get(found.len()..end.min(old.len())).unwrap_or_default();
            found.extend_from_slice(part);
            found.extend(if dice.chance(50) { vec![0; end - found.len()] } else { dice.noise(end - found.len()) });
        }
        found
    }

    /// The bytes as they are, as they were, or none.
    fn version(&self, dice: &Dice) -> &Vec<u8> {
        const NONE: &Vec<u8> = &Vec::new();
        match dice.below(6) {
            0 => &self.durable,
            1 | 2 => NONE,
            _ => &self.now,
        }
    }
}

impl Step {
    fn change(&self) -> Change {
        let text = |name: &OsString| name.to_string_lossy().into_owned();
        match self {
            Self::Name(name, Node::Folder(_)) => Change::Folder(text(name)),
            Self::Name(name, Node::File(_)) | Self::Rename(_, name, _) => Change::Named(text(name)),
            Self::Remove(name) => Change::Removed(text(name)),
        }
    }
}

impl Folder {
    /// Any of the steps, in their order.
    fn after_loss(&self, dice: &Dice) -> Names {
        let mut names = self.durable.clone();
        let kept = [0, 100, 50, 80][dice.below(4)];
        for step in self.steps.iter().filter(|_| dice.chance(kept)) {
            match step {
                Step::Name(name, node) => drop(names.insert(name.clone(), *node)),
                Step::Remove(name) => drop(names.remove(name)),
                Step::Rename(from, to, node) => {
                    if names.get(from) == Some(node) {
                        names.remove(from);
                    }
                    names.insert(to.clone(), *node);
                }
            }
        }
        names
    }
}
