use crate::report::plot::{Chart, Line, standalone};
use crate::row::Row;
use crate::summary::gather::Entry;
use crate::summary::groups::Group;

pub(super) const STYLE: &str = include_str!("curves.css");

/// The most lines that can be told apart: each of the colours of the style sheet, whole and dashed.
pub(super) const LINES: usize = 16;
const COLOURS: usize = 8;

/// The room for names.
pub(super) const NAMES: f64 = 210.0;

/// The held-out losses on the way, means over seeds, from where they have fallen most of the way. None if there
/// are no curves, or too many.
pub(super) fn curves(group: &Group, entries: &[Entry]) -> Option<String> {
    let members = group.members.iter().map(|index| &entries[*index]);
    let curves: Vec<_> = members
        .map(|entry| (group.short(&entry.name), mean(&entry.rows)))
        .filter(|(_, points)| points.len() > 1)
        .collect();
    if curves.is_empty() || curves.len() > LINES {
        return None;
    }
    let all = || curves.iter().flat_map(|(_, points)| points);
    let last = all().map(|point| point.0).fold(0.0, f64::max);
    let fallen = all().filter(|point| point.0 * 8.0 >= last);
    let (low, high) = fallen.fold((f64::MAX, f64::MIN), |(low, high), point| {
        (low.min(point.1), high.max(point.1))
    });
    let margin = 0.03 * (high - low);
    let chart = Chart {
        x_label: "step",
        y_label: "held-out loss",
        lines: lines(curves),
        x_range: Some((0.0, last)),
        y_range: (high > low).then_some((low - margin, high)),
        names: NAMES,
        ..Chart::default()
    };
    Some(standalone(&chart.svg(), STYLE))
}

/// Lines that can be told apart, from their names and points.
pub(super) fn lines(named: Vec<(String, Vec<(f64, f64)>)>) -> Vec<Line> {
    let line = |(index, (name, points))| Line {
        name,
        class: match index < COLOURS {
            true => format!("c{index}"),
            false => format!("c{} dashed", index - COLOURS),
        },
        points,
    };
    named.into_iter().enumerate().map(line).collect()
}

/// The mean over seeds at every step: runs of one arm write rows at the same ones.
fn mean(rows: &[Row]) -> Vec<(f64, f64)> {
    let count = rows.len() as f64;
    let steps = rows.iter().map(|row| row.curve.len()).min().unwrap_or(0);
    (0..steps)
        .map(|index| {
            let losses: f64 = rows.iter().map(|row| row.curve[index].1).sum();
            (rows[0].curve[index].0 as f64, losses / count)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;

    #[test]
    fn a_curve_is_the_mean_of_those_of_its_seeds() {
        let row = |curve| Row { curve, ..row("a") };
        let rows = [
            row(vec![(10, 2.0), (20, 1.0)]),
            row(vec![(10, 4.0), (20, 1.5)]),
        ];
        assert_eq!(mean(&rows), [(10.0, 3.0), (20.0, 1.25)]);
        assert_eq!(mean(&[]), []);
    }
}
