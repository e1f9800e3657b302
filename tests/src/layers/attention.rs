//! Attention and transformer stacks.

use burn::nn::attention::{
    CrossAttention, CrossAttentionConfig, MhaInput, MultiHeadAttention, MultiHeadAttentionConfig,
};
use burn::nn::transformer::{
    PositionWiseFeedForward, PositionWiseFeedForwardConfig, TransformerDecoder,
    TransformerDecoderConfig, TransformerDecoderInput, TransformerDecoderLayer, TransformerEncoder,
    TransformerEncoderConfig, TransformerEncoderInput, TransformerEncoderLayer,
};
use burn::nn::{Linear, LinearConfig};

super::models! {
    /// A stream, and what is wider than it.
    OfPositionWiseFeedForward(device, hidden = 4, inner = 6) {
        #[grow(fan_out = "hidden")]
        up: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(fan_in = "hidden", inner = "inner", fan_out = "hidden")]
        feed_forward: PositionWiseFeedForward =
            PositionWiseFeedForwardConfig::new(hidden, inner).with_dropout(0.0).init(device),
        #[grow(fan_in = "hidden")]
        down: Linear = LinearConfig::new(hidden, 2).init(device),
    }
    |model, input| {
        let x = model.up.forward(input.of([5, 3]));
        model.down.forward(x.clone() + model.feed_forward.forward(x))
    };

    /// Heads of three, which fill the stream.
    OfMultiHeadAttention(device, heads = 2) {
        #[grow(fan_out("heads", unit = 3))]
        up: Linear = LinearConfig::new(3, 3 * heads).init(device),
        #[grow(fan_in("heads", unit = 3), fan_out("heads", unit = 3), heads = "heads")]
        attention: MultiHeadAttention =
            MultiHeadAttentionConfig::new(3 * heads, heads).with_dropout(0.0).init(device),
        #[grow(fan_in("heads", unit = 3))]
        down: Linear = LinearConfig::new(3 * heads, 2).init(device),
    }
    |model, input| {
        let x = model.up.forward(input.of([2, 5, 3]));
        let x = x.clone() + model.attention.forward(MhaInput::self_attn(x)).context;
        model.down.forward(x).flatten(1, 2)
    };

    /// Two streams, four query heads for two key heads.
    OfCrossAttention(device, hidden = 4, memory = 6) {
        #[grow(fan_out = "hidden")]
        up: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(fan_out = "memory")]
        remember: Linear = LinearConfig::new(3, memory).init(device),
        #[grow(concat(fan_in = "hidden", fan_in = "memory"), fan_out = "hidden")]
        attention: CrossAttention =
            CrossAttentionConfig::new(hidden, memory, 4, 2, 3).with_dropout(0.0).init(device),
        #[grow(fan_in = "hidden")]
        down: Linear = LinearConfig::new(hidden, 2).init(device),
    }
    |model, input| {
        let x = input.of([2, 5, 3]);
        let (x, memory) = (model.up.forward(x.clone()), model.remember.forward(x));
        let x = x.clone() + model.attention.forward(x, memory, None);
        model.down.forward(x).flatten(1, 2)
    };

    /// Heads of three, which fill the stream, and a feed-forward.
    OfTransformerEncoder(device, heads = 2, inner = 4) {
        #[grow(fan_out("heads", unit = 3))]
        up: Linear = LinearConfig::new(3, 3 * heads).init(device),
        #[grow(heads = "heads", inner = "inner")]
        encoder: TransformerEncoder =
            TransformerEncoderConfig::new(3 * heads, inner, heads, 2).with_dropout(0.0).init(device),
        #[grow(fan_in("heads", unit = 3))]
        down: Linear = LinearConfig::new(3 * heads, 2).init(device),
    }
    |model, input| {
        let x = model.up.forward(input.of([2, 5, 3]));
        let x = model.encoder.forward(TransformerEncoderInput::new(x));
        model.down.forward(x).flatten(1, 2)
    };

    /// The norm comes first.
    OfTransformerEncoderLayer(device, heads = 2, inner = 4) {
        #[grow(fan_out("heads", unit = 3))]
        up: Linear = LinearConfig::new(3, 3 * heads).init(device),
        #[grow(heads = "heads", inner = "inner", fan_in("heads", unit = 3), fan_out("heads", unit = 3))]
        layer: TransformerEncoderLayer = {
            let config = TransformerEncoderConfig::new(3 * heads, inner, heads, 1).with_dropout(0.0);
            TransformerEncoderLayer::new(&config.with_norm_first(true), device)
        },
        #[grow(fan_in("heads", unit = 3))]
        down: Linear = LinearConfig::new(3 * heads, 2).init(device),
    }
    |model, input| {
        let x = model.up.forward(input.of([2, 5, 3]));
        model.down.forward(model.layer.forward(x, None, None)).flatten(1, 2)
    };

    /// The memory is as wide as the stream.
    OfTransformerDecoder(device, heads = 2, inner = 4) {
        #[grow(fan_out("heads", unit = 3))]
        up: Linear = LinearConfig::new(3, 3 * heads).init(device),
        #[grow(heads = "heads", inner = "inner")]
        decoder: TransformerDecoder =
            TransformerDecoderConfig::new(3 * heads, inner, heads, 2).with_dropout(0.0).init(device),
        #[grow(fan_in("heads", unit = 3))]
        down: Linear = LinearConfig::new(3 * heads, 2).init(device),
    }
    |model, input| {
        let x = model.up.forward(input.of([2, 5, 3]));
        let x = model.decoder.forward(TransformerDecoderInput::new(x.clone(), x.sin()));
        model.down.forward(x).flatten(1, 2)
    };

    /// The norm comes first.
    OfTransformerDecoderLayer(device, heads = 2, inner = 4) {
        #[grow(fan_out("heads", unit = 3))]
        up: Linear = LinearConfig::new(3, 3 * heads).init(device),
        #[grow(heads = "heads", inner = "inner")]
        layer: TransformerDecoderLayer = {
            let config = TransformerDecoderConfig::new(3 * heads, inner, heads, 1).with_dropout(0.0);
            TransformerDecoderLayer::new(&config.with_norm_first(true), device)
        },
        #[grow(fan_in("heads", unit = 3))]
        down: Linear = LinearConfig::new(3 * heads, 2).init(device),
    }
    |model, input| {
        let x = model.up.forward(input.of([2, 5, 3]));
        // Only a decoder hands out what a layer returns.
        let mut decoder = TransformerDecoderConfig::new(1, 1, 1, 0).init(&input.device);
        decoder.layers.push(model.layer.clone());
        let x = decoder.forward(TransformerDecoderInput::new(x.clone(), x.sin()));
        model.down.forward(x).flatten(1, 2)
    };
}
