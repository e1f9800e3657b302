//! Expansions that end too early leave no folder that looks whole, and go on where they were.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use burn_grow_cli::expand::{Job, Progress, Written};
use burn_grow_cli::upcycle::Upcycling;
use burn_grow_cli::{Error, Model};
use burn_grow_core::Expansion;

use crate::common::{Array, Crash, Dir, llama, read};

fn write(
    folder: &Dir,
    expansion: &Expansion,
    resume: bool,
    progress: &mut impl Progress,
) -> Result<Written, Error> {
    let model = folder.open()?;
    let growth = model.grow(expansion)?;
    let job = Job {
        made: &growth.new_folder(expansion),
        out: &folder.out(),
        shard_bytes: 600,
        resume,
    };
    job.write(progress)
}

/// Crashes after so many bytes.
fn crash(folder: &Dir, expansion: &Expansion, bytes: u64) {
    let crashed = catch_unwind(AssertUnwindSafe(|| {
        write(folder, expansion, false, &mut Crash(bytes))
    }));
    assert!(crashed.is_err(), "it ended before the crash");
}

fn partial(folder: &Dir) -> PathBuf {
    folder.out().with_file_name("out.partial")
}

#[test]
fn an_expansion_goes_on_wherever_it_was_interrupted() {
    let folder = llama();
    let expansion = Expansion::by("inner", 2.0).and_by("hidden", 1.5);
    let whole = write(&folder, &expansion, false, &mut ()).expect("expanded");
    let expected = read(&folder.out());
    std::fs::remove_dir_all(folder.out()).expect("removed");
    let mut resumed = Vec::new();
    for bytes in (1..whole.bytes).step_by(487) {
        crash(&folder, &expansion, bytes);
        assert!(!folder.out().exists());
        assert!(!partial(&folder).join("config.json").exists());
        assert!(Model::open(&partial(&folder), None, &[]).is_err());
        let again = write(&folder, &expansion, true, &mut ()).expect("resumed");
        assert!(read(&folder.out()) == expected);
        assert!(!partial(&folder).exists());
        resumed.push(again.resumed);
        std::fs::remove_dir_all(folder.out()).expect("removed");
    }
    assert_eq!(resumed[0], 0);
    assert!(
        resumed.is_sorted() && *resumed.last().expect("some") > 10,
        "{resumed:?}"
    );
}

#[test]
fn an_upcycling_goes_on_wherever_it_was_interrupted() {
    let folder = llama();
    let upcycling = Upcycling::new("mixtral", 4, 2)
        .with_granularity(2)
        .with_noise(0.1);
    let write = |upcycling: &Upcycling, resume, bytes| {
        let model = folder.open()?;
        let job = Job {
            made: &model.upcycle(upcycling)?.folder,
            out: &folder.out(),
            shard_bytes: 600,
            resume,
        };
        job.write(&mut Crash(bytes))
    };
    let whole = write(&upcycling, false, u64::MAX).expect("upcycled");
    let expected = read(&folder.out());
    std::fs::remove_dir_all(folder.out()).expect("removed");
    let mut resumed = Vec::new();
    for bytes in (1..whole.bytes).step_by(1487) {
        let crashed = catch_unwind(AssertUnwindSafe(|| write(&upcycling, false, bytes)));
        assert!(crashed.is_err(), "it ended before the crash");
        assert!(!folder.out().exists());
        let other = upcycling.clone().with_seed(1);
        let error: Error = write(&other, true, u64::MAX).expect_err("another one");
        assert!(matches!(error, Error::OtherExpansion { .. }), "{error}");
        let again = write(&upcycling, true, u64::MAX).expect("resumed");
        assert!(read(&folder.out()) == expected);
        assert!(!partial(&folder).exists());
        resumed.push(again.resumed);
        std::fs::remove_dir_all(folder.out()).expect("removed");
    }
    assert!(
        resumed.is_sorted() && *resumed.last().expect("some") > 10,
        "{resumed:?}"
    );
}

#[test]
fn what_is_left_is_neither_overwritten_nor_taken_for_something_else() {
    let folder = llama();
    let expansion = Expansion::by("inner", 2.0);
    crash(&folder, &expansion, 2000);
    let text = |result: Result<Written, Error>| result.expect_err("rejected").to_string();
    let error = text(write(&folder, &expansion, false, &mut ()));
    assert!(
        error.contains("go on with `--resume`, or remove it"),
        "{error}"
    );
    let other = Expansion::by("inner", 3.0);
    let error = text(write(&folder, &other, true, &mut ()));
    assert!(error.contains("(the expansion differs)"), "{error}");
    let mut changed = folder.arrays.clone();
    changed.insert("more".into(), Array::f32(&[1], &[1.0]));
    folder.file("model.safetensors", crate::common::safetensors(&changed));
    let model = Model::open(&folder.path(), None, &["more".into()]).expect("a model");
    let growth = model.grow(&expansion).expect("a plan");
    let job = Job {
        made: &growth.new_folder(&expansion),
        out: &folder.out(),
        shard_bytes: 600,
        resume: true,
    };
    let error = text(job.write(&mut ()));
    assert!(error.contains("differs)"), "{error}");
    folder.write();

    // The folder itself is in the way.
    std::fs::create_dir(folder.out()).expect("a folder");
    let error = text(write(&folder, &expansion, true, &mut ()));
    assert!(
        error.contains("exists: expand into a folder that does not"),
        "{error}"
    );
}

#[test]
fn a_journal_that_was_cut_off_costs_a_tensor_and_nothing_else() {
    let folder = llama();
    let expansion = Expansion::by("inner", 2.0);
    write(&folder, &expansion, false, &mut ()).expect("expanded");
    let expected = read(&folder.out());
    std::fs::remove_dir_all(folder.out()).expect("removed");
    crash(&folder, &expansion, 4000);
    let journal = partial(&folder).join("burn-grow.journal");
    let text = std::fs::read_to_string(&journal).expect("a journal");
    std::fs::write(&journal, &text[..text.len() - 3]).expect("cut off");
    write(&folder, &expansion, true, &mut ()).expect("resumed");
    assert!(read(&folder.out()) == expected);
}

#[test]
fn an_expansion_that_had_not_begun_begins() {
    let folder = llama();
    let expansion = Expansion::by("inner", 2.0);
    for (heading, resume) in [(None, false), (None, true), (Some("{\"rec"), true)] {
        std::fs::create_dir(partial(&folder)).expect("a folder");
        if let Some(heading) = heading {
            std::fs::write(partial(&folder).join("burn-grow.journal"), heading).expect("written");
        }
        write(&folder, &expansion, resume, &mut ()).expect("expanded");
        std::fs::remove_dir_all(folder.out()).expect("removed");
    }
    // What is in the way and holds something is not ours.
    std::fs::create_dir(partial(&folder)).expect("a folder");
    std::fs::write(partial(&folder).join("mine"), "text").expect("written");
    let error = write(&folder, &expansion, true, &mut ()).expect_err("in the way");
    assert!(error.to_string().contains("out.partial exists"), "{error}");
}

#[test]
fn a_program_that_is_killed_leaves_nothing_that_looks_whole() {
    // Large enough to be killed within.
    let mut folder = llama();
    let vocab = 40_000;
    for name in ["model.embed_tokens.weight", "lm_head.weight"] {
        let values = vec![0.5; vocab * 8];
        folder
            .arrays
            .insert(name.into(), Array::f32(&[vocab, 8], &values));
    }
    folder.config["vocab_size"] = vocab.into();
    folder.write();
    let program = || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_burn-grow"));
        program
            .arg("expand")
            .arg(folder.path())
            .arg("--out")
            .arg(folder.out());
        program.args(["--axis", "hidden=40x", "--shard-size", "100kB", "--json"]);
        program.stdout(Stdio::null());
        program
    };
    let mut running = program().spawn().expect("started");
    let began = Instant::now();
    while !partial(&folder).exists() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
    running.kill().expect("killed");
    running.wait().expect("ended");
    // Unless it was faster than the kill.
    if partial(&folder).exists() {
        assert!(!folder.out().exists());
        let status = program().arg("--resume").status().expect("ran");
        assert!(status.success());
    }
    let found = read(&folder.out());
    let wide = &found["lm_head.weight"];
    assert_eq!(wide.shape, [vocab, 320]);
    assert!(wide.values().iter().all(|value| *value == 0.5 / 40.0));
}
