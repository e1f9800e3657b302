//! The mistakes that the two-width check finds.

use core::fmt;

use crate::describe::axis::Axis;
use crate::describe::role::Role;

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
    /// Several axes change in the same way, so their dimensions cannot be told apart. One may be a
    /// misspelling of another.
    Axes {
        /// Names of the axes.
        axes: Vec<Axis>,
        /// Widths of each in the narrow and in the wide model.
        widths: (usize, usize),
    },
}

impl fmt::Display for RoleMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dimension {
                path,
                dim,
                sizes,
                role,
                expected,
                alike,
            } => {
                write!(f, "parameter `{path}`: dimension {dim} ")?;
                match role {
                    None => f.write_str("has no role")?,
                    Some(role) => write!(
                        f,
                        "is {role}, which changes {} -> {},",
                        expected.0, expected.1
                    )?,
                }
                if sizes.0 == sizes.1 {
                    return write!(f, " but stays {}: it has no such role", sizes.0);
                }
                write!(f, " but changes {} -> {} as ", sizes.0, sizes.1)?;
                match alike.as_slice() {
                    [] => f.write_str("no axis does"),
                    [axis] => write!(f, "axis {axis} does"),
                    axes => write!(f, "axes {} do", axes.join(" and ")),
                }
            }
            Self::Axes { axes, widths } => {
                let axes: Vec<_> = axes.iter().map(|axis| format!("`{axis}`")).collect();
                write!(
                    f,
                    "axes {} all change {} -> {}: build models that differ in them, or give them one name",
                    axes.join(" and "),
                    widths.0,
                    widths.1
                )
            }
            Self::Parameter { path, narrow, wide } => {
                let shape = |shape: &Option<Vec<usize>>| match shape {
                    Some(shape) => format!("has shape {shape:?}"),
                    None => "is missing".into(),
                };
                write!(
                    f,
                    "parameter `{path}` {} in the narrow model and {} in the wide one",
                    shape(narrow),
                    shape(wide)
                )
            }
        }
    }
}
