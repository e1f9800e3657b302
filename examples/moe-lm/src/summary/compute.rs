use crate::report::plot::{Chart, Line, standalone};
use crate::summary::curves::{LINES, NAMES, STYLE, class};
use crate::summary::gather::Entry;
use crate::summary::groups::Group;

/// Loss against the FLOPs of training: a line for each arm through its points, means over seeds. None unless the
/// groups are of runs of several lengths.
pub(super) fn compute(groups: &[Group], entries: &[Entry]) -> Option<String> {
    let lines = lines(groups, entries);
    if lines.is_empty() || lines.len() > LINES {
        return None;
    }
    let chart = Chart {
        x_label: "training FLOPs (6ND), power of ten",
        y_label: "held-out loss",
        lines: lines
            .into_iter()
            .enumerate()
            .map(|(index, (name, points))| Line {
                name,
                class: class(index),
                points,
            })
            .collect(),
        names: NAMES,
        ..Chart::default()
    };
    Some(standalone(&chart.svg(), STYLE))
}

/// The arms that were run at several lengths: the name without that, and the points from left to right.
fn lines(groups: &[Group], entries: &[Entry]) -> Vec<(String, Vec<(f64, f64)>)> {
    let mut lines: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    let lengths = |group: &&Group| group.points.iter().any(|point| point.starts_with("steps="));
    for group in groups.iter().filter(lengths) {
        for entry in group.members.iter().map(|index| &entries[*index]) {
            let Some(first) = entry.rows.first() else {
                continue;
            };
            let losses: f64 = entry.rows.iter().map(|row| row.loss).sum();
            let point = (first.flops.log10(), losses / entry.rows.len() as f64);
            let name = group.short(&entry.name);
            match lines.iter_mut().find(|(known, _)| *known == name) {
                Some((_, points)) => points.push(point),
                None => lines.push((name, vec![point])),
            }
        }
    }
    lines.retain(|(_, points)| points.len() > 1);
    for (_, points) in &mut lines {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    lines
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
            lines(&groups, &entries),
            [("a".to_owned(), vec![(11.0, 3.0), (12.0, 1.25)])]
        );
        assert!(compute(&groups, &entries).is_some());
        assert!(compute(&[], &entries).is_none());
    }
}
