//! What was seen of numbers that nobody declared.

/// Everything that was seen, in the order of the module tree.
#[derive(Debug, Default)]
pub(crate) struct Observations(pub(crate) Vec<Observation>);

/// One number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Observation {
    /// Path of the number, below that of the field.
    pub(crate) path: String,
    /// Length of the path of the field, if the number is inside what Burn skips.
    pub(crate) skipped: Option<usize>,
    pub(crate) value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    Number(f64),
    /// Size of a dimension of a tensor.
    Dimension(usize, usize),
}
