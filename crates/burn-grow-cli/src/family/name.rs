//! Names of tensors, with numbers and choices in them.

use burn_grow_core::describe::Axis;

/// The names of a kind of tensors, such as `(model.)layers.{layers}.mlp.{gate,up}_proj.weight`:
/// `{layers}` is a number along an axis, `{gate,up}` one of several words, `(model.)` may be
/// missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Literal(String),
    Optional(String),
    OneOf(Vec<String>),
    Number(Axis),
}

/// The numbers of a name, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// For each: the axis, the number, and where it begins and ends in the name.
    pub numbers: Vec<(Axis, usize, core::ops::Range<usize>)>,
}

impl Name {
    /// Reads the names that `text` stands for.
    ///
    /// # Errors
    ///
    /// Says which bracket is left open or empty.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '(', '}', ')']) {
            if at > 0 {
                parts.push(Part::Literal(rest[..at].into()));
            }
            let open = &rest[at..=at];
            let close = match open {
                "{" => '}',
                "(" => ')',
                other => return Err(format!("`{other}` closes nothing")),
            };
            let inside = &rest[at + 1..];
            let end = inside.find(['{', '(', '}', ')']);
            let end = end.filter(|end| inside[*end..].starts_with(close) && *end > 0);
            let Some(end) = end else {
                return Err(format!("`{open}` is left open, or holds nothing"));
            };
            let (inside, after) = (&inside[..end], &inside[end + 1..]);
            parts.push(match (open, inside.contains(',')) {
                ("(", _) => Part::Optional(inside.into()),
                (_, true) => Part::OneOf(inside.split(',').map(|it| it.trim().into()).collect()),
                (_, false) => Part::Number(inside.into()),
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.into()));
        }
        if parts.is_empty() {
            return Err("it is empty".into());
        }
        let text = text.into();
        Ok(Self { text, parts })
    }

    /// Returns the text that the names were read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Tells if `name`, one of the names, leaves out what may be missing.
    pub(crate) fn is_short(&self, name: &str) -> bool {
        let whole = self.text.replace(['(', ')'], "");
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Optional(_)))
            && name != whole
    }

    /// Iterates over the axes that the names number.
    pub fn axes(&self) -> impl Iterator<Item = &Axis> {
        self.parts.iter().filter_map(|part| match part {
            Part::Number(axis) => Some(axis),
            _ => None,
        })
    }

    /// Returns the numbers of `name` if it is one of the names.
    pub fn find(&self, name: &str) -> Option<Found> {
        let mut found = Found::default();
        matches(&self.parts, name, 0, &mut found).then_some(found)
    }
}

/// Matches `name` from place `at` on.
fn matches(parts: &[Part], name: &str, at: usize, found: &mut Found) -> bool {
    let rest = &name[at..];
    let Some((first, others)) = parts.split_first() else {
        return rest.is_empty();
    };
    let literal = |text: &str, found: &mut Found| {
        rest.starts_with(text) && matches(others, name, at + text.len(), found)
    };
    match first {
        Part::Literal(text) => literal(text, found),
        Part::Optional(text) => literal(text, found) || literal("", found),
        Part::OneOf(words) => words.iter().any(|word| literal(word, found)),
        Part::Number(axis) => {
            let digits = rest.find(|character: char| !character.is_ascii_digit());
            let digits = &rest[..digits.unwrap_or(rest.len())];
            // No other spelling of a number, such as `01`.
            let number = digits.parse().ok();
            let number = number.filter(|number: &usize| number.to_string() == digits);
            let Some(number) = number else {
                return false;
            };
            let end = at + digits.len();
            found.numbers.push((axis.clone(), number, at..end));
            let matched = matches(others, name, end, found);
            if !matched {
                found.numbers.pop();
            }
            matched
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_numbers_and_choices() {
        let name = Name::parse("(model.)layers.{layers}.{gate,up}_proj.{experts}.weight");
        let name = name.expect("a name");
        let found = |text| {
            let found: Option<Found> = name.find(text);
            found.map(|found| {
                let numbers = found.numbers.into_iter();
                numbers
                    .map(|(_, number, at)| (number, at))
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(
            found("model.layers.12.up_proj.3.weight"),
            Some(vec![(12, 13..15), (3, 24..25)])
        );
        assert_eq!(
            found("layers.0.gate_proj.0.weight"),
            Some(vec![(0, 7..8), (0, 19..20)])
        );
        for text in [
            "model.layers.0.down_proj.0.weight",
            "model.layers.01.up_proj.0.weight",
            "model.layers.+1.up_proj.0.weight",
            "model.layers.0.up_proj.0.weights",
            "a.model.layers.0.up_proj.0.weight",
            "",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
        for text in ["", "a{", "a{}", "a)", "(a{b})"] {
            assert!(Name::parse(text).is_err(), "{text}");
        }
    }
}
