//! Width axes, known by name.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Begins the names that nobody gave, of widths that never grow.
const FIXED: &str = "_ ";

/// The name of a width: a hidden dimension that consecutive layers share.
///
/// Dimensions that name the same axis have the same width and grow together: `"hidden"` for the
/// residual stream of a transformer, `"inner"` for the intermediate size of its experts. Any string
/// converts into an axis.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Axis(String);

impl Axis {
    /// Names a width that never grows: what `axis` stands for at `path`.
    pub(crate) fn fixed(path: &str, axis: &Self) -> Self {
        Self(format!("{FIXED}{path} {axis}"))
    }

    /// Returns `true` if the width never grows.
    pub(crate) fn is_fixed(&self) -> bool {
        self.0.starts_with(FIXED)
    }

    /// Returns the name that the description gives the axis, if nobody gave it another one.
    pub(crate) fn own(&self) -> Self {
        let fixed = self
            .0
            .strip_prefix(FIXED)
            .and_then(|name| name.split_once(' '));
        fixed.map_or_else(|| self.clone(), |(_, name)| name.into())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: Into<String>> From<S> for Axis {
    fn from(name: S) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
