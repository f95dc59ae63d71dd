//! English-like text: varied enough that compression finds about what it finds in real prompts, and cheap to make.

use std::fmt::Write as _;

use crate::random::{Draw, Zipf};

const NOUNS: &str = "\
    order customer refund invoice shipment account policy agent report model contract ticket payment address \
    warehouse delivery deadline summary dataset pipeline request answer question document paragraph budget forecast \
    supplier engine release test server database index schedule meeting proposal patient claim premium flight hotel \
    booking recipe lesson student essay function variable module exception migration branch review feature dashboard \
    metric alert incident region cluster container password session device sensor battery vehicle route driver \
    parcel label discount coupon subscription plan trial feedback survey campaign audience article headline paper \
    experiment hypothesis sample protein sequence compound loan interest portfolio asset ledger statement audit \
    regulation clause signature lawyer court tenant";
const ADJECTIVES: &str = "\
    new late missing open final second original damaged approved pending large small urgent weekly monthly internal \
    external current previous expected correct duplicate verified incomplete detailed short relevant recent regional \
    automatic manual secure public private temporary permanent cheap expensive reliable unusual similar different \
    specific general technical legal medical financial quarterly annual";
const VERBS: &str = "\
    confirmed updated checked returned cancelled created found sent received compared explained measured replaced \
    moved closed opened approved rejected calculated listed summarised translated classified matched merged deployed \
    tested reviewed described delayed scheduled charged refunded shipped delivered reported fixed changed removed \
    suggested estimated predicted observed required included covered exceeded supported";
const LINKS: &str = "\
    because|although|after|before|so|while|and then|but|unless|since|as soon as|even though|in case|whenever";
const PLACES: &str = "\
    in the last quarter|for the customer in Lisbon|on the production cluster|within two working days|\
    according to the policy|at the end of the month|from the previous conversation|with the new supplier|\
    in the European region|under the premium plan|during the maintenance window|for all open tickets|\
    as described in the manual|without any further action|by the responsible team|in the attached file|\
    across both warehouses|on behalf of the account owner|at the agreed price|near the main station";
const OPENERS: &str = "\
    Could you tell me why|Please check whether|I would like to know if|It looks like|As far as I can see,|\
    To be precise,|In short,|The notes say that|First of all,|On the other hand,|Note that|We have seen that|\
    My question is whether|According to our records,|Let me explain:|For example,";

/// Writes text from a seed.
pub(crate) struct Prose {
    nouns: Words,
    adjectives: Words,
    verbs: Words,
    links: Vec<&'static str>,
    places: Vec<&'static str>,
    openers: Vec<&'static str>,
}

/// Words, the common ones first.
struct Words {
    words: Vec<&'static str>,
    ranks: Zipf,
}

impl Words {
    fn new(words: &'static str) -> Self {
        let words: Vec<_> = words.split_whitespace().collect();
        Self { ranks: Zipf::new(words.len()), words }
    }

    fn draw(&self, draw: &mut Draw) -> &'static str {
        self.words[self.ranks.rank(draw)]
    }
}

impl Prose {
    pub(crate) fn new() -> Self {
        Self {
            nouns: Words::new(NOUNS),
            adjectives: Words::new(ADJECTIVES),
            verbs: Words::new(VERBS),
            links: LINKS.split('|').collect(),
            places: PLACES.split('|').collect(),
            openers: OPENERS.split('|').collect(),
        }
    }

    /// Whole sentences, at least `bytes_min` bytes of them.
    pub(crate) fn text(&self, draw: &mut Draw, bytes_min: u64) -> String {
        let bytes_min = usize::try_from(bytes_min).unwrap_or(usize::MAX);
        let mut text = String::with_capacity(bytes_min + 128);
        while text.len() < bytes_min {
            if !text.is_empty() {
                text.push(' ');
            }
            self.sentence(draw, &mut text);
        }
        text
    }

    /// A noun, for names and search words.
    pub(crate) fn noun(&self, draw: &mut Draw) -> &'static str {
        self.nouns.draw(draw)
    }

    fn sentence(&self, draw: &mut Draw, text: &mut String) {
        let start = text.len();
        if draw.chance(0.35) {
            text.push_str(draw.pick(&self.openers));
            text.push(' ');
        }
        self.clause(draw, text);
        if draw.chance(0.5) {
            text.push(' ');
            text.push_str(draw.pick(&self.links));
            text.push(' ');
            self.clause(draw, text);
        }
        if draw.chance(0.6) {
            text.push(' ');
            text.push_str(draw.pick(&self.places));
        }
        text.push('.');
        if let Some(first) = text.get_mut(start..=start) {
            first.make_ascii_uppercase();
        }
    }

    fn clause(&self, draw: &mut Draw, text: &mut String) {
        self.thing(draw, text);
        text.push(' ');
        text.push_str(self.verbs.draw(draw));
        text.push(' ');
        self.thing(draw, text);
    }

    fn thing(&self, draw: &mut Draw, text: &mut String) {
        text.push_str(if draw.chance(0.7) { "the " } else { "a " });
        if draw.chance(0.55) {
            text.push_str(self.adjectives.draw(draw));
            text.push(' ');
        }
        text.push_str(self.noun(draw));
        if draw.chance(0.2) {
            // Numbers are what prompts hold beside words, and what does not compress.
            let _ = write!(text, " {}-{}", (b'A' + draw.between(0, 25) as u8) as char, draw.between(1000, 999_999));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_long_enough_made_of_sentences_and_varied() {
        let (prose, mut draw) = (Prose::new(), Draw::new(3));
        let texts: Vec<_> = (0..200).map(|_| prose.text(&mut draw, 300)).collect();
        let different: std::collections::HashSet<_> = texts.iter().collect();
        assert_eq!(different.len(), texts.len());
        for text in texts {
            assert!(text.len() >= 300 && text.len() < 700, "{text}");
            assert!(text.starts_with(|c: char| c.is_ascii_uppercase()) && text.ends_with('.'), "{text}");
        }
    }
}
