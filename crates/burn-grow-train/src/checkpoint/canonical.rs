//! One hash of anything that serializes, independent of how it is declared, printed or compiled.

use burn_grow_core::fnv1a;
use serde::Serialize;
use serde_json::Value;

/// The name of the hash in what a checkpoint says of a plan.
pub(crate) const FINGERPRINT: &str = "fingerprint";

/// FNV-1a of the canonical JSON of `value`: keys in order, no spaces, and floats as the 16
/// hexadecimal digits of their bits, as there is more than one way to print them.
pub(crate) fn fingerprint(value: &impl Serialize) -> Result<u64, serde_json::Error> {
    let mut text = String::new();
    write(&serde_json::to_value(value)?, &mut text);
    Ok(fnv1a(text.as_bytes()))
}

/// Sorts the keys itself: a feature of serde_json, which any crate may turn on, keeps their order.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            text.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
        Value::Array(values) => {
            text.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(value, text);
            }
            text.push(']');
        }
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => text.push_str(&format!("{:016x}", float.to_bits())),
            None => text.push_str(&number.to_string()),
        },
        leaf => text.push_str(&leaf.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn canonical_json_has_its_keys_in_order_and_floats_by_their_bits() {
        let value = json!({ "b": [1, 2.5, null], "a": { "\"": true, "A": "x" } });
        let mut text = String::new();
        write(&value, &mut text);
        assert_eq!(
            text,
            r#"{"a":{"\"":true,"A":"x"},"b":[1,4004000000000000,null]}"#
        );
        assert_eq!(fingerprint(&value).ok(), Some(fnv1a(text.as_bytes())));
    }
}
