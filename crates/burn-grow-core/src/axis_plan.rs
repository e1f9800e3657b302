use core::fmt;

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::baseline::{Noise, amplitude};
use crate::draw::generator;
use crate::fields::{AxisPlanFields, check_widths};
use crate::scaling::{counts, shares};
use crate::{
    Axis, Baseline, CopyMap, Expansion, Factor, GrowError, Init, InitPair, Method, RoleKind,
    Scaling, SplitRatio,
};

/// How one axis grows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "AxisPlanFields")]
pub struct AxisPlan {
    pub(crate) old_width: usize,
    pub(crate) source: Vec<usize>,
    pub(crate) method: Method,
    pub(crate) factor: Factor,
    /// The factor where one matrix is producer and consumer at once, if one number can say it.
    pub(crate) tied: Option<f64>,
}

/// Where a unit of a grown axis comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is this old unit.
    Kept(usize),
    /// It equals this unit of the new axis, which is no copy itself.
    Like(usize),
    /// It is drawn.
    Drawn,
    /// It is zero.
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
        let method = expansion.method_of(axis);
        let key = axis.as_str();
        let map = match method {
            Method::Sparkling { map, .. } => map,
            Method::Baseline(Baseline::Net2Net { .. }) => CopyMap::Random,
            Method::Baseline(_) => CopyMap::Block,
        };
        let source = map.source(old_width, new_width, expansion.seed, key);
        let (factor, tied) = match method {
            Method::Sparkling { init, .. } if init == InitPair::new(Init::Zero, Init::Zero) => {
                let axis = axis.clone();
                return Err(GrowError::DeadUnits { axis, init });
            }
            Method::Sparkling { init, scaling, .. } => {
                let impossible = || GrowError::NotFunctionPreserving {
                    axis: axis.clone(),
                    init,
                };
                let factor = scaling.factor(init, &source, old_width);
                let tied = InitPair::new(init.producer, init.producer);
                let tied = scaling.factor(tied, &source, old_width);
                (factor.ok_or_else(impossible)?, tied)
            }
            Method::Baseline(rival) => {
                let copies = Scaling::FunctionPreserving;
                let tied = copies.factor(InitPair::COPY_COPY, &source, old_width);
                match rival {
                    Baseline::UnevenSplit(share) => {
                        let seed = (expansion.seed, key);
                        (uneven(share, &source, old_width, seed), tied)
                    }
                    Baseline::FunctionPreservingRandom => (cancelling(old_width, new_width), None),
                    _ => (shares(&source, &counts(&source, old_width)), tied),
                }
            }
        };
        let planned = Self {
            old_width,
            source,
            method,
            factor,
            tied: tied.and_then(|factor| factor.uniform()),
        };
        planned.checked()
    }

    /// The width before.
    pub fn old_width(&self) -> usize {
        self.old_width
    }

    /// The width after.
    pub fn new_width(&self) -> usize {
        self.source.len()
    }

    /// Whether the width changes.
    pub fn grows(&self) -> bool {
        self.old_width() != self.new_width()
    }

    /// The old unit that each new unit is or copies.
    pub fn source(&self) -> &[usize] {
        &self.source
    }

    /// What makes the new coordinates.
    pub fn method(&self) -> Method {
        self.method
    }

    /// What the consumers of the axis are multiplied with.
    pub fn factor(&self) -> &Factor {
        &self.factor
    }

    /// What the output of a matrix is multiplied with that is the axis's producer and, transposed, its
    /// consumer too (App. D.1); none if no single number does it.
    pub fn tied_factor(&self) -> Option<f64> {
        self.tied
    }

    /// Where each unit comes from in a dimension that plays `kind`.
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
                Some(Init::Random) => Origin::Drawn,
                Some(Init::Zero) => Origin::Zero,
                // Pairs of one draw; one that is left over must not be heard.
                None => match previous.take() {
                    Some(drawn) => Origin::Like(drawn),
                    None if last && kind == RoleKind::FanIn => Origin::Zero,
                    None => {
                        previous = Some(unit);
                        Origin::Drawn
                    }
                },
            };
            origins.push(origin);
        }
        origins
    }

    /// What new units hold in a dimension that plays `kind`; none where draws come in pairs.
    fn init(&self, kind: RoleKind) -> Option<Init> {
        let init = match self.method {
            Method::Sparkling { init, .. } => init,
            Method::Baseline(Baseline::FunctionPreservingRandom) => match kind {
                RoleKind::Gain => return Some(Init::Copy),
                RoleKind::Vocab => return Some(Init::Random),
                _ => return None,
            },
            Method::Baseline(_) => InitPair::COPY_COPY,
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

    /// The noise of a rival.
    pub(crate) fn noise(&self) -> Option<Noise> {
        let Method::Baseline(rival) = self.method else {
            return None;
        };
        match rival {
            Baseline::Perturbation { size } => Some(Noise::OppositeSign(size)),
            Baseline::HyperCloning { snr_db } => Some(Noise::Opposite(amplitude(snr_db))),
            Baseline::Net2Net { noise } => Some(Noise::Producer(noise)),
            Baseline::UnevenSplit(_) | Baseline::FunctionPreservingRandom => None,
        }
    }

    /// Plus one and minus one in turn over the units that are or copy the same one; zero for one without
    /// a partner. Sums to zero for every old unit.
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

/// A kept unit's column times `1 - a`, its copies' times `a` in equal parts.
fn uneven(
    share: SplitRatio,
    source: &[usize],
    old_width: usize,
    (seed, key): (u64, &str),
) -> Factor {
    let mut generator = generator(seed, key);
    let shares: Vec<f64> = (0..old_width)
        .map(|_| match share {
            SplitRatio::Fixed(share) => share,
            SplitRatio::Uniform(low, high) => low + (high - low) * generator.random::<f64>(),
        })
        .collect();
    let counts = counts(source, old_width);
    let mut kept = vec![false; old_width];
    let factors = source.iter().map(|old| {
        let first = !core::mem::replace(&mut kept[*old], true);
        match counts[*old] {
            1 => 1.0,
            _ if first => 1.0 - shares[*old],
            count => shares[*old] / (count - 1) as f64,
        }
    });
    Factor::per_unit(factors.collect())
}

/// The second of each pair of new units cancels the first.
fn cancelling(old_width: usize, new_width: usize) -> Factor {
    let factor = |unit: usize| match unit >= old_width && (unit - old_width) % 2 == 1 {
        true => -1.0,
        false => 1.0,
    };
    Factor::per_unit((0..new_width).map(factor).collect())
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sparkling { init, map, .. } => match map {
                CopyMap::Block => write!(f, "{init}"),
                CopyMap::Interleaved => write!(f, "{init}, interleaved"),
                CopyMap::Random => write!(f, "{init}, random map"),
            },
            Self::Baseline(Baseline::UnevenSplit(_)) => f.write_str("uneven split"),
            Self::Baseline(Baseline::Perturbation { size }) => write!(f, "perturbation {size}"),
            Self::Baseline(Baseline::FunctionPreservingRandom) => {
                f.write_str("function-preserving random")
            }
            Self::Baseline(Baseline::Net2Net { noise }) => write!(f, "Net2Net, noise {noise}"),
            Self::Baseline(Baseline::HyperCloning { snr_db }) => {
                write!(f, "HyperCloning, {snr_db} dB")
            }
        }
    }
}
