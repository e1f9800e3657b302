//! Growth against training from scratch at equal FLOPs, over all experiments that have both.

use crate::page::gather::{Comparison, Results};
use crate::page::head_start::head_starts;
use crate::page::tables::{percent_spread, signs};
use crate::result::statistics::{Spread, differences, paired};
use crate::spec::Group;
use crate::table::markdown;

/// A run that grows and one from scratch, on as many FLOPs.
struct Contest<'a> {
    grown: &'a Results,
    scratch: &'a Results,
}

/// Tabulates the lowest of the runs that grow against the lowest of those from scratch on as many
/// FLOPs, for every group that has both: of the runs with as many seeds as any two of them share.
/// The largest head start comes first.
pub(super) fn equal_flops(comparisons: &[&Comparison]) -> String {
    let header = [
        "runs",
        "tokens for each active parameter",
        "growth",
        "from scratch",
        "head start",
        "growth minus from scratch, paired",
        "seeds of that sign",
    ]
    .map(String::from);
    let groups = comparisons.iter().flat_map(|comparison| {
        let groups = comparison.groups.iter();
        groups.map(|group| (*comparison, group))
    });
    let mut lines: Vec<(f64, Vec<String>)> = Vec::new();
    for (comparison, group) in groups {
        let Some(Contest { grown, scratch }) = contest(group, &comparison.compared) else {
            continue;
        };
        let first = &grown.seeds[0];
        let paired = differences(&grown.seeds, &scratch.seeds);
        let start = Spread::of(&head_starts(group, &comparison.compared, grown));
        let line = vec![
            comparison.place(group),
            format!("{:.0}", first.tokens as f64 / first.active),
            group.short(&grown.name),
            group.short(&scratch.name),
            start.map_or(String::new(), |start| percent_spread(start, 0)),
            Spread::of(&paired).map_or(String::new(), |paired| paired.show_signed(3)),
            signs(&paired),
        ];
        lines.push((start.map_or(f64::NEG_INFINITY, |start| start.mean), line));
    }
    lines.sort_by(|(ours, _), (theirs, _)| theirs.total_cmp(ours));
    let lines: Vec<Vec<String>> = lines.into_iter().map(|(_, line)| line).collect();
    markdown(&header, &lines)
}

/// Finds the best of both kinds in a group, if it has both.
fn contest<'a>(group: &Group, compared: &'a [Results]) -> Option<Contest<'a>> {
    let members = || group.members.iter().map(|index| &compared[*index]);
    let mut contests: Vec<Contest<'a>> = Vec::new();
    for grown in members().filter(|results| results.scratch.is_some()) {
        let opponents = members().filter(|scratch| scratch.wide && costs_the_same(grown, scratch));
        contests.extend(opponents.map(|scratch| Contest { grown, scratch }));
    }
    let losses = |Contest { grown, scratch }: &Contest<'_>| {
        paired(&grown.seeds, &scratch.seeds, |grown, scratch| {
            grown.loss + scratch.loss
        })
    };
    let seeds = |contest: &Contest<'_>| losses(contest).len();
    let most = contests.iter().map(seeds).max().filter(|most| *most > 0)?;
    contests.retain(|contest| seeds(contest) == most);
    let sum = |contest: &Contest<'_>| losses(contest).iter().sum::<f64>();
    let lowest = |ours: &Contest<'_>, theirs: &Contest<'_>| sum(ours).total_cmp(&sum(theirs));
    contests.into_iter().min_by(lowest)
}

/// Tells whether both cost the same to one step of the one that does not grow, which takes whole
/// ones.
pub(super) fn costs_the_same(grown: &Results, other: &Results) -> bool {
    let both = grown.seeds.first().zip(other.seeds.first());
    both.is_some_and(|(grown, other)| {
        let step = other.flops / other.steps as f64;
        (grown.flops - other.flops).abs() <= step
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::gather::Scratch;
    use crate::result::RunResult;
    use crate::result::tests::result;
    use crate::spec::groups;

    fn results(name: &str, steps: usize, losses: &[f64]) -> Results {
        let seeds = (0..).zip(losses);
        let rows = seeds.map(|(seed, loss)| RunResult {
            seed,
            loss: *loss,
            steps,
            flops: 400.0,
            active: 8.0,
            tokens: 96,
            expansions: Vec::new(),
            ..result(name)
        });
        let wide = name.starts_with("scratch");
        Results {
            wide,
            scratch: name.starts_with("grown").then_some(Scratch {
                flops: 1.0,
                counted: 1.0,
            }),
            name: name.into(),
            published: None,
            seeds: rows.collect(),
        }
    }

    fn comparison(name: &str, compared: Vec<Results>) -> Comparison {
        let names: Vec<&str> = compared
            .iter()
            .map(|results| results.name.as_str())
            .collect();
        Comparison {
            name: name.into(),
            groups: groups(Some("grown/rate=1"), &names).expect("groups"),
            compared,
        }
    }

    fn lines(comparisons: &[&Comparison]) -> Vec<String> {
        let table = equal_flops(comparisons);
        let unpadded = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        table.lines().skip(2).map(unpadded).collect()
    }

    #[test]
    fn the_best_of_both_kinds_stand_side_by_side() {
        let compared = vec![
            results("small/at=0.5", 10, &[0.5, 0.5]),
            results("grown/at=0.5/rate=1", 10, &[1.5, 1.75]),
            results("grown/at=0.5/rate=2", 10, &[1.25, 1.5]),
            // One seed, however low, is no match for two.
            results("grown/at=0.5/rate=3", 10, &[1.0]),
            results("scratch/at=0.5/rate=1", 10, &[1.5, 2.0]),
            results("scratch/at=0.5/rate=2", 10, &[2.5, 2.0]),
            results("grown/at=0.25/rate=1", 10, &[1.5]),
        ];
        let comparison = comparison("when", compared);
        assert_eq!(
            lines(&[&comparison]),
            ["| when, at=0.5 | 12 | grown/rate=2 | scratch/rate=1 | | -0.375 +- 0.177 | 2 of 2 |"]
        );
    }

    #[test]
    fn a_run_from_scratch_on_other_flops_is_no_opponent() {
        let lines_of = |flops| {
            let mut scratch = results("scratch", 10, &[1.0]);
            scratch.seeds[0].flops = flops;
            let grown = results("grown/rate=1", 10, &[1.5]);
            lines(&[&comparison("when", vec![grown, scratch])]).len()
        };
        assert_eq!((lines_of(400.0), lines_of(430.0)), (1, 1));
        assert_eq!((lines_of(450.0), lines_of(350.0)), (0, 0));
    }

    #[test]
    fn the_largest_head_start_comes_first() {
        let comparison = |name: &str, loss_before| {
            let mut grown = results("grown/rate=1", 10, &[1.5]);
            grown.seeds[0].expansions = vec![crate::result::Expanded {
                step: 5,
                loss_before,
                ..result("").expansions[0]
            }];
            let mut scratch = results("scratch", 10, &[1.5]);
            scratch.seeds[0].curve = vec![(2, 4.0), (10, 2.0)];
            comparison(name, vec![grown, scratch])
        };
        let [early, late] = [comparison("early", 3.75), comparison("late", 2.25)];
        let first = lines(&[&early, &late]).remove(0);
        assert!(
            first.starts_with("| late | 12 | grown/rate=1 | scratch | 40 % |"),
            "{first}"
        );
    }
}
