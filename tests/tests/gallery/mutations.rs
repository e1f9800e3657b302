//! Wrong descriptions, one mistake each, and the moment that catches it.
//!
//! Each model below is right but for the lines that its name is about. The moments come in the
//! order in which they are met: the compiler, the blueprint or the plan, the two-width check, and
//! [`rehearsed`], which tries an expansion before any training.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::Device;
use burn_grow::Blueprint;
use burn_grow::verify::two_width_check;

use crate::checks::{TOLERANCE, doublings, narrow, rehearsed};
use crate::model::{Model, Size};

mod attention;
mod convolution;
mod feed_forward;
mod others;
mod stream;

/// What catches a mistake.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Moment {
    Compile,
    Build,
    TwoWidths,
    Rehearsal,
    /// A gap: it says what would catch the mistake, and the row what it does.
    Nothing(&'static str),
}

impl Moment {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Compile => "the compiler",
            Self::Build => "blueprint",
            Self::TwoWidths => "two-width check",
            Self::Rehearsal => "function check",
            Self::Nothing(_) => "**nothing**",
        }
    }
}

/// A wrong description.
pub(crate) struct Mutation {
    pub(crate) name: &'static str,
    pub(crate) expected: Moment,
    found: fn() -> (Moment, String),
}

impl Mutation {
    fn of<M: Model>(name: &'static str, expected: Moment) -> Self {
        Self {
            name,
            expected,
            found: caught::<M>,
        }
    }

    /// A mistake that nothing catches, and what comes of it.
    fn gap<M: Model>(name: &'static str, by: &'static str, harm: fn() -> String) -> Gap {
        let mutation = Self::of::<M>(name, Moment::Nothing(by));
        Gap { mutation, harm }
    }

    /// The same, where the weights matter.
    fn gap_of(
        name: &'static str,
        found: fn() -> (Moment, String),
        by: &'static str,
        harm: fn() -> String,
    ) -> Gap {
        let expected = Moment::Nothing(by);
        let mutation = Self {
            name,
            expected,
            found,
        };
        Gap { mutation, harm }
    }

    /// A mistake that the compiler finds, as a case of `tests/derive` shows.
    fn compiled(name: &'static str, found: fn() -> (Moment, String)) -> Self {
        Self {
            name,
            expected: Moment::Compile,
            found,
        }
    }
}

/// A mistake that nothing catches.
pub(crate) struct Gap {
    mutation: Mutation,
    harm: fn() -> String,
}

/// A row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) moment: Moment,
    pub(crate) message: String,
}

/// Every mistake and what was found, checked against what is expected.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let gaps = gaps().into_iter();
    let caught = mutations().into_iter().map(|mutation| (mutation, None));
    for (mutation, harm) in caught.chain(gaps.map(|gap| (gap.mutation, Some(gap.harm)))) {
        let Mutation {
            name,
            expected,
            found,
        } = mutation;
        let (moment, mut message) = found();
        match (expected, harm) {
            (Moment::Nothing(by), Some(harm)) => {
                assert!(
                    matches!(moment, Moment::Nothing(_)),
                    "{name}: caught by now, {message}"
                );
                message = format!("{}; {by} would", harm());
            }
            _ => assert_eq!(moment, expected, "{name}: {message}"),
        }
        rows.push(Row {
            name,
            moment: expected,
            message,
        });
    }
    rows
}

/// The first moment that catches the mistakes of a model, and what it says.
fn caught<M: Model>() -> (Moment, String) {
    caught_on::<M>(narrow(1, &Device::flex()))
}

/// The same, with these weights.
fn caught_on<M: Model>(model: M) -> (Moment, String) {
    let device = Device::flex();
    let blueprint = match Blueprint::of(&model) {
        Ok(blueprint) => blueprint,
        Err(error) => return (Moment::Build, error.to_string()),
    };
    for (_, expansion) in doublings::<M>() {
        if let Err(error) = burn_grow::Plan::new(&blueprint, &expansion) {
            return (Moment::Build, error.to_string());
        }
    }
    let wide = M::built(&Size::wide::<M>(), &device);
    if let Err(error) = two_width_check(&model, &wide) {
        return (Moment::TwoWidths, error.to_string());
    }
    for (name, expansion) in doublings::<M>() {
        let rehearsal = AssertUnwindSafe(|| rehearsed(&model, &expansion));
        let message = match catch_unwind(rehearsal) {
            Ok(Ok(changed)) if changed < TOLERANCE => continue,
            Ok(Ok(changed)) => format!("the output changes by {}", magnitude(changed)),
            Ok(Err(error)) => error.to_string(),
            Err(panic) => format!("panics: {}", spoken(&*panic)),
        };
        return (Moment::Rehearsal, format!("{name}: {message}"));
    }
    (Moment::Nothing(""), String::new())
}

/// A power of ten, which rounding on another machine leaves as it is.
fn magnitude(changed: f64) -> String {
    match changed {
        changed if changed >= 0.1 => "more than 10 %".into(),
        changed if changed >= 0.01 => "1 to 10 %".into(),
        _ => "less than 1 %".into(),
    }
}

/// What a panic says: Burn's first reason, or the first line.
fn spoken(panic: &(dyn core::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    let mut lines = text.unwrap_or_default().lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    let reason = lines.find_map(|line| line.strip_prefix("1. "));
    reason.unwrap_or(first).to_owned()
}

/// The first message of a compile-fail case of `tests/derive`.
macro_rules! compiled {
    ($name:literal, $case:literal, $message:literal) => {
        Mutation::compiled($name, || {
            let text = include_str!(concat!("../../mistakes/", $case, ".stderr"));
            let said = text.lines().find(|line| line.contains($message));
            let said = said.map(|line| {
                line.trim_start_matches("error: ")
                    .trim_start_matches("error[E0277]: ")
                    .to_owned()
            });
            match said {
                Some(said) => (Moment::Compile, said),
                None => (Moment::Nothing(""), String::new()),
            }
        })
    };
}

fn mutations() -> Vec<Mutation> {
    let mut all = vec![
        compiled!(
            "a layer without an attribute",
            "missing/attribute",
            "does not say how it grows"
        ),
        compiled!(
            "a misspelled role",
            "attribute/unknown_name",
            "did you mean"
        ),
        compiled!(
            "a gate that is also a fan-out",
            "contradiction/field",
            "exclude each other"
        ),
    ];
    all.extend(feed_forward::mutations());
    all.extend(attention::mutations());
    all.extend(convolution::mutations());
    all.extend(stream::mutations());
    all.extend(others::mutations());
    all
}

fn gaps() -> Vec<Gap> {
    let mut all = feed_forward::gaps();
    all.extend(attention::gaps());
    all.extend(others::gaps());
    all
}

#[test]
fn every_mistake_is_caught_where_the_table_says() {
    let rows = rows();
    for row in &rows {
        println!("{} | {} | {}", row.name, row.moment.name(), row.message);
    }
    assert!(rows.len() >= 20, "{}", rows.len());
}

/// The models from which the mutations depart are right.
#[test]
fn without_a_mistake_nothing_is_caught() {
    for (name, found) in [
        ("feed-forward", caught::<feed_forward::Right>()),
        ("attention", caught::<attention::Right>()),
        ("convolution", caught::<convolution::Right>()),
        ("stream", caught::<stream::Right>()),
    ] {
        assert_eq!(found, (Moment::Nothing(""), String::new()), "{name}");
    }
}
