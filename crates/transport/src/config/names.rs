//! Which known name was probably meant.

/// The closest of `known`, when it is close: two letters in five may differ.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let near = known.map(|candidate| (distance(&name, &candidate.to_ascii_lowercase()), candidate)).min()?;
    (near.0 <= (name.len() * 2 / 5).max(1)).then_some(near.1)
}

/// Levenshtein's distance, in letters.
fn distance(one: &str, two: &str) -> usize {
    let two: Vec<_> = two.chars().collect();
    let mut row: Vec<_> = (0..=two.len()).collect();
    for (down, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = down + 1;
        for (across, other) in two.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[across + 1];
            row[across + 1] = replaced.min(row[across] + 1).min(diagonal + 1);
        }
    }
    row[two.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_name_that_was_meant_and_nonsense_finds_none() {
        let known = ["limit", "cursor", "sort_by"];
        assert_eq!(nearest("limti", known.into_iter()), Some("limit"));
        assert_eq!(nearest("sortBy", known.into_iter()), Some("sort_by"));
        assert_eq!(nearest("colour", known.into_iter()), None);
        assert_eq!(nearest("x", [].into_iter()), None);
    }
}
