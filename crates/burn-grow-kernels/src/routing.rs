//! Which experts every token is sent to.

/// The experts that every token of a batch is sent to, chosen on the host.
///
/// A slot is one of the `top_k` choices of a token: slot `n * top_k + j` is choice `j` of token
/// `n`.
///
/// ```
/// use burn_grow_kernels::Routing;
///
/// // Two tokens, three experts, two choices each.
/// let routing = Routing::choose(&[0.2, 0.7, 0.1, 0.5, 0.1, 0.4], 3, 2);
/// assert_eq!(routing.experts(), [1, 0, 0, 2]);
/// assert_eq!(routing.load(), [2, 1, 1]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    /// The expert of each slot.
    experts: Vec<usize>,
    /// The number of slots of each expert.
    load: Vec<usize>,
    top_k: usize,
}

impl Routing {
    /// Sends every token to its `top_k` most probable experts, most probable first, the lower index
    /// first among equals.
    ///
    /// The copies that growing makes of an expert have equal probabilities to the last bit, so they
    /// are chosen together. The exception is a tie with other experts, as under a router of zeros:
    /// then only copies that stand side by side (`CopyMap::Interleaved`) are.
    ///
    /// NaN is never more probable than a number.
    ///
    /// # Shapes
    ///
    /// - probabilities: `[tokens, n_experts]`, row-major
    pub fn choose(probabilities: &[f32], n_experts: usize, top_k: usize) -> Self {
        let mut experts = Vec::with_capacity(probabilities.len() / n_experts * top_k);
        let mut load = vec![0; n_experts];
        let mut left: Vec<f32> = vec![0.0; n_experts];
        for row in probabilities.chunks_exact(n_experts) {
            for (left, probability) in left.iter_mut().zip(row) {
                *left = probability.max(f32::MIN); // NaN becomes the smallest
            }
            for _ in 0..top_k {
                let expert = largest(&left);
                left[expert] = f32::NEG_INFINITY; // below all that are left
                experts.push(expert);
                load[expert] += 1;
            }
        }
        Self {
            experts,
            load,
            top_k,
        }
    }

    /// The number of experts a token is sent to.
    pub fn top_k(&self) -> usize {
        self.top_k
    }

    /// The number of tokens.
    pub fn tokens(&self) -> usize {
        self.experts.len() / self.top_k
    }

    /// The expert of each slot.
    pub fn experts(&self) -> &[usize] {
        &self.experts
    }

    /// The number of tokens that each expert received.
    pub fn load(&self) -> &[usize] {
        &self.load
    }

    /// The slots expert by expert, and token by token within each.
    #[cfg(feature = "flex")]
    pub(crate) fn by_expert(&self) -> Vec<usize> {
        let mut next: Vec<usize> = self
            .load
            .iter()
            .scan(0, |from, load| Some(core::mem::replace(from, *from + load)))
            .collect();
        let mut order = vec![0; self.experts.len()];
        for (slot, &expert) in self.experts.iter().enumerate() {
            order[next[expert]] = slot;
            next[expert] += 1;
        }
        order
    }

    /// The batch in which every expert has as many rows as the busiest one, its capacity.
    ///
    /// Returns the capacity, the token of each row `expert * capacity + position` (token 0 in the
    /// padding), and the row of each slot.
    pub(crate) fn padded(&self) -> (usize, Vec<i64>, Vec<i64>) {
        let capacity = self.load.iter().copied().max().unwrap_or(0);
        let mut rows = vec![0; self.load.len() * capacity];
        let mut next = vec![0; self.load.len()];
        let mut slots = Vec::with_capacity(self.experts.len());
        for (slot, &expert) in self.experts.iter().enumerate() {
            let row = expert * capacity + next[expert];
            next[expert] += 1;
            rows[row] = (slot / self.top_k) as i64;
            slots.push(row as i64);
        }
        (capacity, rows, slots)
    }
}

/// The first of the largest values.
fn largest(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_probable_experts_are_chosen_in_order() {
        let routing = Routing::choose(&[0.1, 0.4, 0.2, 0.3, 0.7, 0.1, 0.1, 0.1], 4, 2);
        assert_eq!(routing.experts(), [1, 3, 0, 1]);
        assert_eq!(routing.load(), [1, 2, 0, 1]);
        assert_eq!((routing.tokens(), routing.top_k()), (2, 2));
    }

    #[test]
    fn a_token_never_meets_an_expert_twice() {
        let nan = f32::NAN;
        for row in [
            [0.0; 4],
            [1.0, 0.0, 0.0, 0.0],
            [nan; 4],
            [nan, 0.5, nan, 0.5],
        ] {
            let routing = Routing::choose(&row, 4, 4);
            let mut experts = routing.experts().to_vec();
            experts.sort_unstable();
            assert_eq!(experts, [0, 1, 2, 3], "{row:?}");
        }
    }

    #[test]
    fn padding_puts_every_slot_in_a_row_of_its_expert() {
        let routing = Routing::choose(&[0.6, 0.3, 0.1, 0.6, 0.1, 0.3, 0.5, 0.4, 0.1], 3, 2);
        let (capacity, rows, slots) = routing.padded();
        assert_eq!(capacity, 3);
        // Expert 0 holds tokens 0, 1, 2; expert 1 tokens 0, 2; expert 2 token 1.
        assert_eq!(rows, [0, 1, 2, 0, 2, 0, 1, 0, 0]);
        assert_eq!(slots, [0, 3, 1, 6, 2, 4]);
    }
}
