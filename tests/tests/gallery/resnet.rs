//! Residual networks: stages of blocks, of which the first one changes the number of channels.

use burn::module::{Module, ModuleDisplay};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d, Relu};
use burn::tensor::{Device, Tensor};
use burn_grow::Growable;
use burn_grow::describe::{Constants, Describer, Layer, LayerRoles, Role, RoleKind};

use crate::model::{Model, Sample, Size};

fn conv(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Conv2d {
    let pad = kernel / 2;
    Conv2dConfig::new(channels, [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .with_bias(false)
        .init(device)
}

fn norm(channels: usize, device: &Device) -> BatchNorm {
    BatchNormConfig::new(channels).init(device)
}

/// The shortcut of a block that changes the number of channels.
#[derive(Module, Debug)]
pub(crate) struct Downsample {
    conv: Conv2d,
    bn: BatchNorm,
}

impl Downsample {
    fn new(channels: [usize; 2], stride: usize, device: &Device) -> Self {
        Self {
            conv: conv(channels, 1, stride, device),
            bn: norm(channels[1], device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.bn.forward(self.conv.forward(x))
    }
}

/// A block of a residual network.
pub(crate) trait Block: Layer + ModuleDisplay {
    /// Channels of the output, as a multiple of those inside.
    const EXPANSION: usize;

    /// The channels that a stage of this axis puts out.
    fn output(axis: &str) -> Role {
        match Self::EXPANSION {
            1 => Role::fan_out(axis),
            times => Role::fan_out(axis).with_groups(times),
        }
    }

    fn new(c_in: usize, planes: usize, stride: usize, device: &Device) -> Self;

    fn forward(&self, x: Tensor<4>) -> Tensor<4>;
}

/// Two convolutions of three by three.
#[derive(Module, Debug)]
pub(crate) struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm,
    relu: Relu,
    conv2: Conv2d,
    bn2: BatchNorm,
    downsample: Option<Downsample>,
}

impl Block for BasicBlock {
    const EXPANSION: usize = 1;

    fn new(c_in: usize, planes: usize, stride: usize, device: &Device) -> Self {
        let changes = stride > 1 || c_in != planes;
        Self {
            conv1: conv([c_in, planes], 3, stride, device),
            bn1: norm(planes, device),
            relu: Relu::new(),
            conv2: conv([planes, planes], 3, 1, device),
            bn2: norm(planes, device),
            downsample: changes.then(|| Downsample::new([c_in, planes], stride, device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.downsample {
            Some(downsample) => downsample.forward(x.clone()),
            None => x.clone(),
        };
        let x = self.relu.forward(self.bn1.forward(self.conv1.forward(x)));
        let x = self.bn2.forward(self.conv2.forward(x));
        self.relu.forward(x + shortcut)
    }
}

/// A narrow convolution of three by three, between two of one by one.
#[derive(Module, Debug)]
pub(crate) struct Bottleneck {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Conv2d,
    bn3: BatchNorm,
    relu: Relu,
    downsample: Option<Downsample>,
}

impl Block for Bottleneck {
    const EXPANSION: usize = 4;

    fn new(c_in: usize, planes: usize, stride: usize, device: &Device) -> Self {
        let c_out = Self::EXPANSION * planes;
        let changes = stride > 1 || c_in != c_out;
        Self {
            conv1: conv([c_in, planes], 1, 1, device),
            bn1: norm(planes, device),
            conv2: conv([planes, planes], 3, stride, device),
            bn2: norm(planes, device),
            conv3: conv([planes, c_out], 1, 1, device),
            bn3: norm(c_out, device),
            relu: Relu::new(),
            downsample: changes.then(|| Downsample::new([c_in, c_out], stride, device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.downsample {
            Some(downsample) => downsample.forward(x.clone()),
            None => x.clone(),
        };
        let x = self.relu.forward(self.bn1.forward(self.conv1.forward(x)));
        let x = self.relu.forward(self.bn2.forward(self.conv2.forward(x)));
        let x = self.bn3.forward(self.conv3.forward(x));
        self.relu.forward(x + shortcut)
    }
}

/// A stage.
#[derive(Module, Debug)]
pub(crate) struct LayerBlock<B: Block> {
    blocks: Vec<B>,
}

impl<B: Block> LayerBlock<B> {
    fn new(blocks: usize, c_in: usize, planes: usize, stride: usize, device: &Device) -> Self {
        let first = B::new(c_in, planes, stride, device);
        let rest = (1..blocks).map(|_| B::new(B::EXPANSION * planes, planes, 1, device));
        Self {
            blocks: core::iter::once(first).chain(rest).collect(),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.blocks.iter().fold(x, |x, block| block.forward(x))
    }
}

// by hand
fn of(fan_in: Option<&Role>, fan_out: Option<&Role>) -> LayerRoles {
    LayerRoles {
        fan_in: fan_in.map(|role| role.clone().with_kind(RoleKind::FanIn)),
        fan_out: fan_out.map(|role| role.clone().with_kind(RoleKind::FanOut)),
        ..LayerRoles::default()
    }
}

fn gain(role: Option<&Role>) -> LayerRoles {
    LayerRoles {
        gain: role.map(|role| role.clone().with_kind(RoleKind::Gain)),
        ..LayerRoles::default()
    }
}

impl Layer for Downsample {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        describer.layer("conv", &self.conv, roles);
        describer.layer("bn", &self.bn, &gain(roles.fan_out.as_ref()));
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        self.bn
            .update_constants(&gain(roles.fan_out.as_ref()), constants);
    }
}

impl Layer for BasicBlock {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        let output = roles.fan_out.as_ref();
        describer.layer("conv1", &self.conv1, &of(roles.fan_in.as_ref(), output));
        describer.layer("bn1", &self.bn1, &gain(output));
        describer.layer("conv2", &self.conv2, &of(output, output));
        describer.layer("bn2", &self.bn2, &gain(output));
        describer.layer(
            "downsample",
            &self.downsample,
            &of(roles.fan_in.as_ref(), output),
        );
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        let output = roles.fan_out.as_ref();
        self.bn1.update_constants(&gain(output), constants);
        self.bn2.update_constants(&gain(output), constants);
        self.downsample.update_constants(roles, constants);
    }
}

impl Layer for Bottleneck {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        let [input, planes, output] = [&roles.fan_in, &roles.inner, &roles.fan_out];
        let [input, planes, output] = [input.as_ref(), planes.as_ref(), output.as_ref()];
        describer.layer("conv1", &self.conv1, &of(input, planes));
        describer.layer("bn1", &self.bn1, &gain(planes));
        describer.layer("conv2", &self.conv2, &of(planes, planes));
        describer.layer("bn2", &self.bn2, &gain(planes));
        describer.layer("conv3", &self.conv3, &of(planes, output));
        describer.layer("bn3", &self.bn3, &gain(output));
        describer.layer("downsample", &self.downsample, &of(input, output));
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        self.bn1
            .update_constants(&gain(roles.inner.as_ref()), constants);
        self.bn2
            .update_constants(&gain(roles.inner.as_ref()), constants);
        self.bn3
            .update_constants(&gain(roles.fan_out.as_ref()), constants);
        self.downsample.update_constants(roles, constants);
    }
}

impl<B: Block> Layer for LayerBlock<B> {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        let rest = LayerRoles {
            inner: roles.inner.clone(),
            ..of(roles.fan_out.as_ref(), roles.fan_out.as_ref())
        };
        describer.scope("blocks", |describer| {
            for (index, block) in self.blocks.iter().enumerate() {
                let roles = if index == 0 { roles } else { &rest };
                describer.layer(&index.to_string(), block, roles);
            }
        });
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        for block in &mut self.blocks {
            block.update_constants(roles, constants);
        }
    }
}

/// The roles of a stage.
fn stage<B: Block>(input: Role, axis: &str) -> LayerRoles {
    LayerRoles {
        inner: Some(Role::fan_out(axis)),
        ..of(Some(&input), Some(&B::output(axis)))
    }
}

impl<B: Block> Growable for ResNet<B> {
    fn describe(&self, describer: &mut Describer) {
        let stem = Role::fan_out("stem");
        describer.layer("conv1", &self.conv1, &of(None, Some(&stem)));
        describer.layer("bn1", &self.bn1, &gain(Some(&stem)));
        describer.layer("layer1", &self.layer1, &stage::<B>(stem, "planes_1"));
        describer.layer(
            "layer2",
            &self.layer2,
            &stage::<B>(B::output("planes_1"), "planes_2"),
        );
        describer.layer("fc", &self.fc, &of(Some(&B::output("planes_2")), None));
    }

    fn update_constants(&mut self, constants: &Constants<'_>) {
        let stem = Role::fan_out("stem");
        self.bn1.update_constants(&gain(Some(&stem)), constants);
        self.layer1
            .update_constants(&stage::<B>(stem, "planes_1"), constants);
        self.layer2
            .update_constants(&stage::<B>(B::output("planes_1"), "planes_2"), constants);
    }
}
// end

#[derive(Module, Debug)]
pub(crate) struct ResNet<B: Block> {
    conv1: Conv2d,
    bn1: BatchNorm,
    relu: Relu,
    layer1: LayerBlock<B>,
    layer2: LayerBlock<B>,
    avgpool: AdaptiveAvgPool2d,
    fc: Linear,
}

impl<B: Block> ResNet<B> {
    /// # Shapes
    ///
    /// - `images`: `[batch, 3, height, width]`
    /// - output: `[batch, classes]`
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self
            .relu
            .forward(self.bn1.forward(self.conv1.forward(images)));
        let x = self.layer2.forward(self.layer1.forward(x));
        self.fc.forward(self.avgpool.forward(x).flatten(1, 3))
    }
}

impl<B: Block> Model for ResNet<B> {
    const AXES: &'static [(&'static str, usize)] =
        &[("stem", 10), ("planes_1", 2), ("planes_2", 6)];

    fn built(size: &Size, device: &Device) -> Self {
        let [stem, first, second] = ["stem", "planes_1", "planes_2"].map(|axis| size.of(axis));
        Self {
            conv1: conv([3, stem], 3, 1, device),
            bn1: norm(stem, device),
            relu: Relu::new(),
            layer1: LayerBlock::new(2, stem, first, 1, device),
            layer2: LayerBlock::new(2, B::EXPANSION * first, second, 2, device),
            avgpool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            fc: LinearConfig::new(B::EXPANSION * second, 5).init(device),
        }
    }

    fn output(&self, sample: &Sample) -> Tensor<2> {
        self.forward(sample.floats([3, 3, 6, 6]))
    }
}
