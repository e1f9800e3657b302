//! Plain loops over blocks of 16 numbers, compiled for the widest instruction set at hand.

use macerator::{AutoArch, Simd, WithSimd};

/// The numbers that the loops handle at once: one AVX-512 register, two of AVX2, four of NEON.
pub(crate) const LANES: usize = 16;

/// One block.
pub(crate) type Lanes = [f32; LANES];

/// Loops that [`vectorized`] compiles once for every instruction set.
///
/// Everything that `run` calls has to be `#[inline(always)]`, or it is compiled for the oldest one.
pub(crate) trait Kernel {
    /// Runs the loops.
    fn run(self);
}

/// Runs `kernel` with the widest instruction set of this machine.
pub(crate) fn vectorized<K: Kernel>(kernel: K) {
    AutoArch::new().dispatch(Vectorized(kernel));
}

struct Vectorized<K>(K);

impl<K: Kernel> WithSimd for Vectorized<K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        self.0.run();
    }
}

/// `e^x` to two units in the last place, `x` clamped to where the result is a normal number.
///
/// `2^n e^r` with `n` the nearest integer to `x / ln 2`, the polynomial of Cephes' `expf` for
/// `e^r`.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    /// Adding it rounds to an integer, which is left in the low bits: 1.5 * 2^23.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.3, 88.3);
    let rounded = x.mul_add(core::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    let mut p = 1.987_569_1e-4;
    for c in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        0.166_666_65,
        0.5,
    ] {
        p = r.mul_add(p, c);
    }
    let power = (rounded.to_bits() << 23).wrapping_add(1.0f32.to_bits());
    (r * r).mul_add(p, r + 1.0) * f32::from_bits(power)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `acc += factor * x`, block by block.
#[inline(always)]
pub(crate) fn add_scaled(acc: &mut Lanes, factor: f32, x: &Lanes) {
    for (acc, x) in acc.iter_mut().zip(x) {
        *acc = factor.mul_add(*x, *acc);
    }
}

/// The sum of a block.
#[inline(always)]
pub(crate) fn sum(lanes: &Lanes) -> f32 {
    let mut half = [0.0; LANES / 2];
    for (index, half) in half.iter_mut().enumerate() {
        *half = lanes[index] + lanes[index + LANES / 2];
    }
    let mut quarter = [0.0; LANES / 4];
    for (index, quarter) in quarter.iter_mut().enumerate() {
        *quarter = half[index] + half[index + LANES / 4];
    }
    (quarter[0] + quarter[2]) + (quarter[1] + quarter[3])
}

/// The sum of `term(a, b)` over two slices of one length.
#[inline(always)]
pub(crate) fn sum_of(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut total = [0.0; LANES];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            total[lane] += term(a[lane], b[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| term(*a, *b)).sum();
    sum(&total) + rest
}

/// The largest of a slice, minus infinity when it is empty.
#[inline(always)]
pub(crate) fn largest(x: &[f32]) -> f32 {
    let (blocks, rest) = x.as_chunks::<LANES>();
    let mut most = [f32::NEG_INFINITY; LANES];
    for block in blocks {
        for lane in 0..LANES {
            most[lane] = if block[lane] > most[lane] {
                block[lane]
            } else {
                most[lane]
            };
        }
    }
    most.iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |most, x| most.max(*x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_of_the_last_place() {
        for step in -87_000..88_000 {
            let x = step as f32 * 1e-3;
            let exact = (x as f64).exp();
            let error = (exp(x) as f64 - exact).abs() / exact;
            assert!(
                error < 2.0 * f32::EPSILON as f64,
                "exp({x}) is off by {error:e}"
            );
        }
        assert!(exp(f32::NEG_INFINITY) < 1.3e-38);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn sums_and_maxima_cover_blocks_and_rests() {
        for length in [0, 1, 15, 16, 17, 40] {
            let x: Vec<f32> = (0..length).map(|i| (i * 7 % 11) as f32 - 3.0).collect();
            assert_eq!(
                sum_of(&x, &x, |a, b| a * b),
                x.iter().map(|x| x * x).sum::<f32>()
            );
            let most = x.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
            assert_eq!(largest(&x), most);
        }
    }
}
