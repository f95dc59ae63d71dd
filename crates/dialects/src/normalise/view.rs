//! The attributes of one span, with every key we know in a slot: one hash look-up per attribute, none per question.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

use super::fields::{self, FAMILIES, Family, Field};
use super::value;
use crate::sent::{Attribute, Value};

/// Hashes eight bytes at a time. What is looked up comes from outside, but what it is looked up in is ours alone: no sender
/// can fill the table so that look-ups become slow.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        let last = rest.iter().fold(0, |last, byte| last << 8 | u64::from(*byte));
        for word in words.iter().map(|word| u64::from_le_bytes(*word)).chain([last]) {
            self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
    fn finish(&self) -> u64 {
        // The table looks at the highest bits and at the lowest; a product is well mixed in the former only.
        self.0 ^ (self.0 >> 32)
    }
}

/// Which fields and families a set of attributes says something about. Most are silent on most, and asking them costs a bit.
#[derive(Clone, Copy, Default)]
struct Spoken {
    fields: [u64; 4],
    families: u64,
}

impl Spoken {
    fn add(&mut self, other: &Self) {
        for (mine, others) in self.fields.iter_mut().zip(other.fields) {
            *mine |= others;
        }
        self.families |= other.families;
    }
    fn add_field(&mut self, field: usize) {
        self.fields[field / 64] |= 1 << (field % 64);
    }
    fn has_field(&self, field: Field) -> bool {
        self.fields[field as usize / 64] & 1 << (field as usize % 64) != 0
    }
    fn has_family(&self, family: Family) -> bool {
        self.families & 1 << family as usize != 0
    }
}

/// Which slot each known key has, and which slots each field looks at, in order.
struct Index {
    slots: HashMap<&'static str, u16, BuildHasherDefault<KeyHasher>>,
    /// Where the key of each slot comes in the order of all known keys.
    ranks: Vec<u16>,
    /// By rank, the key as a JSON string and a colon.
    quoted: Vec<String>,
    fields: Vec<Vec<u16>>,
    /// The fields and families that the key of each slot belongs to.
    spoken: Vec<Spoken>,
    /// The families whose prefix begins with this byte.
    families: Vec<Vec<usize>>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut slots = HashMap::default();
    let mut slot = |key| {
        // A few hundred keys; the test below counts them.
        let next = u16::try_from(slots.len()).unwrap_or(u16::MAX);
        *slots.entry(key).or_insert(next)
    };
    let fields: Vec<Vec<u16>> = fields::TABLE.iter().map(|keys| keys.iter().map(|key| slot(*key)).collect()).collect();
    let mut families = vec![Vec::new(); 256];
    for (family, prefix) in FAMILIES.iter().enumerate() {
        families[usize::from(prefix.as_bytes()[0])].push(family);
    }
    let mut spoken = vec![Spoken::default(); slots.len()];
    for (field, slots) in fields.iter().enumerate() {
        for slot in slots {
            spoken[usize::from(*slot)].add_field(field);
        }
    }
    let mut ranks = vec![0; slots.len()];
    let mut keys: Vec<(&&str, &u16)> = slots.iter().collect();
    keys.sort_unstable();
    let mut quoted = Vec::with_capacity(keys.len());
    for (rank, (key, slot)) in (0..).zip(keys) {
        ranks[usize::from(*slot)] = rank;
        // None holds anything that JSON escapes; the test below looks.
        quoted.push(format!("\"{key}\":"));
    }
    for (key, slot) in &slots {
        spoken[usize::from(*slot)].families = families_of(&families, key);
    }
    Index { slots, ranks, quoted, fields, spoken, families }
});

/// The families a key belongs to, a bit each.
fn families_of(families: &[Vec<usize>], key: &str) -> u64 {
    let Some(first) = key.as_bytes().first() else { return 0 };
    let of_key = families[usize::from(*first)].iter().filter(|family| key.starts_with(FAMILIES[**family]));
    of_key.fold(0, |bits, family| bits | 1 << family)
}

/// The attributes of one span or resource. Made once and loaded again and again.
pub(super) struct View<'a> {
    /// Where in `attributes` the value of each slot is, from one; zero is nowhere.
    slots: Vec<u32>,
    touched: Vec<u16>,
    spoken: Spoken,
    attributes: Vec<Attribute<'a>>,
    /// The places of all attributes in the order of their keys, each with the rank of a known key. Of equal keys the last one sent
    /// comes last.
    sorted: Vec<(Option<u16>, u32)>,
}

impl<'a> View<'a> {
    pub(super) fn new() -> Self {
        Self {
            slots: vec![0; INDEX.slots.len()],
            touched: Vec::new(),
            spoken: Spoken::default(),
            attributes: Vec::new(),
            sorted: Vec::new(),
        }
    }

    /// Takes these attributes instead of what it had, and leaves none. Of a key that comes twice, the last value counts.
    pub(super) fn load(&mut self, attributes: &mut Vec<Attribute<'a>>) {
        for slot in self.touched.drain(..) {
            self.slots[usize::from(slot)] = 0;
        }
        self.spoken = Spoken::default();
        self.attributes.clear();
        self.sorted.clear();
        std::mem::swap(&mut self.attributes, attributes);
        for (place, attribute) in (1..).zip(&self.attributes) {
            let slot = INDEX.slots.get(&*attribute.key);
            self.sorted.push((slot.map(|slot| INDEX.ranks[usize::from(*slot)]), place - 1));
            if let Some(slot) = slot {
                self.slots[usize::from(*slot)] = if attribute.value.is_empty() { 0 } else { place };
                self.touched.push(*slot);
                self.spoken.add(&INDEX.spoken[usize::from(*slot)]);
            } else {
                self.spoken.families |= families_of(&INDEX.families, &attribute.key);
            }
        }
        let key = |place: u32| &self.attributes[place as usize].key;
        self.sorted.sort_by(|(a, a_place), (b, b_place)| match (a, b) {
            // Most keys are known: no need to look at them again.
            (Some(a), Some(b)) => a.cmp(b),
            _ => key(*a_place).cmp(key(*b_place)),
        });
    }

    /// All of them, as sent.
    pub(super) fn attributes(&self) -> &[Attribute<'a>] {
        &self.attributes
    }

    /// All of them, in the order of their keys; of equal keys the last one sent comes last. A known key comes as a JSON string and a
    /// colon as well.
    pub(super) fn sorted(&self) -> impl Iterator<Item = (Option<&str>, &Attribute<'a>)> {
        let quoted = |rank: u16| INDEX.quoted[usize::from(rank)].as_str();
        self.sorted.iter().map(move |(rank, place)| (rank.map(quoted), &self.attributes[*place as usize]))
    }

    fn value(&self, slot: u16) -> Option<&Value<'a>> {
        let before = self.slots[usize::from(slot)].checked_sub(1)?;
        Some(&self.attributes.get(before as usize)?.value)
    }

    /// The values of the field's keys that are there and not empty, in order of belief.
    pub(super) fn values(&self, field: Field) -> impl Iterator<Item = &Value<'a>> {
        let slots: &[u16] = if self.spoken.has_field(field) { &INDEX.fields[field as usize] } else { &[] };
        slots.iter().filter_map(|slot| self.value(*slot))
    }

    /// As [`Self::values`], each with its key.
    pub(super) fn entries(&self, field: Field) -> impl Iterator<Item = (&'static str, &Value<'a>)> {
        let slots: &[u16] = if self.spoken.has_field(field) { &INDEX.fields[field as usize] } else { &[] };
        fields::TABLE[field as usize].iter().zip(slots).filter_map(|(key, slot)| Some((*key, self.value(*slot)?)))
    }

    /// The first that is there and not empty.
    pub(super) fn first(&self, field: Field) -> Option<&Value<'a>> {
        self.values(field).next()
    }

    /// The first that says something, as short text.
    pub(super) fn text(&self, field: Field) -> Option<String> {
        self.values(field).find_map(value::text)
    }

    /// The first that is a count.
    pub(super) fn count(&self, field: Field) -> Option<i64> {
        self.values(field).find_map(value::count)
    }

    /// The first that is a number.
    pub(super) fn number(&self, field: Field) -> Option<f64> {
        self.values(field).find_map(value::number)
    }

    /// The attributes whose keys begin with the family's prefix, without it, as sent.
    pub(super) fn family(&self, family: Family) -> impl Iterator<Item = (&str, &Value<'a>)> {
        let attributes: &[Attribute<'a>] = if self.spoken.has_family(family) { &self.attributes } else { &[] };
        attributes.iter().filter_map(move |attribute| {
            let rest = attribute.key.strip_prefix(FAMILIES[family as usize])?;
            Some((rest, &attribute.value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_slot_and_every_family_a_bit() {
        assert!(INDEX.slots.len() < usize::from(u16::MAX));
        assert!(fields::TABLE.len() <= 64 * Spoken::default().fields.len());
        assert!(FAMILIES.len() <= 64 && FAMILIES.iter().all(|prefix| !prefix.is_empty()));
        assert!(fields::TABLE.iter().all(|keys| !keys.is_empty()));
        for key in fields::TABLE.iter().flat_map(|keys| *keys) {
            assert!(INDEX.quoted.contains(&format!("{}:", serde_json::to_string(key).unwrap())), "{key}");
        }
    }
}
