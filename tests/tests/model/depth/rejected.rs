//! What cannot be a stack or cannot grow, and what is said of it.

use super::nested::{Hollow, Stage};
use super::*;

/// What a model with an empty stack and no way to fill it says.
#[derive(Module, Growable, Debug)]
struct Plain {
    #[grow(fan_out = "hidden")]
    embed: Linear,
    #[grow(depth = "layers")]
    blocks: Vec<StackedBlock>,
    #[grow(fan_in = "hidden")]
    head: Linear,
}

impl Plain {
    fn of(blocks: Vec<StackedBlock>, device: &Device) -> Self {
        Self {
            embed: LinearConfig::new(3, 4).init(device),
            blocks,
            head: LinearConfig::new(4, 2).init(device),
        }
    }
}

fn rejected<M: Growable>(model: &M, expansion: Expansion) -> (GrowError, String) {
    let before = params(model);
    let blueprint = Blueprint::of(model).unwrap();
    let error = Plan::new(&blueprint, &expansion).expect_err("rejected");
    assert_eq!(params(model), before);
    let text = error.to_string();
    (error, text)
}

#[test]
fn what_cannot_be_grown_says_why() {
    let device = Device::flex();
    let block = || StackedBlock::new(4, 6, &device);
    let plain = Plain::of(vec![block(), block()], &device);
    let fault = |model: &Plain, expansion: Expansion, expected: &str| {
        let (error, text) = rejected(model, expansion);
        assert!(text.contains(expected), "{text}");
        match error {
            GrowError::Stack { path, axis, fault } => {
                assert_eq!(axis.as_str(), "layers");
                (path, fault)
            }
            other => panic!("{other}"),
        }
    };
    let (error, _) = rejected(&plain, Expansion::to("layers", 1));
    assert!(matches!(error, GrowError::Shrinks { .. }));
    let listed = |sources: &[usize]| to(3, Blocks::copies().in_order(sources));
    let (_, found) = fault(&plain, listed(&[0, 1, 2]), "block 2 is listed as a source");
    assert_eq!(
        found,
        StackFault::NoBlock {
            block: 2,
            blocks: 2
        }
    );
    let (_, found) = fault(&plain, listed(&[0, 1]), "2 sources are listed for 3 blocks");
    assert_eq!(
        found,
        StackFault::Sources {
            expected: 3,
            found: 2
        }
    );
    let (_, found) = fault(&plain, listed(&[0, 0, 0]), "all old blocks stay");
    assert_eq!(found, StackFault::Misplaced { block: 1 });
    let (_, found) = fault(&plain, listed(&[1, 0, 0]), "in their order");
    assert_eq!(found, StackFault::Misplaced { block: 0 });
    let (path, found) = fault(
        &plain,
        to(3, Blocks::fresh()),
        "name a method of the module",
    );
    assert_eq!((path.as_str(), found), ("blocks", StackFault::NoFresh));
    let none = Plain::of(Vec::new(), &device);
    let (_, found) = fault(
        &none,
        to(3, Blocks::copies()),
        "name a method of the module",
    );
    assert_eq!(found, StackFault::NoFresh);
    let (error, text) = rejected(&Stacked::of(0, 1, &device), to(3, Blocks::copies()));
    assert!(
        matches!(
            error,
            GrowError::Stack {
                fault: StackFault::Empty,
                ..
            }
        ),
        "{text}"
    );
    let (_, found) = fault(
        &plain,
        to(3, Blocks::copies().zeroing(["up"])),
        "for identity blocks",
    );
    assert_eq!(
        found,
        StackFault::Zeroing {
            content: "copies".into()
        }
    );
    let (_, found) = fault(&plain, to(3, Blocks::identity().zeroing(["upp"])), "`upp`");
    assert_eq!(found, StackFault::NothingToZero { path: "upp".into() });
    let unlike = Plain::of(vec![block(), StackedBlock::new(4, 7, &device)], &device);
    let error = Blueprint::of(&unlike).expect_err("two widths of an axis");
    assert!(
        matches!(error, GrowError::WidthDisagreement { .. }),
        "{error}"
    );
    // A method of widths for a stack, and blocks for a width.
    let method = Expansion::by("layers", 2.0).on("layers", Default::default());
    let (_, found) = fault(&plain, method, "in place of a method");
    assert_eq!(found, StackFault::Method);
    let (error, _) = rejected(
        &plain,
        Expansion::by("inner", 2.0).with_blocks("inner", Blocks::copies()),
    );
    assert!(matches!(error, GrowError::NoStack { .. }), "{error}");
    let (error, _) = rejected(
        &plain,
        Expansion::by("inner", 2.0).with_blocks("layers", Blocks::copies()),
    );
    assert!(matches!(error, GrowError::UnusedMethod { .. }), "{error}");
    // One block at two places.
    let shared = block();
    let shared = Plain::of(vec![shared.clone(), shared], &device);
    let error = Blueprint::of(&shared).expect_err("shared");
    assert!(matches!(error, GrowError::Shared { .. }), "{error}");
}

#[test]
fn unlike_blocks_and_blocks_without_an_output_are_told() {
    /// Blocks of two kinds.
    #[derive(Module, Growable, Debug)]
    struct Two {
        #[grow(depth = "layers")]
        blocks: Vec<Half>,
    }
    #[derive(Module, Growable, Debug)]
    struct Half {
        #[grow(fan_in = "hidden", fan_out = "hidden")]
        first: Linear,
        #[grow(fan_in = "hidden", fan_out = "hidden")]
        second: Option<Linear>,
        #[grow(dims(gain = "hidden"))]
        scale: Param<Tensor<1>>,
    }
    let device = Device::flex();
    let linear = || LinearConfig::new(4, 4).init(&device);
    let half = |second: bool| Half {
        first: linear(),
        second: second.then(linear),
        scale: Param::from_tensor(Tensor::ones([4], &device)),
    };
    let two = Two {
        blocks: vec![half(true), half(false)],
    };
    let (error, text) = rejected(&two, to(3, Blocks::copies()));
    assert!(matches!(
        error,
        GrowError::Stack {
            fault: StackFault::Unlike { block: 1, .. },
            ..
        }
    ));
    assert!(
        text.contains("`scale` in place of `second.weight`"),
        "{text}"
    );

    // The stream is on no other part of the model.
    let two = Two {
        blocks: vec![half(true)],
    };
    let (error, text) = rejected(&two, to(3, Blocks::identity()));
    assert!(matches!(
        error,
        GrowError::Stack {
            fault: StackFault::NoIdentity { .. },
            ..
        }
    ));
    assert!(text.contains("`Blocks::identity().zeroing(["), "{text}");
    grown(&two, &to(3, Blocks::identity().zeroing(["second"])));
}

/// A tower of layers, whose axis its user names.
#[derive(Module, Growable, Debug)]
struct Tower {
    #[grow(depth = "height", fan_in = "hidden", fan_out = "hidden")]
    floors: Vec<Linear>,
}

fn tower(device: &Device) -> Tower {
    Tower {
        floors: vec![LinearConfig::new(4, 4).init(device)],
    }
}

#[test]
fn a_stack_takes_the_name_that_its_axis_has_where_it_is_used() {
    #[derive(Module, Growable, Debug)]
    struct City {
        #[grow(axes(height = "layers"))]
        one: Tower,
        #[grow(axes(height = _))]
        other: Tower,
    }
    let device = Device::flex();
    let city = City {
        one: tower(&device),
        other: tower(&device),
    };
    let city = grown(&city, &Expansion::to("layers", 3));
    assert_eq!((city.one.floors.len(), city.other.floors.len()), (3, 1));
}

#[test]
fn the_axis_of_a_stack_is_a_number_of_blocks_and_nothing_else() {
    #[derive(Module, Growable, Debug)]
    struct Product {
        #[grow(axes(height("rows", "columns")))]
        tower: Tower,
    }
    #[derive(Module, Growable, Debug)]
    struct Width {
        tower: Tower,
        #[grow(fan_out = "height")]
        wide: Linear,
    }
    #[derive(Module, Growable, Debug)]
    struct Inside {
        #[grow(depth = "towers", fresh = Self::fresh)]
        towers: Vec<Tower>,
    }
    impl Inside {
        fn fresh(&self) -> Tower {
            tower(&Device::flex())
        }
    }
    let device = Device::flex();
    let fault = |error: Result<Blueprint, GrowError>| match error {
        Err(GrowError::Stack { path, fault, .. }) => (path, fault),
        other => panic!("{other:?}"),
    };
    let tower = tower(&device);
    let found = fault(Blueprint::of(&Product {
        tower: tower.clone(),
    }));
    assert_eq!(found, ("tower.floors".into(), StackFault::Product));
    let wide = LinearConfig::new(3, 1).init(&device);
    let (_, found) = fault(Blueprint::of(&Width {
        tower: tower.clone(),
        wide,
    }));
    let param = "wide.weight".into();
    assert_eq!(found, StackFault::Width { param, dim: 1 });
    let found = fault(Blueprint::of(&Inside { towers: Vec::new() }));
    assert_eq!(found, ("towers.0.floors".into(), StackFault::InsideOfFresh));
    // Of an empty stack in a stack no copy says what it would hold.
    let hollow = Stage {
        blocks: Vec::new(),
        norm: LayerNormConfig::new(4).init(&device),
    };
    let hollow = Hollow {
        embed: LinearConfig::new(3, 4).init(&device),
        stages: vec![hollow],
    };
    let (error, _) = rejected(&hollow, Expansion::to("stages", 2));
    let inner = "stages.0.blocks".into();
    let GrowError::Stack { fault, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(fault, StackFault::EmptyInside { inner });
    let filled = grown(&hollow, &to(1, Blocks::fresh()));
    assert_eq!(
        grown(&filled, &Expansion::to("stages", 2)).stages[1]
            .blocks
            .len(),
        1
    );
    // With one to begin with, both grow.
    let one = Inside {
        towers: vec![tower],
    };
    let both = Expansion::to("towers", 2).and_to("height", 3);
    let city = grown(&one, &both.with_blocks("towers", Blocks::fresh()));
    assert_eq!((city.towers.len(), city.towers[0].floors.len()), (2, 3));
}

/// A model described by hand that forgets to rebuild its stack.
#[test]
fn a_stack_that_is_not_rebuilt_is_an_error() {
    #[derive(Module, Debug)]
    struct Forgets {
        floors: Vec<Linear>,
    }
    impl Growable for Forgets {
        fn describe(&self, describer: &mut Describer) {
            let roles = LayerRoles {
                fan_out: Some(Role::fan_out("hidden")),
                ..LayerRoles::default()
            };
            describer.layer("floors", &self.floors, &roles);
            describer.stack("floors", "layers", self.floors.len());
        }

        fn update_constants(&mut self, _constants: &Constants<'_>) {}
    }
    let device = Device::flex();
    let model = Forgets {
        floors: vec![LinearConfig::new(3, 4).init(&device)],
    };
    let plan = plan(&model, &Expansion::to("layers", 2));
    let error = plan.apply(model).expect_err("not rebuilt");
    assert_eq!(
        error.to_string(),
        "parameter `floors.1.bias` is in the plan but not in the model that `update_constants` rebuilt"
    );
}

/// Two stacks on one axis, of which only the first says what a fresh block is, or says it and does not
/// make it.
#[test]
fn every_stack_on_an_axis_has_to_make_its_fresh_blocks() {
    #[derive(Module, Growable, Debug)]
    struct Two {
        #[grow(depth = "layers", fresh = Self::block)]
        encoder: Vec<StackedBlock>,
        #[grow(depth = "layers")]
        decoder: Vec<StackedBlock>,
    }
    impl Two {
        fn block(&self) -> StackedBlock {
            StackedBlock::new(4, 6, &Device::flex())
        }
    }
    let block = || StackedBlock::new(4, 6, &Device::flex());
    let two = Two {
        encoder: vec![block()],
        decoder: vec![block()],
    };
    let (error, _) = rejected(&two, to(2, Blocks::fresh()));
    let GrowError::Stack { path, fault, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((path.as_str(), fault), ("decoder", StackFault::NoFresh));
    let both = grown(&two, &to(2, Blocks::copies()));
    assert_eq!((both.encoder.len(), both.decoder.len()), (2, 2));

    /// Described by hand: it has no fresh block where it said that it would.
    #[derive(Module, Debug)]
    struct Promises {
        floors: Vec<Linear>,
    }
    impl Growable for Promises {
        fn describe(&self, describer: &mut Describer) {
            let roles = LayerRoles::default();
            describer.layer("floors", &self.floors, &roles);
            let floor = || LinearConfig::new(3, 4).init(&Device::flex());
            let describe = |floor: &Linear, describer: &mut Describer| {
                describer.fixed(floor);
            };
            describer.stack_with("floors", "layers", self.floors.len(), floor, describe);
        }

        fn update_constants(&mut self, constants: &Constants<'_>) {
            constants.stack("layers", &mut self.floors, Vec::new(), |_, _| {});
        }
    }
    let model = Promises {
        floors: vec![LinearConfig::new(3, 4).init(&Device::flex())],
    };
    let plan = plan(&model, &to(2, Blocks::fresh()));
    let error = plan.apply(model).expect_err("a copy is not fresh");
    assert!(matches!(error, GrowError::Missing { .. }), "{error}");
}
