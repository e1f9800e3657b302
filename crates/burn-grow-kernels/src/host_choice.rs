//! The experts of every token, chosen on the host.

/// The experts of every token and their load, in host memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostChoice {
    /// The expert of each slot.
    experts: Vec<usize>,
    /// The number of slots of each expert.
    load: Vec<usize>,
    top_k: usize,
}

impl HostChoice {
    /// Chooses by row-major `[tokens, n_experts]` probabilities, as
    /// [`Routing::choose`](crate::Routing::choose) says.
    pub(crate) fn choose(probabilities: &[f32], n_experts: usize, top_k: usize) -> Self {
        let mut experts = Vec::with_capacity(probabilities.len() / n_experts * top_k);
        let mut left: Vec<f32> = vec![0.0; n_experts];
        for row in probabilities.chunks_exact(n_experts) {
            for (left, probability) in left.iter_mut().zip(row) {
                *left = probability.max(f32::MIN); // NaN becomes the smallest
            }
            for _ in 0..top_k {
                let expert = largest(&left);
                left[expert] = f32::NEG_INFINITY; // below all that are left
                experts.push(expert);
            }
        }
        Self::new(experts, n_experts, top_k)
    }

    /// Takes the expert of each slot.
    pub(crate) fn new(experts: Vec<usize>, n_experts: usize, top_k: usize) -> Self {
        let mut load = vec![0; n_experts];
        for expert in &experts {
            load[*expert] += 1;
        }
        Self {
            experts,
            load,
            top_k,
        }
    }

    /// The expert of each slot.
    pub(crate) fn experts(&self) -> &[usize] {
        &self.experts
    }

    /// The number of slots of each expert.
    pub(crate) fn load(&self) -> &[usize] {
        &self.load
    }

    /// The slots expert by expert, and token by token within each.
    #[cfg(any(feature = "flex", test))]
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
        let choice = HostChoice::choose(&[0.1, 0.4, 0.2, 0.3, 0.7, 0.1, 0.1, 0.1], 4, 2);
        assert_eq!(choice.experts(), [1, 3, 0, 1]);
        assert_eq!(choice.load(), [1, 2, 0, 1]);
        assert_eq!(choice.by_expert(), [2, 0, 3, 1]);
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
            let choice = HostChoice::choose(&row, 4, 4);
            let mut experts = choice.experts().to_vec();
            experts.sort_unstable();
            assert_eq!(experts, [0, 1, 2, 3], "{row:?}");
        }
    }

    #[test]
    fn padding_puts_every_slot_in_a_row_of_its_expert() {
        let choice = HostChoice::choose(&[0.6, 0.3, 0.1, 0.6, 0.1, 0.3, 0.5, 0.4, 0.1], 3, 2);
        let (capacity, rows, slots) = choice.padded();
        assert_eq!(capacity, 3);
        // Expert 0 holds tokens 0, 1, 2; expert 1 tokens 0, 2; expert 2 token 1.
        assert_eq!(rows, [0, 1, 2, 0, 2, 0, 1, 0, 0]);
        assert_eq!(slots, [0, 3, 1, 6, 2, 4]);
    }
}
