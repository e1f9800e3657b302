//! One specification as many: values to try in turn.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::json;
use crate::spec::{Budget, Spec};

/// The values to try, by their path in a specification, as in `settings.rho` or `growth.state`.
pub type Grid = BTreeMap<String, Vec<Value>>;

/// Gives every specification at every point of `grid`, then of its own grid: all of the first point
/// come first. A point is part of the name, as in `sparkling/axis=both/rho=2`.
///
/// # Errors
///
/// When a path does not exist in a specification, a value does not fit there, or a list is empty.
pub(super) fn spread(grid: &Grid, specs: &[Spec]) -> Result<Vec<Spec>> {
    let mut spread = Vec::new();
    for point in points(grid, "grid")? {
        for spec in specs {
            let mut spec = lay(spec, &point)?;
            // Runs of one point are compared with each other.
            if let Budget::FlopsOf(other) = &mut spec.budget {
                *other += &label(&point);
            }
            let own = std::mem::take(&mut spec.grid);
            for point in points(&own, &spec.name)? {
                spread.push(lay(&spec, &point)?);
            }
        }
    }
    Ok(spread)
}

type Point<'a> = Vec<(&'a str, &'a Value)>;

/// Gives every combination of the values of `grid`, the last path varying fastest.
fn points<'a>(grid: &'a Grid, place: &str) -> Result<Vec<Point<'a>>> {
    let mut points = vec![Vec::new()];
    for (path, values) in grid {
        ensure!(!values.is_empty(), "{place}: `{path}` lists no value");
        points = points
            .into_iter()
            .flat_map(|point: Point<'a>| {
                values.iter().map(move |value| {
                    let mut next = point.clone();
                    next.push((path.as_str(), value));
                    next
                })
            })
            .collect();
    }
    Ok(points)
}

fn label(point: &Point<'_>) -> String {
    let part = |(path, value): &(&str, &Value)| {
        let name = path.rsplit('.').next().unwrap_or(path);
        match value {
            Value::String(text) => format!("/{name}={text}"),
            value => format!("/{name}={value}"),
        }
    };
    point.iter().map(part).collect()
}

fn lay(spec: &Spec, point: &Point<'_>) -> Result<Spec> {
    let name = format!("{}{}", spec.name, label(point));
    let laid = json::with_fields(spec, point).with_context(|| format!("run `{name}`"))?;
    Ok(Spec { name, ..laid })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::spec::GrowthSpec;

    fn grid(points: Value) -> Grid {
        serde_json::from_value(points).expect("a grid")
    }

    fn specs() -> [Spec; 2] {
        let spec = |name: &str| Spec {
            name: name.into(),
            about: name.into(),
            ..Spec::default()
        };
        [
            Spec {
                growth: Some(GrowthSpec::default()),
                grid: grid(json!({"settings.rho": [1.3, 2], "growth.state": ["copy-all"]})),
                ..spec("sparkling")
            },
            Spec {
                wide: true,
                budget: Budget::FlopsOf("sparkling".into()),
                ..spec("scratch")
            },
        ]
    }

    #[test]
    fn every_spec_is_spread_over_both_grids() {
        let outer = grid(json!({"settings.axis": ["both", "inner"]}));
        let spread = spread(&outer, &specs()).expect("specs");
        let names: Vec<_> = spread.iter().map(|spec| spec.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "sparkling/axis=both/state=copy-all/rho=1.3",
                "sparkling/axis=both/state=copy-all/rho=2",
                "scratch/axis=both",
                "sparkling/axis=inner/state=copy-all/rho=1.3",
                "sparkling/axis=inner/state=copy-all/rho=2",
                "scratch/axis=inner",
            ]
        );
        assert_eq!(
            Value::Object(spread[1].settings.clone()),
            json!({"axis": "both", "rho": 2})
        );
        let state = spread[1].growth.as_ref().map(|growth| growth.state);
        assert_eq!(state, Some(burn_grow::StatePolicy::CopyAll));
        assert_eq!(
            spread[5].budget,
            Budget::FlopsOf("sparkling/axis=inner".into())
        );
    }

    #[test]
    fn a_grid_that_fits_nowhere_is_rejected() {
        let cases = [
            (json!({"settings.rho": []}), "`settings.rho` lists no value"),
            (json!({"wide": ["yes"]}), "run `sparkling/wide=yes`"),
            (json!({"growht.state": ["copy-all"]}), "growht"),
        ];
        for (points, message) in cases {
            let error = spread(&grid(points), &specs()).expect_err("a mistake");
            let error = format!("{error:#}");
            assert!(error.contains(message), "{error}");
        }
    }
}
