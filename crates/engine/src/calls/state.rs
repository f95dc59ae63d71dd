//! A forest as bytes: what a partial aggregate hands to the final one, within one process.

use super::{Forest, NUMBERS, Node, Report, Role};

const NODE_BYTES: usize = 17;
const REPORT_BYTES: usize = 16 + 9 * NUMBERS;

const HAS_PARENT: u8 = 4;

impl Forest {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + self.nodes.len() * NODE_BYTES + self.reports.len() * REPORT_BYTES);
        bytes.extend((self.nodes.len() as u64).to_le_bytes());
        for node in &self.nodes {
            bytes.extend(node.id.to_le_bytes());
            bytes.extend(node.parent.unwrap_or(0).to_le_bytes());
            bytes.push(node.role as u8 | if node.parent.is_some() { HAS_PARENT } else { 0 });
        }
        for report in &self.reports {
            bytes.extend(report.node.to_le_bytes());
            bytes.extend(report.response.to_le_bytes());
            for number in report.numbers {
                bytes.push(u8::from(number.is_some()));
                bytes.extend(number.unwrap_or(0).to_le_bytes());
            }
        }
        bytes
    }

    /// Adds what [`Self::to_bytes`] wrote; `None` when it is anything else.
    pub(super) fn extend_from_bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let (count, rest) = bytes.split_first_chunk::<8>()?;
        let nodes = usize::try_from(u64::from_le_bytes(*count)).ok()?.checked_mul(NODE_BYTES)?;
        let (nodes, reports) = rest.split_at_checked(nodes)?;
        let (nodes, _) = nodes.as_chunks::<NODE_BYTES>();
        let (reports, rest) = reports.as_chunks::<REPORT_BYTES>();
        self.nodes.extend(nodes.iter().map(node));
        self.reports.extend(reports.iter().map(report));
        rest.is_empty().then_some(())
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn node(bytes: &[u8; NODE_BYTES]) -> Node {
    let flags = bytes[16];
    let role = [Role::Call, Role::AskedFor, Role::Other][usize::from(flags & 3).min(2)];
    Node { id: number(bytes, 0), parent: (flags & HAS_PARENT != 0).then(|| number(bytes, 8)), role }
}

fn report(bytes: &[u8; REPORT_BYTES]) -> Report {
    let value = |at: usize| (bytes[16 + 9 * at] != 0).then(|| number(bytes, 17 + 9 * at).cast_signed());
    Report { node: number(bytes, 0), response: number(bytes, 8), numbers: std::array::from_fn(value) }
}
