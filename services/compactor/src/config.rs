//! Settings of the compactor.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use spanlake_store::file::{self, merge};

/// Half of what a flush takes: a merge holds its inputs as well.
const ROW_GROUP_BYTES_MAX: usize = 64 << 20;

/// Settings of the compactor.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// So many neighbouring files of a tenant's day are merged, once they are worth it; 2 at the least. A smaller number makes
    /// fewer files and writes each row more often.
    pub least_files: u64,
    /// Bytes that files grow to, at most: no merge reads more. A file of more than half of it has its final size, and is read
    /// again only when the day is over and is packed.
    pub target_bytes: u64,
    /// From so many files of a tenant's day on, its merges no longer give way to requests.
    pub urgent_files: u64,
    /// A merged file that hides more rows of files below it than this has those files written again without them.
    pub superseded_keys_max: usize,
    /// What bounds one merge in files and in memory.
    pub merge: merge::Bounds,
    /// How long after its end a day is over, in seconds: it is then packed into as few files as may be, tightly, once. What
    /// comes later is merged like that of any day.
    pub closed_after_s: u64,
    /// A file of a day that is over is packed even alone when it has so many bytes; for a smaller one it is not worth a write.
    pub alone_bytes_min: u64,
    /// Days looked at in one look at most, those with the most files first; the others wait for a later look.
    pub days_per_look_max: u32,
    /// How long a day belongs to a compactor that does not renew its lease, in seconds.
    pub lease_s: u64,
    /// How long a day is left alone after a failure, in seconds; twice as long after the next, and so on.
    pub retry_s: u64,
    /// After this many failures in a row a day is set aside and reported.
    pub failures_max: u64,
    /// How long a day that was set aside is left alone, in seconds.
    pub set_aside_s: u64,
    /// Replaced files deleted in one look at most; the others wait for the next.
    pub removed_files_per_look_max: u32,
    /// How long a replaced file stays, in seconds. Longer than the longest query or export may run, or it will miss the file.
    pub lingering_s: u64,
    /// How long a file stays that an erasure took rows from, in seconds. Longer than a query may run; an export that has begun
    /// before the erasure and still reads the file later breaks off, rather than hand out what was erased.
    pub erased_lingering_s: u64,
    /// Tenants whose erasures one look works on at most, those that wait longest first; the others wait for the next.
    pub erasing_tenants_per_look_max: u32,
    /// Files past their tenant's time dropped in one look at most, of each table; the others wait for the next.
    pub expired_files_per_look_max: u32,
    /// A file in the store that the catalog does not know is deleted when it is older than this, in seconds. Far longer than
    /// the longest flush or merge takes from writing a file to committing it.
    pub orphan_age_s: u64,
    /// Pause between two walks through the whole store for such files, in seconds.
    pub orphan_interval_s: u64,
    /// Names seen in one look of such a walk at most; the next look goes on from there.
    pub orphan_objects_per_look_max: u32,
    /// Pause between two looks for work, in seconds.
    pub look_interval_s: u64,
    /// Data files that come out of merges: read often and rewritten seldom, so packed tighter than those of a flush.
    pub file: file::Config,
    /// Those of a day that is over: hardly ever rewritten, so packed tighter still.
    pub settled: file::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            least_files: 8,
            target_bytes: 256 << 20,
            urgent_files: 96,
            superseded_keys_max: 10_000,
            merge: merge::Bounds::default(),
            closed_after_s: 86_400,
            alone_bytes_min: 8 << 20,
            days_per_look_max: 1_000,
            lease_s: 120,
            retry_s: 60,
            failures_max: 5,
            set_aside_s: 86_400,
            removed_files_per_look_max: 1_000,
            lingering_s: 600,
            erased_lingering_s: 60,
            erasing_tenants_per_look_max: 1_000,
            expired_files_per_look_max: 1_000,
            orphan_age_s: 86_400,
            orphan_interval_s: 21_600,
            orphan_objects_per_look_max: 10_000,
            look_interval_s: 30,
            file: file::Config { row_group_bytes_max: ROW_GROUP_BYTES_MAX, ..file::Config::merged() },
            settled: file::Config { row_group_bytes_max: ROW_GROUP_BYTES_MAX, ..file::Config::settled() },
        }
    }
}

impl Config {
    /// Merging a single file would change nothing, for ever.
    pub(crate) fn least_files(&self) -> u64 {
        self.least_files.max(2)
    }
    /// A file of more bytes has its final size.
    pub(crate) const fn final_bytes(&self) -> u64 {
        self.target_bytes / 2
    }
    /// How to write the files of a day.
    pub(crate) const fn file_of(&self, is_over: bool) -> &file::Config {
        if is_over { &self.settled } else { &self.file }
    }
    /// What choosing goes by: when it changes, settled days are looked at again.
    pub(crate) fn rules(&self) -> String {
        let (least, target, most) = (self.least_files(), self.target_bytes, self.merge.inputs_max);
        format!("{least} {target} {most} {}", self.superseded_keys_max)
    }
    pub(crate) const fn closed_after(&self) -> Duration {
        Duration::from_secs(self.closed_after_s)
    }
    pub(crate) const fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_s)
    }
    /// The pause after this many failures in a row.
    pub(crate) fn pause_after(&self, failures: u64) -> Duration {
        let doubled = u32::try_from(failures.saturating_sub(1)).ok().and_then(|times| 2_u64.checked_pow(times));
        let pause = doubled.and_then(|times| self.retry_s.checked_mul(times)).filter(|_| failures < self.failures_max);
        Duration::from_secs(pause.unwrap_or(self.set_aside_s).min(self.set_aside_s))
    }
    pub(crate) const fn lingering(&self) -> Duration {
        Duration::from_secs(self.lingering_s)
    }
    pub(crate) const fn erased_lingering(&self) -> Duration {
        Duration::from_secs(self.erased_lingering_s)
    }
    pub(crate) const fn orphan_age(&self) -> Duration {
        Duration::from_secs(self.orphan_age_s)
    }
    pub(crate) const fn orphan_interval(&self) -> Duration {
        Duration::from_secs(self.orphan_interval_s)
    }
    pub(crate) const fn look_interval(&self) -> Duration {
        Duration::from_secs(self.look_interval_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_until_the_day_is_set_aside() {
        let config = Config::default();
        let pauses = [1, 2, 3, 4, 5, 1_000].map(|failures| config.pause_after(failures).as_secs());
        assert_eq!(pauses, [60, 120, 240, 480, 86_400, 86_400]);
        let patient = Config { failures_max: u64::MAX, ..config };
        assert_eq!(patient.pause_after(500).as_secs(), 86_400);
    }
}
