//! Whether growing pays, predicted from short runs, beside what came of it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use burn_grow::cost::{LearningCurve, Payoff, PayoffPoint};

use crate::page::equal_flops::costs_the_same;
use crate::page::gather::{Comparison, Results};
use crate::page::head_start::spent;
use crate::result::statistics::{Spread, differences};
use crate::spec::Group;
use crate::table::markdown;

/// The part of a budget that the longest run of a learning curve may take: a prediction that costs
/// more is none.
const SHORT: f64 = 0.3;

/// A run that grew, what it is compared with, and what short runs say of it.
struct Forecast {
    name: String,
    fitted: bool,
    narrow: LearningCurve,
    wide: LearningCurve,
    budget: f64,
    at: f64,
    /// Loss minus that of the wide model from scratch on as many FLOPs.
    from_scratch: f64,
    /// The same for the narrow model, if it was trained on as many FLOPs.
    from_narrow: Option<f64>,
}

/// Tabulates what is predicted of every grown run of `comparison`, and what was measured. The cost
/// of an expansion is the one that fits the runs called `fitted` best; the others confirm it.
///
/// # Errors
///
/// When the experiment has no grown run with learning curves and an opponent, or none to fit.
pub(super) fn rule(comparison: &Comparison, fitted: &str) -> Result<String> {
    let mut forecasts = Vec::new();
    for group in &comparison.groups {
        forecasts.extend(forecasts_of(group, &comparison.compared, fitted)?);
    }
    let (fit, confirm): (Vec<_>, Vec<_>) = forecasts.iter().partition(|forecast| forecast.fitted);
    ensure!(!fit.is_empty(), "no run `{fitted}` has results");
    ensure!(!confirm.is_empty(), "no run but `{fitted}` has results");
    let cost = cost(&fit);
    let header = [
        "run",
        "used to",
        "head start",
        "minus from scratch, predicted",
        "measured",
        "minus narrow, predicted",
        "measured ",
    ];
    let line = |forecast: &Forecast| {
        let point = forecast.predict(cost);
        let narrow = forecast.from_narrow.map(|_| point.grown - point.narrow);
        let signed = |difference: f64| format!("{difference:+.3}");
        vec![
            forecast.name.clone(),
            if forecast.fitted { "fit" } else { "confirm" }.into(),
            format!("{:.0} %", 100.0 * point.head_start),
            signed(point.grown - point.scratch),
            signed(forecast.from_scratch),
            narrow.map_or(String::new(), signed),
            forecast.from_narrow.map_or(String::new(), signed),
        ]
    };
    let lines: Vec<_> = forecasts.iter().map(line).collect();
    let right = |forecast: &&&Forecast| {
        let point = forecast.predict(cost);
        (point.grown < point.scratch) == (forecast.from_scratch < 0.0)
    };
    let miss = |forecast: &&Forecast| {
        let point = forecast.predict(cost);
        (point.grown - point.scratch - forecast.from_scratch).abs()
    };
    let misses: f64 = confirm.iter().map(miss).sum();
    Ok(format!(
        "{}\nFitted: an expansion costs {:.1} % of the FLOPs. Confirmed: who is ahead, growth or from \
         scratch, in {} of {} runs; the difference, to {:.3} on average.\n",
        markdown(&header, &lines),
        100.0 * cost,
        confirm.iter().filter(right).count(),
        confirm.len(),
        misses / confirm.len() as f64,
    ))
}

impl Forecast {
    fn predict(&self, cost: f64) -> PayoffPoint {
        Payoff::at(&self.narrow, &self.wide, self.budget, cost, [self.at]).points[0]
    }
}

/// Finds the cost of an expansion, from nothing to half of the FLOPs in steps of a thousandth, that
/// predicts the measured differences best.
fn cost(forecasts: &[&Forecast]) -> f64 {
    let error = |cost: f64| -> f64 {
        let miss = |forecast: &&Forecast| {
            let point = forecast.predict(cost);
            (point.grown - point.scratch - forecast.from_scratch).powi(2)
        };
        forecasts.iter().map(miss).sum()
    };
    let costs = (0..=500).map(|thousandths| f64::from(thousandths) / 1000.0);
    let best = costs.map(|cost| (error(cost), cost));
    let best = best.min_by(|(ours, _), (theirs, _)| ours.total_cmp(theirs));
    best.map_or(0.0, |(_, cost)| cost)
}

/// Forecasts the grown runs of a group that have a result, an opponent from scratch with one, and
/// shorter runs of both models.
fn forecasts_of(group: &Group, compared: &[Results], fitted: &str) -> Result<Vec<Forecast>> {
    let members: Vec<&Results> = group
        .members
        .iter()
        .map(|index| &compared[*index])
        .collect();
    let mut forecasts = Vec::new();
    for grown in &members {
        let Some(first) = grown.seeds.first().filter(|_| grown.scratch.is_some()) else {
            continue;
        };
        let rival = |wide: bool| {
            let mut others = members.iter().filter(|other| other.wide == wide);
            others.find(|other| other.scratch.is_none() && costs_the_same(grown, other))
        };
        let Some(scratch) = rival(true) else { continue };
        let apart = |other: &&Results| mean(&differences(&grown.seeds, &other.seeds));
        let curve = |wide: bool| {
            let curve = short_runs(&members, wide, SHORT * first.flops);
            LearningCurve::new(curve).with_context(|| format!("shorter runs than `{}`", grown.name))
        };
        let spent = spent(first, &scratch.seeds[0]).context("it grew")?;
        forecasts.push(Forecast {
            name: grown.name.clone(),
            fitted: group.short(&grown.name) == fitted,
            narrow: curve(false)?,
            wide: curve(true)?,
            budget: first.flops,
            at: spent / first.flops,
            from_scratch: apart(scratch).context("no seed is shared")?,
            from_narrow: rival(false).and_then(apart),
        });
    }
    Ok(forecasts)
}

/// Lists FLOPs and last loss of every run of one size that takes at most so many FLOPs.
fn short_runs(members: &[&Results], wide: bool, most: f64) -> Vec<(f64, f64)> {
    let mut points = BTreeMap::new();
    for other in members {
        let losses: Vec<f64> = other.seeds.iter().map(|row| row.loss).collect();
        let first = other.seeds.first();
        let first = first.filter(|row| row.flops <= most && row.expansions.is_empty());
        if let Some((row, loss)) = first.zip(mean(&losses)).filter(|_| other.wide == wide) {
            points.insert(row.steps, (row.flops, loss));
        }
    }
    points.into_values().collect()
}

fn mean(values: &[f64]) -> Option<f64> {
    Spread::of(values).map(|spread| spread.mean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::gather::Scratch;
    use crate::result::tests::result;
    use crate::result::{Expanded, RunResult};
    use crate::spec::groups;

    const COST: f64 = 0.125;

    fn narrow(flops: f64) -> f64 {
        1.0 + 4.0 / flops.sqrt()
    }

    fn wide(flops: f64) -> f64 {
        0.5 + 12.0 / flops.sqrt()
    }

    /// A step takes 1 of the narrow model and 2 of the wide one.
    fn results(name: &str, steps: usize, is_wide: bool) -> Results {
        let flops = steps as f64 * if is_wide { 2.0 } else { 1.0 };
        Results {
            name: name.into(),
            wide: is_wide,
            scratch: None,
            published: None,
            seeds: vec![RunResult {
                steps,
                flops,
                loss: if is_wide { wide(flops) } else { narrow(flops) },
                expansions: Vec::new(),
                ..result(name)
            }],
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
        grown.seeds[0].flops = flops;
        grown.seeds[0].loss = wide(flops * (1.0 - COST) + worth - spent);
        grown.seeds[0].expansions = vec![Expanded {
            step: half,
            ..result("").expansions[0]
        }];
        [
            grown,
            results(&format!("from-scratch/{name}"), 3 * half / 2, true),
            results(&format!("longer/{name}"), 3 * half, false),
        ]
    }

    fn comparison() -> Comparison {
        let short = [10, 20, 30, 40, 60].map(|steps| {
            [false, true].map(|wide| results(&format!("short/{steps}/{wide}"), steps, wide))
        });
        let contests = [contest("grown", 200), contest("later", 400)];
        let contests = contests.into_iter().flatten();
        let compared: Vec<Results> = short.into_iter().flatten().chain(contests).collect();
        let names: Vec<&str> = compared.iter().map(|run| run.name.as_str()).collect();
        Comparison {
            name: "rule".into(),
            groups: groups(None, &names).expect("one group"),
            compared,
        }
    }

    #[test]
    fn the_cost_is_fitted_on_some_and_predicts_the_others() {
        let text = rule(&comparison(), "grown").expect("a table");
        let unpadded = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = text.lines().map(unpadded).collect();
        for (line, start) in [(2, "| grown | fit |"), (3, "| later | confirm |")] {
            let line = &lines[line];
            assert!(line.starts_with(start), "{line}");
            let cells: Vec<&str> = line.split(" | ").collect();
            let number = |cell: usize| cells[cell].trim_end_matches(" |").parse::<f64>();
            for (predicted, measured) in [(3, 4), (5, 6)] {
                let (predicted, measured) = (number(predicted), number(measured));
                let apart = predicted.expect("a number") - measured.expect("a number");
                assert!(apart.abs() < 2e-3, "{line}");
            }
        }
        assert!(text.contains("costs 12.5 % of the FLOPs"), "{text}");
        assert!(text.contains("in 1 of 1 runs"), "{text}");
    }

    #[test]
    fn what_cannot_be_fitted_or_confirmed_is_no_rule() {
        let fails = |compared: fn(&mut Vec<Results>), fitted: &str| {
            let mut comparison = comparison();
            compared(&mut comparison.compared);
            rule(&comparison, fitted).expect_err("no rule").to_string()
        };
        assert!(fails(|_| {}, "other").contains("`other`"));
        let no_runs = |compared: &mut Vec<Results>| compared[13].seeds.clear();
        assert!(fails(no_runs, "grown").contains("no run but `grown`"));
        let no_curve = |compared: &mut Vec<Results>| {
            compared[..8].iter_mut().for_each(|run| run.seeds.clear());
        };
        assert!(fails(no_curve, "grown").contains("shorter runs than `grown`"));
    }
}
