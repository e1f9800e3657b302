use crate::summary::comparison::Comparison;
use crate::summary::gather::Entry;
use crate::summary::groups::Group;
use crate::summary::head_start::head_starts;
use crate::summary::statistics::{Spread, differences, paired};
use crate::summary::tables::{markdown, percent_spread, signs};

/// An arm that grows and one from scratch, on as many FLOPs.
struct Contest<'a> {
    grown: &'a Entry,
    scratch: &'a Entry,
}

/// The arm that ends lowest of those that grow against the lowest of those from scratch on as many FLOPs, for every
/// group of arms that has both: of the arms with as many seeds as any two of them share. The largest head start first.
pub(super) fn equal_flops(comparisons: &[&Comparison]) -> String {
    let header = [
        "arms",
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
        let Some(Contest { grown, scratch }) = contest(group, &comparison.entries) else {
            continue;
        };
        let first = &grown.rows[0];
        let paired = differences(&grown.rows, &scratch.rows);
        let start = Spread::of(&head_starts(group, &comparison.entries, grown));
        let place = [comparison.name.clone()].into_iter();
        let place: Vec<String> = place.chain(group.points.iter().cloned()).collect();
        let line = vec![
            place.join(", "),
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

/// The best of both kinds in a group, if it has both.
fn contest<'a>(group: &Group, entries: &'a [Entry]) -> Option<Contest<'a>> {
    let members = || group.members.iter().map(|index| &entries[*index]);
    let mut contests: Vec<Contest<'a>> = Vec::new();
    for grown in members().filter(|entry| entry.scratch.is_some()) {
        let rivals = members().filter(|scratch| scratch.wide && costs_the_same(grown, scratch));
        contests.extend(rivals.map(|scratch| Contest { grown, scratch }));
    }
    let losses = |Contest { grown, scratch }: &Contest<'_>| {
        paired(&grown.rows, &scratch.rows, |grown, scratch| {
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

/// Whether both cost the same to one step of the one from scratch, which takes whole ones.
fn costs_the_same(grown: &Entry, scratch: &Entry) -> bool {
    let both = grown.rows.first().zip(scratch.rows.first());
    both.is_some_and(|(grown, scratch)| {
        let step = scratch.flops / scratch.steps as f64;
        (grown.flops - scratch.flops).abs() <= step
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Row;
    use crate::row::tests::row;
    use crate::summary::gather::Scratch;
    use crate::summary::groups::groups;

    fn entry(name: &str, steps: usize, losses: &[f64]) -> Entry {
        let seeds = (0..).zip(losses);
        let rows = seeds.map(|(seed, loss)| Row {
            seed,
            loss: *loss,
            steps,
            flops: 400.0,
            active: 8.0,
            tokens: 96,
            expansions: Vec::new(),
            ..row(name)
        });
        let wide = name.starts_with("scratch");
        Entry {
            wide,
            scratch: name.starts_with("grown").then_some(Scratch {
                flops: 1.0,
                counted: 1.0,
            }),
            name: name.into(),
            figure: None,
            rows: rows.collect(),
        }
    }

    fn comparison(name: &str, entries: Vec<Entry>) -> Comparison {
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        Comparison {
            name: name.into(),
            groups: groups(Some("grown/rate=1"), &names).expect("groups"),
            entries,
        }
    }

    fn lines(comparisons: &[&Comparison]) -> Vec<String> {
        let table = equal_flops(comparisons);
        table.lines().skip(2).map(String::from).collect()
    }

    #[test]
    fn the_best_of_both_kinds_stand_side_by_side() {
        let entries = vec![
            entry("small/at=0.5", 10, &[0.5, 0.5]),
            entry("grown/at=0.5/rate=1", 10, &[1.5, 1.75]),
            entry("grown/at=0.5/rate=2", 10, &[1.25, 1.5]),
            // One seed, however low, is no match for two.
            entry("grown/at=0.5/rate=3", 10, &[1.0]),
            entry("scratch/at=0.5/rate=1", 10, &[1.5, 2.0]),
            entry("scratch/at=0.5/rate=2", 10, &[2.5, 2.0]),
            entry("grown/at=0.25/rate=1", 10, &[1.5]),
        ];
        let comparison = comparison("when", entries);
        assert_eq!(
            lines(&[&comparison]),
            ["| when, at=0.5 | 12 | grown/rate=2 | scratch/rate=1 |  | -0.375 +- 0.177 | 2 of 2 |"]
        );
    }

    #[test]
    fn a_run_from_scratch_on_other_flops_is_no_rival() {
        let lines_of = |flops| {
            let mut scratch = entry("scratch", 10, &[1.0]);
            scratch.rows[0].flops = flops;
            let grown = entry("grown/rate=1", 10, &[1.5]);
            lines(&[&comparison("when", vec![grown, scratch])]).len()
        };
        assert_eq!((lines_of(400.0), lines_of(430.0)), (1, 1));
        assert_eq!((lines_of(450.0), lines_of(350.0)), (0, 0));
    }

    #[test]
    fn the_largest_head_start_comes_first() {
        let comparison = |name: &str, loss_before| {
            let mut grown = entry("grown/rate=1", 10, &[1.5]);
            grown.rows[0].expansions = vec![crate::row::RowExpansion {
                step: 5,
                loss_before,
                ..row("").expansions[0]
            }];
            let mut scratch = entry("scratch", 10, &[1.5]);
            scratch.rows[0].curve = vec![(2, 4.0), (10, 2.0)];
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
