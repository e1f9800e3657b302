//! Experiments from their files to their results, on models of a few hundred parameters.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lab::campaign::{Asked, Campaign, Places};
use lab::log::Store;
use lab::result::RunResult;
use lab::run::{Display, Run, Stop, callback, initial, shared};
use lab::spec::{Experiment, Length, Settings, files};
use tempfile::TempDir;

const SETTINGS: &str = r#"
[settings]
steps = 48
epochs = 8
context = 16
batch = 4
valid_windows = 8
final_windows = 16
model = { n_layers = 1, hidden = 8, inner = 4, n_heads = 2, n_kv_heads = 1, head_dim = 4, n_experts = 4 }
"#;

const SMALL: &str = r#"
[[runs]]
name = "small"
about = "no growth"
"#;

const GROWN: &str = r#"
[[runs]]
name = "sparkling"
about = "state zeroed and rate re-warmed where new"
growth = { rewarmup = {} }

[[runs]]
name = "early"
about = "the same, earlier"
settings = { at = 0.25 }
growth = { rewarmup = {} }
"#;

const SCRATCH: &str = r#"
[[runs]]
name = "from-scratch"
about = "wide from the start, equal FLOPs"
wide = true
budget = { flops-of = "sparkling" }
"#;

/// A workspace with a text in it.
struct Workspace(TempDir);

impl Workspace {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let line = |index: usize| format!("let value_{} = {index};\n", index % 7);
        let text: String = (0..9000).map(line).collect();
        std::fs::write(folder.path().join("text"), text).expect("a file");
        Self(folder)
    }

    fn places(&self) -> Places {
        Places::of(self.0.path(), Length::Full)
    }

    fn experiment(&self, arms: &str) -> Experiment {
        let path = self.0.path().join("toy.toml");
        let corpus = self.0.path().join("text");
        let head = format!("about = \"a toy\"\nseeds = [0]\n{SETTINGS}");
        let head = head.replace(
            "steps =",
            &format!("corpus = '{}'\nsteps =", corpus.display()),
        );
        std::fs::write(&path, format!("{head}{arms}")).expect("a file");
        Experiment::read(&path).expect("an experiment")
    }

    fn campaign(&self, arms: &str) -> Campaign {
        Campaign::of(&self.experiment(arms), &Asked::default()).expect("a campaign")
    }

    fn run(&self, campaign: &Campaign, stop: Arc<Stop>) -> bool {
        campaign
            .run(&self.places(), 2, stop, Display::Nothing)
            .expect("a run")
    }

    fn finish(&self, campaign: &Campaign) -> Vec<RunResult> {
        assert!(self.run(campaign, Arc::default()));
        self.rows(campaign)
    }

    /// The results of `campaign` without what depends on the machine's mood.
    fn rows(&self, campaign: &Campaign) -> Vec<RunResult> {
        let mut rows = campaign.results(&self.places()).expect("results");
        for row in &mut rows {
            row.wall_s = None;
        }
        rows
    }

    fn lines(&self) -> usize {
        RunResult::read_all(&self.places().results)
            .expect("rows")
            .len()
    }

    /// Runs `campaign` until run `key` has an epoch, then stops.
    fn interrupt(&self, campaign: &Campaign, key: &str) {
        let stop: Arc<Stop> = Arc::default();
        let store = Store::at(self.places().work);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.stopped() {
                    if store.log(key).is_ok_and(|log| !log.epochs.is_empty()) {
                        stop.stop();
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            assert!(!self.run(campaign, stop.clone()));
        });
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments")
}

#[test]
fn every_experiment_can_be_run_at_both_lengths() {
    let files = files(&folder()).expect("a folder");
    assert!(files.len() > 13);
    for (name, path) in files {
        let experiment = Experiment::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!experiment.seeds.is_empty(), "{name}");
        let specs: Vec<_> = experiment.specs.iter().collect();
        let settings = experiment.settings(&Settings::default()).expect("settings");
        let valid = settings.validate();
        valid.unwrap_or_else(|error| panic!("{name}: {error}"));
        for length in [Length::Full, Length::Short] {
            let runs = Run::all(&experiment, &specs, &settings, &[0], "", length);
            let runs = runs.unwrap_or_else(|error| panic!("{name}: {error}"));
            for run in runs {
                let place = format!("{name}, {}", run.spec.name);
                let model = initial(&run).unwrap_or_else(|error| panic!("{place}: {error}"));
                let built = callback(&run).build(&model);
                built.unwrap_or_else(|error| panic!("{place}: {error}"));
                assert!(run.steps > 0, "{place}");
                let short = length == Length::Short;
                assert!(!short || run.steps <= 2000, "{place}: {}", run.steps);
            }
        }
    }
}

#[test]
fn settings_of_a_machine_fit_what_does_not_set_them_itself() {
    let presets = files(&folder().join("presets")).expect("a folder");
    assert!(!presets.is_empty());
    for (_, preset) in presets {
        let campaign = |name: &str| {
            let experiment = Experiment::read(&folder().join(name)).expect("an experiment");
            let cli = Asked {
                config: Some(preset.clone()),
                ..Asked::default()
            };
            Campaign::of(&experiment, &cli)
        };
        for name in [
            "demo",
            "table1",
            "state",
            "ablation",
            "deeper",
            "init-pairs",
        ] {
            let campaign = campaign(&format!("{name}.toml")).expect("runs");
            assert!(campaign.runs.len() > 15, "{name}");
            let parameters = |run: &Run| run.phases[0].size.params;
            assert!(campaign.runs.iter().all(|run| parameters(run) > 50_000_000));
        }
        for (name, setting) in [
            ("length", "steps"),
            ("dense", "model.inner"),
            ("ratio", "model.hidden"),
        ] {
            let error = campaign(&format!("{name}.toml")).expect_err("both set it");
            let expected = format!("`{setting}` is what the experiment compares or fixes");
            assert!(error.to_string().ends_with(&expected), "{name}: {error}");
        }
    }
}

#[test]
fn a_grown_dense_model_costs_what_the_experts_of_a_token_do() {
    let read = |name: &str| {
        let experiment = Experiment::read(&folder().join(name)).expect("an experiment");
        let settings = experiment.settings(&Settings::default()).expect("settings");
        let small = experiment.spec("small").expect("a spec");
        let run = Run::of(&experiment, small, &settings, "", Length::Full);
        run.expect("a run").phases[0].size.active
    };
    // But for the routers, of 32 x 8 and 32 x 1 in each of two layers.
    assert_eq!(read("table1.toml") - read("dense.toml"), 2.0 * 32.0 * 7.0);
}

#[test]
fn a_run_stopped_twice_ends_with_the_results_of_one_that_was_not() {
    let arms = [SMALL, GROWN, SCRATCH].concat();
    let (whole, stopped) = (Workspace::new(), Workspace::new());
    let campaign = stopped.campaign(&arms);
    stopped.interrupt(&campaign, &campaign.runs[0].key);
    stopped.interrupt(&campaign, &campaign.runs[1].key);
    let rows = stopped.finish(&campaign);
    assert_eq!(rows.len(), 4);
    assert_eq!(rows, whole.finish(&whole.campaign(&arms)));
    assert_eq!(stopped.lines(), 4);
    let names: Vec<_> = rows.iter().map(|row| row.spec["name"].clone()).collect();
    assert_eq!(names, ["small", "sparkling", "early", "from-scratch"]);
    let at = |row: &RunResult| -> Vec<usize> { row.expansions.iter().map(|e| e.step).collect() };
    assert_eq!(
        rows.iter().map(at).collect::<Vec<_>>(),
        [vec![], vec![24], vec![12], vec![]]
    );
    for row in &rows {
        assert_eq!(row.cosine.is_some(), !row.expansions.is_empty());
        assert_eq!(row.tokens, 64 * row.steps as u64);
        assert!(row.flops > 0.0 && row.loss > 0.0);
        assert_eq!(row.curve.last().map(|point| point.0), Some(row.steps));
    }
    // What grows later shares more with the small one; at its very step it still is the same
    // function.
    let same = |row: &RunResult, epoch: usize| rows[0].curve[epoch - 1] == row.curve[epoch - 1];
    for (row, at) in [(&rows[1], 4), (&rows[2], 2)] {
        assert!((1..at).all(|epoch| same(row, epoch)));
        assert!((at + 1..=8).all(|epoch| !same(row, epoch)));
    }
}

#[test]
fn a_run_is_done_once_whatever_it_is_called() {
    let workspace = Workspace::new();
    let first = workspace.campaign(&[SMALL, GROWN].concat());
    let rows = workspace.finish(&first);
    let file = std::fs::read(workspace.places().results).expect("a file");
    let renamed = [SMALL, GROWN].concat().replace("sparkling", "method");
    // On another axis, the small one is the same.
    let renamed = format!("grid = {{ \"settings.axis\" = [\"both\"] }}\n{renamed}");
    let path = workspace.0.path().join("other.toml");
    let toy = std::fs::read_to_string(workspace.0.path().join("toy.toml")).expect("a file");
    let head = toy.split("[settings]").next().expect("a head");
    let settings = toy.split("[[runs]]").next().expect("settings");
    let body = renamed.split_once('\n').expect("a grid");
    let settings = settings.strip_prefix(head).expect("the same");
    std::fs::write(&path, format!("{head}{}\n{settings}{}", body.0, body.1)).expect("a file");
    let other = Experiment::read(&path).expect("an experiment");
    let other = Campaign::of(&other, &Asked::default()).expect("a campaign");
    let again = workspace.finish(&other);
    assert_eq!(
        std::fs::read(workspace.places().results).expect("a file"),
        file
    );
    let names: Vec<_> = again.iter().map(|row| row.spec["name"].clone()).collect();
    assert_eq!(
        names,
        ["small/axis=both", "method/axis=both", "early/axis=both"]
    );
    for (row, again) in rows.iter().zip(&again) {
        assert_eq!((&row.id, row.loss), (&again.id, again.loss));
    }
}

#[test]
fn runs_of_one_experiment_that_come_to_the_same_numbers_are_one() {
    let workspace = Workspace::new();
    let other = "[[runs]]\nname = \"other\"\nabout = \"the same\"\nsettings = { rho = 1.3 }\n";
    let campaign = workspace.campaign(&[SMALL, other].concat());
    let rows = workspace.finish(&campaign);
    assert_eq!((rows.len(), workspace.lines()), (2, 1));
    assert_eq!(rows[0].id, rows[1].id);
}

#[test]
fn grown_runs_share_a_prefix_that_nobody_listed() {
    let (with, without) = (Workspace::new(), Workspace::new());
    let campaign = without.campaign(GROWN);
    let listed = &campaign.runs;
    let store = Store::at(without.places().work);
    let found = shared(&store, listed, |_| true).expect("runs");
    assert_eq!(found.len(), 3);
    assert_eq!(found[0].share.until, Some(3));
    assert_eq!(
        found[0].share.keep.iter().copied().collect::<Vec<_>>(),
        [1, 3]
    );
    // One alone shares nothing.
    let found = shared(&store, &listed[..1], |_| true).expect("runs");
    assert_eq!(found.len(), 1);
    let rows = without.finish(&campaign);
    assert_eq!(without.lines(), 2);
    let listed = with.finish(&with.campaign(&[SMALL, GROWN].concat()));
    assert_eq!(rows, listed[1..]);
    // And nothing where a first part is.
    let alone = Workspace::new();
    let single = GROWN.split("[[runs]]").nth(1).expect("an arm");
    let single = alone.finish(&alone.campaign(&format!("[[runs]]{single}")));
    assert_eq!(single, rows[..1]);
}

#[test]
fn grown_runs_continue_from_the_small_one_of_another_experiment() {
    let workspace = Workspace::new();
    let first = [SMALL, GROWN].concat();
    let small = workspace.campaign(&first).runs.remove(0);
    workspace.finish(&workspace.campaign(&first));
    let other = workspace.campaign(&GROWN.replace("rewarmup = {}", ""));
    let store = Store::at(workspace.places().work);
    let found = shared(&store, &other.runs, |_| true).expect("runs");
    let branches: Vec<_> = found.into_iter().map(|run| run.share.from).collect();
    assert_eq!(
        branches,
        [Some((small.key.clone(), 3)), Some((small.key, 1))]
    );
    assert_eq!(workspace.finish(&other).len(), 2);
}

#[test]
fn a_prefix_that_was_not_kept_is_made_again() {
    let workspace = Workspace::new();
    workspace.finish(&workspace.campaign(&[SMALL, GROWN].concat()));
    // The small one is done, and kept nothing for these.
    let late = GROWN.replace("at = 0.25", "at = 0.75");
    let late = late.replace(
        "name = \"sparkling\"",
        "name = \"sparkling\"\nsettings = { at = 0.375 }",
    );
    let rows = workspace.finish(&workspace.campaign(&late));
    let fresh = Workspace::new();
    assert_eq!(
        rows,
        fresh.finish(&fresh.campaign(&[SMALL, &late].concat()))[1..]
    );
}

#[test]
fn a_run_whose_result_was_lost_is_not_trained_again() {
    let workspace = Workspace::new();
    let campaign = workspace.campaign(&[SMALL, GROWN].concat());
    let rows = workspace.finish(&campaign);
    std::fs::remove_file(workspace.places().results).expect("a file");
    let checkpoint = |key: &str| {
        let folder = workspace.places().work.join("runs").join(key);
        let file = folder.join("checkpoint/model-8.bpk");
        file.metadata()
            .and_then(|data| data.modified())
            .expect("a checkpoint")
    };
    let before = checkpoint(&campaign.runs[1].key);
    assert_eq!(workspace.finish(&campaign), rows);
    assert_eq!(checkpoint(&campaign.runs[1].key), before);
}

#[test]
fn a_model_can_grow_several_times() {
    let workspace = Workspace::new();
    let arms = r#"
[[runs]]
name = "two-stages"
about = "inner, then hidden"
[runs.growth]
rewarmup = {}
stages = [{ at = 0.25, axis = "inner" }, { at = 0.5, axis = "hidden" }]

[[runs]]
name = "from-scratch"
about = "wide from the start, equal FLOPs"
wide = true
budget = { flops-of = "two-stages" }
"#;
    let rows = workspace.finish(&workspace.campaign(arms));
    let [grown, wide] = rows.as_slice() else {
        panic!("two rows");
    };
    let steps: Vec<_> = grown
        .expansions
        .iter()
        .map(|expansion| expansion.step)
        .collect();
    assert_eq!(steps, [12, 24]);
    for expansion in &grown.expansions {
        assert!(expansion.max_logit_diff < 1e-5);
        assert!(
            expansion
                .copy_cosine
                .is_some_and(|cosine| (cosine - 1.0).abs() < 1e-5)
        );
    }
    assert_eq!((grown.params, grown.active), (wide.params, wide.active));
    let step = 6.0 * wide.active * 64.0;
    assert!((grown.flops - wide.flops).abs() <= step / 2.0);
}

#[test]
fn layers_grow_as_widths_do() {
    let arms = r#"
[[runs]]
name = "deep"
about = "layers, copies or silent ones"
growth = { stages = [{ targets = { layers = { width = 3 } } }] }
grid = { "growth.blocks.layers.content" = ["copy", "identity", "fresh"] }

[[runs]]
name = "with-state"
about = "the same, with the state of what they copy"
growth = { state = "copy-all", stages = [{ targets = { layers = { width = 3 } } }] }

[[runs]]
name = "layers-first"
about = "layers, then the inner width"
[runs.growth]
rewarmup = {}
stages = [
    { at = 0.25, targets = { layers = { width = 3 } } },
    { at = 0.5, targets = { inner = { factor = 2 } } },
]

[[runs]]
name = "from-scratch"
about = "deep from the start, equal FLOPs"
wide = true
settings = { targets = { layers = { width = 3 } } }
budget = { flops-of = "deep" }
"#;
    let (whole, stopped) = (Workspace::new(), Workspace::new());
    let campaign = stopped.campaign(arms);
    stopped.interrupt(&campaign, &campaign.runs[1].key);
    let rows = stopped.finish(&campaign);
    let again = whole.finish(&whole.campaign(arms));
    for (row, again) in rows.iter().zip(&again) {
        // Fresh layers are drawn by the generator that all tests of this process share.
        if row.spec["name"] != "deep/content=fresh" {
            assert_eq!(row, again);
        }
    }
    let [copy, identity, fresh, with_state, both, deep] = rows.as_slice() else {
        panic!("six rows");
    };
    assert_eq!((copy.params, copy.active), (deep.params, deep.active));
    let step = 6.0 * deep.active * 64.0;
    assert!((copy.flops - deep.flops).abs() <= step / 2.0);
    for grown in [copy, identity, fresh, with_state] {
        assert_eq!(grown.curve[..3], copy.curve[..3]);
        assert_eq!(grown.params, deep.params);
    }
    assert_ne!(copy.loss, with_state.loss);
    // Silent layers keep the function, and others do not.
    assert!(identity.expansions[0].max_logit_diff < 1e-5);
    assert!(copy.expansions[0].max_logit_diff > 1e-3);
    // Copies begin as what they copy, and leave it: each is read by other layers.
    for copied in [copy, identity, with_state] {
        let begin = copied.expansions[0].copy_cosine.expect("copies");
        assert!((begin - 1.0).abs() < 1e-5);
        assert!(copied.cosine.expect("copies") < 1.0 - 1e-6);
    }
    assert_eq!(
        (fresh.expansions[0].copy_cosine, fresh.cosine),
        (None, None)
    );
    let steps: Vec<_> = both.expansions.iter().map(|grown| grown.step).collect();
    assert_eq!(steps, [12, 24]);
    assert!(both.params > deep.params);
}

#[test]
fn rates_and_initialization_follow_the_widths_that_settings_name() {
    let workspace = Workspace::new();
    let follows = |parametrization: &str| {
        format!(
            r#"
[settings.optimizer]
parametrization = "{parametrization}"
base = {{ hidden = 2, inner = 4, kv_heads = 1, queries = 2 }}
{GROWN}"#
        )
    };
    let first = |campaign: &Campaign| initial(&campaign.runs[0]).expect("a model");
    let plain = first(&workspace.campaign(GROWN));
    for (name, logits, router) in [("mup", 0.25, 0.25), ("standard", 1.0, 0.5)] {
        let campaign = workspace.campaign(&follows(name));
        let model = first(&campaign);
        assert_eq!(model.config().logit_multiplier, logits);
        let [found, as_drawn] = [&model, &plain].map(|model| {
            let feed_forward = &model.blocks[0].feed_forward;
            let router = feed_forward.router.linear.weight.val();
            let down = feed_forward.down_proj.val();
            [router.abs().max(), down.abs().max()].map(|it| it.into_scalar::<f32>())
        });
        // The router reads `hidden`, four times the base; `inner` is what it is there.
        assert!((found[0] / as_drawn[0] - router).abs() < 1e-5, "{name}");
        assert_eq!(found[1], as_drawn[1], "{name}");
        // It trains, grows, and its checkpoints hold the grown factor of the logits.
        let key = campaign.runs[0].key.clone();
        workspace.interrupt(&campaign, &key);
        let rows = workspace.finish(&campaign);
        assert!(rows.iter().all(|row| row.loss.is_finite()), "{name}");
    }
}

#[test]
fn runs_are_found_by_name_and_by_the_name_of_their_grid() {
    let experiment = Experiment::read(&folder().join("table1.toml")).expect("an experiment");
    let names = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        experiment.select(&names).map(|specs| specs.len())
    };
    assert_eq!(names(&["sparkling", "small/axis=both"]).expect("arms"), 4);
    let error = names(&["spark"]).expect_err("no such arm");
    assert!(error.to_string().contains("no run `spark`"), "{error}");
    assert!(error.to_string().contains("sparkling/axis=both"), "{error}");
}

#[test]
fn a_mistake_in_an_experiment_is_named() {
    let workspace = Workspace::new();
    let read = |arms: &str| {
        let path = workspace.0.path().join("toy.toml");
        std::fs::write(&path, format!("about = \"a toy\"\nseeds = [0]\n{arms}")).expect("a file");
        let experiment = Experiment::read(&path)?;
        Campaign::of(&experiment, &Asked::default()).map(|_| ())
    };
    let arm = |rest: &str| format!("[[runs]]\nname = \"a\"\nabout = \"\"\n{rest}");
    let cases = [
        (arm("bugdet = \"steps\""), "unknown field `bugdet`"),
        (
            arm("settings = { rhoo = 2 }"),
            "settings of run `a`: unknown field `rhoo`",
        ),
        (
            arm("settings = { seed = 2 }"),
            "settings of run `a`: `seed` may not be set there",
        ),
        (arm("settings = { at = 0.51 }"), "setting `at` is 0.51"),
        (arm("rate = -1.0"), "setting `rate` is -1"),
        (
            arm("budget = { flops-of = \"b\" }"),
            "there is no run `b`: the runs are a",
        ),
        (
            arm("budget = { flops-of = \"a\" }"),
            "run `a` is to cost what `a` costs",
        ),
        (
            arm("growth = {}\nbudget = { flops-of = \"a\" }"),
            "run `a`: one that grows",
        ),
        (
            arm("growth = { stages = [{ at = 0.5 }, { at = 0.25 }] }"),
            "later than",
        ),
        (arm("") + &arm(""), "two runs are called `a`"),
        (
            format!("settings = {{ out = \"b\" }}\n{}", arm("")),
            "`out` may not be set there",
        ),
    ];
    for (text, message) in cases {
        let error = format!("{:#}", read(&text).expect_err(message));
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn two_processes_do_not_work_in_one_directory() {
    let workspace = Workspace::new();
    let campaign = workspace.campaign(SMALL);
    std::fs::create_dir_all(workspace.places().work).expect("a directory");
    let file = std::fs::File::create(workspace.places().work.join("lock")).expect("a file");
    file.lock().expect("a lock");
    let outcome = campaign.run(&workspace.places(), 1, Arc::default(), Display::Nothing);
    let error = outcome.expect_err("busy").to_string();
    assert!(
        error.ends_with("another process runs experiments there"),
        "{error}"
    );
    drop(file);
    assert_eq!(workspace.finish(&campaign).len(), 1);
}
