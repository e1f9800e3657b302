//! The head start of a grown run: what its narrow part is worth.

use crate::page::gather::Results;
use crate::result::RunResult;
use crate::result::statistics::paired;
use crate::spec::Group;

/// Computes what the narrow part of a run is worth, seed by seed: the FLOPs that the last model
/// takes from scratch, under the same optimizer and base rate, to the loss at the last expansion,
/// minus those that were spent by then, as a fraction of the run's. Empty if no run of the group is
/// that model from scratch.
pub(super) fn head_starts(group: &Group, compared: &[Results], results: &Results) -> Vec<f64> {
    let mut members = group.members.iter().map(|index| &compared[*index]);
    let scratch = members.find(|other| {
        let same = |(ours, theirs): (&RunResult, &RunResult)| {
            ours.active == theirs.active
                && ours.settings["optimizer"] == theirs.settings["optimizer"]
        };
        other.wide
            && results
                .seeds
                .first()
                .zip(other.seeds.first())
                .is_some_and(same)
    });
    let pairs = scratch.map(|scratch| paired(&results.seeds, &scratch.seeds, head_start));
    pairs.into_iter().flatten().flatten().collect()
}

fn head_start(grown: &RunResult, scratch: &RunResult) -> Option<f64> {
    let expansion = grown.expansions.last()?;
    let step = scratch.flops / scratch.steps as f64;
    let reached = reached(&scratch.curve, expansion.loss_before)?;
    Some((reached * step - spent(grown, scratch)?) / grown.flops)
}

/// Computes the FLOPs that a grown run spent up to its last expansion: all but those of the last
/// model, whose steps cost what they do from scratch. `None` if it did not grow.
pub(super) fn spent(grown: &RunResult, scratch: &RunResult) -> Option<f64> {
    let expansion = grown.expansions.last()?;
    let step = scratch.flops / scratch.steps as f64;
    Some(grown.flops - step * (grown.steps - expansion.step) as f64)
}

/// Finds the step at which a curve first comes down to `loss`, between two of its points in
/// proportion.
fn reached(curve: &[(usize, f64)], loss: f64) -> Option<f64> {
    let crosses = |pair: &&[(usize, f64)]| pair[0].1 > loss && pair[1].1 <= loss;
    let pair = curve.windows(2).find(crosses)?;
    let [(before, above), (after, below)] = [pair[0], pair[1]];
    Some(before as f64 + (after - before) as f64 * (above - loss) / (above - below))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::result::Expanded;
    use crate::result::tests::result;
    use crate::spec::groups;

    /// Grows after 40 steps of 1 and goes on for 60 of 2; from scratch takes 2 a step.
    fn compared() -> Vec<Results> {
        let results = |name: &str, wide, row| Results {
            name: name.into(),
            wide,
            scratch: None,
            published: None,
            seeds: vec![row],
        };
        let expansion = Expanded {
            step: 40,
            loss_before: 1.75,
            ..result("").expansions[0]
        };
        let grown = RunResult {
            steps: 100,
            flops: 160.0,
            expansions: vec![expansion],
            settings: json!({"optimizer": {"peak_rate": 0.5}}),
            ..result("grown")
        };
        let scratch = RunResult {
            steps: 80,
            curve: vec![(20, 2.5), (40, 1.5), (60, 2.0), (80, 1.0)],
            expansions: Vec::new(),
            ..grown.clone()
        };
        vec![
            results("grown", false, grown),
            results("scratch", true, scratch),
        ]
    }

    fn head_starts_of(compared: &[Results]) -> Vec<f64> {
        let names: Vec<&str> = compared
            .iter()
            .map(|results| results.name.as_str())
            .collect();
        let groups = groups(None, &names).expect("groups");
        head_starts(&groups[0], compared, &compared[0])
    }

    #[test]
    fn a_head_start_is_what_from_scratch_takes_to_the_loss_at_the_expansion() {
        // 1.75 is reached at step 35, for 70; it was had for 40.
        assert_eq!(head_starts_of(&compared()), [30.0 / 160.0]);
    }

    #[test]
    fn only_the_same_model_at_the_same_rate_is_compared() {
        let changes: [fn(&mut RunResult); 4] = [
            |row| row.active += 1.0,
            |row| row.settings["optimizer"]["peak_rate"] = json!(1.0),
            |row| row.seed += 1,
            // Its curve does not come down to the loss.
            |row| row.curve.truncate(1),
        ];
        for change in changes {
            let mut compared = compared();
            change(&mut compared[1].seeds[0]);
            assert!(head_starts_of(&compared).is_empty());
        }
    }
}
