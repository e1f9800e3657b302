//! What the axes of a description are called where it is used.

use std::collections::{BTreeMap, BTreeSet};

use super::axis::Axis;
use super::layout::Layout;
use super::layout::Term;
use super::role::Role;

/// What the names of axes in a description stand for at the place where it is used: other axes,
/// products, or a width that never grows. A name that is not in the map stays what it is.
///
/// `#[grow(axes(input = "hidden", output("heads", unit = 4), image = _))]` is
///
/// ```
/// use burn_grow_core::describe::{AxisMap, Layout};
///
/// let axes = AxisMap::new()
///     .with("input", "hidden")
///     .with("output", Layout::of("heads").with_unit(4))
///     .without("image");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AxisMap(BTreeMap<Axis, Option<Layout>>);

impl AxisMap {
    /// Creates a map in which every name stays what it is.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes `axis` stand for `layout`, instead of what it stood for.
    pub fn with(mut self, axis: impl Into<Axis>, layout: impl Into<Layout>) -> Self {
        self.0.insert(axis.into(), Some(layout.into()));
        self
    }

    /// Makes `axis` a width that never grows, instead of what it stood for.
    pub fn without(mut self, axis: impl Into<Axis>) -> Self {
        self.0.insert(axis.into(), None);
        self
    }
}

/// Maps around a description, outermost first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames(Vec<Frame>);

#[derive(Clone, Debug)]
struct Frame {
    names: Names,
    /// Length of the path of the module that the frame is around.
    depth: usize,
}

#[derive(Clone, Debug)]
enum Names {
    Map {
        map: AxisMap,
        /// Names that the description uses.
        used: BTreeSet<Axis>,
    },
    /// Axes that are resolved already.
    Resolved(BTreeSet<Axis>),
}

impl Frames {
    pub(crate) fn push(&mut self, map: &AxisMap, depth: usize) {
        let names = Names::Map {
            map: map.clone(),
            used: BTreeSet::new(),
        };
        self.0.push(Frame { names, depth });
    }

    /// Leaves `axes` as they are: they stand in roles that have been resolved.
    pub(crate) fn push_resolved<'a>(&mut self, axes: impl Iterator<Item = &'a Axis>, depth: usize) {
        let names = Names::Resolved(axes.cloned().collect());
        self.0.push(Frame { names, depth });
    }

    /// Removes the innermost frame. Returns the names in its map that the description does not use,
    /// and those that it does; nothing if it uses none at all.
    pub(crate) fn pop(&mut self) -> Option<(Vec<Axis>, Vec<Axis>)> {
        let Names::Map { map, used } = self.0.pop()?.names else {
            return None;
        };
        let unused: Vec<_> = map
            .0
            .into_keys()
            .filter(|axis| !used.contains(axis))
            .collect();
        let some = !unused.is_empty() && !used.is_empty();
        some.then(|| (unused, used.into_iter().collect()))
    }

    /// Moves the frames around a container at `depth` into one of its elements. Returns how many
    /// they are.
    pub(crate) fn enter(&mut self, depth: usize) -> usize {
        let frames = self.0.iter_mut().rev();
        let around = frames.take_while(|frame| frame.depth == depth);
        around.map(|frame| frame.depth += 1).count()
    }

    /// Moves `count` frames back to the container.
    pub(crate) fn leave(&mut self, count: usize) {
        let frames = self.0.iter_mut().rev();
        frames.take(count).for_each(|frame| frame.depth -= 1);
    }

    /// Returns what a role is at the outermost place.
    pub(crate) fn role(&mut self, role: &Role, path: &[String]) -> Role {
        let mut role = role.clone();
        for part in &mut role.parts {
            part.terms = self.terms(&part.terms, path);
        }
        role
    }

    /// Returns what a layout is at the outermost place.
    pub(crate) fn layout(&mut self, layout: &Layout, path: &[String]) -> Layout {
        Layout {
            terms: self.terms(&layout.terms, path),
        }
    }

    fn terms(&mut self, terms: &[Term], path: &[String]) -> Vec<Term> {
        resolve(&mut self.0, terms, path)
    }
}

fn resolve(frames: &mut [Frame], terms: &[Term], path: &[String]) -> Vec<Term> {
    let Some((frame, outer)) = frames.split_last_mut() else {
        return terms.to_vec();
    };
    let mut resolved = Vec::with_capacity(terms.len());
    for term in terms {
        let same = core::slice::from_ref(term);
        let Term::Axis(axis) = term else {
            resolved.push(term.clone());
            continue;
        };
        match &mut frame.names {
            Names::Resolved(axes) if axes.contains(axis) => resolved.push(term.clone()),
            Names::Resolved(_) => resolved.extend(resolve(outer, same, path)),
            Names::Map { map, used } => {
                if !used.contains(axis) {
                    used.insert(axis.clone());
                }
                match map.0.get(axis) {
                    None => resolved.extend(resolve(outer, same, path)),
                    Some(Some(layout)) => resolved.extend(resolve(outer, &layout.terms, path)),
                    Some(None) => {
                        let path = path.get(..frame.depth).unwrap_or(path);
                        resolved.push(Term::Axis(Axis::fixed(&path.join("."), axis)));
                    }
                }
            }
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(frames: &mut Frames, axis: &str) -> String {
        frames.layout(&axis.into(), &["net".into()]).to_string()
    }

    #[test]
    fn names_go_through_the_maps_from_inside_out() {
        let mut frames = Frames::default();
        let outer = AxisMap::new().with("b", Layout::of("x").and("y"));
        frames.push(&outer.without("c"), 0);
        let inner = AxisMap::new().with("a", Layout::of("b").with_unit(4));
        frames.push(&inner.with("b", "a"), 0);
        assert_eq!(resolved(&mut frames, "a"), "x x y x 4");
        // Both at once, not one after the other.
        assert_eq!(resolved(&mut frames, "b"), "a");
        assert_eq!(resolved(&mut frames, "other"), "other");
        assert_eq!(
            resolved(&mut frames, "c"),
            Axis::fixed("", &"c".into()).to_string()
        );
    }

    #[test]
    fn resolved_axes_stay() {
        let mut frames = Frames::default();
        frames.push(&AxisMap::new().with("a", "b").with("b", "a"), 0);
        let b = Axis::from("b");
        frames.push_resolved([&b].into_iter(), 0);
        assert_eq!(resolved(&mut frames, "b"), "b");
        assert_eq!(resolved(&mut frames, "a"), "b");
    }
}
