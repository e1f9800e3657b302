//! Norms, activations and embeddings: what rides along an axis, and the layers with one matrix.

use burn::nn::activation::{Activation, ActivationConfig};
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::norm::{Normalization, NormalizationConfig};
use burn::nn::{
    BatchNorm, BatchNormConfig, Embedding, EmbeddingConfig, GroupNorm, GroupNormConfig,
    InstanceNorm, InstanceNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, PRelu,
    PReluConfig, RmsNorm, RmsNormConfig, SwiGlu, SwiGluConfig,
};
use burn::tensor::activation::gelu;
use burn::tensor::{Int, Tensor};

super::models! {
    /// Two linear layers.
    OfLinear(device, inner = 4) {
        #[grow(fan_out = "inner")]
        up: Linear = LinearConfig::new(3, inner).init(device),
        #[grow(fan_in = "inner")]
        down: Linear = LinearConfig::new(inner, 2).init(device),
    }
    |model, input| model.down.forward(gelu(model.up.forward(input.of([5, 3]))));

    /// An embedding.
    OfEmbedding(device, hidden = 4) {
        #[grow(fan_out = "hidden")]
        embedding: Embedding = EmbeddingConfig::new(6, hidden).init(device),
        #[grow(fan_in = "hidden")]
        down: Linear = LinearConfig::new(hidden, 2).init(device),
    }
    |model, input| {
        let tokens = Tensor::<2, Int>::from_data([[0, 1, 2, 3, 4, 5]], &input.device);
        model.down.forward(gelu(model.embedding.forward(tokens))).flatten(0, 1)
    };

    /// A norm of every token.
    OfLayerNorm(device, hidden = 4) {
        #[grow(fan_out = "hidden")]
        up: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(gain = "hidden")]
        norm: LayerNorm = LayerNormConfig::new(hidden).init(device),
        #[grow(fan_in = "hidden")]
        down: Linear = LinearConfig::new(hidden, 2).init(device),
    }
    |model, input| model.down.forward(gelu(model.norm.forward(model.up.forward(input.of([5, 3])))));

    /// A norm of every token.
    OfRmsNorm(device, hidden = 4) {
        #[grow(fan_out = "hidden")]
        up: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(gain = "hidden")]
        norm: RmsNorm = RmsNormConfig::new(hidden).init(device),
        #[grow(fan_in = "hidden")]
        down: Linear = LinearConfig::new(hidden, 2).init(device),
    }
    |model, input| model.down.forward(gelu(model.norm.forward(model.up.forward(input.of([5, 3])))));

    /// Its running statistics ride along.
    OfBatchNorm(device, channels = 4) {
        #[grow(fan_out = "channels")]
        up: Conv1d = Conv1dConfig::new(2, channels, 3).init(device),
        #[grow(gain = "channels")]
        norm: BatchNorm = BatchNormConfig::new(channels).init(device),
        #[grow(fan_in = "channels")]
        down: Conv1d = Conv1dConfig::new(channels, 2, 3).init(device),
    }
    |model, input| {
        let x = model.norm.forward(model.up.forward(input.of([3, 2, 7])));
        model.down.forward(gelu(x)).flatten(1, 2)
    };

    /// Every channel is a group.
    OfInstanceNorm(device, channels = 4) {
        #[grow(fan_out = "channels")]
        up: Conv1d = Conv1dConfig::new(2, channels, 3).init(device),
        #[grow(gain = "channels")]
        norm: InstanceNorm = InstanceNormConfig::new(channels).with_affine(false).init(device),
        #[grow(fan_in = "channels")]
        down: Conv1d = Conv1dConfig::new(channels, 2, 3).init(device),
    }
    |model, input| {
        let x = model.norm.forward(model.up.forward(input.of([3, 2, 7])));
        model.down.forward(gelu(x)).flatten(1, 2)
    };

    /// Both groups get more channels.
    OfGroupNorm(device, channels = 2) {
        #[grow(fan_out("channels", groups = 2))]
        up: Conv1d = Conv1dConfig::new(2, 2 * channels, 3).init(device),
        #[grow(gain("channels", groups = 2))]
        norm: GroupNorm = GroupNormConfig::new(2, 2 * channels).init(device),
        #[grow(fan_in("channels", groups = 2))]
        down: Conv1d = Conv1dConfig::new(2 * channels, 2, 3).init(device),
    }
    |model, input| {
        let x = model.norm.forward(model.up.forward(input.of([3, 2, 7])));
        model.down.forward(gelu(x)).flatten(1, 2)
    };

    /// More groups of three channels, beside one group of all.
    OfGroupNormGroups(device, groups = 2) {
        #[grow(fan_out("groups", unit = 3))]
        up: Conv1d = Conv1dConfig::new(2, 3 * groups, 3).init(device),
        #[grow(gain("groups", unit = 3))]
        norm: GroupNorm = GroupNormConfig::new(groups, 3 * groups).init(device),
        #[grow(gain("groups", unit = 3))]
        whole: GroupNorm = GroupNormConfig::new(1, 3 * groups).with_affine(false).init(device),
        #[grow(fan_in("groups", unit = 3))]
        down: Conv1d = Conv1dConfig::new(3 * groups, 2, 3).init(device),
    }
    |model, input| {
        let x = model.norm.forward(model.up.forward(input.of([3, 2, 7])));
        model.down.forward(gelu(model.whole.forward(x))).flatten(1, 2)
    };

    /// Every norm behind the wrapper.
    OfNormalization(device, channels = 4) {
        #[grow(fan_out = "channels")]
        up: Conv1d = Conv1dConfig::new(2, channels, 3).init(device),
        #[grow(gain = "channels")]
        batch: Normalization =
            NormalizationConfig::Batch(BatchNormConfig::new(channels)).init(device),
        #[grow(gain = "channels")]
        group: Normalization =
            NormalizationConfig::Group(GroupNormConfig::new(1, channels)).init(device),
        #[grow(gain = "channels")]
        instance: Normalization =
            NormalizationConfig::Instance(InstanceNormConfig::new(channels)).init(device),
        #[grow(gain = "channels")]
        layer: Normalization =
            NormalizationConfig::Layer(LayerNormConfig::new(channels)).init(device),
        #[grow(gain = "channels")]
        rms: Normalization = NormalizationConfig::Rms(RmsNormConfig::new(channels)).init(device),
        #[grow(gain = "channels")]
        identity: Normalization = NormalizationConfig::Identity.init(device),
        #[grow(fan_in = "channels")]
        down: Conv1d = Conv1dConfig::new(channels, 2, 3).init(device),
    }
    |model, input| {
        let mut x = model.up.forward(input.of([3, 2, 7]));
        for norm in [&model.batch, &model.group, &model.instance, &model.identity] {
            x = gelu(norm.forward(x));
        }
        x = x.swap_dims(1, 2);
        for norm in [&model.layer, &model.rms] {
            x = norm.forward(x);
        }
        model.down.forward(x.swap_dims(1, 2)).flatten(1, 2)
    };

    /// A slope for every channel, and one for all.
    OfPRelu(device, channels = 4) {
        #[grow(fan_out = "channels")]
        up: Conv1d = Conv1dConfig::new(2, channels, 3).init(device),
        #[grow(gain = "channels")]
        each: PRelu = PReluConfig::new().with_num_parameters(channels).init(device),
        #[grow(gain = "channels")]
        all: PRelu = PReluConfig::new().init(device),
        #[grow(fan_in = "channels")]
        down: Conv1d = Conv1dConfig::new(channels, 2, 3).init(device),
    }
    |model, input| {
        let x = gelu(model.up.forward(input.of([3, 2, 7])));
        model.down.forward(model.all.forward(model.each.forward(x))).flatten(1, 2)
    };

    /// A gate and what it multiplies.
    OfSwiGlu(device, hidden = 4, inner = 6) {
        #[grow(fan_out = "hidden")]
        up: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(fan_in = "hidden", fan_out = "inner")]
        glu: SwiGlu = SwiGluConfig::new(hidden, inner).with_bias(true).init(device),
        #[grow(fan_in = "inner")]
        down: Linear = LinearConfig::new(inner, 2).init(device),
    }
    |model, input| model.down.forward(model.glu.forward(model.up.forward(input.of([5, 3]))));

    /// The activations that have parameters, and one that has none.
    OfActivation(device, hidden = 4, inner = 6) {
        #[grow(fan_out = "hidden")]
        up: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(gain = "hidden")]
        gelu: Activation = ActivationConfig::Gelu.init(device),
        #[grow(gain = "hidden")]
        prelu: Activation =
            ActivationConfig::PRelu(PReluConfig::new().with_num_parameters(hidden)).init(device),
        #[grow(fan_in = "hidden", fan_out = "inner")]
        glu: Activation = ActivationConfig::SwiGlu(SwiGluConfig::new(hidden, inner)).init(device),
        #[grow(fan_in = "inner")]
        down: Linear = LinearConfig::new(inner, 2).init(device),
    }
    |model, input| {
        let mut x = model.up.forward(input.of([5, 3]));
        for activation in [&model.gelu, &model.prelu, &model.glu] {
            x = activation.forward(x);
        }
        model.down.forward(x)
    };
}
