//! What pages that are written by hand say of results: places that are filled from the rows.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::page::equal_flops::equal_flops;
use crate::page::gather::{Comparison, Results};
use crate::page::regime::regime;
use crate::page::rule::rule;
use crate::page::tables::{percent_spread, signs};
use crate::result::statistics::{Spread, differences};

const BEGIN: &str = "<!-- ";
const BEGIN_END: &str = " -->";
const END: &str = "<!-- end -->";

/// Fills every place `<!-- KIND: WHAT -->..<!-- end -->` of a page.
///
/// # Errors
///
/// When a place has no end or is of no kind, or what it names does not exist or has no results.
pub(super) fn fill(text: &str, comparisons: &BTreeMap<&str, Comparison>) -> Result<String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (place, after) = after
            .split_once(BEGIN_END)
            .context("a comment has no end")?;
        filled += &format!("{before}{BEGIN}{place}{BEGIN_END}");
        rest = after;
        let Some((kind, what)) = place.split_once(": ") else {
            continue;
        };
        let inside = after.split_once(END);
        let inside = inside.filter(|(inside, _)| !inside.contains(BEGIN));
        let Some((inside, after)) = inside else {
            bail!("`{BEGIN}{place}{BEGIN_END}` does not end with `{END}`");
        };
        let text = match kind {
            "paper" => inside.to_owned(),
            _ => value(kind, what, comparisons).with_context(|| format!("`{place}`"))?,
        };
        filled += &format!("{text}{END}");
        rest = after;
    }
    Ok(filled + rest)
}

/// Works out what stands in a place of that kind.
fn value(kind: &str, what: &str, comparisons: &BTreeMap<&str, Comparison>) -> Result<String> {
    let experiment = |name: &str| {
        let found = comparisons.get(name);
        found.with_context(|| format!("there is no experiment `{name}`"))
    };
    if kind == "rule" {
        let (names, fitted) = what.rsplit_once(' ').context("which run is fitted?")?;
        let named: Result<Vec<_>> = names.split(", ").map(experiment).collect();
        return Ok(format!("\n\n{}\n", rule(&named?, fitted)?));
    }
    let across: Option<fn(&[&Comparison]) -> String> = match kind {
        "equal FLOPs" => Some(equal_flops),
        "regime" => Some(regime),
        _ => None,
    };
    if let Some(table) = across {
        let named: Result<Vec<_>> = what.split(", ").map(experiment).collect();
        return Ok(format!("\n\n{}\n", table(&named?)));
    }
    let mut words = what.split(' ');
    let comparison = experiment(words.next().unwrap_or_default())?;
    let runs: Result<Vec<_>> = words.map(|name| run(comparison, name)).collect();
    let shown = match (kind, runs?.as_slice()) {
        ("loss", [run]) => {
            let losses: Vec<f64> = run.seeds.iter().map(|row| row.loss).collect();
            Spread::of(&losses).map(|losses| losses.show(3))
        }
        ("difference", [ours, theirs]) => {
            let apart = differences(&ours.seeds, &theirs.seeds);
            Spread::of(&apart).map(|apart| apart.show_signed(3))
        }
        ("apart", [above, below]) => {
            let apart = Spread::of(&differences(&above.seeds, &below.seeds));
            if let Some(apart) = apart.filter(|apart| apart.mean < 0.0) {
                bail!("the first ends below the second, by {}", apart.show(3));
            }
            apart.map(|apart| apart.show(3))
        }
        ("signs", [ours, theirs]) => {
            let apart = differences(&ours.seeds, &theirs.seeds);
            (!apart.is_empty()).then(|| signs(&apart))
        }
        ("saved", [run]) => run.seeds.first().zip(run.scratch).map(|(row, scratch)| {
            let saved = Spread {
                mean: 1.0 - row.flops / scratch.flops,
                sd: None,
            };
            percent_spread(saved, 0)
        }),
        _ => bail!(
            "expected `equal FLOPs: EXPERIMENT, ..`, `regime: EXPERIMENT, ..`, \
             `rule: EXPERIMENT, .. RUN`, `loss: EXPERIMENT RUN`, \
             `difference: EXPERIMENT RUN RUN`, `apart: EXPERIMENT RUN RUN`, \
             `signs: EXPERIMENT RUN RUN` or `saved: EXPERIMENT RUN`"
        ),
    };
    shown.context("there are no results")
}

fn run<'a>(comparison: &'a Comparison, name: &str) -> Result<&'a Results> {
    let found = comparison.compared.iter().find(|run| run.name == name);
    found.with_context(|| format!("`{}` has no run `{name}`", comparison.name))
}

/// Lists the numbers of three decimals and more that stand outside of places, code and links, by
/// their line: numbers that no row stands behind.
pub fn unfounded(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let (mut fenced, mut inside) = (false, false);
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let mut rest = line;
        let mut prose = String::new();
        while let Some((before, after)) = rest.split_once(BEGIN) {
            if !inside {
                prose += before;
            }
            let (place, after) = after.split_once(BEGIN_END).unwrap_or((after, ""));
            inside = place.contains(": ");
            rest = after;
        }
        if !inside {
            prose += rest;
        }
        if fenced {
            continue;
        }
        let code = prose.split('`').step_by(2).collect::<Vec<_>>().join(" ");
        let words = code.split(|c: char| !(c.is_ascii_digit() || c == '.'));
        let numbers = words.filter(|word| {
            let decimals = word.trim_end_matches('.').split_once('.');
            decimals.is_some_and(|(whole, decimals)| {
                // Not the number of a paper.
                decimals.len() >= 3 && whole.len() < 4 && !decimals.contains('.')
            })
        });
        found.extend(numbers.map(|number| (index + 1, number.to_owned())));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_a_place_are_found() {
        let text = "It ends at 1.525 and\n<!-- loss: a b -->1.500 +- 0.100<!-- end --> and 2.125.\n\
                    `0.125`, 0.75, arXiv 2602.02472\n```\n1.125\n```\n<!-- equal FLOPs: a -->\n1.125\n\
                    <!-- end -->\n-0.0625";
        let found = unfounded(text);
        let expected = [(1, "1.525"), (2, "2.125."), (10, "0.0625")];
        assert_eq!(
            found,
            expected.map(|(line, number)| (line, number.to_owned()))
        );
    }
}
