//! Spans in the order of their tree.

use std::collections::HashMap;

/// What it takes to place a span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    pub(super) id: &'a str,
    pub(super) parent: Option<&'a str>,
}

/// Places of `nodes`, each once, parents before what is below them, with how deep they stand. Those whose parent is missing
/// are at the top, and so is the first of those that are below themselves. Siblings keep their order.
pub(super) fn arrange(nodes: &[Node<'_>]) -> Vec<(usize, usize)> {
    let places: HashMap<&str, usize> = nodes.iter().enumerate().map(|(place, node)| (node.id, place)).collect();
    let parent = |node: &Node<'_>| node.parent.and_then(|id| places.get(id).copied());
    let mut below: HashMap<usize, Vec<usize>> = HashMap::new();
    for (place, node) in nodes.iter().enumerate() {
        if let Some(parent) = parent(node) {
            below.entry(parent).or_default().push(place);
        }
    }
    let mut arranged = Vec::with_capacity(nodes.len());
    let mut is_placed = vec![false; nodes.len()];
    let tops = (0..nodes.len()).filter(|place| parent(&nodes[*place]).is_none());
    // Whatever these do not reach goes round in circles.
    for top in tops.chain(0..nodes.len()) {
        // Not by recursion: a trace may be as deep as it is long.
        let mut waiting = vec![(top, 0)];
        while let Some((place, depth)) = waiting.pop() {
            if !std::mem::replace(&mut is_placed[place], true) {
                arranged.push((place, depth));
                let children = below.get(&place).into_iter().flatten().rev();
                waiting.extend(children.map(|child| (*child, depth + 1)));
            }
        }
    }
    arranged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(spans: &[(&'static str, Option<&'static str>)]) -> String {
        let nodes: Vec<_> = spans.iter().map(|(id, parent)| Node { id, parent: *parent }).collect();
        let lines: Vec<_> = arrange(&nodes)
            .into_iter()
            .map(|(place, depth)| format!("{}{}", "-".repeat(depth), nodes[place].id))
            .collect();
        lines.join(" ")
    }

    #[test]
    fn children_stand_below_their_parents_in_their_order() {
        let spans = [("a", None), ("c", Some("b")), ("b", Some("a")), ("e", Some("a")), ("d", Some("b"))];
        assert_eq!(shown(&spans), "a -b --c --d -e");
    }

    #[test]
    fn every_span_is_shown_once_whatever_the_shape() {
        assert_eq!(shown(&[]), "");
        assert_eq!(shown(&[("lost", Some("nowhere")), ("a", None)]), "lost a");
        assert_eq!(shown(&[("a", None), ("x", Some("y")), ("y", Some("x")), ("z", Some("y"))]), "a x -y --z");
        assert_eq!(shown(&[("self", Some("self"))]), "self");
    }

    #[test]
    fn a_trace_may_be_as_deep_as_it_is_long() {
        let ids: Vec<String> = (0..50_000).map(|number| number.to_string()).collect();
        let parents = std::iter::once(None).chain(ids.iter().map(|id| Some(&**id)));
        let nodes: Vec<_> = ids.iter().zip(parents).map(|(id, parent)| Node { id, parent }).collect();
        assert_eq!(arrange(&nodes).last(), Some(&(49_999, 49_999)));
    }
}
