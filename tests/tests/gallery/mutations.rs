//! Wrong descriptions, one mistake each, and the moment that catches it.
//!
//! Each model below is right but for the lines that its name is about. The moments come in the
//! order in which they are met: the compiler, the blueprint or the plan, the two-width check, and
//! the rehearsal, which tries the expansions of a run before any training.

use burn::tensor::Device;
use burn_grow::train::RehearsalFault;
use burn_grow::verify::{RoleWarning, two_width_check};
use burn_grow::{Blueprint, Plan, TrainError};

use crate::checks::{doublings, narrow, rehearsed};
use crate::model::{Model, Size};

/// Declares models: their fields, the way from an input to the output, and from there or from the
/// input to the loss.
macro_rules! models {
    ($(
        $(#[$doc:meta])*
        $model:ident($size:ident, $device:ident, $($axis:ident = $width:literal),+) {
            $($(#[$grow:meta])* $field:ident: $ty:ty = $init:expr,)+
        }
        |$this:ident, $sample:ident| $output:expr
        $(=> |$of:ident, $drawn:ident| $loss:expr)?;
    )+) => {$(
        $(#[$doc])*
        #[derive(Module, Growable, Debug)]
        pub(super) struct $model {
            $($(#[$grow])* $field: $ty,)+
        }

        impl Model for $model {
            const AXES: &'static [(&'static str, usize)] = &[$((stringify!($axis), $width)),+];

            fn built($size: &Size, $device: &Device) -> Self {
                $(let $axis = $size.of(stringify!($axis));)+
                Self { $($field: $init,)+ }
            }

            fn output(&self, $sample: &Sample) -> Tensor<2> {
                let $this = self;
                $output
            }

            $(fn loss(&self, $drawn: &Sample) -> Tensor<1> {
                let $of = self;
                $loss
            })?
        }
    )+};
}

mod attention;
mod convolution;
mod feed_forward;
mod others;
mod reused;
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
            Self::Rehearsal => "rehearsal",
            Self::Nothing(_) => "**nothing**",
        }
    }
}

/// The moment that catches a mistake, and what it says.
type Found = (Moment, String);

/// A wrong description.
pub(crate) struct Mutation {
    pub(crate) name: &'static str,
    pub(crate) expected: Moment,
    found: fn() -> Found,
    /// What a rehearsal finds without the moments before it.
    rehearsed: Option<fn() -> Option<Found>>,
}

impl Mutation {
    fn of<M: Model>(name: &'static str, expected: Moment) -> Self {
        Self {
            rehearsed: Some(|| rehearsal(&narrow::<M>(1, &Device::flex().autodiff()))),
            ..Self::with(name, expected, caught::<M>)
        }
    }

    /// The same, found in another way.
    fn with(name: &'static str, expected: Moment, found: fn() -> Found) -> Self {
        Self {
            name,
            expected,
            found,
            rehearsed: None,
        }
    }

    /// A mistake that nothing catches, and what comes of it.
    fn gap<M: Model>(name: &'static str, by: &'static str, harm: fn() -> String) -> Gap {
        let mutation = Self::of::<M>(name, Moment::Nothing(by));
        Gap { mutation, harm }
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
    let mut wrong = Vec::new();
    let gaps = gaps().into_iter();
    let caught = mutations().into_iter().map(|mutation| (mutation, None));
    for (mutation, harm) in caught.chain(gaps.map(|gap| (gap.mutation, Some(gap.harm)))) {
        let Mutation {
            name,
            expected,
            found,
            ..
        } = mutation;
        let (moment, mut message) = found();
        let agrees = moment.name() == expected.name();
        if !agrees {
            wrong.push(format!(
                "{name}: {moment:?} instead of {expected:?}: {message}"
            ));
        }
        if let (Moment::Nothing(by), Some(harm), true) = (expected, harm, agrees) {
            message = format!("{}; {by} would", harm());
        }
        rows.push(Row {
            name,
            moment: expected,
            message,
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    rows
}

/// The first moment that catches the mistakes of a model, and what it says.
fn caught<M: Model>() -> Found {
    caught_on::<M>(narrow(1, &Device::flex().autodiff()))
}

/// The same, with these weights.
fn caught_on<M: Model>(model: M) -> Found {
    let blueprint = match Blueprint::of(&model) {
        Ok(blueprint) => blueprint,
        Err(error) => return (Moment::Build, error.to_string()),
    };
    for expansion in doublings::<M>() {
        if let Err(error) = Plan::new(&blueprint, &expansion) {
            return (Moment::Build, error.to_string());
        }
    }
    let wide = M::built(&Size::wide::<M>(), &Device::flex());
    if let Err(error) = two_width_check(&model, &wide) {
        return (Moment::TwoWidths, error.to_string());
    }
    rehearsal(&model).unwrap_or((Moment::Nothing(""), String::new()))
}

/// What rehearsals say that double every axis alone, and all of them.
fn rehearsal<M: Model>(model: &M) -> Option<Found> {
    doublings::<M>()
        .into_iter()
        .find_map(|expansion| match rehearsed(model, expansion) {
            Ok(found) => {
                assert!(found.compared, "{found}");
                None
            }
            Err(TrainError::Rehearsal { fault, .. }) => Some((Moment::Rehearsal, said(&fault))),
            Err(error) => Some((Moment::Build, error.to_string())),
        })
}

/// What a rehearsal says, without what it advises and in numbers that rounding on another machine
/// leaves as they are.
fn said(fault: &RehearsalFault) -> String {
    let text = fault.to_string();
    match fault {
        RehearsalFault::Function { change, .. } => {
            let number = format!("by {change:.3} of");
            let text = text.replace(&number, &format!("by {} of", magnitude(*change)));
            text.split(". A role").next().unwrap_or_default().to_owned()
        }
        RehearsalFault::Panicked { message, .. } => {
            let (before, _) = text.split_once(message).unwrap_or_default();
            format!("{before}{}", reason(message))
        }
        _ => text,
    }
}

/// A power of ten.
fn magnitude(changed: f64) -> String {
    match changed {
        changed if changed >= 0.1 => "more than 10 %".into(),
        changed if changed >= 0.01 => "1 to 10 %".into(),
        _ => "less than 1 %".into(),
    }
}

/// What a panic says: Burn's first reason, or the first line.
fn reason(message: &str) -> &str {
    let mut lines = message.lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    let reason = lines.find_map(|line| line.strip_prefix("1. "));
    reason.unwrap_or(first)
}

/// The first message of a case of `tests/mistakes`.
macro_rules! compiled {
    ($name:literal, $case:literal, $message:literal) => {
        Mutation::with($name, Moment::Compile, || {
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
    all.extend(reused::mutations());
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
    let caught = rows.iter();
    let caught = caught.filter(|row| !matches!(row.moment, Moment::Nothing(_)));
    assert!(caught.count() >= 50);
}

/// Whoever builds no second model learns of these mistakes from the rehearsal, but for a number
/// that no forward pass reads, and a scale that an expansion leaves as it is.
#[test]
fn a_rehearsal_finds_what_two_widths_tell_where_it_changes_the_function() {
    let mutations = mutations().into_iter();
    let told = mutations.filter(|mutation| mutation.expected == Moment::TwoWidths);
    let missed = told.filter(|mutation| mutation.rehearsed.unwrap()().is_none());
    let missed: Vec<_> = missed.map(|mutation| mutation.name).collect();
    let no_part = [
        "a width in a skipped config that is saved",
        "a scale by a root of a width",
    ];
    assert_eq!(missed, no_part);
}

/// The check of two widths cannot tell these from axes that a model ties.
#[test]
fn a_name_of_an_axis_too_many_is_a_warning_of_two_widths() {
    fn alike<M: Model>() -> Vec<Vec<String>> {
        let sizes = [Size::narrow::<M>(), Size::wide::<M>()];
        let [narrow, wide] = sizes.map(|size| M::built(&size, &Device::flex()));
        let warnings = two_width_check(&narrow, &wide).unwrap().into_iter();
        let alike = warnings.filter_map(|warning| match warning {
            RoleWarning::Alike { axes, .. } => Some(axes.iter().map(ToString::to_string).collect()),
            _ => None,
        });
        alike.collect()
    }
    let misspelled = alike::<feed_forward::MisspelledAxis>();
    assert_eq!(misspelled, [["hidden", "hiden"]]);
    let forgotten = alike::<reused::ForgottenMap>();
    assert_eq!(forgotten, [["input", "narrow"], ["output", "wide"]]);
}

/// The models from which the mutations depart are right.
#[test]
fn without_a_mistake_nothing_is_caught() {
    for (name, found) in [
        ("feed-forward", caught::<feed_forward::Right>()),
        ("attention", caught::<attention::Right>()),
        ("convolution", caught::<convolution::Right>()),
        ("stream", caught::<stream::Right>()),
        ("reused", caught::<reused::Right>()),
    ] {
        assert_eq!(found, (Moment::Nothing(""), String::new()), "{name}");
    }
}
