//! Other methods, for comparison: what their papers say they do.
#![allow(clippy::unwrap_used)]

use burn::tensor::Device;
use burn_grow::baseline::{Baseline, SplitRatio};
use burn_grow::{Blueprint, Expansion, GrowError, Plan};
use burn_grow_tests::data::{assert_close, rms, values};
use burn_grow_tests::growth::{grown, plan};
use burn_grow_tests::models::{Fused, Mlp, Probe, Tied};
use rstest::rstest;

const WIDTH: usize = 64;

fn narrow() -> Mlp {
    Mlp::of([8, WIDTH, 8], 1, &Device::flex())
}

fn by(factor: f64, rival: Baseline) -> Expansion {
    Expansion::by("inner", factor).with_baseline(rival)
}

/// The consumer's row of every unit of the axis.
fn rows(model: &Mlp) -> Vec<Vec<f32>> {
    values(model.down.weight.val())
        .chunks(8)
        .map(<[f32]>::to_vec)
        .collect()
}

/// The producer's column of every unit of the axis.
fn columns(model: &Mlp) -> Vec<Vec<f32>> {
    let columns = values(model.up.weight.val().transpose());
    columns.chunks(8).map(<[f32]>::to_vec).collect()
}

#[rstest]
#[case::uneven(Baseline::UnevenSplit(SplitRatio::Fixed(1.0 / 3.0)))]
#[case::uneven_at_random(Baseline::UnevenSplit(SplitRatio::Uniform(0.1, 0.5)))]
#[case::perturbation(Baseline::Perturbation { size: 0.1 })]
#[case::function_preserving_random(Baseline::FunctionPreservingRandom)]
#[case::net2net(Baseline::Net2Net { noise: 0.0 })]
#[case::hyper_cloning(Baseline::HyperCloning { snr_db: 10.0 })]
fn a_rival_preserves_the_function(
    #[case] rival: Baseline,
    #[values(1.25, 1.5, 2.0, 3.0, 3.5)] factor: f64,
) {
    let narrow = narrow();
    let wide = grown(&narrow, &by(factor, rival));
    let expected = values(narrow.output_of(3));
    let largest = expected.iter().fold(1.0, |a: f32, b| a.max(b.abs()));
    assert_close(
        &values(wide.output_of(3)),
        &expected,
        1e-5 * largest,
        &format!("{rival:?}"),
    );
    let fused = Fused::narrow(2, &Device::flex());
    let wide = grown(&fused, &by(1.5, rival));
    let expected = values(fused.output(1));
    assert_close(
        &values(wide.output(1)),
        &expected,
        2e-5,
        &format!("{rival:?}"),
    );
}

/// An input that fits eight features.
trait OutputOf {
    fn output_of(&self, seed: u64) -> burn::tensor::Tensor<2>;
}

impl OutputOf for Mlp {
    fn output_of(&self, seed: u64) -> burn::tensor::Tensor<2> {
        self.forward(burn_grow_tests::data::random([5, 8], seed, &Device::flex()))
    }
}

#[test]
fn an_uneven_split_gives_the_copies_their_share() {
    let narrow = rows(&narrow());
    let share = SplitRatio::Fixed(0.25);
    let wide = rows(&grown(
        &self::narrow(),
        &by(3.0, Baseline::UnevenSplit(share)),
    ));
    for (unit, old) in narrow.iter().enumerate() {
        let times = |factor: f32| old.iter().map(|value| value * factor).collect::<Vec<_>>();
        assert_close(&wide[unit], &times(0.75), 1e-6, "kept");
        assert_close(&wide[unit + WIDTH], &times(0.125), 1e-6, "first copy");
        assert_close(&wide[unit + 2 * WIDTH], &times(0.125), 1e-6, "second copy");
    }
}

#[test]
fn a_random_split_differs_from_unit_to_unit() {
    let rival = Baseline::UnevenSplit(SplitRatio::Uniform(0.1, 0.5));
    let (narrow, wide) = (rows(&narrow()), rows(&grown(&narrow(), &by(2.0, rival))));
    let shares: Vec<f32> = (0..WIDTH)
        .map(|unit| wide[unit + WIDTH][0] / narrow[unit][0])
        .collect();
    assert!(
        shares.iter().all(|share| (0.1..=0.5).contains(share)),
        "{shares:?}"
    );
    let mean = shares.iter().sum::<f32>() / WIDTH as f32;
    assert!((mean - 0.3).abs() < 0.05, "{mean}");
    assert!(shares.iter().any(|share| (share - mean).abs() > 0.1));
}

#[test]
fn a_perturbation_moves_the_copies_apart_by_its_size() {
    let rival = Baseline::Perturbation { size: 0.1 };
    let (narrow, wide) = (rows(&narrow()), rows(&grown(&narrow(), &by(2.0, rival))));
    let (mut up, mut down) = (0, 0);
    for (unit, old) in narrow.iter().enumerate() {
        for (at, old) in old.iter().enumerate() {
            let relative = wide[unit][at] / (0.5 * old);
            let other = wide[unit + WIDTH][at] / (0.5 * old);
            assert!((relative + other - 2.0).abs() < 1e-5, "the sum stays");
            assert!(((relative - 1.0).abs() - 0.1).abs() < 1e-5, "{relative}");
            match relative > 1.0 {
                true => up += 1,
                false => down += 1,
            }
        }
    }
    assert!(up > 200 && down > 200, "signs are drawn: {up} {down}");
}

#[test]
fn hyper_cloning_adds_noise_at_its_ratio() {
    let rival = Baseline::HyperCloning { snr_db: 20.0 };
    let (narrow, wide) = (rows(&narrow()), rows(&grown(&narrow(), &by(2.0, rival))));
    let mut noise = Vec::new();
    for (unit, old) in narrow.iter().enumerate() {
        for (at, old) in old.iter().enumerate() {
            noise.push(wide[unit][at] - 0.5 * old);
            let other = wide[unit + WIDTH][at] - 0.5 * old;
            assert!(
                (noise.last().unwrap() + other).abs() < 1e-6,
                "the sum stays"
            );
        }
    }
    let signal = 0.5 * rms(&narrow.concat());
    let ratio = 20.0 * (signal / rms(&noise)).log10();
    assert!((ratio - 20.0).abs() < 1.0, "{ratio} dB");
}

#[test]
fn function_preserving_random_units_cancel_in_pairs() {
    let rival = Baseline::FunctionPreservingRandom;
    // An odd number of new units: the last one is not heard.
    let wide = grown(
        &narrow(),
        &Expansion::to("inner", WIDTH + 5).with_baseline(rival),
    );
    let (columns, rows) = (columns(&wide), rows(&wide));
    for pair in [WIDTH, WIDTH + 2] {
        assert_eq!(columns[pair], columns[pair + 1]);
        let negative: Vec<f32> = rows[pair + 1].iter().map(|value| -value).collect();
        assert_eq!(rows[pair], negative);
        assert!(rms(&rows[pair]) > 0.1 && rms(&columns[pair]) > 0.1);
    }
    assert_ne!(columns[WIDTH], columns[WIDTH + 2]);
    assert!(rms(&columns[WIDTH + 4]) > 0.1);
    assert_eq!(rms(&rows[WIDTH + 4]), 0.0);
}

#[test]
fn net2net_copies_units_at_random_with_noise_on_the_producers() {
    let rival = Baseline::Net2Net { noise: 0.05 };
    let expansion = by(4.0, rival).with_seed(3);
    let plan = plan(&narrow(), &expansion);
    let source = plan.axis(&"inner".into()).unwrap().source().to_vec();
    assert_ne!(source[WIDTH..2 * WIDTH], source[..WIDTH]);
    let (narrow, wide) = (
        columns(&narrow()),
        columns(&grown(&self::narrow(), &expansion)),
    );
    assert_eq!(wide[..WIDTH], narrow[..]);
    let mut noise = Vec::new();
    for (unit, old) in source.iter().enumerate().skip(WIDTH) {
        noise.extend(
            wide[unit]
                .iter()
                .zip(&narrow[*old])
                .map(|(new, old)| new - old),
        );
    }
    let relative = rms(&noise) / rms(&narrow.concat());
    assert!((relative - 0.05).abs() < 0.005, "{relative}");
}

#[test]
fn a_tied_projection_takes_what_one_number_can_say() {
    let tied = Tied::narrow(1, &Device::flex());
    let blueprint = Blueprint::of(&tied).unwrap();
    let hidden = |factor, rival| Expansion::by("hidden", factor).with_baseline(rival);
    let uneven = Baseline::UnevenSplit(SplitRatio::Fixed(0.25));
    // The embedding is copied whole, so its own factor is even.
    let wide = grown(&tied, &hidden(2.0, uneven));
    assert_close(
        &values(wide.output(1)),
        &values(tied.output(1)),
        1e-5,
        "tied",
    );
    for rejected in [
        hidden(1.5, uneven),
        hidden(2.0, Baseline::FunctionPreservingRandom),
    ] {
        let error = Plan::new(&blueprint, &rejected).unwrap_err();
        assert!(matches!(error, GrowError::Multiplier { .. }), "{error}");
    }
}
