//! The plan of one axis: where each of its units comes from.

use std::collections::BTreeSet;

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::blocks::{BlockContent, Blocks};
use super::copy_map::CopyMap;
use super::expansion::Expansion;
use super::factor::Factor;
use super::init::{Init, InitPair};
use super::method::Method;
use super::scaling::{Scaling, counts, shares};
use crate::baseline::{Baseline, Noise, SplitRatio};
use crate::describe::axis::Axis;
use crate::describe::role::RoleKind;
use crate::describe::stack::Stack;
use crate::describe::validate::{MAX_BLOCKS, MAX_WIDTH, deserialize_checked, finite, inconsistent};
use crate::error::{GrowError, StackFault};
use crate::random::generator;

/// How one axis grows.
///
/// Deserializing validates it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct AxisPlan {
    old_width: usize,
    source: Vec<usize>,
    method: Method,
    factor: Factor,
    /// The factor where one matrix is producer and consumer at once, if one number can express it.
    tied: Option<f64>,
    /// What new units hold, if they are the blocks of a stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocks: Option<BlockContent>,
}

deserialize_checked! {
    Fields => AxisPlan {
        old_width: usize,
        source: Vec<usize>,
        method: Method,
        factor: Factor,
        tied: Option<f64>,
        #[serde(default)]
        blocks: Option<BlockContent>,
    }
}

/// The origin of a unit of a grown axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Is this old unit.
    Kept(usize),
    /// Equals this unit of the new axis, which is not a copy itself.
    Like(usize),
    /// Is random.
    Random,
    /// Is zero.
    Zero,
}

impl AxisPlan {
    /// Plans the growth of `axis`, which has `old_width` units.
    pub(crate) fn new(
        axis: &Axis,
        old_width: usize,
        new_width: usize,
        expansion: &Expansion,
    ) -> Result<Self, GrowError> {
        check_widths(axis, old_width, new_width)?;
        let method = expansion.method_of(axis).checked(axis)?;
        let map = match method {
            Method::Sparkling { map, .. } => map,
            Method::Baseline(Baseline::Net2Net { .. }) => CopyMap::Random,
            Method::Baseline(_) | Method::Contradiction { .. } => CopyMap::Block,
        };
        let source = map.source(old_width, new_width, expansion.seed, axis.as_str());
        let (factor, tied) = match method {
            Method::Sparkling { init, scaling, .. } => {
                sparkling_factors(axis, init, scaling, &source, old_width)?
            }
            Method::Baseline(baseline) | Method::Contradiction { baseline, .. } => {
                baseline_factors(axis, baseline, &source, old_width, expansion.seed)
            }
        };
        let planned = Self {
            old_width,
            source,
            method,
            factor,
            tied: tied.and_then(|factor| factor.uniform()),
            blocks: None,
        };
        planned.checked()
    }

    /// Plans the growth of the axis of `stack` to `new_width` blocks.
    pub(crate) fn of_stack(
        stack: &Stack,
        new_width: usize,
        blocks: &Blocks,
    ) -> Result<Self, GrowError> {
        let (axis, old_width) = (&stack.axis, stack.blocks);
        check_limit(axis, new_width, MAX_BLOCKS)?;
        let source = blocks.order.sources(old_width, new_width);
        let reject = |fault: StackFault| Err(fault.of(stack));
        if source.len() != new_width {
            let (expected, found) = (new_width, source.len());
            return reject(StackFault::Sources { expected, found });
        }
        if blocks.content == BlockContent::Fresh && !stack.fresh && new_width > old_width {
            return reject(StackFault::NoFresh);
        }
        if old_width == 0 && new_width > 0 && blocks.content != BlockContent::Fresh {
            let missing = if stack.fresh {
                StackFault::Empty
            } else {
                StackFault::NoFresh
            };
            return reject(missing);
        }
        if let Some(block) = source.iter().find(|block| **block >= old_width.max(1)) {
            let (block, blocks) = (*block, old_width);
            return reject(StackFault::NoBlock { block, blocks });
        }
        let planned = Self {
            old_width,
            source,
            method: Method::default(),
            factor: Factor::Uniform(1.0),
            tied: Some(1.0),
            blocks: Some(blocks.content),
        };
        let kept = planned.kept_blocks().into_iter().enumerate();
        let mut kept = kept.map(|(old, new)| (old, planned.source[new]));
        if let Some((block, _)) = kept.find(|(old, source)| old != source) {
            return reject(StackFault::Misplaced { block });
        }
        let kept = planned.kept_blocks().len();
        if kept < old_width {
            return reject(StackFault::Misplaced { block: kept });
        }
        planned.checked()
    }

    /// Returns the plan if its parts agree with each other.
    fn checked(self) -> Result<Self, GrowError> {
        let (old, new) = (self.old_width(), self.new_width());
        let reject = |expected: String, found: String| {
            Err(inconsistent("the plan of an axis", expected, found))
        };
        let fresh = self.blocks == Some(BlockContent::Fresh);
        let limit = if self.blocks.is_some() {
            MAX_BLOCKS
        } else {
            MAX_WIDTH
        };
        if (old == 0 && !fresh) || old > new || new > limit {
            return reject(
                format!("1 to {limit} units, no fewer than before"),
                format!("{old} -> {new}"),
            );
        }
        let mut kept = vec![false; old.max(1)];
        for source in &self.source {
            match kept.get_mut(*source) {
                Some(kept) => *kept = true,
                None => return reject(format!("sources below {old}"), source.to_string()),
            }
        }
        if let Some(lost) = kept[..old].iter().position(|kept| !kept) {
            return reject(
                "every old unit".into(),
                format!("a plan without unit {lost}"),
            );
        }
        let factors = match &self.factor {
            Factor::Uniform(factor) => core::slice::from_ref(factor),
            Factor::PerUnit(factors) if factors.len() != new => {
                return reject(format!("{new} factors"), factors.len().to_string());
            }
            Factor::PerUnit(factors) => factors,
        };
        let numbers = match self.method {
            Method::Baseline(baseline) => baseline.numbers().to_vec(),
            Method::Sparkling { .. } | Method::Contradiction { .. } => Vec::new(),
        };
        for number in factors.iter().copied().chain(self.tied).chain(numbers) {
            finite(number, || self.method.to_string())?;
        }
        Ok(self)
    }

    /// Returns the width before the expansion.
    pub fn old_width(&self) -> usize {
        self.old_width
    }

    /// Returns the width after the expansion.
    pub fn new_width(&self) -> usize {
        self.source.len()
    }

    /// Returns `true` if the width changes.
    pub fn grows(&self) -> bool {
        self.old_width() != self.new_width()
    }

    /// Lists the old unit that each new unit is or copies.
    pub fn source(&self) -> &[usize] {
        &self.source
    }

    /// Returns what new units hold, if they are the blocks of a stack.
    pub fn blocks(&self) -> Option<BlockContent> {
        self.blocks
    }

    /// Lists the blocks of the grown stack that were there before.
    pub(crate) fn kept_blocks(&self) -> BTreeSet<usize> {
        if self.old_width == 0 {
            return BTreeSet::new();
        }
        let mut seen = BTreeSet::new();
        let blocks = self.source.iter().enumerate();
        blocks
            .filter(|(_, source)| seen.insert(**source))
            .map(|(block, _)| block)
            .collect()
    }

    /// Returns the method by which the axis grows.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Returns the factor that the consumers of the axis are multiplied with.
    pub fn factor(&self) -> &Factor {
        &self.factor
    }

    /// Returns the factor for the output of a matrix that is the producer of the axis and,
    /// transposed, also its consumer (App. D.1). `None` if one number cannot express it.
    pub fn tied_factor(&self) -> Option<f64> {
        self.tied
    }

    /// Lists the origin of each unit in a dimension with the role `kind`.
    pub fn origins(&self, kind: RoleKind) -> Vec<Origin> {
        let mut kept = vec![None; self.old_width];
        let mut previous = None;
        let mut origins = Vec::with_capacity(self.new_width());
        for (unit, old) in self.source.iter().enumerate() {
            let Some(first) = kept[*old] else {
                kept[*old] = Some(unit);
                origins.push(Origin::Kept(*old));
                continue;
            };
            let last = unit + 1 == self.new_width();
            let origin = match self.init(kind) {
                Some(Init::Copy) => Origin::Like(first),
                Some(Init::Random) => Origin::Random,
                Some(Init::Zero) => Origin::Zero,
                // Two units share one random producer. The consumer of a unit without a partner is
                // zero, so that the function stays.
                None => match previous.take() {
                    Some(partner) => Origin::Like(partner),
                    None if last && kind == RoleKind::FanIn => Origin::Zero,
                    None => {
                        previous = Some(unit);
                        Origin::Random
                    }
                },
            };
            origins.push(origin);
        }
        origins
    }

    /// Returns the initialization of new units in a dimension with the role `kind`; `None` where
    /// random units come in pairs.
    fn init(&self, kind: RoleKind) -> Option<Init> {
        let init = match self.method {
            Method::Sparkling { init, .. } => init,
            Method::Baseline(Baseline::FunctionPreservingRandom) => match kind {
                RoleKind::Gain => return Some(Init::Copy),
                RoleKind::Vocab => return Some(Init::Random),
                _ => return None,
            },
            Method::Baseline(_) | Method::Contradiction { .. } => InitPair::COPY_COPY,
        };
        Some(match kind {
            RoleKind::FanOut => init.producer,
            RoleKind::FanIn => init.consumer,
            RoleKind::Gate if init.producer == Init::Zero => Init::Copy,
            RoleKind::Gate => init.producer,
            RoleKind::Gain => Init::Copy,
            RoleKind::Vocab => Init::Random,
        })
    }

    /// Returns the noise of a baseline.
    pub(crate) fn noise(&self) -> Option<Noise> {
        match self.method {
            Method::Baseline(baseline) => baseline.noise(),
            Method::Sparkling { .. } | Method::Contradiction { .. } => None,
        }
    }

    /// Lists plus one and minus one in turn over the units that are or copy the same one, and zero
    /// for a unit without a partner. Sums to zero for every old unit.
    pub(crate) fn signs(&self) -> Vec<f64> {
        let mut waiting: Vec<Option<usize>> = vec![None; self.old_width];
        let mut signs = vec![0.0; self.new_width()];
        for (unit, old) in self.source.iter().enumerate() {
            match waiting[*old].take() {
                Some(partner) => (signs[partner], signs[unit]) = (1.0, -1.0),
                None => waiting[*old] = Some(unit),
            }
        }
        signs
    }
}

/// Checks that an axis can grow from and to these widths, before its units are listed.
fn check_widths(axis: &Axis, old: usize, new: usize) -> Result<(), GrowError> {
    if old == 0 {
        return Err(GrowError::EmptyAxis { axis: axis.clone() });
    }
    check_limit(axis, new, MAX_WIDTH)
}

/// Checks that the units can be listed.
fn check_limit(axis: &Axis, new: usize, limit: usize) -> Result<(), GrowError> {
    if new > limit {
        return Err(GrowError::TooWide {
            axis: axis.clone(),
            target: new,
            limit,
        });
    }
    Ok(())
}

/// Computes the factor of the consumers, and that of tied ones, under the paper's method.
fn sparkling_factors(
    axis: &Axis,
    init: InitPair,
    scaling: Scaling,
    source: &[usize],
    old_width: usize,
) -> Result<(Factor, Option<Factor>), GrowError> {
    let axis = || axis.clone();
    if init == InitPair::new(Init::Zero, Init::Zero) {
        return Err(GrowError::DeadUnits { axis: axis(), init });
    }
    let factor = scaling.factor(init, source, old_width);
    let factor = factor.ok_or_else(|| GrowError::NotFunctionPreserving { axis: axis(), init })?;
    let tied = InitPair::new(init.producer, init.producer);
    Ok((factor, scaling.factor(tied, source, old_width)))
}

/// Computes the factor of the consumers, and that of tied ones, under a baseline.
fn baseline_factors(
    axis: &Axis,
    baseline: Baseline,
    source: &[usize],
    old_width: usize,
    seed: u64,
) -> (Factor, Option<Factor>) {
    let tied = Scaling::FunctionPreserving.factor(InitPair::COPY_COPY, source, old_width);
    match baseline {
        Baseline::UnevenSplit(ratio) => {
            let seed = (seed, axis.as_str());
            (uneven(ratio, source, old_width, seed), tied)
        }
        Baseline::FunctionPreservingRandom => (cancelling(old_width, source.len()), None),
        _ => (shares(source, &counts(source, old_width)), tied),
    }
}

/// Multiplies a kept unit's column with `1 - a`, and its copies with `a` in equal parts.
fn uneven(
    ratio: SplitRatio,
    source: &[usize],
    old_width: usize,
    (seed, key): (u64, &str),
) -> Factor {
    let mut generator = generator(seed, key);
    let ratios: Vec<f64> = (0..old_width)
        .map(|_| match ratio {
            SplitRatio::Fixed(ratio) => ratio,
            SplitRatio::Uniform(low, high) => low + (high - low) * generator.random::<f64>(),
        })
        .collect();
    let counts = counts(source, old_width);
    let mut kept = vec![false; old_width];
    let factors = source.iter().map(|old| {
        let first = !core::mem::replace(&mut kept[*old], true);
        match counts[*old] {
            1 => 1.0,
            _ if first => 1.0 - ratios[*old],
            count => ratios[*old] / (count - 1) as f64,
        }
    });
    Factor::per_unit(factors.collect())
}

/// Gives the second unit of each new pair the opposite sign.
fn cancelling(old_width: usize, new_width: usize) -> Factor {
    let factor = |unit: usize| {
        let second = unit >= old_width && (unit - old_width) % 2 == 1;
        if second { -1.0 } else { 1.0 }
    };
    Factor::per_unit((0..new_width).map(factor).collect())
}
