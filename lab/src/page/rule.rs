//! Whether growing pays, predicted from the first part of learning curves, beside what came of it.

use anyhow::{Context, Result, ensure};
use burn_grow::cost::{LearningCurve, Payoff, PayoffPoint};

use crate::page::equal_flops::costs_the_same;
use crate::page::gather::{Comparison, Results};
use crate::page::head_start::spent;
use crate::page::tables::signs;
use crate::result::RunResult;
use crate::result::statistics::{Spread, differences, paired};
use crate::spec::Group;
use crate::table::markdown;

/// The part of a budget that is known of a learning curve.
const KNOWN: f64 = 0.4;

/// From so many seeds on that agree on a sign, the sign counts as known.
const CLEAR: usize = 3;

/// A run that grew, what it is compared with, and what is known of it early.
struct Contest {
    name: String,
    fitted: bool,
    seeds: Vec<Early>,
    /// Losses minus those of the wide model from scratch on as many FLOPs.
    from_scratch: Vec<f64>,
    /// The same for the narrow model, if it was trained on as many FLOPs.
    from_narrow: Vec<f64>,
}

/// What is known early of one seed.
struct Early {
    narrow: LearningCurve,
    wide: LearningCurve,
    budget: f64,
    at: f64,
    /// The narrow model was trained on as many FLOPs.
    opposed: bool,
}

/// Means over the seeds of what is predicted.
struct Predicted {
    head_start: f64,
    from_scratch: f64,
    from_narrow: f64,
}

/// Tabulates what is predicted of every grown run, and what was measured. In each group of each
/// experiment, the part of the narrow model's progress that an expansion keeps is the one that fits
/// the run called `fitted` best; the others confirm it.
///
/// # Errors
///
/// When an experiment has no grown run with an opponent, none to fit, or none but that.
pub(super) fn rule(comparisons: &[&Comparison], fitted: &str) -> Result<String> {
    let header = [
        "run",
        "seeds",
        "kept",
        "head start",
        "minus from scratch, predicted",
        "measured",
        "seeds of that sign",
        "minus narrow, predicted",
        "measured ",
    ]
    .map(String::from);
    let mut lines = Vec::new();
    let (mut misses, mut clear, mut right) = (Vec::new(), 0, 0);
    for comparison in comparisons {
        for group in &comparison.groups {
            let contests = contests(comparison, group, fitted)?;
            let kept = kept(&contests);
            let kept = kept.with_context(|| format!("no run `{fitted}` has results"))?;
            for contest in contests {
                let predicted = contest.predict(kept);
                let measured = Spread::of(&contest.from_scratch).context("a seed")?;
                if !contest.fitted {
                    misses.push((predicted.from_scratch - measured.mean).abs());
                    let same = |apart: &f64| apart * measured.mean > 0.0;
                    if contest.from_scratch.len() >= CLEAR && contest.from_scratch.iter().all(same)
                    {
                        clear += 1;
                        right += usize::from(predicted.from_scratch * measured.mean > 0.0);
                    }
                }
                lines.push(contest.line(kept, &predicted));
            }
        }
    }
    ensure!(!misses.is_empty(), "no run but `{fitted}` has results");
    Ok(format!(
        "{}\nWhat is kept was fitted to the runs `{fitted}`. Of the {} others, {clear} have a sign that \
         {CLEAR} seeds or more agree on, and {right} of these are predicted; the difference is \
         predicted to {:.3} on average.\n",
        markdown(&header, &lines),
        misses.len(),
        misses.iter().sum::<f64>() / misses.len() as f64,
    ))
}

impl Contest {
    fn predict(&self, kept: f64) -> Predicted {
        let mean = |over: fn(&Early) -> bool, of: fn(&PayoffPoint) -> f64| {
            let seeds = self.seeds.iter().filter(|early| over(early));
            let predicted: Vec<f64> = seeds.map(|early| of(&early.predict(kept))).collect();
            predicted.iter().sum::<f64>() / predicted.len() as f64
        };
        Predicted {
            head_start: mean(|_| true, |point| point.head_start),
            from_scratch: mean(|_| true, |point| point.grown - point.scratch),
            from_narrow: mean(|early| early.opposed, |point| point.grown - point.narrow),
        }
    }

    fn line(&self, kept: f64, predicted: &Predicted) -> Vec<String> {
        let measured = |apart: &[f64]| {
            let spread = Spread::of(apart);
            spread.map_or(String::new(), |spread| spread.show_signed(3))
        };
        let narrow = format!("{:+.3}", predicted.from_narrow);
        let fit = if self.fitted { "fitted" } else { "" };
        vec![
            self.name.clone(),
            self.seeds.len().to_string(),
            format!("{kept:.2} {fit}"),
            format!("{:.0} %", 100.0 * predicted.head_start),
            format!("{:+.3}", predicted.from_scratch),
            measured(&self.from_scratch),
            signs(&self.from_scratch),
            Some(narrow)
                .filter(|_| !self.from_narrow.is_empty())
                .unwrap_or_default(),
            measured(&self.from_narrow),
        ]
    }
}

impl Early {
    fn predict(&self, kept: f64) -> PayoffPoint {
        Payoff::at(&self.narrow, &self.wide, self.budget, kept, [self.at]).points[0]
    }

    /// Reads both curves where the rate is at its peak, as far as they are known: the narrow one of
    /// the run that is narrow to its end, or of what the grown one has of it.
    fn of(grown: &RunResult, scratch: &RunResult, narrow: Option<&RunResult>) -> Result<Self> {
        let spent = spent(grown, scratch).context("it grew")?;
        let grew_at = grown.expansions.last().context("it grew")?.step as f64;
        let known = |row: &RunResult, step_flops: f64| {
            let schedule = &row.settings["optimizer"];
            let part = |name: &str| schedule[name].as_f64().unwrap_or_default();
            let begin = part("warmup") * row.steps as f64;
            let end = (part("warmup") + part("stable")) * row.steps as f64;
            let end = if row.expansions.is_empty() {
                end
            } else {
                end.min(grew_at)
            };
            let points = row.curve.iter().map(|(step, loss)| (*step as f64, *loss));
            let points = points.filter(|(step, _)| (begin..=end).contains(step));
            let points = points.map(|(step, loss)| (step * step_flops, loss));
            LearningCurve::new(points.filter(|(flops, _)| *flops <= KNOWN * grown.flops))
        };
        let opposed = narrow.is_some();
        let narrow = known(narrow.unwrap_or(grown), spent / grew_at);
        let wide = known(scratch, scratch.flops / scratch.steps as f64);
        Ok(Self {
            narrow: narrow.context("narrow")?,
            wide: wide.context("wide")?,
            budget: grown.flops,
            at: spent / grown.flops,
            opposed,
        })
    }
}

/// Finds the part that is kept, from nothing to all of it three times in steps of a hundredth, that
/// predicts the fitted runs best.
fn kept(contests: &[Contest]) -> Option<f64> {
    let fit: Vec<&Contest> = contests.iter().filter(|contest| contest.fitted).collect();
    let error = |kept: f64| -> f64 {
        let miss = |contest: &&Contest| {
            let measured = Spread::of(&contest.from_scratch)?.mean;
            Some((contest.predict(kept).from_scratch - measured).powi(2))
        };
        fit.iter().filter_map(miss).sum()
    };
    let parts = (0..=300).map(|hundredths| f64::from(hundredths) / 100.0);
    let best = parts.map(|kept| (error(kept), kept));
    let best = best.min_by(|(ours, _), (theirs, _)| ours.total_cmp(theirs));
    best.filter(|_| !fit.is_empty()).map(|(_, kept)| kept)
}

/// Lists the grown runs of a group that have results and an opponent from scratch with them.
fn contests(comparison: &Comparison, group: &Group, fitted: &str) -> Result<Vec<Contest>> {
    let members = group.members.iter();
    let members: Vec<&Results> = members.map(|index| &comparison.compared[*index]).collect();
    let mut contests = Vec::new();
    for grown in members.iter().filter(|run| run.scratch.is_some()) {
        let rival = |wide: bool| {
            let mut others = members.iter().filter(|other| other.wide == wide);
            others.find(|other| other.scratch.is_none() && costs_the_same(grown, other))
        };
        let apart = |other: &Results| differences(&grown.seeds, &other.seeds);
        let Some(scratch) = rival(true).filter(|scratch| !apart(scratch).is_empty()) else {
            continue;
        };
        let narrow = rival(false).map_or(&[][..], |narrow| &narrow.seeds);
        let early = |grown: &RunResult, scratch: &RunResult| {
            let narrow = narrow.iter().find(|narrow| narrow.seed == grown.seed);
            Early::of(grown, scratch, narrow)
        };
        let seeds = paired(&grown.seeds, &scratch.seeds, early);
        let seeds: Result<Vec<Early>> = seeds.into_iter().collect();
        let run = group.short(&grown.name);
        contests.push(Contest {
            fitted: run == fitted,
            name: format!("{}, {run}", comparison.place(group)),
            seeds: seeds.with_context(|| format!("the curves of `{}`", grown.name))?,
            from_scratch: apart(scratch),
            from_narrow: differences(&grown.seeds, narrow),
        });
    }
    Ok(contests)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::page::gather::Scratch;
    use crate::result::Expanded;
    use crate::result::tests::result;
    use crate::spec::groups;

    const KEPT: f64 = 0.75;

    fn narrow(flops: f64) -> f64 {
        1.0 + 4.0 / flops.sqrt()
    }

    fn wide(flops: f64) -> f64 {
        0.5 + 12.0 / flops.sqrt()
    }

    /// A step takes 1 of the narrow model and 2 of the wide one; the rate is never anywhere but at
    /// its peak.
    fn results(name: &str, steps: usize, is_wide: bool) -> Results {
        let flops = |steps: usize| steps as f64 * if is_wide { 2.0 } else { 1.0 };
        let loss = |flops: f64| if is_wide { wide(flops) } else { narrow(flops) };
        let curve = (1..=40).map(|epoch| epoch * steps / 40);
        let curve: Vec<_> = curve.map(|step| (step, loss(flops(step)))).collect();
        Results {
            name: name.into(),
            wide: is_wide,
            scratch: None,
            published: None,
            seeds: [0, 1, 2]
                .map(|seed| RunResult {
                    seed,
                    steps,
                    flops: flops(steps),
                    loss: loss(flops(steps)),
                    curve: curve.clone(),
                    settings: json!({"optimizer": {"warmup": 0.0, "stable": 1.0}}),
                    expansions: Vec::new(),
                    ..result(name)
                })
                .to_vec(),
        }
    }

    /// A run of `half` steps with the narrow model and as many with the wide one, as the rule says
    /// that it ends, and both models on as many FLOPs.
    fn contest(name: &str, half: usize) -> [Results; 3] {
        let (spent, flops) = (half as f64, 3.0 * half as f64);
        // 4 / sqrt(f) + 1 = 12 / sqrt(g) + 0.5
        let worth = (12.0 / (0.5 + 4.0 / spent.sqrt())).powi(2);
        let mut grown = results(name, 2 * half, false);
        grown.scratch = Some(Scratch {
            flops,
            counted: flops,
        });
        for row in &mut grown.seeds {
            row.flops = flops;
            row.loss = wide(flops - spent + KEPT * worth);
            row.expansions = vec![Expanded {
                step: half,
                ..result("").expansions[0]
            }];
        }
        [
            grown,
            results(&format!("from-scratch/{name}"), 3 * half / 2, true),
            results(&format!("longer/{name}"), 3 * half, false),
        ]
    }

    fn comparison() -> Comparison {
        let contests = [contest("grown", 200), contest("later", 400)];
        let compared: Vec<Results> = contests.into_iter().flatten().collect();
        let names: Vec<&str> = compared.iter().map(|run| run.name.as_str()).collect();
        Comparison {
            name: "rule".into(),
            groups: groups(None, &names).expect("one group"),
            compared,
        }
    }

    #[test]
    fn what_is_kept_is_fitted_on_some_and_predicts_the_others() {
        let text = rule(&[&comparison()], "grown").expect("a table");
        let unpadded = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = text.lines().map(unpadded).collect();
        for (line, start) in [
            (2, "| rule, grown | 3 | 0.75 fitted |"),
            (3, "| rule, later | 3 | 0.75 |"),
        ] {
            let line = &lines[line];
            assert!(line.starts_with(start), "{line}");
            let cells: Vec<&str> = line.split(" | ").collect();
            let number = |cell: usize| {
                cells[cell]
                    .split(' ')
                    .next()
                    .unwrap_or_default()
                    .parse::<f64>()
            };
            for (predicted, measured) in [(4, 5), (7, 8)] {
                let (predicted, measured) = (number(predicted), number(measured));
                let apart = predicted.expect("a number") - measured.expect("a number");
                assert!(apart.abs() < 2e-3, "{line}");
            }
        }
        let said = "Of the 1 others, 1 have a sign that 3 seeds or more agree on, and 1 of these";
        assert!(text.contains(said), "{text}");
    }

    #[test]
    fn what_cannot_be_fitted_or_confirmed_is_no_rule() {
        let fails = |compared: fn(&mut Vec<Results>), fitted: &str| {
            let mut comparison = comparison();
            compared(&mut comparison.compared);
            let error = rule(&[&comparison], fitted).expect_err("no rule");
            format!("{error:#}")
        };
        assert!(fails(|_| {}, "other").contains("`other`"));
        let no_runs = |compared: &mut Vec<Results>| compared[3].seeds.clear();
        assert!(fails(no_runs, "grown").contains("no run but `grown`"));
        let no_curve = |compared: &mut Vec<Results>| compared[1].seeds[0].curve.truncate(3);
        assert!(fails(no_curve, "grown").contains("the curves of `grown`: wide"));
    }
}
