//! Documents that say other things than sound ones do.

use arbitrary::Arbitrary;
use serde::Serialize;
use toml::Value;

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Format {
    Json,
    Toml,
}

impl Format {
    pub(crate) fn write<T: Serialize>(self, value: &T) -> Option<String> {
        match self {
            Self::Json => serde_json::to_string(value).ok(),
            Self::Toml => toml::to_string(value).ok(),
        }
    }
}

/// What stands where a document should.
#[derive(Arbitrary, Debug)]
pub(crate) enum Text<'a> {
    Raw(&'a str),
    /// A sound document that says other things, then was cut and pasted.
    Changed(Vec<(u16, Edit<'a>)>, Vec<(u16, u8, &'a str)>),
}

#[derive(Arbitrary, Debug)]
pub(crate) enum Edit<'a> {
    Small(i8),
    /// A power of two, and by how much it is missed.
    Near(u8, i8),
    Float(f64),
    Bool(bool),
    String(&'a str),
    /// What stands elsewhere.
    Like(u16),
    /// One entry less, or one twice.
    Less(u8),
    More(u8, &'a str),
}

impl Text<'_> {
    /// The text itself. `finish` has the document between the two kinds of changes.
    pub(crate) fn write(
        &self,
        sound: &Value,
        format: Format,
        finish: impl FnOnce(&mut Value),
    ) -> Option<Vec<u8>> {
        let (edits, splices) = match self {
            Self::Raw(text) => return Some(text.as_bytes().into()),
            Self::Changed(edits, splices) => (edits, splices),
        };
        let mut value = sound.clone();
        for (at, edit) in edits.iter().take(16) {
            edit.apply(usize::from(*at), &mut value);
        }
        finish(&mut value);
        let mut text = format.write(&value)?.into_bytes();
        for (at, removed, with) in splices.iter().take(16) {
            let start = usize::from(*at) % (text.len() + 1);
            let end = (start + usize::from(*removed)).min(text.len());
            text.splice(start..end, with.bytes());
        }
        Some(text)
    }
}

impl Edit<'_> {
    fn apply(&self, at: usize, value: &mut Value) {
        let count = self::count(value);
        let like = match self {
            Self::Like(other) => find(value, &mut (usize::from(*other) % count)).cloned(),
            _ => None,
        };
        // Copies of copies would have no end.
        let like = like.filter(|like| self::count(like) < 100);
        let Some(place) = find(value, &mut (at % count)) else {
            return;
        };
        match self {
            Self::Small(number) => *place = Value::Integer((*number).into()),
            Self::Near(bit, by) => {
                let number = (1_i64 << (bit % 63)).wrapping_add((*by).into());
                *place = Value::Integer(number);
            }
            Self::Float(number) => *place = Value::Float(*number),
            Self::Bool(flag) => *place = Value::Boolean(*flag),
            Self::String(text) => *place = Value::String((*text).into()),
            Self::Like(_) => place.clone_from(like.as_ref().unwrap_or(&Value::Boolean(false))),
            Self::Less(index) => match place {
                Value::Array(items) if !items.is_empty() => {
                    items.remove(usize::from(*index) % items.len());
                }
                Value::Table(table) => {
                    let key = table.keys().nth(usize::from(*index)).cloned();
                    key.map(|key| table.remove(&key));
                }
                _ => {}
            },
            Self::More(index, name) => match place {
                Value::Array(items) if !items.is_empty() && items.len() < 64 => {
                    let item = items[usize::from(*index) % items.len()].clone();
                    items.push(item);
                }
                Value::Table(table) => {
                    let item = table.values().nth(usize::from(*index)).cloned();
                    item.map(|item| table.insert((*name).into(), item));
                }
                _ => {}
            },
        }
    }
}

/// The number of values in a value, itself one of them.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Table(table) => table.iter().map(|(_, item)| count(item)).sum(),
        _ => 0,
    }
}

/// The value so far down in the order of writing.
fn find<'v>(value: &'v mut Value, at: &mut usize) -> Option<&'v mut Value> {
    if *at == 0 {
        return Some(value);
    }
    *at -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| find(item, at)),
        Value::Table(table) => table.iter_mut().find_map(|(_, item)| find(item, at)),
        _ => None,
    }
}
