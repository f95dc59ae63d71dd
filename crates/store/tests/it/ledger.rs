//! What a client of the log was told, and what must be true of every later start.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use spanlake_model::{AppId, TenantId, Timestamp, WriterId};
use spanlake_store::log::{Encoding, Frame, Recovered};

/// A guarantee that did not hold.
pub(crate) type Broken = String;

pub(crate) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(what()) }
}

/// The client's side.
#[derive(Default)]
pub(crate) struct Ledger {
    sent: BTreeSet<Bytes>,
    acknowledged: BTreeMap<u64, Frame>,
    /// The highest sequence ever seen.
    highest: u64,
    /// Frames up to here may be gone: they are in files.
    trimmed: u64,
    /// Frames below are gone for good.
    gone_below: u64,
    writer: Option<WriterId>,
}

impl Ledger {
    /// A frame that nobody has sent yet.
    pub(crate) fn frame(&mut self, tenant: u8, body: Vec<u8>) -> Frame {
        let mut numbered = self.sent.len().to_string().into_bytes();
        numbered.extend(body);
        let body = Bytes::from(numbered);
        self.sent.insert(body.clone());
        Frame {
            sequence: 0,
            tenant: TenantId::from_bytes([tenant; 16]),
            app: AppId::from_bytes([2; 16]),
            agent: None,
            received_at: Timestamp::from_secs(9),
            encoding: Encoding::OtlpProtobuf,
            rejected: vec![3],
            body,
        }
    }

    pub(crate) fn acknowledged(&mut self, sequence: u64, frame: Frame) -> Result<(), Broken> {
        ensure(sequence > self.highest || !self.acknowledged.contains_key(&sequence), || {
            format!("sequence {sequence} was given twice")
        })?;
        self.highest = self.highest.max(sequence);
        self.acknowledged.insert(sequence, Frame { sequence, ..frame });
        Ok(())
    }

    pub(crate) const fn highest(&self) -> u64 {
        self.highest
    }

    pub(crate) fn trimmed(&mut self, watermark: u64) {
        self.trimmed = self.trimmed.max(watermark);
    }

    pub(crate) fn gone_below(&mut self, first: u64) {
        self.gone_below = self.gone_below.max(first);
    }

    /// The log said whose it is.
    pub(crate) fn opened(&mut self, writer: WriterId) -> Result<(), Broken> {
        let before = *self.writer.get_or_insert(writer);
        ensure(before == writer, || format!("the log was {before}'s and is {writer}'s"))
    }

    /// A start found these.
    pub(crate) fn recovered(&mut self, frames: &[Frame], recovered: &Recovered) -> Result<(), Broken> {
        ensure(recovered.damage.is_empty(), || format!("nothing was damaged: {:?}", recovered.damage))?;
        ensure(recovered.last_sequence >= self.highest, || "a sequence is used again".to_owned())?;
        ensure(frames.is_sorted_by(|one, next| one.sequence < next.sequence), || "not in order".to_owned())?;
        for frame in frames {
            ensure(frame.sequence >= self.gone_below, || format!("{} was trimmed and is back", frame.sequence))?;
            let expected = self.acknowledged.get(&frame.sequence);
            let is_right = expected.map_or_else(|| self.sent.contains(&frame.body), |expected| expected == frame);
            ensure(is_right, || format!("frame {} is not what was sent", frame.sequence))?;
        }
        let found: BTreeSet<_> = frames.iter().map(|frame| frame.sequence).collect();
        let mut kept = self.acknowledged.range(self.trimmed + 1..);
        let lost = kept.find(|(sequence, _)| !found.contains(sequence));
        ensure(lost.is_none(), || format!("frame {} was acknowledged and is lost", lost.map_or(0, |lost| *lost.0)))?;
        // What was found is there to stay: it is served from now on.
        for frame in frames {
            self.acknowledged.insert(frame.sequence, frame.clone());
        }
        self.highest = self.highest.max(recovered.last_sequence);
        Ok(())
    }
}
