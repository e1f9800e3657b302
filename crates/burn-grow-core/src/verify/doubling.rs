//! The expansion under which any model keeps its function: copies of whole axes.

use std::collections::{BTreeMap, BTreeSet};

use crate::describe::axis::Axis;
use crate::describe::blueprint::Blueprint;
use crate::describe::role::RoleKind;
use crate::error::GrowError;
use crate::plan::blocks::{BlockContent, Blocks};
use crate::plan::expansion::Expansion;
use crate::plan::model::Plan;
use crate::plan::param::ParamContent;

/// A whole doubling of axes, by copies on both sides: the one expansion that keeps the function of
/// every rightly described model, norms and experts included.
///
/// The part and the whole of a ratio, as the experts of a token and all experts, are doubled
/// together. Stacks are doubled by identity blocks where the plan has those, else left out. Axes of
/// symbols are left out, since the symbols that it adds are random; so are the axes of a ratio that
/// cannot both grow, and those of ratios of products.
#[derive(Clone, Debug, PartialEq)]
pub struct Doubling {
    /// Axes that are doubled, and those that are so beside them.
    pub axes: BTreeSet<Axis>,
    /// Axes whose doubling would not keep the function.
    pub left_out: BTreeSet<Axis>,
    /// Axes of ratios among those that are doubled. A loss that counts the units of one, as
    /// load balancing does, is not kept.
    pub ratios: BTreeSet<Axis>,
    /// The new blocks of the stacks among them.
    blocks: BTreeMap<Axis, Blocks>,
}

impl Doubling {
    /// The doubling of the axes that `plan` grows, of the model that `blueprint` describes.
    pub fn of(blueprint: &Blueprint, plan: &Plan) -> Self {
        let grown = plan.axes().iter().filter(|(_, axis)| axis.grows());
        let mut found = Self {
            axes: grown.map(|(axis, _)| axis.clone()).collect(),
            left_out: BTreeSet::new(),
            ratios: BTreeSet::new(),
            blocks: identity_blocks(blueprint, plan),
        };
        while let Some((part, whole)) = found.unpaired(blueprint) {
            found.axes.extend([part.clone(), whole.clone()]);
            found.ratios.extend([part, whole]);
        }
        found.leave_out(blueprint);
        found
    }

    /// Plans it; `None` if no axis is left.
    ///
    /// # Errors
    ///
    /// Fails as [`Plan::new`] does, where the model would be too large to be planned.
    pub fn plan(&self, blueprint: &Blueprint) -> Result<Option<Plan>, GrowError> {
        if self.axes.is_empty() {
            return Ok(None);
        }
        let axes = self.axes.iter();
        let mut expansion = axes.fold(Expansion::default(), |expansion, axis| {
            expansion.and_by(axis.clone(), 2.0)
        });
        expansion.blocks = self.blocks.clone();
        expansion.blocks.retain(|axis, _| self.axes.contains(axis));
        Plan::new(blueprint, &expansion).map(Some)
    }

    /// Takes it apart: one for each axis, those of a ratio together.
    pub fn apart(&self, blueprint: &Blueprint) -> Vec<Self> {
        let mut left = self.axes.clone();
        let mut parts = Vec::new();
        while let Some(axis) = left.pop_first() {
            let mut part = Self {
                axes: BTreeSet::from([axis]),
                left_out: BTreeSet::new(),
                ratios: BTreeSet::new(),
                blocks: self.blocks.clone(),
            };
            while let Some((one, other)) = part.unpaired(blueprint) {
                part.ratios.extend([one.clone(), other.clone()]);
                part.axes.extend([one, other]);
            }
            left.retain(|axis| !part.axes.contains(axis));
            parts.push(part);
        }
        parts
    }

    /// A ratio of which an axis is doubled, and which was not seen yet.
    fn unpaired(&self, blueprint: &Blueprint) -> Option<(Axis, Axis)> {
        let mut pairs = pairs(blueprint);
        pairs
            .find(|(part, whole)| {
                let doubled = self.axes.contains(*part) || self.axes.contains(*whole);
                let seen = self.ratios.contains(*part) && self.ratios.contains(*whole);
                doubled && !seen
            })
            .map(|(part, whole)| (part.clone(), whole.clone()))
    }

    /// Leaves out axes of symbols, axes that cannot grow, and what is in a ratio with them.
    fn leave_out(&mut self, blueprint: &Blueprint) {
        let unfit = |axis: &Axis| {
            let stacks = blueprint.stacks.iter();
            let mut stacks = stacks.filter(|stack| stack.axis == *axis);
            stacks.any(|stack| stack.blocks == 0 || !self.blocks.contains_key(axis))
                || lists_symbols(blueprint, axis)
                || blueprint.frozen.contains_key(axis)
                || in_a_ratio_of_products(blueprint, axis)
        };
        let unfit: Vec<Axis> = self
            .axes
            .iter()
            .filter(|axis| unfit(axis))
            .cloned()
            .collect();
        self.left_out.extend(unfit);
        loop {
            let half = pairs(blueprint).find_map(|(part, whole)| {
                let out = |axis: &Axis| self.left_out.contains(axis);
                match (out(part), out(whole)) {
                    (true, false) if self.axes.contains(whole) => Some(whole),
                    (false, true) if self.axes.contains(part) => Some(part),
                    _ => None,
                }
            });
            match half {
                Some(axis) => self.left_out.insert(axis.clone()),
                None => break,
            };
        }
        self.axes.retain(|axis| !self.left_out.contains(axis));
        self.ratios.retain(|axis| !self.left_out.contains(axis));
    }
}

/// The new blocks of the stacks that `plan` grows by identity blocks.
fn identity_blocks(blueprint: &Blueprint, plan: &Plan) -> BTreeMap<Axis, Blocks> {
    let grown = plan
        .axes()
        .iter()
        .filter(|(_, planned)| planned.grows() && planned.blocks() == Some(BlockContent::Identity));
    let blocks = grown.map(|(axis, _)| {
        let stacks = blueprint.stacks.iter();
        let stacks: Vec<_> = stacks.filter(|stack| stack.axis == *axis).collect();
        let params = plan.params().iter();
        let zero = params.filter(|param| param.content() == Some(ParamContent::Zero));
        let zero = zero.filter_map(|param| {
            let path = param.source_path()?;
            let (_, inside) = stacks.iter().find_map(|stack| stack.block_of(path))?;
            Some(inside.to_owned())
        });
        let zero: BTreeSet<String> = zero.collect();
        (axis.clone(), Blocks::identity().zeroing(zero))
    });
    blocks.collect()
}

/// The ratios of one axis to another.
fn pairs(blueprint: &Blueprint) -> impl Iterator<Item = (&Axis, &Axis)> {
    let ratios = blueprint.params().iter();
    let ratios = ratios.flat_map(|param| &param.active.ratios);
    ratios.filter_map(|(part, whole)| Some((part.single()?, whole.single()?)))
}

/// Returns true if `axis` is a factor of a ratio whose sides cannot both be doubled by one axis.
fn in_a_ratio_of_products(blueprint: &Blueprint, axis: &Axis) -> bool {
    let params = blueprint.params().iter();
    let mut ratios = params.flat_map(|param| &param.active.ratios);
    ratios.any(|(part, whole)| {
        let products = part.single().is_none() || whole.single().is_none();
        products && part.axes().chain(whole.axes()).any(|other| other == axis)
    })
}

fn lists_symbols(blueprint: &Blueprint, axis: &Axis) -> bool {
    let roles = blueprint.params().iter().flat_map(|param| &param.roles);
    let mut kinds = roles.flatten().flat_map(|role| role.kinds_on(axis));
    kinds.any(|kind| kind == RoleKind::Vocab)
}
