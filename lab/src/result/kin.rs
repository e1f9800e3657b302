//! Which machines give the same numbers.

use std::collections::BTreeMap;

use crate::result::RunResult;

/// Machines, and which of them give the same numbers.
///
/// Another processor may round sums differently, and a run that begins a little differently ends
/// elsewhere. So runs of two machines are compared only if the machines are kin: they have made a
/// run both, and every run that both have made has the same numbers to the last digit.
#[derive(Debug)]
pub struct Kin<'a> {
    /// Each machine with the first of its kin.
    first: BTreeMap<&'a str, &'a str>,
}

impl<'a> Kin<'a> {
    /// Finds the kin among the machines of `results`.
    pub fn of(results: &'a [RunResult]) -> Self {
        let mut runs: BTreeMap<&str, BTreeMap<&str, &RunResult>> = BTreeMap::new();
        let mut machines: Vec<&str> = Vec::new();
        for result in results {
            if !runs.contains_key(result.machine.as_str()) {
                machines.push(&result.machine);
            }
            let runs = runs.entry(&result.machine).or_default();
            runs.insert(&result.id, result);
        }
        let agree = |ours: &str, theirs: &str| {
            let both = runs[ours].iter().filter_map(|(id, result)| {
                let other = runs[theirs].get(id)?;
                Some(same_numbers(result, other))
            });
            let both: Vec<bool> = both.collect();
            !both.is_empty() && both.into_iter().all(|same| same)
        };
        let mut first: BTreeMap<&str, &str> = BTreeMap::new();
        for machine in machines {
            let kin = first.iter().find(|(other, _)| agree(machine, other));
            let kin = kin.map_or(machine, |(_, kin)| *kin);
            first.insert(machine, kin);
        }
        Self { first }
    }

    /// Gives the first machine of this one's kin: itself, if it has none.
    pub fn first<'b>(&self, machine: &'b str) -> &'b str
    where
        'a: 'b,
    {
        self.first.get(machine).copied().unwrap_or(machine)
    }
}

fn same_numbers(ours: &RunResult, theirs: &RunResult) -> bool {
    ours.loss == theirs.loss
        && ours.curve == theirs.curve
        && ours.scores == theirs.scores
        && ours.expansions == theirs.expansions
        && ours.cosine == theirs.cosine
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::tests::result;

    fn on(machine: &str, id: &str, loss: f64) -> RunResult {
        RunResult {
            machine: machine.into(),
            loss,
            ..result(id)
        }
    }

    #[test]
    fn machines_are_kin_that_agree_in_every_run_both_have_made() {
        let results = [
            on("old", "a", 1.0),
            on("old", "b", 2.0),
            on("same", "b", 2.0),
            on("same", "c", 3.0),
            on("same as that", "c", 3.0),
            on("rounds", "a", 1.0),
            on("rounds", "b", 2.000_001),
            on("stranger", "d", 1.0),
        ];
        let kin = Kin::of(&results);
        assert_eq!(kin.first("same"), "old");
        assert_eq!(kin.first("same as that"), "old");
        for own in ["old", "rounds", "stranger", "unknown"] {
            assert_eq!(kin.first(own), own);
        }
    }
}
