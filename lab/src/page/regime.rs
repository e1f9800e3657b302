//! What width is worth, what tokens are worth, and how much of it a grown run recovers.

use crate::page::equal_flops::costs_the_same;
use crate::page::gather::{Comparison, Results};
use crate::page::tables::percent_spread;
use crate::result::RunResult;
use crate::result::statistics::{Spread, paired};
use crate::spec::Group;
use crate::table::markdown;

/// The four runs that a line is made of.
struct Four<'a> {
    /// The narrow model, as many steps.
    small: &'a Results,
    grown: &'a Results,
    /// The wide model on as many tokens.
    tokens: &'a Results,
    /// The wide model on as many FLOPs.
    flops: &'a Results,
}

/// Tabulates, for the best grown run of every group that has the four, by how much the wide model is ahead of the
/// narrow one on as many tokens, and of itself on as many FLOPs as the grown run; and the part of the
/// first that the grown run makes good.
///
/// Growing is ahead of from scratch on as many FLOPs if that part is larger than `1 - 1 / ratio`.
pub(super) fn regime(comparisons: &[&Comparison]) -> String {
    let header = [
        "runs",
        "width is worth",
        "tokens are worth",
        "ratio",
        "recovered",
        "needed to be ahead",
        "seeds",
    ]
    .map(String::from);
    let mut lines: Vec<Vec<String>> = Vec::new();
    for comparison in comparisons {
        for group in &comparison.groups {
            let fours = fours(group, &comparison.compared).into_iter();
            let best = fours.min_by(|ours, theirs| {
                let seeds = shared(theirs).len().cmp(&shared(ours).len());
                seeds.then(last_loss(ours).total_cmp(&last_loss(theirs)))
            });
            if let Some(four) = best {
                let (place, run) = (comparison.place(group), group.short(&four.grown.name));
                lines.extend(line(&format!("{place}, {run}"), &four));
            }
        }
    }
    markdown(&header, &lines)
}

fn line(place: &str, four: &Four<'_>) -> Option<Vec<String>> {
    let seeds = shared(four);
    let minus = |above: &Results, below: &Results| -> Vec<f64> {
        let pairs = paired(&above.seeds, &below.seeds, |above, below| {
            seeds
                .contains(&above.seed)
                .then_some(above.loss - below.loss)
        });
        pairs.into_iter().flatten().collect()
    };
    let width = minus(four.small, four.tokens);
    let tokens = minus(four.flops, four.tokens);
    let gained = minus(four.small, four.grown);
    let (worth, cost) = (Spread::of(&width)?, Spread::of(&tokens)?);
    let shares: Vec<f64> = gained.iter().zip(&width).map(|(g, w)| g / w).collect();
    let ratio = worth.mean / cost.mean;
    Some(vec![
        place.to_owned(),
        worth.show(3),
        cost.show(3),
        format!("{ratio:.1}"),
        percent_spread(Spread::of(&shares)?, 0),
        format!("{:.0} %", 100.0 * (1.0 - ratio.recip())),
        width.len().to_string(),
    ])
}

/// Lists the seeds that all four have.
fn shared(four: &Four<'_>) -> Vec<u64> {
    let runs = [four.small, four.tokens, four.flops];
    let has = |run: &Results, seed| run.seeds.iter().any(|row| row.seed == seed);
    let seeds = four.grown.seeds.iter().map(|row| row.seed);
    seeds
        .filter(|seed| runs.iter().all(|run| has(run, *seed)))
        .collect()
}

/// The mean loss of the grown run over these.
fn last_loss(four: &Four<'_>) -> f64 {
    let seeds = shared(four);
    let rows = four.grown.seeds.iter();
    let losses = rows
        .filter(|row| seeds.contains(&row.seed))
        .map(|row| row.loss);
    losses.sum::<f64>() / seeds.len() as f64
}

/// Finds the four runs of every grown run at one learning rate.
fn fours<'a>(group: &Group, compared: &'a [Results]) -> Vec<Four<'a>> {
    let members = || group.members.iter().map(|index| &compared[*index]);
    let mut fours = Vec::new();
    for grown in members().filter(|run| run.scratch.is_some()) {
        let Some(first) = grown.seeds.first() else {
            continue;
        };
        let alike = |run: &&Results, wide: bool| {
            run.wide == wide
                && run.scratch.is_none()
                && run
                    .seeds
                    .first()
                    .is_some_and(|row| rate(row) == rate(first))
        };
        let as_long = |wide: bool| {
            members().find(|run| alike(run, wide) && run.seeds[0].steps == first.steps)
        };
        let as_dear = members().find(|run| alike(run, true) && costs_the_same(grown, run));
        if let (Some(small), Some(tokens), Some(flops)) = (as_long(false), as_long(true), as_dear) {
            fours.push(Four {
                small,
                grown,
                tokens,
                flops,
            });
        }
    }
    fours
}

fn rate(row: &RunResult) -> Option<f64> {
    row.settings["optimizer"]["peak_rate"].as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::gather::Scratch;
    use crate::result::tests::result;
    use crate::spec::groups;

    fn results(name: &str, (steps, flops): (usize, f64), losses: &[f64]) -> Results {
        let rows = (0..).zip(losses).map(|(seed, loss)| RunResult {
            seed,
            steps,
            flops,
            loss: *loss,
            ..result(name)
        });
        Results {
            name: name.into(),
            wide: name.starts_with("wide"),
            scratch: name.starts_with("grown").then_some(Scratch {
                flops: 1.0,
                counted: 1.0,
            }),
            published: None,
            seeds: rows.collect(),
        }
    }

    fn lines(compared: Vec<Results>) -> Vec<String> {
        let names: Vec<&str> = compared.iter().map(|run| run.name.as_str()).collect();
        let comparison = Comparison {
            name: "table1".into(),
            groups: groups(None, &names).expect("one group"),
            compared,
        };
        let text = regime(&[&comparison]);
        let unpadded = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        text.lines().skip(2).map(unpadded).collect()
    }

    #[test]
    fn what_growing_recovers_stands_beside_what_it_needs() {
        let compared = vec![
            // A third seed that the others do not have counts for nothing.
            results("small", (10, 10.0), &[2.0, 2.5, 9.0]),
            results("grown", (10, 15.0), &[1.25, 1.5]),
            results("grown-naively", (10, 15.0), &[1.5, 1.75]),
            // One seed, however low, is no match for two.
            results("grown-once", (10, 15.0), &[1.0]),
            results("wide-tokens", (10, 20.0), &[1.0, 1.5]),
            results("wide-flops", (7, 14.0), &[1.25, 1.75]),
        ];
        assert_eq!(
            lines(compared),
            ["| table1, grown | 1.000 +- 0.000 | 0.250 +- 0.000 | 4.0 | 88 +- 18 % | 75 % | 2 |"]
        );
    }

    #[test]
    fn a_run_without_its_three_others_has_no_line() {
        let compared = vec![
            results("small", (10, 10.0), &[2.0]),
            results("grown", (10, 15.0), &[1.25]),
            results("wide-tokens", (10, 20.0), &[1.0]),
            // Neither as many steps nor as many FLOPs.
            results("wide-short", (3, 6.0), &[1.25]),
        ];
        assert!(lines(compared).is_empty());
    }
}
