//! Keys of `config.json` that store widths.

use burn_grow_core::describe::Layout;
use serde::Deserialize;

/// A key of `config.json`, and the width or product of widths that it stores.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Name of the key.
    pub name: String,
    /// What it stores.
    pub layout: Layout,
    /// What the model takes where the key is missing.
    pub rule: Rule,
}

/// How a model comes to a number.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// By the key alone.
    Stored,
    /// By the key, or where it is missing by others.
    Default(Expression),
    /// By others: there is no such key.
    Always(Expression),
}

/// A key as a family writes it: what it stores, and how it is known.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum KeyText {
    Stored(String),
    Ruled(RuledText),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuledText {
    is: String,
    default: Option<String>,
    always: Option<String>,
}

impl KeyText {
    pub(super) fn parse(self, name: &str) -> Result<Key, String> {
        let (is, rule) = match self {
            Self::Stored(is) => (is, Rule::Stored),
            Self::Ruled(RuledText {
                is,
                default,
                always,
            }) => {
                let rule = match (default, always) {
                    (None, None) => Rule::Stored,
                    (Some(default), None) => Rule::Default(Expression::parse(&default)?),
                    (None, Some(always)) => Rule::Always(Expression::parse(&always)?),
                    (Some(_), Some(_)) => {
                        return Err(
                            "`default` is for a key that may be missing, `always` for one \
                                    that does not exist: remove one of the two"
                                .into(),
                        );
                    }
                };
                (is, rule)
            }
        };
        let layout: Layout = is.parse().map_err(|_| {
            format!("`{is}` is no product of axes and numbers, as `kv_heads x queries` is")
        })?;
        let name = name.into();
        Ok(Key { name, layout, rule })
    }
}

/// A number computed from keys, from left to right: `hidden_size / num_attention_heads`.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    text: String,
    first: Operand,
    rest: Vec<(char, Operand)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Number(usize),
    Key(String),
}

impl Operand {
    fn parse(text: &str) -> Self {
        match text.parse() {
            Ok(number) => Self::Number(number),
            Err(_) => Self::Key(text.into()),
        }
    }

    fn value<E>(&self, key: &impl Fn(&str) -> Result<usize, E>) -> Result<usize, E> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Key(name) => key(name),
        }
    }
}

impl Expression {
    /// Reads numbers and keys with ` * `, ` / ` and ` + ` between them.
    ///
    /// # Errors
    ///
    /// Says what cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let first = words.next().ok_or("an expression is empty")?;
        let mut rest = Vec::new();
        while let Some(operator) = words.next() {
            let operator = match operator {
                "*" => '*',
                "/" => '/',
                "+" => '+',
                other => return Err(format!("`{other}` in `{text}` is none of `*`, `/`, `+`")),
            };
            let operand = words
                .next()
                .ok_or_else(|| format!("`{text}` ends too early"))?;
            rest.push((operator, Operand::parse(operand)));
        }
        Ok(Self {
            text: text.into(),
            first: Operand::parse(first),
            rest,
        })
    }

    /// Computes the number, given those of keys. Returns `None` where it is not whole.
    pub(crate) fn value<E>(
        &self,
        key: impl Fn(&str) -> Result<usize, E>,
    ) -> Result<Option<usize>, E> {
        let mut value = self.first.value(&key)?;
        for (operator, operand) in &self.rest {
            let operand = operand.value(&key)?;
            let next = match operator {
                '*' => value.checked_mul(operand),
                '+' => value.checked_add(operand),
                _ if operand > 0 && value.is_multiple_of(operand) => Some(value / operand),
                _ => None,
            };
            match next {
                Some(next) => value = next,
                None => return Ok(None),
            }
        }
        Ok(Some(value))
    }

    /// Lists the keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let operands = self.rest.iter().map(|(_, operand)| operand);
        let operands = core::iter::once(&self.first).chain(operands);
        operands.filter_map(|operand| match operand {
            Operand::Key(name) => Some(name.as_str()),
            Operand::Number(_) => None,
        })
    }

    /// Returns the text that the expression was read from.
    pub fn text(&self) -> &str {
        &self.text
    }
}
