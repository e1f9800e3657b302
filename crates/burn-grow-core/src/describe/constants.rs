//! Fields of a module that hold a width or a scale instead of weights.

use std::collections::{BTreeMap, BTreeSet};

use burn_core::module::ParamId;
use burn_core::tensor::Device;
use serde::{Deserialize, Serialize};

use super::axes::{AxisMap, Frames};
use super::axis::Axis;
use super::layer_roles::LayerRoles;
use super::layout::{Layout, Term};
use super::role::Role;
use crate::lineage::descendant;

/// A constant field that depends on a width.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constant<T> {
    /// Path of the field in the module tree.
    pub path: String,
    /// The axis that it depends on, or a product. Serialized as a string if it is one axis.
    pub axis: Layout,
    /// Present value.
    pub value: T,
}

/// A number that a constant field may hold.
pub trait Number: Copy {
    /// Converts the number, to compare and to print it.
    fn to_f64(self) -> f64;
}

macro_rules! number {
    ($($number:ty),+) => {
        $(impl Number for $number {
            fn to_f64(self) -> f64 {
                self as f64
            }
        })+
    };
}

number!(f32, f64, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

/// The new values of a module's constants and the new blocks of its stacks, which
/// [`Growable::update_constants`](crate::Growable::update_constants) writes into the fields.
///
/// Burn's records hold no constants, so a resumed run replays the plan to restore them.
pub struct Constants<'a> {
    pub(crate) plan: &'a Widths<'a>,
    frames: Frames,
    /// The new blocks that the module is in, the outermost first.
    blocks: Vec<NewBlock>,
}

/// A new block of a stack.
#[derive(Clone)]
pub(crate) struct NewBlock {
    pub(crate) axis: Axis,
    /// Number of blocks before.
    pub(crate) old: usize,
    /// Index of the block.
    pub(crate) block: usize,
}

impl NewBlock {
    /// The identity of what has the identity `id` in the source of the block.
    pub(crate) fn descendant(&self, id: ParamId) -> ParamId {
        descendant(id.val(), &self.axis, self.old, self.block).into()
    }
}

/// What an expansion does to widths.
pub(crate) struct Widths<'a> {
    /// Seed of everything random.
    pub(crate) seed: u64,
    /// The device of the model.
    pub(crate) device: Device,
    /// The width of every axis before the expansion.
    pub(crate) old: &'a BTreeMap<Axis, usize>,
    /// The axes that the expansion names.
    pub(crate) named: BTreeMap<&'a Axis, NewConstants>,
}

/// What the constants that depend on one axis become.
pub(crate) struct NewConstants {
    /// The width after the expansion.
    pub(crate) width: usize,
    /// The factor that a multiplier absorbs, if one number can express it.
    pub(crate) tied_factor: Option<f64>,
    /// The blocks, if the axis is that of a stack that grows.
    pub(crate) blocks: Option<NewBlocks>,
}

/// The blocks of a stack after an expansion.
pub(crate) struct NewBlocks {
    /// The old block that each is or comes from.
    pub(crate) source: Vec<usize>,
    /// Those that were there before.
    pub(crate) kept: BTreeSet<usize>,
    /// True if new ones are what the module makes.
    pub(crate) fresh: bool,
}

impl<'a> Constants<'a> {
    pub(crate) fn new(plan: &'a Widths<'a>) -> Self {
        Self {
            plan,
            frames: Frames::default(),
            blocks: Vec::new(),
        }
    }

    /// The constants of a new block.
    pub(crate) fn within(&self, block: NewBlock) -> Self {
        let mut blocks = self.blocks.clone();
        blocks.push(block);
        Self {
            plan: self.plan,
            frames: self.frames.clone(),
            blocks,
        }
    }

    /// The identity of what has the identity `id` in the block that this one comes from.
    pub(crate) fn descendant(&self, id: ParamId) -> ParamId {
        self.blocks
            .iter()
            .fold(id, |id, block| block.descendant(id))
    }

    /// Updates a field that stores a width: that of an axis, or a product.
    pub fn width(&self, layout: impl Into<Layout>, value: &mut usize) {
        let layout = self.layout(layout);
        *value = self.resized(&[&layout.terms], *value);
    }

    /// Updates a field that stores the size of a dimension with this role.
    pub fn size(&self, role: Option<&Role>, value: &mut usize) {
        if let Some(role) = role {
            let role = self.frames.clone().role(role, &[]);
            let parts: Vec<_> = role
                .parts
                .iter()
                .map(|part| part.terms.as_slice())
                .collect();
            *value = self.resized(&parts, *value);
        }
    }

    /// Multiplies a scalar field with the fan-in factor of `axis`, as the tied output projection of
    /// a language model needs (App. D.1).
    pub fn multiplier(&self, axis: impl Into<Layout>, value: &mut f64) {
        for axis in self.layout(axis).axes() {
            let new = self.plan.named.get(axis);
            if let Some(factor) = new.and_then(|new| new.tied_factor) {
                *value *= factor;
            }
        }
    }

    /// Computes a field anew that is `function` of a width, if the width changes.
    pub fn recomputed<T>(
        &self,
        layout: impl Into<Layout>,
        value: &mut T,
        function: impl FnOnce(usize) -> T,
    ) {
        let layout = self.layout(layout);
        if layout.axes().any(Axis::is_fixed) {
            return;
        }
        let (old, new) = (self.old(&layout.terms), self.new_size(&layout.terms));
        if new != old {
            *value = function(new);
        }
    }

    /// Gives the axes that `update` names the names that they have here, as
    /// [`Describer::axes`](super::Describer::axes) does.
    pub fn axes(&self, map: &AxisMap, update: impl FnOnce(&Constants<'_>)) {
        let mut frames = self.frames.clone();
        frames.push(map, 0);
        update(&Constants {
            plan: self.plan,
            frames,
            blocks: self.blocks.clone(),
        });
    }

    /// Updates the constants of a layer by roles as the maps of [`axes`](Self::axes) around it make
    /// them, as [`Describer::with_roles`](super::Describer::with_roles) does.
    pub fn with_roles(&self, roles: &LayerRoles, update: impl FnOnce(&LayerRoles, &Constants<'_>)) {
        let mut frames = self.frames.clone();
        let roles = roles.map(|role| frames.role(role, &[]));
        frames.push_resolved(roles.axes(), 0);
        let constants = Constants {
            plan: self.plan,
            frames,
            blocks: self.blocks.clone(),
        };
        update(&roles, &constants);
    }

    pub(crate) fn layout(&self, layout: impl Into<Layout>) -> Layout {
        self.frames.clone().layout(&layout.into(), &[])
    }

    /// Computes what becomes of a sum of products that is `value` now. The value tells what the
    /// widths that never grow come to.
    fn resized(&self, parts: &[&[Term]], value: usize) -> usize {
        let is_fixed = |term: &Term| matches!(term, Term::Axis(axis) if axis.is_fixed());
        let (fixed, known): (Vec<_>, Vec<_>) =
            parts.iter().partition(|part| part.iter().any(is_fixed));
        let (mut old, mut new) = (0_usize, 0_usize);
        for part in known {
            old = old.saturating_add(self.old(part));
            new = new.saturating_add(self.new_size(part));
        }
        if fixed.is_empty() {
            return new;
        }
        // At most one of them grows, or the description was rejected.
        let rest = value.saturating_sub(old);
        let growing = fixed
            .iter()
            .find(|part| self.old(part) != self.new_size(part));
        new.saturating_add(match growing {
            Some(part) => rest / self.old(part).max(1) * self.new_size(part),
            None => rest,
        })
    }

    /// Counts before the expansion, apart from widths that never grow.
    fn old(&self, terms: &[Term]) -> usize {
        count(terms, |axis| self.plan.old.get(axis).copied())
    }

    /// Counts after the expansion, apart from widths that never grow.
    fn new_size(&self, terms: &[Term]) -> usize {
        count(terms, |axis| match self.plan.named.get(axis) {
            Some(new) => Some(new.width),
            None => self.plan.old.get(axis).copied(),
        })
    }
}

fn count(terms: &[Term], width: impl Fn(&Axis) -> Option<usize>) -> usize {
    let size = |term: &Term| match term {
        Term::Fixed(size) => *size,
        Term::Axis(axis) => width(axis).unwrap_or(1),
    };
    terms.iter().map(size).fold(1, usize::saturating_mul)
}
