//! What an axis becomes, as text: a target, `2x` or `1536`, and new blocks, `identity,interleaved`.

use core::str::FromStr;

use serde::Deserialize;
use serde::de::value::{Error, StrDeserializer};

use super::blocks::{BlockOrder, Blocks};
use super::expansion::Target;
use crate::describe::axis::Axis;
use crate::error::GrowError;

/// What is set for one axis, as text `inner=2x`.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisSetting<T> {
    /// The axis.
    pub axis: Axis,
    /// What is set.
    pub value: T,
}

impl<T: FromStr<Err = GrowError>> FromStr for AxisSetting<T> {
    type Err = GrowError;

    fn from_str(text: &str) -> Result<Self, GrowError> {
        let parts = text.split_once('=').filter(|(axis, _)| !axis.is_empty());
        let (axis, value) = parts.ok_or_else(|| GrowError::AxisText { text: text.into() })?;
        Ok(Self {
            axis: axis.into(),
            value: value.parse()?,
        })
    }
}

impl FromStr for Target {
    type Err = GrowError;

    /// Reads a factor, `2x` or `1.5x`, or a width, `1536`.
    fn from_str(text: &str) -> Result<Self, GrowError> {
        let target = match text.strip_suffix('x') {
            Some(factor) => factor.parse().map(Self::Factor).ok(),
            None => text.parse().map(Self::Width).ok(),
        };
        target.ok_or_else(|| GrowError::TargetText { text: text.into() })
    }
}

impl FromStr for Blocks {
    type Err = GrowError;

    /// Reads what blocks hold and their order, each at most once, divided by commas; in place of a
    /// named order, the source of every block.
    fn from_str(text: &str) -> Result<Self, GrowError> {
        let malformed = || GrowError::BlocksText { text: text.into() };
        let (mut content, mut order, mut sources) = (None, None, Vec::new());
        for word in text.split(',') {
            let again = if let Ok(source) = word.parse() {
                sources.push(source);
                false
            } else if let Some(named) = named(word) {
                content.replace(named).is_some()
            } else {
                order.replace(named(word).ok_or_else(malformed)?).is_some()
            };
            if again || (order.is_some() && !sources.is_empty()) {
                return Err(malformed());
            }
        }
        let listed = (!sources.is_empty()).then_some(BlockOrder::Listed(sources));
        Ok(Self {
            content: content.unwrap_or_default(),
            order: order.or(listed).unwrap_or_default(),
            ..Self::default()
        })
    }
}

/// Reads the variant that files call so.
fn named<'a, T: Deserialize<'a>>(word: &'a str) -> Option<T> {
    T::deserialize(StrDeserializer::<Error>::new(word)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_factor_or_a_width() {
        let table = [
            ("2x", Target::Factor(2.0)),
            ("1.5x", Target::Factor(1.5)),
            ("2048", Target::Width(2048)),
        ];
        for (text, target) in table {
            assert_eq!(text.parse(), Ok(target), "{text}");
        }
        for text in ["", "x", "1.5", "-2", "two"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_axis_stands_in_front() {
        let inner = AxisSetting {
            axis: "inner".into(),
            value: Target::Factor(2.0),
        };
        assert_eq!("inner=2x".parse(), Ok(inner));
        for text in ["inner", "inner=", "=2x", "inner=1.5"] {
            assert!(text.parse::<AxisSetting<Target>>().is_err(), "{text}");
        }
    }

    #[test]
    fn new_blocks_are_said_in_words() {
        let table = [
            ("copy", Blocks::copies()),
            ("identity,interleaved", Blocks::identity().interleaved()),
            ("last", Blocks::copies().from_last()),
            ("fresh,0,1,1", Blocks::fresh().in_order([0, 1, 1])),
            ("stacked,drawn", Blocks::drawn()),
        ];
        for (text, blocks) in table {
            assert_eq!(text.parse(), Ok(blocks), "{text}");
        }
        let malformed = ["", "copies", "-1", "listed", "copy,identity", "last,0,1"];
        for text in malformed.into_iter().chain(["0,1,stacked", "copy,copy"]) {
            assert!(text.parse::<Blocks>().is_err(), "{text}");
        }
    }
}
