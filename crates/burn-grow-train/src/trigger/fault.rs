//! Settings with which a metric trigger makes no sense.

/// Reason why a metric trigger could never fire, or would always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TriggerFault {
    /// The patience of a plateau is zero.
    #[error("the patience has to be one epoch or more")]
    Patience,
    /// The minimum change of a plateau is negative or not finite.
    #[error("the minimum change has to be a finite number, zero or more")]
    MinChange,
    /// A slope over less than two epochs.
    #[error("the window has to be two epochs or more")]
    Window,
    /// A step that costs nothing, or no number of FLOPs.
    #[error("the FLOPs of a step have to be a positive number")]
    Flops,
    /// An expansion that keeps nothing, or no number.
    #[error("the part that an expansion keeps has to be a positive number")]
    Kept,
    /// The threshold of a slope is not finite.
    #[error("the threshold has to be a finite number")]
    Threshold,
}
