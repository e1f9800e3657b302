//! The `config.json` of an upcycled model.

use std::collections::BTreeMap;

use burn_grow_core::describe::Axis;
use serde_json::{Value, json};

use super::settings::{RoutingWeights, Upcycling};
use crate::error::Error;
use crate::family::{DenseModel, Family, Missing, Route, Rule};
use crate::folder::config::Config;
use crate::model::{Change, outdated};

/// The keys that change, where the new model has `widths`.
pub(super) fn changes(
    config: &Config,
    route: &Route,
    target: &Family,
    upcycling: &Upcycling,
    widths: &BTreeMap<Axis, usize>,
    untied: Option<&String>,
) -> Result<Vec<Change>, Error> {
    let dense = dense(config, route)?;
    for (key, only) in &dense.only {
        if let Some(found) = config.value(key).filter(|value| **value != only.is) {
            let expected = format!("{}: {}", only.is, only.reason);
            return Err(config.reject(key, found.to_string(), expected));
        }
    }
    let mut new: BTreeMap<String, Value> = route.set.clone();
    new.insert("model_type".into(), json!(route.model_type));
    if config.value("architectures").is_some() {
        new.insert("architectures".into(), classes(config, route, dense)?);
    }
    for (key, missing) in &dense.missing {
        let (value, said) = match missing {
            Missing::Value(value) => (value, false),
            Missing::Unless { value, unless } => (value, inside(config, unless).is_some()),
        };
        // `null` is a value, and says what it says to both.
        if !said && !config.values.contains_key(key) {
            new.insert(key.clone(), value.clone());
        }
    }
    let removed = dense.removed.iter();
    let removed = removed.filter(|key| config.values.contains_key(*key));
    new.extend(removed.map(|key| (key.clone(), Value::Null)));
    for key in &target.keys {
        let known = key.layout.axes().all(|axis| widths.contains_key(axis));
        if known && !matches!(key.rule, Rule::Always(_)) {
            let width = |axis: &Axis| widths.get(axis).copied().unwrap_or_default();
            new.insert(key.name.clone(), json!(key.layout.size(width)));
        }
    }
    if let Some(key) = &route.router.normalized {
        let normalized = upcycling.weights == RoutingWeights::Normalized;
        new.insert(key.clone(), json!(normalized));
    }
    if let Some(flag) = untied {
        new.insert(flag.clone(), json!(false));
    }
    new.extend(outdated(config));
    Ok(Change::all(config, new))
}

/// The standard deviation of a drawn router.
pub(super) fn deviation(config: &Config, route: &Route) -> Result<f64, Error> {
    let deviation = &route.router.deviation;
    let Some(value) = config.value(&deviation.key) else {
        return Ok(deviation.default);
    };
    let number = value.as_f64().filter(|number| *number >= 0.0);
    number.ok_or_else(|| config.reject(&deviation.key, value.to_string(), "a number from 0 on"))
}

/// What the route knows about a model of this type.
fn dense<'a>(config: &Config, route: &'a Route) -> Result<&'a DenseModel, Error> {
    let model_type = config.model_type()?;
    route.models.get(model_type).ok_or_else(|| {
        let known: Vec<&str> = route.models.keys().map(String::as_str).collect();
        config.reject("model_type", model_type, known.join(" or "))
    })
}

/// The classes of the new model.
fn classes(config: &Config, route: &Route, dense: &DenseModel) -> Result<Value, Error> {
    let classes = &dense.classes;
    let named = config.architectures().into_iter().map(|name| {
        let kind = name.strip_prefix(&classes.dense);
        let kind = kind.filter(|kind| route.kinds.iter().any(|it| it == kind));
        let renamed = kind.map(|kind| format!("{}{kind}", classes.sparse));
        renamed.ok_or_else(|| {
            let kinds = route.kinds.iter();
            let known: Vec<_> = kinds
                .map(|kind| format!("{}{kind}", classes.dense))
                .collect();
            config.reject("architectures", name, known.join(", "))
        })
    });
    Ok(json!(named.collect::<Result<Vec<_>, _>>()?))
}

/// The value of a key inside of others, with dots between them.
fn inside<'a>(config: &'a Config, path: &str) -> Option<&'a Value> {
    let mut keys = path.split('.');
    let first = config.value(keys.next()?)?;
    let found = keys.try_fold(first, |value, key| value.get(key));
    found.filter(|value| !value.is_null())
}
