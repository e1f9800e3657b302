//! Which machines give the same numbers.

use std::collections::BTreeMap;

use crate::result::RunResult;

/// Machines, and which of them give the same numbers.
///
/// Another processor may round sums differently, and a run that begins a little differently ends
/// elsewhere. So runs of two machines are compared only if the machines are kin: they have made a
/// run both, and every run that both have made has the same numbers to the last digit. A machine is
/// held against all of its kin together.
#[derive(Debug)]
pub struct Kin<'a> {
    /// Each machine with the first of its kin.
    first: BTreeMap<&'a str, &'a str>,
}

impl<'a> Kin<'a> {
    /// Finds the kin among the machines of `results`.
    pub fn of(results: &'a [RunResult]) -> Self {
        let mut machines: Vec<(&str, Runs<'_>)> = Vec::new();
        for result in results {
            let known = machines.iter_mut().find(|(it, _)| *it == result.machine);
            match known {
                Some((_, runs)) => drop(runs.insert(&result.id, result)),
                None => machines.push((&result.machine, Runs::from([(&*result.id, result)]))),
            }
        }
        let mut kinds: Vec<(&str, Runs<'_>)> = Vec::new();
        let mut first = BTreeMap::new();
        for (machine, runs) in machines {
            if let Some((kin, theirs)) = kinds.iter_mut().find(|(_, theirs)| agree(&runs, theirs)) {
                first.insert(machine, *kin);
                theirs.extend(runs);
            } else {
                first.insert(machine, machine);
                kinds.push((machine, runs));
            }
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

/// Runs by their ids.
type Runs<'a> = BTreeMap<&'a str, &'a RunResult>;

/// Tells if there are runs in both, and all of them have the same numbers.
fn agree(ours: &Runs<'_>, theirs: &Runs<'_>) -> bool {
    let mut both = ours
        .iter()
        .filter_map(|(id, result)| Some((result, theirs.get(id)?)))
        .peekable();
    both.peek().is_some() && both.all(|(ours, theirs)| same_numbers(ours, theirs))
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
            on("agrees with one alone", "a", 1.5),
            on("agrees with one alone", "c", 3.0),
            on("stranger", "d", 1.0),
        ];
        let kin = Kin::of(&results);
        assert_eq!(kin.first("same"), "old");
        assert_eq!(kin.first("same as that"), "old");
        for own in [
            "old",
            "rounds",
            "agrees with one alone",
            "stranger",
            "unknown",
        ] {
            assert_eq!(kin.first(own), own);
        }
    }
}
