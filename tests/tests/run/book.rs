//! The README says what is true, and stays short.
#![allow(clippy::unwrap_used)]

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use burn_grow::prelude::*;

const README: &str = include_str!("../../../README.md");
const QUICKSTART: &str = include_str!("../../../examples/quickstart/src/main.rs");

/// The model of the README.
#[derive(Module, Growable, Debug)]
struct FeedForward {
    #[grow(fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner")]
    down: Linear,
}

/// The code blocks of `language`.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let blocks = README.split(&fence).skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

#[test]
fn the_readme_is_a_hundred_lines_of_a_hundred_characters() {
    assert!(README.lines().count() <= 100);
    for line in README.lines() {
        // Comments are not shown.
        let parts = line.split("<!--").enumerate();
        let shown = parts.map(|(part, text)| match part {
            0 => text,
            _ => text.split_once("-->").map_or("", |(_, shown)| shown),
        });
        assert!(shown.collect::<String>().chars().count() <= 100, "{line}");
    }
}

#[test]
fn the_readme_shows_what_its_program_prints() {
    let device = Device::flex();
    let model = FeedForward {
        up: LinearConfig::new(128, 32).init(&device),
        down: LinearConfig::new(32, 256).init(&device),
    };
    let plan = Plan::new(
        &Blueprint::of(&model).unwrap(),
        &Expansion::by("inner", 2.0),
    );
    assert_eq!(blocks("text"), [format!("{}\n", plan.unwrap())]);
}

#[test]
fn the_readme_trains_as_the_quickstart_does() {
    let line = |line: &'static str| line.trim();
    let program: Vec<_> = QUICKSTART.lines().map(line).collect();
    let [block] = blocks("rs")[..] else {
        panic!("one block of the quickstart");
    };
    for line in block.lines().map(line) {
        assert!(program.contains(&line), "the quickstart has no `{line}`");
    }
}
