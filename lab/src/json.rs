//! Settings as JSON objects: laid over each other, compared, and listed by their paths.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Settings to lay over others: some fields of a larger object.
pub type Overlay = Map<String, Value>;

/// Gives `value` with the fields of `over` in place of its own.
///
/// # Errors
///
/// When a field does not exist or a value does not fit.
pub fn laid<T: Serialize + DeserializeOwned>(value: &T, over: &Overlay) -> serde_json::Result<T> {
    let mut json = serde_json::to_value(value)?;
    lay(&mut json, &Value::Object(over.clone()));
    serde_json::from_value(json)
}

/// Replaces what `over` names in other settings, field by field.
pub fn lay_over(settings: &mut Overlay, over: &Overlay) {
    for (name, over) in over {
        lay(settings.entry(name).or_insert(Value::Null), over);
    }
}

/// Replaces what `over` names, field by field.
fn lay(value: &mut Value, over: &Value) {
    match (value, over) {
        (Value::Object(fields), Value::Object(over)) => {
            lay_over(fields, over);
        }
        (value, over) => *value = over.clone(),
    }
}

/// Gives `value` with each of `fields` replaced, named by its path, as in `settings.rho`.
///
/// # Errors
///
/// When a field does not exist or a value does not fit.
pub fn with_fields<T: Serialize + DeserializeOwned>(
    value: &T,
    fields: &[(&str, &Value)],
) -> serde_json::Result<T> {
    let mut json = serde_json::to_value(value)?;
    for (path, new) in fields {
        let mut place = &mut json;
        for part in path.split('.') {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[part];
        }
        *place = (*new).clone();
    }
    serde_json::from_value(json)
}

/// Lists the paths of the fields that an overlay sets, as in `model.inner`.
pub fn paths(overlay: &Overlay) -> Vec<String> {
    let below = |(name, value): (&String, &Value)| match value {
        Value::Object(fields) => {
            let paths = paths(fields).into_iter();
            paths.map(|path| format!("{name}.{path}")).collect()
        }
        _ => vec![name.clone()],
    };
    overlay.iter().flat_map(below).collect()
}

/// Finds the first field that differs: its path and both values.
pub fn difference(stored: &Value, given: &Value) -> Option<(String, Value, Value)> {
    let (Some(old), Some(new)) = (stored.as_object(), given.as_object()) else {
        let differ = stored != given;
        return differ.then(|| (String::new(), stored.clone(), given.clone()));
    };
    let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    names.into_iter().find_map(|name| {
        let value = |of: &Overlay| of.get(name).cloned().unwrap_or_default();
        let (path, old, new) = difference(&value(old), &value(new))?;
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{name}.{path}")
        };
        Some((path, old, new))
    })
}

/// Converts a value to JSON as it reads back from its text: floats as they are printed.
///
/// # Errors
///
/// When the value has no form in JSON.
pub fn as_written(value: &impl Serialize) -> serde_json::Result<Value> {
    serde_json::from_slice(&serde_json::to_vec(value)?)
}

/// Tells whether a field may be left out because it has its default.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Overlay {
        serde_json::from_value(value).expect("an object")
    }

    #[test]
    fn fields_are_replaced_at_any_depth() {
        let base = object(json!({"rho": 2, "model": {"inner": 4, "hidden": 8}}));
        let over = object(json!({"model": {"inner": 6}}));
        let expected = object(json!({"rho": 2, "model": {"inner": 6, "hidden": 8}}));
        assert_eq!(laid(&base, &over).expect("an object"), expected);
        let replaced = with_fields(&base, &[("model.inner", &json!(6))]);
        assert_eq!(replaced.expect("an object"), expected);
        assert_eq!(paths(&over), ["model.inner"]);
        let (path, old, new) =
            difference(&Value::Object(base), &Value::Object(expected)).expect("a difference");
        assert_eq!(
            (path.as_str(), old, new),
            ("model.inner", json!(4), json!(6))
        );
    }

    #[test]
    fn a_field_that_only_one_side_has_differs() {
        let found = difference(&json!({"a": 1}), &json!({"a": 1, "b": 2}));
        assert_eq!(found, Some(("b".to_owned(), Value::Null, json!(2))));
        assert_eq!(difference(&json!({"a": 1}), &json!({"a": 1})), None);
    }
}
