use core::fmt;

use serde::{Deserialize, Serialize};

use crate::table::table;
use crate::{Blueprint, Plan};

/// Floating-point operations of training `active_params` parameters on `tokens` tokens:
/// `C = 6 N D`.
pub fn training_flops(active_params: f64, tokens: f64) -> f64 {
    6.0 * active_params * tokens
}

/// The fraction of FLOPs that a grown run saves against training the final width from scratch on as
/// many tokens: `1 - C_grown / C_scratch` (Eq. 29).
///
/// `segments` lists the active parameters and tokens of each width in turn, the last one widest.
pub fn saved_flops(segments: &[(f64, f64)]) -> f64 {
    let Some((widest, _)) = segments.last() else {
        return 0.0;
    };
    let grown: f64 = segments.iter().map(|(n, d)| training_flops(*n, *d)).sum();
    let tokens: f64 = segments.iter().map(|(_, tokens)| tokens).sum();
    1.0 - grown / training_flops(*widest, tokens)
}

/// How much an optimizer remembers of each parameter, in single precision.
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
    /// The bytes of state of one parameter.
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The number of parameters.
    pub params: usize,
    /// The number that takes part in one token: `N`.
    pub active_params: f64,
    /// Floating-point operations of training on one token: `6 N`.
    pub training_flops: f64,
    /// Floating-point operations of a forward pass of one token: `2 N`.
    pub forward_flops: f64,
    /// The bytes of the parameters in single precision.
    pub param_bytes: f64,
    /// The bytes of the optimizer state.
    pub optimizer_bytes: f64,
}

impl Cost {
    /// Of `params` parameters, of which `active_params` take part in one token.
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

/// What an expansion costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostChange {
    /// The narrow model.
    pub before: Cost,
    /// The wide one.
    pub after: Cost,
}

impl Blueprint {
    /// What the model costs.
    pub fn cost(&self, state: StateSize) -> Cost {
        Cost::new(self.num_params(), self.active_params(), state)
    }
}

impl Plan {
    /// What the model costs before and after.
    pub fn cost(&self, state: StateSize) -> CostChange {
        let (params, active) = (self.num_params(), self.active_params());
        CostChange {
            before: Cost::new(params.0, active.0, state),
            after: Cost::new(params.1, active.1, state),
        }
    }
}

/// A table of both.
impl fmt::Display for CostChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (old, new) = (&self.before, &self.after);
        let row = |name: &str, of: fn(&Cost) -> f64, show: fn(f64) -> String| {
            let (old, new) = (of(old), of(new));
            let ratio = match old > 0.0 {
                true => format!("{:.2}x", new / old),
                false => String::new(),
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

/// Bytes in the largest binary unit that leaves at least one.
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
    fn growing_half_way_to_twice_the_width_saves_a_quarter() {
        assert_eq!(saved_flops(&[(1.0, 100.0), (2.0, 100.0)]), 0.25);
        assert_eq!(saved_flops(&[(2.0, 100.0)]), 0.0);
    }

    #[test]
    fn bytes_are_shown_in_the_largest_unit() {
        let shown = [0.0, 1023.0, 1024.0, 1.5 * 1048576.0, 3e9].map(bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1.00 KiB", "1.50 MiB", "2.79 GiB"]);
    }
}
