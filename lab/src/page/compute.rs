use crate::report::plot::{Chart, standalone};
use crate::summary::curves::{LINES, NAMES, STYLE, lines};
use crate::summary::gather::Entry;
use crate::summary::groups::Group;
use crate::summary::statistics::Spread;

/// Loss against the FLOPs of training: a line for each arm through its points, means over seeds. None unless the
/// groups are of runs of several lengths.
pub(super) fn compute(groups: &[Group], entries: &[Entry]) -> Option<String> {
    let arms = arms(groups, entries);
    if arms.is_empty() || arms.len() > LINES {
        return None;
    }
    let chart = Chart {
        x_label: "training FLOPs (6ND), power of ten",
        y_label: "held-out loss",
        lines: lines(arms),
        names: NAMES,
        ..Chart::default()
    };
    Some(standalone(&chart.svg(), STYLE))
}

/// The arms that were run at several lengths: the name without that, and the points from left to right.
fn arms(groups: &[Group], entries: &[Entry]) -> Vec<(String, Vec<(f64, f64)>)> {
    let mut arms: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    let lengths = |group: &&Group| group.points.iter().any(|point| point.starts_with("steps="));
    for group in groups.iter().filter(lengths) {
        for entry in group.members.iter().map(|index| &entries[*index]) {
            let losses: Vec<f64> = entry.rows.iter().map(|row| row.loss).collect();
            let Some((first, loss)) = entry.rows.first().zip(Spread::of(&losses)) else {
                continue;
            };
            let point = (first.flops.log10(), loss.mean);
            let name = group.short(&entry.name);
            match arms.iter_mut().find(|(known, _)| *known == name) {
                Some((_, points)) => points.push(point),
                None => arms.push((name, vec![point])),
            }
        }
    }
    arms.retain(|(_, points)| points.len() > 1);
    for (_, points) in &mut arms {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    arms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Row;
    use crate::row::tests::row;
    use crate::summary::groups::groups;

    #[test]
    fn an_arm_has_a_line_through_its_lengths() {
        let names = ["a/steps=8000", "b/steps=8000", "a/steps=2000"];
        let entry = |(name, points): (&str, &[(f64, f64)])| Entry {
            name: name.into(),
            wide: false,
            scratch: None,
            figure: None,
            rows: points
                .iter()
                .map(|(flops, loss)| Row {
                    flops: *flops,
                    loss: *loss,
                    ..row(name)
                })
                .collect(),
        };
        let entries = [
            (names[0], &[(1e12, 1.0), (1e12, 1.5)][..]),
            (names[1], &[(1e12, 2.0)]),
            (names[2], &[(1e11, 3.0)]),
        ]
        .map(entry);
        let groups = groups(Some("a"), &names).expect("groups");
        assert_eq!(
            arms(&groups, &entries),
            [("a".to_owned(), vec![(11.0, 3.0), (12.0, 1.25)])]
        );
        assert!(compute(&groups, &entries).is_some());
        assert!(compute(&[], &entries).is_none());
    }
}
