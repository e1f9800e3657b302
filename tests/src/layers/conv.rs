//! Convolutions: dense, grouped, depthwise, transposed, deformable.

use burn::nn::conv::{
    Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, Conv3d, Conv3dConfig, ConvTranspose1d,
    ConvTranspose1dConfig, ConvTranspose2d, ConvTranspose2dConfig, ConvTranspose3d,
    ConvTranspose3dConfig, DeformConv2d, DeformConv2dConfig,
};
use burn::tensor::activation::gelu;

super::models! {
    /// Two convolutions of a sequence.
    OfConv1d(device, channels = 4) {
        #[grow(fan_out = "channels")]
        up: Conv1d = Conv1dConfig::new(2, channels, 3).init(device),
        #[grow(fan_in = "channels")]
        down: Conv1d = Conv1dConfig::new(channels, 2, 3).init(device),
    }
    |model, input| model.down.forward(gelu(model.up.forward(input.of([2, 2, 7])))).flatten(1, 2);

    /// Two convolutions of an image.
    OfConv2d(device, channels = 4) {
        #[grow(fan_out = "channels")]
        up: Conv2d = Conv2dConfig::new([2, channels], [3, 3]).init(device),
        #[grow(fan_in = "channels")]
        down: Conv2d = Conv2dConfig::new([channels, 2], [3, 3]).init(device),
    }
    |model, input| model.down.forward(gelu(model.up.forward(input.of([2, 2, 6, 6])))).flatten(1, 3);

    /// Two convolutions of a volume.
    OfConv3d(device, channels = 4) {
        #[grow(fan_out = "channels")]
        up: Conv3d = Conv3dConfig::new([2, channels], [2, 2, 2]).init(device),
        #[grow(fan_in = "channels")]
        down: Conv3d = Conv3dConfig::new([channels, 2], [2, 2, 2]).init(device),
    }
    |model, input| model.down.forward(gelu(model.up.forward(input.of([2, 2, 4, 4, 4])))).flatten(1, 4);

    /// Both groups get more channels, on both sides.
    OfGroupedConv2d(device, inner = 2, outer = 4) {
        #[grow(fan_out("inner", groups = 2))]
        up: Conv2d = Conv2dConfig::new([2, 2 * inner], [1, 1]).init(device),
        #[grow(fan_in("inner", groups = 2), fan_out("outer", groups = 2))]
        grouped: Conv2d =
            Conv2dConfig::new([2 * inner, 2 * outer], [3, 3]).with_groups(2).init(device),
        #[grow(fan_in("outer", groups = 2))]
        down: Conv2d = Conv2dConfig::new([2 * outer, 2], [1, 1]).init(device),
    }
    |model, input| {
        let x = gelu(model.up.forward(input.of([2, 2, 4, 4])));
        model.down.forward(gelu(model.grouped.forward(x))).flatten(1, 3)
    };

    /// Two outputs a channel: the groups are the axis.
    OfDepthwiseConv2d(device, channels = 4) {
        #[grow(fan_out = "channels")]
        up: Conv2d = Conv2dConfig::new([2, channels], [1, 1]).init(device),
        #[grow(gain = "channels")]
        depthwise: Conv2d =
            Conv2dConfig::new([channels, 2 * channels], [3, 3]).with_groups(channels).init(device),
        #[grow(fan_in("channels", unit = 2))]
        down: Conv2d = Conv2dConfig::new([2 * channels, 2], [1, 1]).init(device),
    }
    |model, input| {
        let x = gelu(model.up.forward(input.of([2, 2, 4, 4])));
        model.down.forward(gelu(model.depthwise.forward(x))).flatten(1, 3)
    };

    /// More groups of three channels each.
    OfConv1dGroups(device, groups = 2) {
        #[grow(fan_out("groups", unit = 3))]
        up: Conv1d = Conv1dConfig::new(2, 3 * groups, 1).init(device),
        #[grow(gain = "groups")]
        grouped: Conv1d =
            Conv1dConfig::new(3 * groups, 2 * groups, 3).with_groups(groups).init(device),
        #[grow(fan_in("groups", unit = 2))]
        down: Conv1d = Conv1dConfig::new(2 * groups, 2, 1).init(device),
    }
    |model, input| {
        let x = gelu(model.up.forward(input.of([2, 2, 5])));
        model.down.forward(gelu(model.grouped.forward(x))).flatten(1, 2)
    };

    /// Two transposed convolutions of a sequence.
    OfConvTranspose1d(device, channels = 4) {
        #[grow(fan_out = "channels")]
        up: ConvTranspose1d = ConvTranspose1dConfig::new([2, channels], 3).init(device),
        #[grow(fan_in = "channels")]
        down: ConvTranspose1d = ConvTranspose1dConfig::new([channels, 2], 3).init(device),
    }
    |model, input| model.down.forward(gelu(model.up.forward(input.of([2, 2, 5])))).flatten(1, 2);

    /// Two transposed convolutions of an image.
    OfConvTranspose2d(device, channels = 4) {
        #[grow(fan_out = "channels")]
        up: ConvTranspose2d = ConvTranspose2dConfig::new([2, channels], [2, 2]).init(device),
        #[grow(fan_in = "channels")]
        down: ConvTranspose2d = ConvTranspose2dConfig::new([channels, 2], [2, 2]).init(device),
    }
    |model, input| model.down.forward(gelu(model.up.forward(input.of([2, 2, 3, 3])))).flatten(1, 3);

    /// Two transposed convolutions of a volume.
    OfConvTranspose3d(device, channels = 4) {
        #[grow(fan_out = "channels")]
        up: ConvTranspose3d = ConvTranspose3dConfig::new([2, channels], [2, 2, 2]).init(device),
        #[grow(fan_in = "channels")]
        down: ConvTranspose3d = ConvTranspose3dConfig::new([channels, 2], [2, 2, 2]).init(device),
    }
    |model, input| model.down.forward(gelu(model.up.forward(input.of([2, 2, 2, 2, 2])))).flatten(1, 4);

    /// Both groups get more channels, on both sides.
    OfGroupedConvTranspose2d(device, inner = 2, outer = 4) {
        #[grow(fan_out("inner", groups = 2))]
        up: Conv2d = Conv2dConfig::new([2, 2 * inner], [1, 1]).init(device),
        #[grow(fan_in("inner", groups = 2), fan_out("outer", groups = 2))]
        grouped: ConvTranspose2d =
            ConvTranspose2dConfig::new([2 * inner, 2 * outer], [3, 3]).with_groups(2).init(device),
        #[grow(fan_in("outer", groups = 2))]
        down: Conv2d = Conv2dConfig::new([2 * outer, 2], [1, 1]).init(device),
    }
    |model, input| {
        let x = gelu(model.up.forward(input.of([2, 2, 3, 3])));
        model.down.forward(gelu(model.grouped.forward(x))).flatten(1, 3)
    };

    /// More groups, each of two channels that become three.
    OfConvTranspose1dGroups(device, groups = 2) {
        #[grow(fan_out("groups", unit = 2))]
        up: Conv1d = Conv1dConfig::new(2, 2 * groups, 1).init(device),
        #[grow(gain = "groups")]
        grouped: ConvTranspose1d =
            ConvTranspose1dConfig::new([2 * groups, 3 * groups], 3).with_groups(groups).init(device),
        #[grow(fan_in("groups", unit = 3))]
        down: Conv1d = Conv1dConfig::new(3 * groups, 2, 1).init(device),
    }
    |model, input| {
        let x = gelu(model.up.forward(input.of([2, 2, 5])));
        model.down.forward(gelu(model.grouped.forward(x))).flatten(1, 2)
    };

    /// Two groups of offsets, each over its half of the input channels.
    OfDeformConv2d(device, inner = 2, outer = 4) {
        #[grow(fan_out("inner", groups = 2))]
        up: Conv2d = Conv2dConfig::new([2, 2 * inner], [1, 1]).init(device),
        #[grow(fan_in("inner", groups = 2), fan_out = "outer")]
        deform: DeformConv2d =
            DeformConv2dConfig::new([2 * inner, outer], [2, 2]).with_offset_groups(2).init(device),
        #[grow(fan_in = "outer")]
        down: Conv2d = Conv2dConfig::new([outer, 2], [1, 1]).init(device),
    }
    |model, input| {
        let x = gelu(model.up.forward(input.of([2, 2, 4, 4])));
        let (offset, mask) = (input.of([2, 16, 3, 3]), input.of([2, 8, 3, 3]));
        model.down.forward(gelu(model.deform.forward(x, offset, Some(mask)))).flatten(1, 3)
    };
}
