//! Products of axes and numbers.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::axis::Axis;

/// One factor of the size of a [`Part`](crate::describe::Part).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Term {
    /// A constant number, which never grows.
    Fixed(usize),
    /// The width of an axis.
    Axis(Axis),
}

/// A product of axes and constant numbers: what a stored width holds, or what the name of an axis
/// stands for.
///
/// Any name of an axis converts into the layout of that axis alone.
///
/// ```
/// use burn_grow_core::describe::Layout;
///
/// let heads = Layout::of("kv_heads").and("queries");
/// assert_eq!(heads.size(|_| 3), 9);
/// assert_eq!(heads.with_unit(4).to_string(), "kv_heads x queries x 4");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Text", into = "Text")]
pub struct Layout {
    /// Factors, outermost first; the last one varies fastest.
    pub terms: Vec<Term>,
}

/// A layout as data: the name of an axis, or the list of factors.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Axis(Axis),
    Terms(Vec<Term>),
}

impl From<Text> for Layout {
    fn from(text: Text) -> Self {
        match text {
            Text::Axis(axis) => axis.into(),
            Text::Terms(terms) => Self { terms },
        }
    }
}

impl From<Layout> for Text {
    fn from(layout: Layout) -> Self {
        match layout.single() {
            Some(axis) => Self::Axis(axis.clone()),
            None => Self::Terms(layout.terms),
        }
    }
}

impl<A: Into<Axis>> From<A> for Layout {
    fn from(axis: A) -> Self {
        Self {
            terms: vec![Term::Axis(axis.into())],
        }
    }
}

impl Layout {
    /// Creates the layout of one axis.
    pub fn of(axis: impl Into<Axis>) -> Self {
        axis.into().into()
    }

    /// Puts `axis` inside every unit of what is named so far.
    pub fn and(mut self, axis: impl Into<Axis>) -> Self {
        self.terms.push(Term::Axis(axis.into()));
        self
    }

    /// Repeats everything named so far `groups` times.
    pub fn with_groups(mut self, groups: usize) -> Self {
        self.terms.insert(0, Term::Fixed(groups));
        self
    }

    /// Gives every unit of what is named so far `unit` consecutive coordinates.
    pub fn with_unit(mut self, unit: usize) -> Self {
        self.terms.push(Term::Fixed(unit));
        self
    }

    /// Iterates over the axes, outermost first.
    pub fn axes(&self) -> impl Iterator<Item = &Axis> {
        self.terms.iter().filter_map(|term| match term {
            Term::Axis(axis) => Some(axis),
            Term::Fixed(_) => None,
        })
    }

    /// Counts the coordinates, given the width of every axis. Saturates at the largest number.
    pub fn size(&self, width: impl Fn(&Axis) -> usize) -> usize {
        let size = |term: &Term| match term {
            Term::Fixed(size) => *size,
            Term::Axis(axis) => width(axis),
        };
        self.terms.iter().map(size).fold(1, usize::saturating_mul)
    }

    /// Returns the axis if the layout is nothing else.
    pub(crate) fn single(&self) -> Option<&Axis> {
        match self.terms.as_slice() {
            [Term::Axis(axis)] => Some(axis),
            _ => None,
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms = self.terms.iter().map(|term| match term {
            Term::Fixed(size) => size.to_string(),
            Term::Axis(axis) => axis.to_string(),
        });
        f.write_str(&terms.collect::<Vec<_>>().join(" x "))
    }
}
