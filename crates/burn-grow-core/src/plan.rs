use core::fmt;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::blueprint::known;
use crate::init::block_copy;
use crate::{Axis, Blueprint, Expansion, Factor, GrowError, Role, RoleKind};

/// What an expansion does to every parameter, computed before anything is touched.
///
/// The same plan is applied to the parameters ([`apply`](Self::apply)), to the optimizer state and
/// to the learning-rate regions. Printed, it is the dry-run table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    axes: BTreeMap<Axis, AxisPlan>,
    params: Vec<ParamPlan>,
    multipliers: Vec<String>,
}

/// How one axis grows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AxisPlan {
    old_width: usize,
    source: Vec<usize>,
    factor: Factor,
}

impl AxisPlan {
    /// The width before.
    pub fn old_width(&self) -> usize {
        self.old_width
    }

    /// The width after.
    pub fn new_width(&self) -> usize {
        self.source.len()
    }

    /// The old unit that each new unit copies.
    pub fn source(&self) -> &[usize] {
        &self.source
    }

    /// What the consumers of the axis are multiplied with.
    pub fn factor(&self) -> &Factor {
        &self.factor
    }
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
    /// The role of each dimension.
    pub roles: Vec<Option<Role>>,
    /// The fraction of its elements that takes part in one token.
    pub active: f64,
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
    /// that is not whole, or scales the units of a tied axis differently.
    pub fn new(blueprint: &Blueprint, expansion: &Expansion) -> Result<Self, GrowError> {
        if expansion.targets.is_empty() {
            return Err(GrowError::EmptyExpansion);
        }
        let mut axes = BTreeMap::new();
        for (axis, target) in &expansion.targets {
            let old_width = known(&blueprint.widths, axis)?;
            let source = block_copy(old_width, target.resolve(axis, old_width)?);
            let factor = expansion.scaling.factor(&source, old_width);
            axes.insert(
                axis.clone(),
                AxisPlan {
                    old_width,
                    source,
                    factor,
                },
            );
        }
        for multiplier in &blueprint.multipliers {
            let planned = axes.get(&multiplier.axis);
            if planned.is_some_and(|axis| axis.factor.uniform().is_none()) {
                return Err(GrowError::Multiplier {
                    path: multiplier.path.clone(),
                    axis: multiplier.axis.clone(),
                });
            }
        }
        let params = blueprint
            .params
            .iter()
            .map(|param| {
                let grown = |(size, role): (&usize, &Option<Role>)| match role {
                    Some(role) => axes
                        .get(&role.axis)
                        .map_or(*size, |axis: &AxisPlan| role.layout.size(axis.new_width())),
                    None => *size,
                };
                ParamPlan {
                    path: param.path.clone(),
                    old_shape: param.shape.clone(),
                    new_shape: param.shape.iter().zip(&param.roles).map(grown).collect(),
                    roles: param.roles.clone(),
                    active: param.active,
                }
            })
            .collect();
        let multipliers = blueprint
            .multipliers
            .iter()
            .filter(|multiplier| axes.contains_key(&multiplier.axis))
            .map(|multiplier| multiplier.path.clone())
            .collect();
        Ok(Self {
            axes,
            params,
            multipliers,
        })
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
        self.axes
            .values()
            .all(|axis| axis.old_width() == axis.new_width())
    }

    /// The old coordinate that each new coordinate of dimension `dim` copies, if it grows.
    pub fn source(&self, param: &ParamPlan, dim: usize) -> Option<Vec<usize>> {
        let (role, axis) = self.growing(param, dim)?;
        Some(role.layout.spread(axis.source(), axis.old_width()))
    }

    /// The role and the axis of dimension `dim`, if it grows.
    pub fn growing<'a>(
        &'a self,
        param: &'a ParamPlan,
        dim: usize,
    ) -> Option<(&'a Role, &'a AxisPlan)> {
        let role = param.roles[dim].as_ref()?;
        let axis = self.axes.get(&role.axis)?;
        (axis.old_width() != axis.new_width()).then_some((role, axis))
    }

    /// The factors of `param`: the dimension and what its coordinates are multiplied with.
    pub(crate) fn factors<'a>(
        &'a self,
        param: &'a ParamPlan,
    ) -> impl Iterator<Item = (usize, &'a Role, &'a AxisPlan)> {
        (0..param.roles.len()).filter_map(|dim| {
            let (role, axis) = self.growing(param, dim)?;
            (role.kind == RoleKind::FanIn).then_some((dim, role, axis))
        })
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
                old + param.active * param.old_shape.iter().product::<usize>() as f64,
                new + param.active * param.new_shape.iter().product::<usize>() as f64,
            )
        })
    }
}

/// The dry-run table.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![["parameter", "old", "new", "roles", "factor"].map(String::from)];
        for param in &self.params {
            let roles = param.roles.iter().map(|role| match role {
                Some(role) => role.to_string(),
                None => "-".into(),
            });
            let factors = self
                .factors(param)
                .map(|(_, _, axis)| axis.factor().to_string());
            rows.push([
                param.path.clone(),
                shape(&param.old_shape),
                shape(&param.new_shape),
                roles.collect::<Vec<_>>().join(", "),
                factors.collect::<Vec<_>>().join(" x "),
            ]);
        }
        for path in &self.multipliers {
            rows.push([path.as_str(), "", "", "multiplier", ""].map(String::from));
        }
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths: [usize; 4] = core::array::from_fn(width);
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                line += &format!("{cell:<width$}  ");
            }
            writeln!(f, "{}", (line + &row[4]).trim_end())?;
        }
        for (axis, planned) in &self.axes {
            writeln!(
                f,
                "axis {axis}: {} -> {}, factor {}",
                planned.old_width(),
                planned.new_width(),
                planned.factor()
            )?;
        }
        let (old, new) = self.num_params();
        writeln!(f, "parameters: {old} -> {new}")?;
        let (old, new) = self.active_params();
        write!(f, "active parameters: {old:.0} -> {new:.0}")
    }
}

fn shape(shape: &[usize]) -> String {
    let sizes: Vec<_> = shape.iter().map(usize::to_string).collect();
    format!("[{}]", sizes.join(", "))
}
