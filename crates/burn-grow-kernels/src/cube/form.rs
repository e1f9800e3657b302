//! The forms that a product by expert has.

/// What is multiplied, for every expert `e`, and what is summed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// `rows_e [n_e, k] x matrix_e [k, n]`
    Plain,
    /// `rows_e [n_e, k] x (matrix_e [n, k])^T`
    Transposed,
    /// `(rows_e [n_e, m])^T x rows_e [n_e, n]`
    PerExpert,
}
