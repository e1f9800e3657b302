//! The choice of what new units hold, axis by axis.

/// What the new units of an axis hold in an expanded tensor. Where axes meet in one coordinate, any
/// zero makes it zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The values of the unit that each one copies; zeros where the plan makes random units.
    Copy,
    /// As [`Copy`](Self::Copy), to be multiplied with the factors of the axis, as weights are
    /// ([`Plan::factor`](crate::Plan::factor)).
    Scale,
    /// Zeros.
    Zero,
}
