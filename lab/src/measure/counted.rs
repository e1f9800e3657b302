//! What a forward pass costs, counted matrix by matrix.
//!
//! `6 N D` takes every active parameter for one multiply-add per token. That leaves out the core of
//! attention, scores and weighted values, which has no parameters, and it counts what multiplies no
//! matrix: the gains of norms, and an embedding that is looked up and not used again for the
//! output. Of the demonstration's models the core adds 53 % to the other products before the
//! expansion and 22 % after it; of the paper's model, at its sequence of 4096 tokens, 34 %, and 10
//! % with both widths doubled. As growing leaves it alone, `6 N D` overstates what growing saves:
//! 29 % in the demonstration, counted 24 %; 35 % on both axes in the paper, counted 32 %.

use burn_grow::moe::MoeConfig;

/// The multiply-adds of a forward pass of one token, by part. What is elementwise (norms,
/// rotations, softmax, activations) is left out, and the embedding is looked up: it multiplies
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counted {
    /// Queries, keys, values, and the projection back.
    pub attention_projections: f64,
    /// Scores and weighted values, a mean over the positions of a sequence, each of which sees
    /// itself and what comes before.
    pub attention_core: f64,
    /// The router.
    pub router: f64,
    /// The chosen experts.
    pub experts: f64,
    /// The projection on the vocabulary.
    pub output: f64,
}

impl Counted {
    /// All of them.
    pub fn total(&self) -> f64 {
        self.with_parameters() + self.attention_core
    }

    /// Those that are by a parameter, once each: what `6 N D` knows of.
    pub fn with_parameters(&self) -> f64 {
        self.attention_projections + self.router + self.experts + self.output
    }

    /// The floating-point operations of training on `tokens` tokens: two for each multiply-add, and
    /// twice as many backward.
    pub fn training_flops(&self, tokens: f64) -> f64 {
        6.0 * self.total() * tokens
    }
}

/// Counts the model of `config` on sequences of `context` tokens.
pub fn multiply_adds(config: &MoeConfig, context: usize) -> Counted {
    let [hidden, inner, head_dim] =
        [config.hidden, config.inner, config.head_dim].map(|width| width as f64);
    let layers = config.n_layers as f64;
    let queries = config.n_heads as f64 * head_dim;
    let keys = config.n_kv_heads as f64 * head_dim;
    let seen = (context as f64 + 1.0) / 2.0;
    Counted {
        attention_projections: layers * hidden * (2.0 * queries + 2.0 * keys),
        attention_core: layers * 2.0 * queries * seen,
        router: layers * hidden * config.n_experts as f64,
        experts: layers * config.top_k as f64 * 3.0 * hidden * inner,
        output: hidden * config.vocab_size as f64,
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, ModuleVisitor, Param};
    use burn::tensor::{Device, Tensor};
    use burn_grow::Blueprint;
    use burn_grow::cost::{saved_flops, training_flops};

    use super::*;

    const CONTEXT: usize = 128;

    fn wide(config: MoeConfig) -> MoeConfig {
        MoeConfig {
            hidden: 2 * config.hidden,
            inner: 2 * config.inner,
            ..config
        }
    }

    fn papers() -> MoeConfig {
        MoeConfig {
            vocab_size: 50304,
            n_layers: 24,
            hidden: 1024,
            inner: 512,
            n_heads: 16,
            n_kv_heads: 4,
            head_dim: 96,
            n_experts: 64,
            top_k: 8,
            ..MoeConfig::default()
        }
    }

    fn odd() -> MoeConfig {
        MoeConfig {
            vocab_size: 50,
            n_layers: 3,
            hidden: 20,
            inner: 12,
            n_heads: 6,
            n_kv_heads: 2,
            head_dim: 4,
            n_experts: 5,
            top_k: 3,
            tied_embeddings: false,
            ..MoeConfig::default()
        }
    }

    /// Sums what the parameters of a module multiply, from their shapes alone.
    #[derive(Default)]
    struct Shapes {
        /// Matrices, and the chosen part of stacked ones.
        products: f64,
        /// Vectors.
        gains: f64,
        path: Vec<String>,
        chosen: usize,
    }

    impl ModuleVisitor for Shapes {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let dims = param.val().dims();
            let numbers = dims.iter().product::<usize>();
            match D {
                1 => self.gains += numbers as f64,
                2 => self.products += numbers as f64,
                3 => self.products += (numbers / dims[0] * self.chosen) as f64,
                _ => panic!("{}: a parameter of rank {D}", self.path.join(".")),
            }
        }
    }

    #[test]
    fn the_products_are_those_of_the_modules_parameters_and_of_6nd() {
        for config in [MoeConfig::default(), wide(MoeConfig::default()), odd()] {
            let model = config.init(&Device::flex());
            let mut shapes = Shapes {
                chosen: config.top_k,
                ..Shapes::default()
            };
            model.visit(&mut shapes);
            let counted = multiply_adds(&config, CONTEXT);
            // A tied embedding is the output projection; another one is only looked up.
            let looked_up = if config.tied_embeddings {
                0.0
            } else {
                (config.vocab_size * config.hidden) as f64
            };
            assert_eq!(counted.with_parameters() + looked_up, shapes.products);
            let active = Blueprint::of(&model).expect("growable").active_params();
            assert_eq!(shapes.products + shapes.gains, active);
            let core = 6.0 * counted.attention_core;
            let elsewhere = training_flops(shapes.gains + looked_up, 1.0);
            assert_eq!(
                counted.training_flops(1.0),
                training_flops(active, 1.0) - elsewhere + core
            );
        }
    }

    #[test]
    fn the_core_is_a_product_for_every_head_and_every_byte_seen() {
        let config = odd();
        let context = 9;
        let mut products = 0;
        for position in 0..context {
            for _seen in 0..=position {
                for _head in 0..config.n_heads {
                    // One with the key, one with the value.
                    products += 2 * config.head_dim;
                }
            }
        }
        let each = (config.n_layers * products) as f64 / context as f64;
        assert_eq!(multiply_adds(&config, context).attention_core, each);
    }

    #[test]
    fn every_part_of_the_demonstrations_model_is_as_on_paper() {
        let expected = Counted {
            attention_projections: 2.0 * 4.0 * 32.0 * 64.0,
            attention_core: 2.0 * 64.0 * 129.0,
            router: 2.0 * 32.0 * 8.0,
            experts: 2.0 * 2.0 * 3.0 * 32.0 * 16.0,
            output: 32.0 * 256.0,
        };
        assert_eq!(multiply_adds(&MoeConfig::default(), CONTEXT), expected);
        assert_eq!(expected.with_parameters(), 31_232.0);
    }

    #[test]
    fn what_6nd_leaves_out_is_what_the_documentation_says() {
        let percent = |part: f64| (100.0 * part).round();
        let (demo, paper) = (MoeConfig::default(), papers());
        let inner = MoeConfig {
            inner: 2 * paper.inner,
            ..paper.clone()
        };
        let both = [wide(demo.clone()), wide(paper.clone())];
        // Narrow and wide; how much the core adds to each, and what growing half way saves.
        let models = [
            ([&demo, &both[0]], CONTEXT, [53.0, 22.0], [29.0, 24.0]),
            ([&paper, &both[1]], 4096, [34.0, 10.0], [35.0, 32.0]),
            ([&paper, &inner], 4096, [34.0, 20.0], [20.0, 17.0]),
        ];
        for (configs, context, left_out, saved) in models {
            let counted = configs.map(|config| multiply_adds(config, context));
            let core = |c: &Counted| percent(c.attention_core / c.with_parameters());
            assert_eq!(counted.each_ref().map(core), left_out);
            let half = |of: fn(&Counted) -> f64| {
                let [narrow, wide] = counted.each_ref().map(of);
                percent(saved_flops(&[(narrow, 1.0), (wide, 1.0)]))
            };
            assert_eq!(
                [half(Counted::with_parameters), half(Counted::total)],
                saved
            );
        }
    }
}
