use core::fmt;

use crate::{Axis, Role};

/// What [`two_width_check`](crate::two_width_check) has against one dimension, or one parameter.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RoleMismatch {
    /// A dimension whose role does not say how its size changes.
    Dimension {
        /// The path of the parameter.
        path: String,
        /// The dimension.
        dim: usize,
        /// Its sizes in the narrow and in the wide model.
        sizes: (usize, usize),
        /// Its role, if it has one.
        role: Option<Role>,
        /// The sizes that its role gives it.
        expected: (usize, usize),
        /// What changes as it does: an axis, or a multiple of one, as in `2 x inner`.
        alike: Vec<String>,
    },
    /// A parameter of one model that the other lacks, or has with another rank.
    Parameter {
        /// The path of the parameter.
        path: String,
        /// Its shape in the narrow model, if it is there.
        narrow: Option<Vec<usize>>,
        /// Its shape in the wide model, if it is there.
        wide: Option<Vec<usize>>,
    },
    /// Axes that change alike, of which a dimension could name either: one of them may be a misspelt other.
    Axes {
        /// The axes.
        axes: Vec<Axis>,
        /// The widths of each in the narrow and in the wide model.
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
