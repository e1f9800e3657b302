//! Recurrent layers, one with an activation that has parameters of its own.

use burn::nn::activation::ActivationConfig;
use burn::nn::{
    BiGru, BiGruConfig, BiLstm, BiLstmConfig, BiRnn, BiRnnConfig, GateController, Gru, GruConfig,
    Initializer, Linear, LinearConfig, Lstm, LstmConfig, PReluConfig, Rnn, RnnConfig, SwiGluConfig,
};
use burn::tensor::Tensor;

super::models! {
    /// One step.
    OfGateController(device, inner = 4, hidden = 6) {
        #[grow(fan_out = "inner")]
        up: Linear = LinearConfig::new(3, inner).init(device),
        #[grow(fan_in = "inner", fan_out = "hidden")]
        gate: GateController =
            GateController::new(inner, hidden, true, Initializer::Zeros, device),
        #[grow(fan_out = "hidden")]
        state: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(fan_in = "hidden")]
        down: Linear = LinearConfig::new(hidden, 2).init(device),
    }
    |model, input| {
        let x = input.of([5, 3]);
        let (x, state) = (model.up.forward(x.clone()).tanh(), model.state.forward(x).tanh());
        model.down.forward(model.gate.gate_product(x, state))
    };

    /// A slope for every hidden unit.
    OfRnn(device, inner = 4, hidden = 6) {
        #[grow(fan_out = "inner")]
        up: Linear = LinearConfig::new(3, inner).init(device),
        #[grow(fan_in = "inner", fan_out = "hidden")]
        rnn: Rnn = {
            let slopes = PReluConfig::new().with_num_parameters(hidden);
            RnnConfig::new(inner, hidden, true)
                .with_hidden_activation(ActivationConfig::PRelu(slopes))
                .init(device)
        },
        #[grow(fan_in = "hidden")]
        down: Linear = LinearConfig::new(hidden, 2).init(device),
    }
    |model, input| {
        let x = model.up.forward(input.of([2, 4, 3])).tanh();
        model.down.forward(model.rnn.forward(x, None).0.tanh()).flatten(1, 2)
    };

    /// Both directions, one behind the other.
    OfBiRnn(device, inner = 4, hidden = 6) {
        #[grow(fan_out = "inner")]
        up: Linear = LinearConfig::new(3, inner).init(device),
        #[grow(fan_in = "inner", fan_out = "hidden")]
        rnn: BiRnn = BiRnnConfig::new(inner, hidden, true).init(device),
        #[grow(fan_in("hidden", groups = 2))]
        down: Linear = LinearConfig::new(2 * hidden, 2).init(device),
    }
    |model, input| {
        let x = model.up.forward(input.of([2, 4, 3])).tanh();
        model.down.forward(model.rnn.forward(x, None).0).flatten(1, 2)
    };

    /// With a forget gate.
    OfLstm(device, inner = 4, hidden = 6) {
        #[grow(fan_out = "inner")]
        up: Linear = LinearConfig::new(3, inner).init(device),
        #[grow(fan_in = "inner", fan_out = "hidden")]
        lstm: Lstm = LstmConfig::new(inner, hidden, true).init(device),
        #[grow(fan_in = "hidden")]
        down: Linear = LinearConfig::new(hidden, 2).init(device),
    }
    |model, input| {
        let x = model.up.forward(input.of([2, 4, 3])).tanh();
        model.down.forward(model.lstm.forward(x, None).0).flatten(1, 2)
    };

    /// Without forget gates or biases.
    OfBiLstm(device, inner = 4, hidden = 6) {
        #[grow(fan_out = "inner")]
        up: Linear = LinearConfig::new(3, inner).init(device),
        #[grow(fan_in = "inner", fan_out = "hidden")]
        lstm: BiLstm =
            BiLstmConfig::new(inner, hidden, false).with_input_forget(true).init(device),
        #[grow(fan_in("hidden", groups = 2))]
        down: Linear = LinearConfig::new(2 * hidden, 2).init(device),
    }
    |model, input| {
        let x = model.up.forward(input.of([2, 4, 3])).tanh();
        model.down.forward(model.lstm.forward(x, None).0).flatten(1, 2)
    };

    /// An activation that mixes the hidden units.
    OfGru(device, inner = 4, hidden = 6) {
        #[grow(fan_out = "inner")]
        up: Linear = LinearConfig::new(3, inner).init(device),
        #[grow(fan_in = "inner", fan_out = "hidden")]
        gru: Gru = {
            let mixing = SwiGluConfig::new(hidden, hidden);
            GruConfig::new(inner, hidden, true)
                .with_hidden_activation(ActivationConfig::SwiGlu(mixing))
                .init(device)
        },
        #[grow(fan_in = "hidden")]
        down: Linear = LinearConfig::new(hidden, 2).init(device),
    }
    |model, input| {
        let x = model.up.forward(input.of([2, 4, 3])).tanh();
        model.down.forward(model.gru.forward(x, None).tanh()).flatten(1, 2)
    };

    /// From a state, reset before the product.
    OfBiGru(device, inner = 4, hidden = 6) {
        #[grow(fan_out = "inner")]
        up: Linear = LinearConfig::new(3, inner).init(device),
        #[grow(fan_in = "inner", fan_out = "hidden")]
        gru: BiGru = BiGruConfig::new(inner, hidden, true).with_reset_after(false).init(device),
        #[grow(fan_out = "hidden")]
        state: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(fan_in("hidden", groups = 2))]
        down: Linear = LinearConfig::new(2 * hidden, 2).init(device),
    }
    |model, input| {
        let x = model.up.forward(input.of([2, 4, 3])).tanh();
        let state: Tensor<3> = model.state.forward(input.of([2, 2, 3])).tanh();
        model.down.forward(model.gru.forward(x, Some(state)).0).flatten(1, 2)
    };
}
