//! The cost of a model before and after an expansion.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::flops::training_flops;
use crate::table::table;

/// The optimizer state of one parameter, in single precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateSize {
    /// Two moments.
    #[default]
    #[serde(rename = "adamw")]
    AdamW,
    /// Nothing: SGD without momentum.
    Sgd,
    /// One momentum: SGD with it, or Muon.
    Momentum,
    /// This many bytes.
    Bytes(f64),
}

impl StateSize {
    /// Returns the bytes of state per parameter.
    pub fn bytes_per_param(self) -> f64 {
        match self {
            Self::AdamW => 8.0,
            Self::Sgd => 0.0,
            Self::Momentum => 4.0,
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// What a model costs to train and to keep.
///
/// [`Blueprint::cost`](crate::Blueprint::cost) and [`Plan::cost`](crate::Plan::cost) compute it for
/// a model.
///
/// ```
/// use burn_grow_core::cost::{Cost, StateSize};
///
/// // 10 million parameters, of which 4 million take part in a token, under AdamW.
/// let cost = Cost::new(10_000_000, 4e6, StateSize::AdamW);
/// assert_eq!(cost.training_flops, 6.0 * 4e6);
/// assert_eq!(cost.optimizer_bytes, 8.0 * 1e7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Number of parameters.
    pub params: usize,
    /// Number of parameters that take part in one token: `N`.
    pub active_params: f64,
    /// Floating-point operations of training on one token: `6 N`.
    pub training_flops: f64,
    /// Floating-point operations of a forward pass of one token: `2 N`.
    pub forward_flops: f64,
    /// Bytes of the parameters in single precision.
    pub param_bytes: f64,
    /// Bytes of the optimizer state.
    pub optimizer_bytes: f64,
}

impl Cost {
    /// Computes the cost of `params` parameters, of which `active_params` take part in one token.
    pub fn new(params: usize, active_params: f64, state: StateSize) -> Self {
        Self {
            params,
            active_params,
            training_flops: training_flops(active_params, 1.0),
            forward_flops: 2.0 * active_params,
            param_bytes: 4.0 * params as f64,
            optimizer_bytes: state.bytes_per_param() * params as f64,
        }
    }
}

/// The cost of a model before and after an expansion. Prints as a table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostChange {
    /// Cost of the narrow model.
    pub before: Cost,
    /// Cost of the wide model.
    pub after: Cost,
}

impl fmt::Display for CostChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (old, new) = (&self.before, &self.after);
        let row = |name: &str, of: fn(&Cost) -> f64, show: fn(f64) -> String| {
            let (old, new) = (of(old), of(new));
            let ratio = if old > 0.0 {
                format!("{:.2}x", new / old)
            } else {
                String::new()
            };
            vec![name.to_owned(), show(old), show(new), ratio]
        };
        let count = |value: f64| format!("{value:.0}");
        let flops = |value: f64| format!("{value:.3e}");
        let header = ["cost", "before", "after", "ratio"];
        let rows = [
            header.map(String::from).to_vec(),
            row("parameters", |cost| cost.params as f64, count),
            row("active parameters", |cost| cost.active_params, count),
            row(
                "training FLOPs per token (6N)",
                |cost| cost.training_flops,
                flops,
            ),
            row(
                "forward FLOPs per token (2N)",
                |cost| cost.forward_flops,
                flops,
            ),
            row("parameter memory", |cost| cost.param_bytes, bytes),
            row("optimizer memory", |cost| cost.optimizer_bytes, bytes),
        ];
        f.write_str(table(&rows).trim_end())
    }
}

/// Formats bytes in the largest binary unit of which there is at least one.
fn bytes(bytes: f64) -> String {
    let units = ["GiB", "MiB", "KiB"];
    let sizes = [30, 20, 10].map(|power| f64::from(1u32 << power));
    match units.iter().zip(sizes).find(|(_, size)| bytes >= *size) {
        Some((unit, size)) => format!("{:.2} {unit}", bytes / size),
        None => format!("{bytes:.0} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_the_largest_unit() {
        let shown = [0.0, 1023.0, 1024.0, 1.5 * 1048576.0, 3e9].map(bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1.00 KiB", "1.50 MiB", "2.79 GiB"]);
    }
}
