//! Which dimensions of a parameter are widths, and how wide they are at the base.

use std::collections::BTreeMap;

use super::factors::{Factors, Widening};
use super::rule::Rule;
use super::update::Update;
use crate::describe::axis::Axis;
use crate::describe::param::ParamBlueprint;
use crate::describe::role::{Role, RoleKind};

/// The dimensions of one parameter that are widths, with their sizes at the base.
///
/// Its factors are a function of its shape. So they are those of the new width from the first step
/// after an expansion on, for old and new coordinates alike, and nothing has to be remembered.
///
/// | dimension | what it is |
/// |---|---|
/// | fan-in | a width that is read |
/// | fan-out, gate | a width that is made |
/// | gain, if there is neither | a width that is made: gains and biases of norms, depthwise convolutions |
/// | gain beside one of them | none: whole experts, whose matrices are taken one by one |
/// | vocab, or no role | none |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamWidths {
    rule: Rule,
    /// Dimension and size at the base.
    fan_in: Vec<(usize, usize)>,
    fan_out: Vec<(usize, usize)>,
}

impl ParamWidths {
    /// `base` says how wide an axis is at the base.
    pub(super) fn new<E>(
        rule: Rule,
        param: &ParamBlueprint,
        base: impl Fn(&Axis) -> Result<usize, E>,
    ) -> Result<Self, E> {
        let dims = |kinds: &[RoleKind]| {
            let roles = param.roles.iter().enumerate();
            let roles = roles.filter_map(|(dim, role)| Some((dim, role.as_ref()?)));
            let widths = roles.filter(|(_, role)| is_width(role, kinds));
            let dims = widths.map(|(dim, role)| {
                let widths = role.axes().map(|axis| Ok((axis, base(axis)?)));
                let widths: BTreeMap<&Axis, usize> = widths.collect::<Result<_, E>>()?;
                Ok((dim, role.size(|axis| widths[axis])))
            });
            dims.collect::<Result<Vec<_>, E>>()
        };
        let fan_in = dims(&[RoleKind::FanIn])?;
        let mut fan_out = dims(&[RoleKind::FanOut, RoleKind::Gate])?;
        if fan_in.is_empty() && fan_out.is_empty() {
            fan_out = dims(&[RoleKind::Gain])?;
        }
        Ok(Self {
            rule,
            fan_in,
            fan_out,
        })
    }

    /// Returns `true` if the parameter has no width, so that its factors are always 1.
    pub fn is_empty(&self) -> bool {
        self.fan_in.is_empty() && self.fan_out.is_empty()
    }

    /// Computes the factors of the parameter at `shape`, under an optimizer with such updates.
    pub fn factors(&self, shape: &[usize], update: Update) -> Factors {
        let widening = Widening {
            fan_in: times(&self.fan_in, shape),
            fan_out: times(&self.fan_out, shape),
            shape: match update {
                Update::Orthogonal(factor) => factor.of(shape) / factor.of(&self.base(shape)),
                Update::Elementwise | Update::Gradient | Update::Relative => 1.0,
            },
        };
        widening.factors(self.rule, update)
    }

    /// How many times wider than at the base the parameter reads.
    pub(super) fn fan_in(&self, shape: &[usize]) -> f64 {
        times(&self.fan_in, shape).unwrap_or(1.0)
    }

    /// The shape at the base.
    fn base(&self, shape: &[usize]) -> Vec<usize> {
        let mut base = shape.to_vec();
        for (dim, size) in self.fan_in.iter().chain(&self.fan_out) {
            if let Some(place) = base.get_mut(*dim) {
                *place = *size;
            }
        }
        base
    }
}

/// Returns `true` if some stretch of one of these kinds lies on an axis that may have another width.
fn is_width(role: &Role, kinds: &[RoleKind]) -> bool {
    role.parts.iter().any(|part| {
        let mut axes = part.axes();
        kinds.contains(&part.kind) && axes.any(|axis| !axis.is_fixed())
    })
}

/// How many times larger than at the base these dimensions are, together.
fn times(dims: &[(usize, usize)], shape: &[usize]) -> Option<f64> {
    let sizes = dims.iter().filter_map(|(dim, base)| {
        let size = shape.get(*dim)?;
        Some(*size as f64 / *base as f64)
    });
    (!dims.is_empty()).then(|| sizes.product())
}
