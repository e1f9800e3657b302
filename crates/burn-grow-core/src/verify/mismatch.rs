//! The mistakes that the two-width check finds.

use core::fmt;

use crate::describe::axis::Axis;
use crate::describe::layout::Layout;
use crate::describe::layout::Term;
use crate::describe::role::Role;

/// Paths that a line names.
const PATHS: usize = 3;

/// A mistake that [`two_width_check`](crate::verify::two_width_check) found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RoleMismatch {
    /// The size of a dimension does not change as its role says.
    Dimension {
        /// Path of the parameter.
        path: String,
        /// Index of the dimension.
        dim: usize,
        /// Sizes in the narrow and in the wide model.
        sizes: (usize, usize),
        /// Role of the dimension, if it has one.
        role: Option<Role>,
        /// Sizes according to the role.
        expected: (usize, usize),
        /// Axes, or multiples of one as in `2 x inner`, that change in the same way.
        alike: Vec<String>,
    },
    /// Only one model has the parameter, or the models have it with different ranks.
    Parameter {
        /// Path of the parameter.
        path: String,
        /// Shape in the narrow model, if it is there.
        narrow: Option<Vec<usize>>,
        /// Shape in the wide model, if it is there.
        wide: Option<Vec<usize>>,
    },
    /// A number that nobody declared changes with the widths. An expansion would leave it as it is.
    Undeclared {
        /// Path of the number, inside its field.
        path: String,
        /// Length of the path of the field, if Burn skips it.
        skipped: Option<usize>,
        /// What changes.
        quantity: Quantity,
        /// Values in the narrow and in the wide model.
        values: (f64, f64),
        /// Axes and products that change in the same way.
        alike: Vec<Layout>,
    },
    /// A constant is not the function of a width that it is declared to be.
    Function {
        /// Path of the constant.
        path: String,
        /// The axis or product that it is a function of.
        layout: Layout,
        /// Width in the model at fault.
        width: usize,
        /// Value there.
        found: f64,
        /// Value of the function.
        expected: f64,
    },
}

/// What an undeclared number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// A field, or a number in one.
    Number,
    /// The size of this dimension of a tensor.
    Dimension(usize),
    /// How many numbers a list has.
    Length,
}

/// What [`two_width_check`](crate::verify::two_width_check) reports besides mistakes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RoleWarning {
    /// Several axes change in the same way, so their dimensions cannot be told apart. One may be a
    /// misspelling of another, or the model may tie them.
    Alike {
        /// Names of the axes.
        axes: Vec<Axis>,
        /// Widths of each in the narrow and in the wide model.
        widths: (usize, usize),
    },
    /// A map of axes has names that nothing inside uses.
    Unused {
        /// Path of the field.
        path: String,
        /// Names that are not used.
        unused: Vec<Axis>,
        /// Names that are.
        used: Vec<Axis>,
    },
}

impl fmt::Display for RoleWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |axes: &[Axis], between: &str| {
            let axes: Vec<_> = axes.iter().map(|axis| format!("`{axis}`")).collect();
            axes.join(between)
        };
        match self {
            Self::Alike { axes, widths } => write!(
                f,
                "axes {} all change {} -> {}: build models that differ in them, or give them one name",
                list(axes, " and "),
                widths.0,
                widths.1
            ),
            Self::Unused { path, unused, used } => write!(
                f,
                "`axes(..)` of `{path}` names {}, but what it describes has {}",
                list(unused, ", "),
                list(used, ", ")
            ),
        }
    }
}

impl RoleMismatch {
    /// Writes one line for each cause: what is the same but for the path.
    pub(crate) fn lines(mismatches: &[Self]) -> String {
        let mut causes: Vec<(&Self, Vec<&str>)> = Vec::new();
        for mismatch in mismatches {
            let cause = causes
                .iter_mut()
                .find(|(first, _)| first.same_cause(mismatch));
            match cause {
                Some((_, paths)) => paths.push(mismatch.path()),
                None => causes.push((mismatch, vec![mismatch.path()])),
            }
        }
        let lines = causes.iter().map(|(mismatch, paths)| {
            let quoted = paths.iter().take(PATHS).map(|path| format!("`{path}`"));
            let mut text = quoted.collect::<Vec<_>>().join(", ");
            if paths.len() > PATHS {
                text += &format!(" and {} more", paths.len() - PATHS);
            }
            mismatch.text(&text, paths.len() > 1)
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn path(&self) -> &str {
        match self {
            Self::Dimension { path, .. }
            | Self::Parameter { path, .. }
            | Self::Undeclared { path, .. }
            | Self::Function { path, .. } => path,
        }
    }

    fn same_cause(&self, other: &Self) -> bool {
        let mut other = other.clone();
        let path = match &mut other {
            Self::Dimension { path, .. } | Self::Parameter { path, .. } => path,
            Self::Undeclared { path, .. } | Self::Function { path, .. } => path,
        };
        *path = self.path().to_owned();
        // Missing parameters have no cause in common, and a declaration is for one field.
        matches!(self, Self::Dimension { .. }) && *self == other
    }
}

impl fmt::Display for RoleMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(&format!("`{}`", self.path()), false))
    }
}

impl RoleMismatch {
    /// Says what is wrong with `paths`, of which there are `many`.
    fn text(&self, paths: &str, many: bool) -> String {
        match self {
            Self::Dimension {
                dim,
                sizes,
                role,
                expected,
                alike,
                ..
            } => {
                let parameters = if many { "parameters" } else { "parameter" };
                let role = match role {
                    None => "has no role".into(),
                    Some(role) => {
                        format!("is {role}, which changes {} -> {},", expected.0, expected.1)
                    }
                };
                let changes = if sizes.0 == sizes.1 {
                    format!("stays {}: it has no such role", sizes.0)
                } else {
                    let alike = match alike.as_slice() {
                        [] => "no axis does".into(),
                        [axis] => format!("axis {axis} does"),
                        axes => format!("axes {} do", axes.join(" and ")),
                    };
                    format!("changes {} -> {} as {alike}", sizes.0, sizes.1)
                };
                format!("{parameters} {paths}: dimension {dim} {role} but {changes}")
            }
            Self::Parameter { narrow, wide, .. } => {
                let shape = |shape: &Option<Vec<usize>>| match shape {
                    Some(shape) => format!("has shape {shape:?}"),
                    None => "is missing".into(),
                };
                format!(
                    "parameter {paths} {} in the narrow model and {} in the wide one",
                    shape(narrow),
                    shape(wide)
                )
            }
            Self::Undeclared {
                path,
                skipped,
                quantity,
                values,
                alike,
            } => {
                let what = match quantity {
                    Quantity::Number => paths.to_owned(),
                    Quantity::Dimension(dim) => format!("dimension {dim} of {paths}"),
                    Quantity::Length => format!("the length of {paths}"),
                };
                let names: Vec<_> = alike.iter().map(Layout::to_string).collect();
                let alike_text = match names.as_slice() {
                    [] => String::new(),
                    [axis] => format!(" as axis {axis} does"),
                    axes => format!(" as axes {} do", axes.join(" and ")),
                };
                let advice = advice(path, *skipped, *quantity, alike);
                let (narrow, wide) = (short(values.0), short(values.1));
                format!(
                    "{what} changes {narrow} -> {wide}{alike_text} and is not declared: {advice}"
                )
            }
            Self::Function {
                layout,
                width,
                found,
                expected,
                ..
            } => format!(
                "{paths} is {}, but its function of {layout}, {width} wide, gives {}",
                short(*found),
                short(*expected)
            ),
        }
    }
}

/// Says what to write for a number that changes.
fn advice(path: &str, skipped: Option<usize>, quantity: Quantity, alike: &[Layout]) -> String {
    let Quantity::Number = quantity else {
        return "it cannot grow; make it from the widths in `forward`".into();
    };
    let inside = skipped.and_then(|field| path.get(field + 1..));
    match (alike.first(), inside) {
        (Some(layout), Some(inside)) if !inside.is_empty() => {
            format!("`#[grow(widths({inside}{}))]`", attribute(layout))
        }
        (Some(layout), _) => format!("`#[grow(width{})]`", attribute(layout)),
        (None, Some(inside)) if !inside.is_empty() => {
            format!("`#[grow(widths({inside} = _))]` if it may differ")
        }
        (None, _) => "`recomputed` or `kept` says of which width it is a function, `skip` that it \
                      may differ"
            .into(),
    }
}

/// Writes a layout as an attribute takes it.
fn attribute(layout: &Layout) -> String {
    if let Some(axis) = layout.single() {
        return format!(" = \"{axis}\"");
    }
    let terms = layout.terms.iter().map(|term| match term {
        Term::Axis(axis) => format!("\"{axis}\""),
        Term::Fixed(size) => format!("unit = {size}"),
    });
    format!("({})", terms.collect::<Vec<_>>().join(", "))
}

/// Writes a whole number as it is, and another one with four digits.
fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return format!("{value}");
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    if !(0..=10).contains(&digits) {
        return format!("{value:.3e}");
    }
    let text = format!("{value:.*}", digits as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let numbers = [8.0, 0.353_553_39, 0.25, 1e-8, 12_345.678, 1.5, -0.5];
        let texts = ["8", "0.3536", "0.25", "1.000e-8", "1.235e4", "1.5", "-0.5"];
        assert_eq!(numbers.map(short), texts);
    }

    #[test]
    fn a_cause_is_one_line() {
        let of = |path: &str, dim| RoleMismatch::Dimension {
            path: path.into(),
            dim,
            sizes: (8, 16),
            role: None,
            expected: (8, 8),
            alike: vec!["inner".into()],
        };
        let mismatches: Vec<_> = ["a", "b", "c", "d", "e"].map(|path| of(path, 0)).into();
        assert_eq!(
            RoleMismatch::lines(&mismatches),
            "parameters `a`, `b`, `c` and 2 more: dimension 0 has no role but changes 8 -> 16 as \
             axis inner does"
        );
        assert_eq!(
            RoleMismatch::lines(&[of("a", 0), of("b", 1)])
                .lines()
                .count(),
            2
        );
    }
}
