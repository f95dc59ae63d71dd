//! Finds files that nobody knows: left between put and commit by a crash, or by a delete that failed.
//!
//! One compactor at a time walks through the names in the store, a stretch at each look. What is younger than
//! [`crate::Config::orphan_age_s`] may belong to a flush or a merge that is about to commit, and is passed over. What is older and in no
//! row of the catalog is entered there as replaced, and goes the way of replaced files: a commit that names it after
//! all is refused from that moment on, while the file is still there, and whoever wrote it writes it again.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::TryStreamExt;
use spanlake_catalog::{Error as CatalogError, Orphan, SweepLease};
use spanlake_model::{FileId, Timestamp};
use spanlake_store::file::{self, Name, draft_of};

use crate::error::Error;
use crate::service::Service;
use crate::sweep::Swept;

/// Of the walk, in the catalog.
const WALK: &str = "orphans";

/// A stretch of the walk: what was found in it.
#[derive(Default)]
struct Stretch {
    files: Vec<Orphan>,
    drafts: Vec<(Name, String)>,
    /// The last name seen; `None` when there was no other.
    position: Option<String>,
}

impl Service {
    /// The next stretch of the walk, when it is time for one and nobody else is at it.
    pub(crate) async fn sweep_orphans(&self) -> Result<Swept, Error> {
        let now = self.clock.now();
        let claimed = self.sweeps.claim_sweep(self.owner, WALK, now, now.plus(self.config.lease())).await?;
        let Some(lease) = claimed else { return Ok(Swept::default()) };
        let (lease, swept, pause) = match self.stretch(&lease, now).await {
            Ok((Some(position), swept)) => (SweepLease { position, ..lease }, Ok(swept), Duration::ZERO),
            Ok((None, swept)) => {
                (SweepLease { position: String::new(), ..lease }, Ok(swept), self.config.orphan_interval())
            }
            Err(error) => (lease, Err(error), self.config.pause_after(1)),
        };
        match self.sweeps.end_sweep(lease, self.clock.now().plus(pause)).await {
            Ok(()) | Err(CatalogError::Changed(_)) => swept,
            Err(error) => swept.and(Err(error.into())),
        }
    }

    async fn stretch(&self, lease: &SweepLease, now: Timestamp) -> Result<(Option<String>, Swept), Error> {
        let found = self.find(&lease.position, now).await?;
        let ids: Vec<FileId> = found.files.iter().map(|file| file.id).collect();
        let unknown: BTreeSet<FileId> = self.sweeps.unknown(&ids).await?.into_iter().collect();
        let is_unknown = |file: &Orphan| unknown.contains(&file.id);
        let orphans: Vec<Orphan> = found.files.into_iter().filter(is_unknown).collect();
        if !orphans.is_empty() {
            let condemned = self.sweeps.condemn(&orphans, now).await?;
            tracing::info!(orphan.files = condemned, "found files that nobody knows");
        }
        Ok((found.position, self.remove_drafts(found.drafts).await))
    }

    /// What is old enough among the next names.
    async fn find(&self, position: &str, now: Timestamp) -> Result<Stretch, Error> {
        let mut objects = self.store.objects_after(position);
        let (mut stretch, mut seen) = (Stretch::default(), 0);
        while let Some(object) = objects.try_next().await? {
            stretch.position = Some(object.path.clone());
            seen += 1;
            if object.modified.plus(self.config.orphan_age()) <= now {
                stretch.take(object.path, object.bytes);
            }
            if seen == self.config.orphan_objects_per_look_max.max(1) {
                return Ok(stretch);
            }
        }
        stretch.position = None;
        Ok(stretch)
    }

    async fn remove_drafts(&self, drafts: Vec<(Name, String)>) -> Swept {
        let mut swept = Swept::default();
        for (name, path) in drafts {
            match file::delete(self.store.tenant(name.tenant).as_ref(), &path).await {
                Ok(()) => swept.removed += 1,
                Err(error) => {
                    swept.failures += 1;
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(tenant.id = %name.tenant, file.path = path, error, "could not delete a draft");
                }
            }
        }
        swept
    }
}

impl Stretch {
    /// Only what is named as we name files: whatever else lies there is not ours to delete.
    fn take(&mut self, path: String, bytes: u64) {
        if let Some(Name { tenant, table, day, file }) = Name::parse(&path) {
            self.files.push(Orphan { id: file, tenant, table, day, path, bytes });
        } else if let Some(name) = draft_of(&path) {
            self.drafts.push((name, path));
        }
    }
}
