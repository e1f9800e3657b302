//! Blueprints and plans as they are written, and what has to hold between their numbers: everything
//! behind takes it for granted, so it is checked where one is made and where one is read.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::blueprint::known;
use crate::{
    Axis, AxisPlan, Blueprint, Constant, Factor, GrowError, Method, ParamBlueprint, ParamPlan,
    Plan, Role,
};

/// The most units of an axis that a plan lists one by one, far more than any width in use.
const MAX_WIDTH: usize = 1 << 24;

/// The most elements of a model: what memory can address in double precision.
const MAX_ELEMENTS: usize = isize::MAX as usize / size_of::<f64>();

type Widths = BTreeMap<Axis, usize>;

/// The fields of something as they are written, which becomes it only if it passes its `checked`.
macro_rules! read_checked {
    ($fields:ident => $whole:ident { $($name:ident: $type:ty,)+ }) => {
        #[derive(Deserialize)]
        pub(crate) struct $fields {
            $($name: $type,)+
        }

        impl TryFrom<$fields> for $whole {
            type Error = GrowError;

            fn try_from(fields: $fields) -> Result<Self, GrowError> {
                Self { $($name: fields.$name,)+ }.checked()
            }
        }
    };
}

read_checked! {
    BlueprintFields => Blueprint {
        params: Vec<ParamBlueprint>,
        widths: Widths,
        constants: Vec<Constant<usize>>,
        multipliers: Vec<Constant<f64>>,
        frozen: BTreeMap<Axis, String>,
    }
}

impl Blueprint {
    pub(crate) fn checked(self) -> Result<Self, GrowError> {
        for param in &self.params {
            check_sizes(&param.path, &param.shape, &param.roles, &self.widths)?;
            for axis in param.active.axes() {
                known(&self.widths, axis)?;
            }
            check_active(&param.path, param.active.fraction)?;
            check_active(&param.path, param.active.fraction(&self.widths))?;
        }
        check_elements(self.params.iter().map(|param| (&param.path, &param.shape)))?;
        for constant in &self.constants {
            let expected = known(&self.widths, &constant.axis)?;
            if constant.value != expected {
                return Err(GrowError::WidthDisagreement {
                    axis: constant.axis.clone(),
                    path: constant.path.clone(),
                    found: constant.value,
                    other: "the widths".into(),
                    expected,
                });
            }
        }
        check_multipliers(&self.multipliers, &self.widths)?;
        Ok(self)
    }
}

read_checked! {
    PlanFields => Plan {
        axes: BTreeMap<Axis, AxisPlan>,
        widths: Widths,
        params: Vec<ParamPlan>,
        multipliers: Vec<Constant<f64>>,
        seed: u64,
    }
}

impl Plan {
    pub(crate) fn checked(self) -> Result<Self, GrowError> {
        let mut new_widths = self.widths.clone();
        for (axis, planned) in &self.axes {
            let expected = known(&self.widths, axis)?;
            if planned.old_width() != expected {
                return Err(GrowError::WidthDisagreement {
                    axis: axis.clone(),
                    path: "its plan".into(),
                    found: planned.old_width(),
                    other: "the widths".into(),
                    expected,
                });
            }
            new_widths.insert(axis.clone(), planned.new_width());
        }
        for param in &self.params {
            let (old, new) = (&param.old_shape, &param.new_shape);
            check_sizes(&param.path, old, &param.roles, &self.widths)?;
            check_sizes(&param.path, new, &param.roles, &new_widths)?;
            let mut sizes = old.iter().zip(new).zip(&param.roles);
            if sizes.any(|((old, new), role)| role.is_none() && old != new) {
                return Err(GrowError::Shape {
                    path: param.path.clone(),
                    expected: old.clone(),
                    found: new.clone(),
                });
            }
            check_active(&param.path, param.active.0)?;
            check_active(&param.path, param.active.1)?;
        }
        let params = self.params.iter();
        check_elements(params.clone().map(|param| (&param.path, &param.old_shape)))?;
        check_elements(params.map(|param| (&param.path, &param.new_shape)))?;
        check_multipliers(&self.multipliers, &self.widths)?;
        Ok(self)
    }
}

read_checked! {
    AxisPlanFields => AxisPlan {
        old_width: usize,
        source: Vec<usize>,
        method: Method,
        factor: Factor,
        tied: Option<f64>,
    }
}

impl AxisPlan {
    pub(crate) fn checked(self) -> Result<Self, GrowError> {
        let (old, new) = (self.old_width(), self.new_width());
        let units = |expected, found| inconsistent("the plan of an axis", expected, found);
        if old == 0 || old > new || new > MAX_WIDTH {
            return units(
                format!("1 to {MAX_WIDTH} units, no fewer than before"),
                format!("{old} -> {new}"),
            );
        }
        let mut kept = vec![false; old];
        for source in self.source() {
            match kept.get_mut(*source) {
                Some(kept) => *kept = true,
                None => return units(format!("sources below {old}"), source.to_string()),
            }
        }
        if let Some(lost) = kept.iter().position(|kept| !kept) {
            return units("every old unit".into(), format!("none that is unit {lost}"));
        }
        let factors = match self.factor() {
            Factor::Uniform(factor) => core::slice::from_ref(factor),
            Factor::PerUnit(factors) if factors.len() != new => {
                return units(format!("{new} factors"), factors.len().to_string());
            }
            Factor::PerUnit(factors) => factors,
        };
        let method = match self.method() {
            Method::Baseline(rival) => rival.numbers().to_vec(),
            Method::Sparkling { .. } => Vec::new(),
        };
        for number in factors
            .iter()
            .copied()
            .chain(self.tied_factor())
            .chain(method)
        {
            finite(number, || self.method().to_string())?;
        }
        Ok(self)
    }
}

/// Whether an axis can grow from and to these widths, before its units are listed.
pub(crate) fn check_widths(axis: &Axis, old: usize, new: usize) -> Result<(), GrowError> {
    if old == 0 {
        return Err(GrowError::EmptyAxis { axis: axis.clone() });
    }
    if new > MAX_WIDTH {
        return Err(GrowError::TooWide {
            axis: axis.clone(),
            target: new,
            limit: MAX_WIDTH,
        });
    }
    Ok(())
}

/// Whether every dimension has the size that its role gives it.
fn check_sizes(
    path: &str,
    shape: &[usize],
    roles: &[Option<Role>],
    widths: &Widths,
) -> Result<(), GrowError> {
    if shape.len() != roles.len() {
        let found = format!("{shape:?}");
        let expected = format!("{} dimensions, one for each role", roles.len());
        return inconsistent(&format!("parameter `{path}`"), expected, found);
    }
    for (dim, (size, role)) in shape.iter().zip(roles).enumerate() {
        let Some(role) = role else { continue };
        for axis in role.axes() {
            known(widths, axis)?;
        }
        if *size == 0 || role.size(|axis| widths[axis]) != *size {
            return Err(GrowError::Layout {
                path: path.into(),
                dim,
                size: *size,
                role: role.to_string(),
            });
        }
    }
    Ok(())
}

/// Whether so many elements can be counted, along whichever dimensions.
fn check_elements<'a>(
    params: impl Iterator<Item = (&'a String, &'a Vec<usize>)>,
) -> Result<(), GrowError> {
    let mut total = 0_usize;
    for (path, shape) in params {
        let elements = shape.iter().fold(1_usize, |product, size| {
            product.saturating_mul((*size).max(1))
        });
        total = total.saturating_add(elements);
        if total > MAX_ELEMENTS {
            return Err(GrowError::TooLarge {
                path: path.clone(),
                shape: shape.clone(),
            });
        }
    }
    Ok(())
}

fn check_active(path: &str, fraction: f64) -> Result<(), GrowError> {
    finite(fraction, || {
        format!("active fraction of parameter `{path}`")
    })
}

fn check_multipliers(multipliers: &[Constant<f64>], widths: &Widths) -> Result<(), GrowError> {
    multipliers.iter().try_for_each(|multiplier| {
        known(widths, &multiplier.axis)?;
        finite(multiplier.value, || {
            format!("multiplier `{}`", multiplier.path)
        })
    })
}

fn finite(value: f64, what: impl Fn() -> String) -> Result<(), GrowError> {
    match value.is_finite() {
        true => Ok(()),
        false => Err(GrowError::NotFinite {
            what: what(),
            value,
        }),
    }
}

fn inconsistent<T>(what: &str, expected: String, found: String) -> Result<T, GrowError> {
    Err(GrowError::Inconsistent {
        what: what.into(),
        expected,
        found,
    })
}
