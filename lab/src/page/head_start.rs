use crate::row::Row;
use crate::summary::gather::Entry;
use crate::summary::groups::Group;
use crate::summary::statistics::paired;

/// What the narrow part of an arm's runs is worth, seed by seed: the FLOPs that the last model takes from scratch, under
/// the same optimizer and base rate, to the loss at the last expansion, minus those that were spent by then, as a fraction of the run's.
/// Nothing where no arm of the group is that model from scratch.
pub(super) fn head_starts(group: &Group, entries: &[Entry], entry: &Entry) -> Vec<f64> {
    let mut members = group.members.iter().map(|index| &entries[*index]);
    let scratch = members.find(|other| {
        let same = |(ours, theirs): (&Row, &Row)| {
            ours.active == theirs.active
                && ours.settings["optimizer"] == theirs.settings["optimizer"]
        };
        other.wide && entry.rows.first().zip(other.rows.first()).is_some_and(same)
    });
    let pairs = scratch.map(|scratch| paired(&entry.rows, &scratch.rows, head_start));
    pairs.into_iter().flatten().flatten().collect()
}

fn head_start(grown: &Row, scratch: &Row) -> Option<f64> {
    let expansion = grown.expansions.last()?;
    let step = scratch.flops / scratch.steps as f64;
    let spent = grown.flops - step * (grown.steps - expansion.step) as f64;
    let reached = reached(&scratch.curve, expansion.loss_before)?;
    Some((reached * step - spent) / grown.flops)
}

/// The step at which a curve first comes down to `loss`, between two of its points in proportion.
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
    use crate::row::RowExpansion;
    use crate::row::tests::row;
    use crate::summary::groups::groups;

    /// Grows after 40 steps of 1 and goes on for 60 of 2; from scratch takes 2 a step.
    fn entries() -> Vec<Entry> {
        let entry = |name: &str, wide, row| Entry {
            name: name.into(),
            wide,
            scratch: None,
            figure: None,
            rows: vec![row],
        };
        let expansion = RowExpansion {
            step: 40,
            loss_before: 1.75,
            ..row("").expansions[0]
        };
        let grown = Row {
            steps: 100,
            flops: 160.0,
            expansions: vec![expansion],
            settings: json!({"optimizer": {"peak_rate": 0.5}}),
            ..row("grown")
        };
        let scratch = Row {
            steps: 80,
            curve: vec![(20, 2.5), (40, 1.5), (60, 2.0), (80, 1.0)],
            expansions: Vec::new(),
            ..grown.clone()
        };
        vec![
            entry("grown", false, grown),
            entry("scratch", true, scratch),
        ]
    }

    fn head_starts_of(entries: &[Entry]) -> Vec<f64> {
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let groups = groups(None, &names).expect("groups");
        head_starts(&groups[0], entries, &entries[0])
    }

    #[test]
    fn a_head_start_is_what_from_scratch_takes_to_the_loss_at_the_expansion() {
        // 1.75 is reached at step 35, for 70; it was had for 40.
        assert_eq!(head_starts_of(&entries()), [30.0 / 160.0]);
    }

    #[test]
    fn only_the_same_model_at_the_same_rate_is_compared() {
        let changes: [fn(&mut Row); 4] = [
            |row| row.active += 1.0,
            |row| row.settings["optimizer"]["peak_rate"] = json!(1.0),
            |row| row.seed += 1,
            // Its curve does not come down to the loss.
            |row| row.curve.truncate(1),
        ];
        for change in changes {
            let mut entries = entries();
            change(&mut entries[1].rows[0]);
            assert!(head_starts_of(&entries).is_empty());
        }
    }
}
