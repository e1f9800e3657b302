//! A forecast of what growing saves, for a choice of expansion points.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::flops::{saved_flops, training_flops};
use crate::table::table;

/// The budget of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Budget {
    /// A number of training tokens.
    Tokens(f64),
    /// A number of floating-point operations.
    Flops(f64),
}

/// What growing costs and saves under a budget, for expansion points from early to late.
///
/// With `N_small` and `N_large` active parameters and an expansion after `x D` of `D` tokens, a
/// grown run costs `6 D (x N_small + (1 - x) N_large)`; the wide model from scratch costs
/// `6 D N_large`. Prints as a table.
///
/// ```
/// use burn_grow_core::cost::{Budget, Forecast};
///
/// // 200 billion tokens, from 0.3 to 0.5 billion active parameters.
/// let forecast = Forecast::new(Budget::Tokens(200e9), (0.3e9, 0.5e9));
/// let midway = forecast.points[4];
/// assert_eq!(midway.at, 0.5);
/// assert!((midway.saved - 0.2).abs() < 1e-12);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Budget of the run.
    pub budget: Budget,
    /// Active parameters before and after the expansion.
    pub active_params: (f64, f64),
    /// Expansion points, earliest first.
    pub points: Vec<ForecastPoint>,
}

/// One row of a [`Forecast`]: an expansion point and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastPoint {
    /// Fraction of the tokens before the expansion: `x`.
    pub at: f64,
    /// Tokens of the whole run: `D`.
    pub tokens: f64,
    /// FLOPs of the whole run.
    pub flops: f64,
    /// FLOPs of the wide model from scratch on as many tokens.
    pub scratch_flops: f64,
    /// Fraction of these that the grown run saves (Eq. 29).
    pub saved: f64,
    /// Tokens of the wide model from scratch at the FLOPs of the grown run.
    pub iso_flops_tokens: f64,
}

impl ForecastPoint {
    /// Computes the tokens before the expansion.
    pub fn expand_after(&self) -> f64 {
        self.at * self.tokens
    }

    /// Computes the FLOPs saved against the wide model from scratch on as many tokens.
    pub fn saved_flops(&self) -> f64 {
        self.scratch_flops - self.flops
    }
}

impl Forecast {
    /// Forecasts expansions after 10 % to 90 % of the tokens, in tenths. `active_params` counts the
    /// active parameters before and after, as [`Plan::active_params`](crate::Plan::active_params)
    /// does.
    pub fn new(budget: Budget, active_params: (f64, f64)) -> Self {
        let points = (1..10).map(|tenths| f64::from(tenths) / 10.0);
        Self::at(budget, active_params, points)
    }

    /// Forecasts expansions after the fractions `points` of the tokens.
    pub fn at(
        budget: Budget,
        active_params: (f64, f64),
        points: impl IntoIterator<Item = f64>,
    ) -> Self {
        let (small, large) = active_params;
        let point = |at: f64| {
            let mean = at * small + (1.0 - at) * large;
            let tokens = match budget {
                Budget::Tokens(tokens) => tokens,
                Budget::Flops(flops) => flops / training_flops(mean, 1.0),
            };
            let flops = training_flops(mean, tokens);
            ForecastPoint {
                at,
                tokens,
                flops,
                scratch_flops: training_flops(large, tokens),
                saved: saved_flops(&[(small, at * tokens), (large, (1.0 - at) * tokens)]),
                iso_flops_tokens: flops / training_flops(large, 1.0),
            }
        };
        Self {
            budget,
            active_params,
            points: points.into_iter().map(point).collect(),
        }
    }
}

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (small, large) = self.active_params;
        match self.budget {
            Budget::Tokens(tokens) => write!(f, "{tokens:.3e} tokens")?,
            Budget::Flops(flops) => write!(f, "{flops:.3e} FLOPs")?,
        }
        writeln!(f, ", active parameters {small:.0} -> {large:.0}")?;
        let header = [
            "expand at",
            "after tokens",
            "tokens",
            "FLOPs grown",
            "from scratch",
            "saved",
            "saved %",
            "from scratch, equal FLOPs",
        ];
        let mut rows = vec![header.map(String::from).to_vec()];
        rows.extend(self.points.iter().map(|point| {
            vec![
                format!("{:.0} %", 100.0 * point.at),
                format!("{:.3e}", point.expand_after()),
                format!("{:.3e}", point.tokens),
                format!("{:.3e}", point.flops),
                format!("{:.3e}", point.scratch_flops),
                format!("{:.3e}", point.saved_flops()),
                format!("{:.1}", 100.0 * point.saved),
                format!("{:.3e} tokens", point.iso_flops_tokens),
            ]
        }));
        f.write_str(table(&rows).trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
    }

    #[test]
    fn a_budget_of_tokens_follows_the_closed_forms() {
        let (small, large, tokens) = (3.0, 5.0, 200.0);
        let forecast = Forecast::new(Budget::Tokens(tokens), (small, large));
        assert_eq!(forecast.points.len(), 9);
        for point in &forecast.points {
            close(point.saved, point.at * (1.0 - small / large));
            close(point.flops, point.scratch_flops * (1.0 - point.saved));
            close(point.iso_flops_tokens, tokens * (1.0 - point.saved));
            close(
                point.saved_flops(),
                6.0 * point.expand_after() * (large - small),
            );
        }
    }

    #[test]
    fn a_budget_of_flops_affords_more_tokens_the_later_the_expansion() {
        let (small, large, flops) = (3.0, 5.0, 6e4);
        let forecast = Forecast::new(Budget::Flops(flops), (small, large));
        for point in &forecast.points {
            close(point.flops, flops);
            close(point.iso_flops_tokens, flops / (6.0 * large));
            close(point.tokens, point.iso_flops_tokens / (1.0 - point.saved));
        }
        let tokens: Vec<_> = forecast.points.iter().map(|point| point.tokens).collect();
        assert!(tokens.is_sorted());
    }
}
