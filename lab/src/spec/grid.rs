//! One arm as many: values to try in turn.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::arm::{Arm, Budget};
use crate::error::DemoError;

/// The values to try, by their path in an arm, as in `settings.rho` or `growth.state`.
pub type Grid = BTreeMap<String, Vec<Value>>;

/// Every arm of `arms` at every point of `grid`, then of its own grid: all arms of the first point come
/// first. A point is part of the name, as in `sparkling/axis=both/rho=2`.
///
/// # Errors
///
/// When a path leads to nothing in an arm, a value does not fit there, or a list is empty.
pub fn spread(grid: &Grid, arms: &[Arm]) -> Result<Vec<Arm>, DemoError> {
    let mut spread = Vec::new();
    for point in points(grid, "grid")? {
        for arm in arms {
            let mut arm = lay(arm, &point)?;
            // Arms of one point are compared with each other.
            if let Budget::FlopsOf(other) = &mut arm.budget {
                *other += &label(&point);
            }
            let own = std::mem::take(&mut arm.grid);
            for point in points(&own, &arm.name)? {
                spread.push(lay(&arm, &point)?);
            }
        }
    }
    Ok(spread)
}

type Point<'a> = Vec<(&'a str, &'a Value)>;

/// Every combination of the values of `grid`, the last path varying fastest.
fn points<'a>(grid: &'a Grid, place: &str) -> Result<Vec<Point<'a>>, DemoError> {
    let mut points = vec![Vec::new()];
    for (path, values) in grid {
        if values.is_empty() {
            return Err(DemoError::EmptyGrid {
                place: place.to_owned(),
                path: path.clone(),
            });
        }
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

fn lay(arm: &Arm, point: &Point<'_>) -> Result<Arm, DemoError> {
    if point.is_empty() {
        return Ok(arm.clone());
    }
    let name = format!("{}{}", arm.name, label(point));
    let wrong = |source| DemoError::ArmData {
        arm: name.clone(),
        source,
    };
    let mut value = serde_json::to_value(arm).map_err(wrong)?;
    for (path, new) in point {
        let mut place = &mut value;
        for part in path.split('.') {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[part];
        }
        *place = (*new).clone();
    }
    let mut arm: Arm = serde_json::from_value(value).map_err(wrong)?;
    arm.name = name;
    Ok(arm)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::arm::Grown;

    fn grid(points: Value) -> Grid {
        serde_json::from_value(points).expect("a grid")
    }

    fn arms() -> [Arm; 2] {
        let arm = |name: &str| Arm {
            name: name.into(),
            about: name.into(),
            ..Arm::default()
        };
        [
            Arm {
                growth: Some(Grown::default()),
                grid: grid(json!({"settings.rho": [1.3, 2], "growth.state": ["copy-all"]})),
                ..arm("sparkling")
            },
            Arm {
                wide: true,
                budget: Budget::FlopsOf("sparkling".into()),
                ..arm("scratch")
            },
        ]
    }

    #[test]
    fn every_arm_is_spread_over_both_grids() {
        let outer = grid(json!({"settings.axis": ["both", "inner"]}));
        let spread = spread(&outer, &arms()).expect("arms");
        let names: Vec<_> = spread.iter().map(|arm| arm.name.as_str()).collect();
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
    fn a_grid_that_fits_nowhere_is_refused() {
        let cases = [
            (json!({"settings.rho": []}), "`settings.rho` lists no value"),
            (json!({"wide": ["yes"]}), "arm `sparkling/wide=yes`"),
            (json!({"growht.state": ["copy-all"]}), "growht"),
        ];
        for (points, message) in cases {
            let error = spread(&grid(points), &arms()).expect_err("a mistake");
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}
