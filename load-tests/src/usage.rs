//! What a process uses, as the kernel counts it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::report::rounded;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
const MINUTE: usize = 60;

/// Resident memory of a process in MB, once a second.
pub(crate) struct Memory {
    stopped: Arc<AtomicBool>,
    looks: JoinHandle<Vec<f64>>,
}

impl Memory {
    /// Looks until [`Memory::finish`], or until the process is gone.
    pub(crate) fn watch(process: u32) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let told = stopped.clone();
        let looks = tokio::spawn(async move {
            let mut looks = Vec::new();
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            while !told.load(Ordering::Relaxed) {
                ticks.tick().await;
                let Ok(resident) = resident_mb(process) else { break };
                looks.push(resident);
            }
            looks
        });
        Self { stopped, looks }
    }

    pub(crate) async fn finish(self) -> Result<Course> {
        self.stopped.store(true, Ordering::Relaxed);
        Ok(Course::of(&self.looks.await?))
    }
}

/// The lowest, the middle and the highest of some looks, in MB.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    fn of(looks: &[f64]) -> Self {
        let mut sorted = looks.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().map(rounded).unwrap_or_default();
        Self { min: at(0), median: at(sorted.len() / 2), max: at(sorted.len().saturating_sub(1)) }
    }
}

/// How memory went, in MB.
#[derive(Debug, Serialize)]
pub(crate) struct Course {
    seconds: usize,
    max: f64,
    first_minute: Spread,
    last_minute: Spread,
    /// Of a straight line through all looks but those of the first minute, which memory needs to fill; by least squares.
    slope_mb_per_minute: f64,
}

impl Course {
    fn of(looks: &[f64]) -> Self {
        Self {
            seconds: looks.len(),
            max: Spread::of(looks).max,
            first_minute: Spread::of(&looks[..looks.len().min(MINUTE)]),
            last_minute: Spread::of(&looks[looks.len().saturating_sub(MINUTE)..]),
            slope_mb_per_minute: rounded(slope(looks.get(MINUTE..).unwrap_or_default()) * MINUTE as f64),
        }
    }
}

/// Per look; 0 for fewer than two.
fn slope(looks: &[f64]) -> f64 {
    let count = looks.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = looks.iter().sum::<f64>() / count;
    let (mut above, mut below) = (0.0, 0.0);
    for (at, look) in looks.iter().enumerate() {
        above += (at as f64 - middle) * (look - mean);
        below += (at as f64 - middle).powi(2);
    }
    if below > 0.0 { above / below } else { 0.0 }
}

/// Resident memory now, in MB.
///
/// # Errors
/// There is no such process.
pub(crate) fn resident_mb(process: u32) -> Result<f64> {
    status_mb(process, "VmRSS:")
}

/// The most memory that has been resident, in MB, since the process began or [`forget_peak`] was called.
///
/// # Errors
/// There is no such process.
pub(crate) fn peak_mb(process: u32) -> Result<f64> {
    status_mb(process, "VmHWM:")
}

/// Has the kernel begin anew with what [`peak_mb`] tells.
///
/// # Errors
/// There is no such process, or it is not ours.
pub(crate) fn forget_peak(process: u32) -> Result<()> {
    Ok(std::fs::write(format!("/proc/{process}/clear_refs"), "5")?)
}

fn status_mb(process: u32, field: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).with_context(|| format!("no {field}"))?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(rounded(kib * 1_024.0 / 1e6))
}

/// Processor seconds a process has used, in itself and the kernel.
///
/// # Errors
/// There is no such process.
pub(crate) fn cpu_seconds(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in parentheses, may hold spaces.
    let (_, fields) = stat.rsplit_once(')').context("/proc/…/stat has changed")?;
    let ticks: Vec<u64> = fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<u64>() as f64 / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_that_only_fills_at_first_has_no_slope_and_one_that_grows_has() {
        let flat: Vec<f64> = (0..200).map(|second| f64::from(second.min(50)) * 10.0).collect();
        assert_eq!(Course::of(&flat).slope_mb_per_minute, 0.0);
        let grows: Vec<f64> = (0..200).map(|second| 100.0 + f64::from(second) * 0.5).collect();
        assert_eq!(Course::of(&grows).slope_mb_per_minute, 30.0);
        assert_eq!(Course::of(&grows).first_minute, Spread { min: 100.0, median: 115.0, max: 129.5 });
        assert_eq!(Course::of(&[]).last_minute, Spread::default());
    }

    #[test]
    fn our_own_process_uses_memory_and_time() {
        assert!(resident_mb(std::process::id()).unwrap() > 1.0);
        forget_peak(std::process::id()).unwrap();
        assert!(peak_mb(std::process::id()).unwrap() > 1.0);
        assert!(cpu_seconds(std::process::id()).unwrap() >= 0.0);
        assert!(resident_mb(u32::MAX).is_err());
    }
}
