//! The 6ND rule: floating-point operations of training, and what growing saves of them.

/// Estimates the floating-point operations of training `active_params` parameters on `tokens`
/// tokens: `C = 6 N D`.
pub fn training_flops(active_params: f64, tokens: f64) -> f64 {
    6.0 * active_params * tokens
}

/// Computes the fraction of FLOPs that a grown run saves against training the final width from
/// scratch on as many tokens: `1 - C_grown / C_scratch` (Eq. 29).
///
/// `segments` lists the active parameters and tokens of each width in turn, the widest last.
///
/// ```
/// use burn_grow_core::cost::saved_flops;
///
/// // 100 tokens each at one and at twice the width: a quarter is saved.
/// assert_eq!(saved_flops(&[(1.0, 100.0), (2.0, 100.0)]), 0.25);
/// assert_eq!(saved_flops(&[(2.0, 100.0)]), 0.0);
/// ```
pub fn saved_flops(segments: &[(f64, f64)]) -> f64 {
    let Some((widest, _)) = segments.last() else {
        return 0.0;
    };
    let grown: f64 = segments.iter().map(|(n, d)| training_flops(*n, *d)).sum();
    let tokens: f64 = segments.iter().map(|(_, tokens)| tokens).sum();
    1.0 - grown / training_flops(*widest, tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_midway_to_twice_the_width_saves_a_quarter() {
        assert_eq!(saved_flops(&[(1.0, 100.0), (2.0, 100.0)]), 0.25);
        assert_eq!(saved_flops(&[(2.0, 100.0)]), 0.0);
    }
}
