//! The table of `docs/src/reference/optimizers.md`: every cell is what a run did.

use std::fs;

use burn::optim::LBFGS;
use burn_pack::Reader;

use super::*;

const DOCS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../docs/src/reference/optimizers.md"
);
const BEGIN: &str = "<!-- table -->\n";
const END: &str = "<!-- end of table -->\n";
/// Set, the table is written instead of compared.
const WRITE: &str = "WRITE_DOCS";
const COMMAND: &str = "WRITE_DOCS=1 cargo test --workspace --test optim table_of_the_documentation";

/// A way to expand.
struct Column {
    name: &'static str,
    rules: StateRules,
    rewarmup: Rewarmup,
}

fn columns() -> Vec<Column> {
    let shared = || Rewarmup::cosine(1e-3).paper().with_steps(4);
    let column = |name, rules, rewarmup| Column {
        name,
        rules,
        rewarmup,
    };
    let mixed = StateRules::default()
        .on("inner", StatePolicy::Scale)
        .with_group(ParamGroup::from_predicate("head"), StatePolicy::DropAll);
    vec![
        column("keep-and-zero", StatePolicy::KeepAndZero.into(), shared()),
        column(
            "keep-and-zero, restarted bias correction",
            StatePolicy::KeepAndZero.into(),
            shared().with_restarted_bias_correction(0.9, 0.999),
        ),
        column("copy-all", StatePolicy::CopyAll.into(), shared()),
        column("drop-all", StatePolicy::DropAll.into(), shared()),
        column("scale", StatePolicy::Scale.into(), shared()),
        column("by axis and group", mixed, shared()),
    ]
}

/// What of a run that expands by `column` is bit-equal once it has been to disk: the file, what a
/// new optimizer reads from it, and ten more steps.
fn trip(enrolled: &Enrolled, column: &Column) -> String {
    let mut optim = enrolled.adapted.clone();
    let mut model = Fused::narrow(12, &device());
    for at in 0..5 {
        model = step(model, &mut optim, at);
    }
    let plan = plan(&model, &Expansion::by("inner", 1.5).and_by("hidden", 2.0));
    let ramp = column.rewarmup.ramp(5, TOTAL);
    let rewarmup = Some(ramp);
    let rules = column.rules.clone();
    let Ok(expanded) = expand_optimizer(&optim, &model, &plan, rules, rewarmup) else {
        return "rejected".into();
    };
    (model, optim) = (plan.apply(model).unwrap(), expanded);
    for at in 5..10 {
        model = step(model, &mut optim, at);
    }

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("optim.bpk");
    optim.save(&file).unwrap();
    let record = dump::record(&optim);
    let mut resumed = enrolled.adapted.clone().load(&file).unwrap();
    let mut equal = vec![
        (
            "save",
            dump::record_of(Reader::from_file(&file).unwrap()) == record,
        ),
        ("load", dump::record(&resumed) == record),
    ];
    let mut again = model.clone();
    for at in 10..20 {
        model = step(model, &mut optim, at);
        again = step(again, &mut resumed, at);
    }
    let same = dump::params(&model) == dump::params(&again);
    equal.push((
        "resume",
        same && dump::record(&optim) == dump::record(&resumed),
    ));
    let equal = equal.into_iter().filter(|(_, equal)| *equal);
    let names: Vec<_> = equal.map(|(name, _)| name).collect();
    names.join(", ")
}

/// What becomes of a state in half precision.
fn half(enrolled: &Enrolled) -> &'static str {
    let mut optim = enrolled.adapted.clone();
    let model = cast(Fused::narrow(13, &device()), FloatDType::BF16);
    let model = step(model, &mut optim, 0);
    let states = dump::record(&optim).tensors;
    let plan = plan(&model, &Expansion::by("inner", 2.0));
    match expand_optimizer(&optim, &model, &plan, StatePolicy::default(), None) {
        Ok(_) if states.is_empty() => "no state",
        Ok(_) => "follows",
        Err(OptimError::DType { .. }) => "rejected",
        Err(error) => panic!("{error}"),
    }
}

/// Tells if a type is an [`Optimizer`], which is all that can be adapted: the constant of the first
/// block is there only then, and hides that of the trait.
struct Adaptable<T>(core::marker::PhantomData<T>);

impl<O: Optimizer> Adaptable<O> {
    const ANSWER: bool = true;
}

trait Otherwise {
    const ANSWER: bool = false;
}

impl<T> Otherwise for Adaptable<T> {}

#[test]
fn l_bfgs_cannot_be_adapted() {
    let answers = [
        Adaptable::<burn::optim::AdamW>::ANSWER,
        Adaptable::<burn::optim::Muon>::ANSWER,
        Adaptable::<LBFGS>::ANSWER,
    ];
    assert_eq!(answers, [true, true, false]);
}

fn table() -> String {
    let columns = columns();
    let names = columns.iter().map(|column| column.name.to_owned());
    let mut rows = vec![
        ["optimizer".to_owned()]
            .into_iter()
            .chain(names)
            .chain(["old coordinates", "half precision"].map(String::from))
            .collect::<Vec<_>>(),
    ];
    rows.push(vec!["---".into(); rows[0].len()]);
    for (name, enrolled) in elementwise().into_iter().chain(coupled()) {
        let mut row = vec![format!("`{name}`")];
        row.extend(columns.iter().map(|column| trip(&enrolled, column)));
        row.push(match old_coordinates_apart(&enrolled) {
            0 => "bit-equal".into(),
            _ => "coupled".into(),
        });
        row.push(half(&enrolled).into());
        rows.push(row);
    }
    let mut row = vec!["`LBFGS`".to_owned()];
    row.resize(
        rows[0].len(),
        match Adaptable::<LBFGS>::ANSWER {
            true => panic!("it can be adapted by now: enrol it"),
            false => "rejected".into(),
        },
    );
    rows.push(row);
    let lines = rows.iter().map(|row| format!("| {} |\n", row.join(" | ")));
    lines.collect()
}

#[test]
fn the_table_of_the_documentation_is_what_the_runs_did() {
    let docs = fs::read_to_string(DOCS).unwrap();
    let (before, rest) = docs.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    let found = table();
    if std::env::var_os(WRITE).is_some() {
        fs::write(DOCS, [before, BEGIN, &found, END, after].concat()).unwrap();
        return;
    }
    assert_eq!(
        written, found,
        "docs/src/reference/optimizers.md is out of date: `{COMMAND}` writes it"
    );
}
