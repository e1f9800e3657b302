use core::fmt;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::blueprint::known;
use crate::dimension::Coordinate;
use crate::fields::PlanFields;
use crate::table::table;
use crate::{
    Axis, AxisPlan, Blueprint, Constant, Expansion, Fill, GrowError, ParamBlueprint, Role,
};
use crate::{RoleKind, training_flops};

/// What an expansion does to every parameter, computed before anything is touched.
///
/// The same plan is applied to the parameters ([`apply`](Self::apply)), to the optimizer state and
/// to the learning-rate regions. Printed, it is the dry-run table. Serialized, it is data to be applied
/// elsewhere; a reader has to be exact about floats, which serde_json is with its feature
/// `float_roundtrip`. One that disagrees with itself is not read. Applying it allocates what it asks for,
/// which [`num_params`](Self::num_params) tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PlanFields")]
pub struct Plan {
    pub(crate) axes: BTreeMap<Axis, AxisPlan>,
    /// The widths before, of every axis.
    pub(crate) widths: BTreeMap<Axis, usize>,
    pub(crate) params: Vec<ParamPlan>,
    pub(crate) multipliers: Vec<Constant<f64>>,
    pub(crate) seed: u64,
}

/// How one parameter grows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParamPlan {
    /// Its path in the module tree.
    pub path: String,
    /// Its shape before.
    pub old_shape: Vec<usize>,
    /// Its shape after.
    pub new_shape: Vec<usize>,
    /// The role of each dimension; `None` never grows. Serialized as a role of no parts.
    #[serde(with = "crate::role::optional")]
    pub roles: Vec<Option<Role>>,
    /// The fraction of its elements that takes part in one token, before and after.
    pub active: (f64, f64),
}

impl ParamPlan {
    /// Whether any dimension grows.
    pub fn grows(&self) -> bool {
        self.old_shape != self.new_shape
    }
}

impl Plan {
    /// Plans `expansion` on the model that `blueprint` describes.
    ///
    /// # Errors
    ///
    /// When the expansion names no axis or an unknown one, would shrink an axis, asks for a width
    /// that is not whole or too large to be counted, grows an axis without units, asks an init pair for a
    /// scaling that it cannot have, scales by what is no number or the units of a tied axis differently, or
    /// leaves fewer units of an axis than take part in a token.
    pub fn new(blueprint: &Blueprint, expansion: &Expansion) -> Result<Self, GrowError> {
        if expansion.targets.is_empty() {
            return Err(GrowError::EmptyExpansion);
        }
        if let Some(axis) = expansion
            .exceptions
            .keys()
            .find(|axis| !expansion.targets.contains_key(axis))
        {
            return Err(GrowError::UnusedMethod { axis: axis.clone() });
        }
        let mut axes = BTreeMap::new();
        let mut new_widths = blueprint.widths.clone();
        for (axis, target) in &expansion.targets {
            if let Some(reason) = blueprint.frozen.get(axis) {
                return Err(GrowError::FrozenAxis {
                    axis: axis.clone(),
                    reason: reason.clone(),
                });
            }
            let old_width = known(&blueprint.widths, axis)?;
            let new_width = target.resolve(axis, old_width)?;
            let planned = AxisPlan::new(axis, old_width, new_width, expansion)?;
            new_widths.insert(axis.clone(), new_width);
            axes.insert(axis.clone(), planned);
        }
        let ratios = blueprint
            .params
            .iter()
            .flat_map(|param| &param.active.ratios);
        for (part, whole) in ratios {
            let (part_width, whole_width) = (known(&new_widths, part)?, known(&new_widths, whole)?);
            if part_width > whole_width {
                return Err(GrowError::PartExceedsWhole {
                    part: part.clone(),
                    part_width,
                    whole: whole.clone(),
                    whole_width,
                });
            }
        }
        let grown = |axis: &Axis| axes.get(axis).filter(|planned: &&AxisPlan| planned.grows());
        for multiplier in &blueprint.multipliers {
            let planned = grown(&multiplier.axis);
            if planned.is_some_and(|axis| axis.tied_factor().is_none()) {
                return Err(GrowError::Multiplier {
                    path: multiplier.path.clone(),
                    axis: multiplier.axis.clone(),
                });
            }
        }
        let param = |param: &ParamBlueprint| ParamPlan {
            path: param.path.clone(),
            old_shape: param.shape.clone(),
            new_shape: param.shape_at(&new_widths),
            roles: param.roles.clone(),
            active: (
                param.active.fraction(&blueprint.widths),
                param.active.fraction(&new_widths),
            ),
        };
        let params = blueprint.params.iter().map(param).collect();
        let factor = |multiplier: &Constant<f64>| {
            let factor = grown(&multiplier.axis)?.tied_factor()?;
            Some(Constant {
                value: factor,
                ..multiplier.clone()
            })
        };
        let multipliers = blueprint.multipliers.iter().filter_map(factor).collect();
        let plan = Self {
            axes,
            widths: blueprint.widths.clone(),
            params,
            multipliers,
            seed: expansion.seed,
        };
        plan.checked()
    }

    /// The axes that the expansion names.
    pub fn axes(&self) -> &BTreeMap<Axis, AxisPlan> {
        &self.axes
    }

    /// How `axis` grows, if the expansion names it.
    pub fn axis(&self, axis: &Axis) -> Option<&AxisPlan> {
        self.axes.get(axis)
    }

    /// Every parameter of the model, in the order of the module tree.
    pub fn params(&self) -> &[ParamPlan] {
        &self.params
    }

    /// Whether nothing grows: every axis keeps its width.
    pub fn is_identity(&self) -> bool {
        !self.axes.values().any(AxisPlan::grows)
    }

    /// The old coordinate that each new coordinate of dimension `dim` is or copies, if it grows; none
    /// where the plan draws or starts from zero.
    pub fn source(&self, param: &ParamPlan, dim: usize) -> Option<Vec<Option<usize>>> {
        let coordinates = self.dimension(param, dim, &|_| Fill::Copy)?;
        Some(coordinates.iter().map(Coordinate::kept).collect())
    }

    /// Whether each new coordinate of dimension `dim` was there before, if it grows.
    pub fn kept(&self, param: &ParamPlan, dim: usize) -> Option<Vec<bool>> {
        let coordinates = self.dimension(param, dim, &|_| Fill::Copy)?;
        let kept = coordinates
            .iter()
            .enumerate()
            .map(|(index, coordinate)| coordinate.is_kept(index));
        Some(kept.collect())
    }

    /// What each new coordinate of dimension `dim` is multiplied with, if it grows: the factors of the
    /// axes whose `fill` is [`Fill::Scale`].
    pub fn factor(
        &self,
        param: &ParamPlan,
        dim: usize,
        fill: &dyn Fn(&Axis) -> Fill,
    ) -> Option<Vec<f64>> {
        let coordinates = self.dimension(param, dim, fill)?;
        Some(
            coordinates
                .iter()
                .map(|coordinate| coordinate.factor)
                .collect(),
        )
    }

    /// The role of dimension `dim`, if it grows.
    pub fn growing<'a>(&self, param: &'a ParamPlan, dim: usize) -> Option<&'a Role> {
        let role = param.roles.get(dim)?.as_ref()?;
        role.axes()
            .any(|axis| self.axis(axis).is_some_and(AxisPlan::grows))
            .then_some(role)
    }

    /// The width of every axis before.
    pub fn widths(&self) -> &BTreeMap<Axis, usize> {
        &self.widths
    }

    /// The width of `axis` before.
    pub(crate) fn width(&self, axis: &Axis) -> usize {
        self.widths.get(axis).copied().unwrap_or(1)
    }

    /// What seeds everything drawn.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether a rival adds noise.
    pub(crate) fn is_noisy(&self) -> bool {
        self.axes.values().any(|axis| axis.noise().is_some())
    }

    /// The grown axes whose factors `param` is multiplied with, dimension by dimension.
    fn factors<'a>(&'a self, param: &'a ParamPlan) -> impl Iterator<Item = &'a AxisPlan> {
        let roles = param.roles.iter().flatten();
        let parts = roles.flat_map(|role| &role.parts);
        parts
            .filter(|part| part.kind == RoleKind::FanIn)
            .flat_map(|part| part.axes())
            .filter_map(|axis| self.axis(axis).filter(|planned| planned.grows()))
    }

    /// The number of parameters before and after.
    pub fn num_params(&self) -> (usize, usize) {
        self.params.iter().fold((0, 0), |(old, new), param| {
            (
                old + param.old_shape.iter().product::<usize>(),
                new + param.new_shape.iter().product::<usize>(),
            )
        })
    }

    /// The number of parameters that takes part in one token, before and after.
    pub fn active_params(&self) -> (f64, f64) {
        self.params.iter().fold((0.0, 0.0), |(old, new), param| {
            (
                old + param.active.0 * param.old_shape.iter().product::<usize>() as f64,
                new + param.active.1 * param.new_shape.iter().product::<usize>() as f64,
            )
        })
    }
}

/// The dry-run table.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["parameter", "old", "new", "roles", "factor"];
        let mut rows = vec![header.map(String::from).to_vec()];
        for param in &self.params {
            let roles = param.roles.iter().map(|role| match role {
                Some(role) => role.to_string(),
                None => "-".into(),
            });
            let factors = self.factors(param).map(|axis| axis.factor().to_string());
            rows.push(vec![
                param.path.clone(),
                shape(&param.old_shape),
                shape(&param.new_shape),
                roles.collect::<Vec<_>>().join(", "),
                factors.collect::<Vec<_>>().join(" x "),
            ]);
        }
        for multiplier in &self.multipliers {
            let factor = format!("{:.4}", multiplier.value);
            let row = [multiplier.path.as_str(), "", "", "multiplier", &factor];
            rows.push(row.map(String::from).to_vec());
        }
        f.write_str(&table(&rows))?;
        for (axis, planned) in &self.axes {
            writeln!(
                f,
                "axis {axis}: {} -> {}, {}, factor {}",
                planned.old_width(),
                planned.new_width(),
                planned.method(),
                planned.factor()
            )?;
        }
        let (old, new) = self.num_params();
        writeln!(f, "parameters: {old} -> {new}")?;
        let (old, new) = self.active_params();
        writeln!(f, "active parameters: {old:.0} -> {new:.0}")?;
        let (old, new) = (training_flops(old, 1.0), training_flops(new, 1.0));
        write!(f, "training FLOPs per token (6N): {old:.3e} -> {new:.3e}")
    }
}

fn shape(shape: &[usize]) -> String {
    let sizes: Vec<_> = shape.iter().map(usize::to_string).collect();
    format!("[{}]", sizes.join(", "))
}
