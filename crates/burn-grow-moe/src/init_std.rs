//! The spread of a new model's matrices.

use serde::{Deserialize, Serialize};

/// The standard deviation that the matrices of a new model are drawn with.
///
/// Serialized, a constant is a number, `0.02`, and the other one an object, `{ "gain": 0.64 }`.
///
/// ```
/// use burn_grow_moe::InitStd;
///
/// // The 0.02 of a model of width 1024, carried over to other widths.
/// let by_width = InitStd::FanIn { gain: 0.64 };
/// assert_eq!(by_width.of(1024), 0.02);
/// assert_eq!(by_width.of(64), 0.08);
/// assert_eq!(InitStd::Constant(0.02).of(64), 0.02);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum InitStd {
    /// This one for every matrix, as `initializer_range` of `transformers`. It fits one width: a
    /// narrower model begins with activations that are too small, and a wider one with activations
    /// that are too large.
    Constant(f64),
    /// `gain / sqrt(fan_in)`, so that the outputs of a matrix begin equally large at every width.
    /// An embedding has the `hidden` inputs of the output projection that it may be tied to.
    FanIn {
        /// The standard deviation of one output whose inputs are of mean square 1.
        gain: f64,
    },
}

impl InitStd {
    /// Gives the standard deviation of a matrix with `fan_in` inputs.
    pub fn of(self, fan_in: usize) -> f64 {
        match self {
            Self::Constant(std) => std,
            Self::FanIn { gain } => gain / (fan_in as f64).sqrt(),
        }
    }

    /// Gives the number that it was made from.
    pub(crate) fn number(self) -> f64 {
        match self {
            Self::Constant(number) | Self::FanIn { gain: number } => number,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_are_read_as_they_are_written() {
        for (text, std) in [
            (json!(0.02), InitStd::Constant(0.02)),
            (json!({ "gain": 0.5 }), InitStd::FanIn { gain: 0.5 }),
        ] {
            assert_eq!(serde_json::to_value(std).expect("a value"), text);
            let read: InitStd = serde_json::from_value(text).expect("a deviation");
            assert_eq!(read, std);
        }
        let wrong = serde_json::from_value::<InitStd>(json!({ "gain": 0.5, "std": 1 }));
        assert!(wrong.is_err());
    }
}
