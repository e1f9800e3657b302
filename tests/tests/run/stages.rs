//! Axes that grow one after another, in stages.
#![allow(clippy::unwrap_used)]

use burn::tensor::Device;
use burn_grow::{Blueprint, Expansion};
use burn_grow_tests::data::{assert_close, values};
use burn_grow_tests::dump;
use burn_grow_tests::growth::grown;
use burn_grow_tests::models::{FusedHeads, GatedUnit, Nested, Probe, Stacked, Stages, Tied};

/// Grows the axes one at a time, in this order, all of them `times` times.
fn one_at_a_time<M: Probe>(narrow: &M, axes: &[&str], times: usize) -> M {
    let axes = axes.iter().cycle().take(times * axes.len());
    axes.fold(narrow.clone(), |model, axis| {
        grown(&model, &Expansion::by(*axis, 2.0))
    })
}

fn all_at_once<M: Probe>(narrow: &M, factor: f64) -> M {
    let expansion = M::axes()
        .iter()
        .fold(Expansion::default(), |all, axis| all.and_by(*axis, factor));
    grown(narrow, &expansion)
}

fn check<M: Probe>(name: &str) {
    let narrow = M::narrow(1, &Device::flex());
    let reversed: Vec<_> = M::axes().iter().rev().copied().collect();
    for (times, factor) in [(1, 2.0), (2, 4.0)] {
        let expected = all_at_once(&narrow, factor);
        for axes in [M::axes(), &reversed] {
            let found = one_at_a_time(&narrow, axes, times);
            assert_eq!(
                Blueprint::of(&found).unwrap().widths(),
                Blueprint::of(&expected).unwrap().widths(),
                "{name}"
            );
            let found_params = dump::params(&found);
            for (path, param) in dump::params(&expected) {
                let what = format!("{name} {axes:?} {path}");
                assert_close(&found_params[&path].values(), &param.values(), 1e-6, &what);
            }
            let what = format!("{name} {axes:?}");
            let before = values(narrow.output(0));
            assert_close(&values(found.output(0)), &before, 1e-5, &what);
        }
    }
}

#[test]
fn axes_grown_one_after_another_equal_axes_grown_at_once() {
    check::<Tied>("tied");
    check::<Nested>("nested");
    check::<GatedUnit>("gated unit");
    check::<FusedHeads>("fused heads");
    check::<Stages>("stages");
    check::<Stacked>("stacked");
}

#[test]
fn every_stage_may_grow_by_its_own_factor() {
    let device = Device::flex();
    let narrow = Stages::narrow(2, &device);
    let wide = grown(
        &narrow,
        &Expansion::by("first", 4.0)
            .and_by("second", 3.0)
            .and_by("third", 2.0),
    );
    let widths: Vec<_> = Blueprint::of(&wide)
        .unwrap()
        .widths()
        .values()
        .copied()
        .collect();
    assert_eq!(widths, [8, 12, 16]);
    let before = values(narrow.output(3));
    assert_close(&values(wide.output(3)), &before, 1e-5, "stages");
}
