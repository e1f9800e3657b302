//! The model again, one token, head and expert at a time, in `f64` on the host.

use burn_grow_moe::{MoeConfig, QkNorm};

use super::Weights;

/// The outputs of the plain loops.
pub(crate) struct Naive {
    /// `[batch, seq, vocab]`
    pub(crate) logits: Vec<f64>,
    pub(crate) cross_entropy: f64,
    pub(crate) load_balancing: f64,
    pub(crate) z_loss: f64,
    pub(crate) total: f64,
    /// The tokens of each expert, layer by layer.
    pub(crate) load: Vec<Vec<usize>>,
}

/// `x W`, for `W` of `[x.len(), outputs]`.
fn product(x: &[f64], w: &[f64]) -> Vec<f64> {
    let outputs = w.len() / x.len();
    (0..outputs)
        .map(|o| (0..x.len()).map(|i| x[i] * w[i * outputs + o]).sum())
        .collect()
}

fn norm(x: &[f64], gain: &[f64], eps: f64) -> Vec<f64> {
    let mean: f64 = x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
    let root = (mean + eps).sqrt();
    x.iter().zip(gain).map(|(v, g)| v / root * g).collect()
}

fn softmax(x: &[f64]) -> Vec<f64> {
    let exp: Vec<f64> = x.iter().map(|v| v.exp()).collect();
    let sum: f64 = exp.iter().sum();
    exp.into_iter().map(|v| v / sum).collect()
}

fn log_sum_exp(x: &[f64]) -> f64 {
    x.iter().map(|v| v.exp()).sum::<f64>().ln()
}

fn rotate(x: &[f64], position: usize, theta: f64) -> Vec<f64> {
    let (dim, half) = (x.len(), x.len() / 2);
    let mut y = vec![0.0; dim];
    for i in 0..half {
        let angle = position as f64 * theta.powf(-2.0 * i as f64 / dim as f64);
        y[i] = x[i] * angle.cos() - x[i + half] * angle.sin();
        y[i + half] = x[i + half] * angle.cos() + x[i] * angle.sin();
    }
    y
}

fn attention(config: &MoeConfig, get: &dyn Fn(&str) -> Vec<f64>, x: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let (dim, eps, theta) = (config.head_dim, config.norm_eps, config.rope_theta);
    let head = |row: &[f64], h: usize| row[h * dim..(h + 1) * dim].to_vec();
    let project = |name: &str| -> Vec<Vec<f64>> {
        let w = get(&format!("{name}.weight"));
        x.iter().map(|x| product(x, &w)).collect()
    };
    let clip = |row: Vec<f64>| -> Vec<f64> {
        let bound = config.clip_qkv.unwrap_or(f64::INFINITY);
        row.into_iter().map(|x| x.clamp(-bound, bound)).collect()
    };
    let normed = |rows: Vec<Vec<f64>>, gain: &str| -> Vec<Vec<f64>> {
        let gain = get(gain);
        let size = match config.qk_norm {
            QkNorm::PerHead => dim,
            QkNorm::FullWidth => rows[0].len(),
        };
        let norm = |row: Vec<f64>| row.chunks(size).flat_map(|x| norm(x, &gain, eps)).collect();
        rows.into_iter().map(norm).map(clip).collect()
    };
    let q = normed(project("q_proj"), "q_norm.gamma");
    let k = normed(project("k_proj"), "k_norm.gamma");
    let v: Vec<Vec<f64>> = project("v_proj").into_iter().map(clip).collect();
    let output = get("o_proj.weight");
    (0..x.len())
        .map(|t| {
            let mut heads = Vec::new();
            for h in 0..config.n_heads {
                let shared = h / (config.n_heads / config.n_kv_heads);
                let query = rotate(&head(&q[t], h), t, theta);
                let scores: Vec<f64> = (0..=t)
                    .map(|s| {
                        let key = rotate(&head(&k[s], shared), s, theta);
                        let dot: f64 = query.iter().zip(&key).map(|(a, b)| a * b).sum();
                        dot / (dim as f64).sqrt()
                    })
                    .collect();
                let weights = softmax(&scores);
                for i in 0..dim {
                    heads.push((0..=t).map(|s| weights[s] * head(&v[s], shared)[i]).sum());
                }
            }
            product(&heads, &output)
        })
        .collect()
}

/// Sums over all experts, of which the unchosen ones weigh nothing.
fn experts(
    config: &MoeConfig,
    get: &dyn Fn(&str) -> Vec<f64>,
    x: &[f64],
    p: &[f64],
) -> (Vec<f64>, Vec<usize>) {
    let mut order: Vec<usize> = (0..config.n_experts).collect();
    order.sort_by(|a, b| p[*b].total_cmp(&p[*a]));
    let chosen = order[..config.top_k].to_vec();
    let sum: f64 = if config.norm_topk_prob {
        chosen.iter().map(|e| p[*e]).sum()
    } else {
        1.0
    };
    let of = |name: &str, e: usize| {
        let size = config.hidden * config.inner;
        get(name)[e * size..(e + 1) * size].to_vec()
    };
    let mut y = vec![0.0; x.len()];
    for &e in &chosen {
        let gate = product(x, &of("gate_proj", e));
        let up = product(x, &of("up_proj", e));
        let unit: Vec<f64> = gate
            .iter()
            .zip(&up)
            .map(|(g, u)| g / (1.0 + (-g).exp()) * u)
            .collect();
        for (y, answer) in y.iter_mut().zip(product(&unit, &of("down_proj", e))) {
            *y += p[e] / sum * answer;
        }
    }
    (y, chosen)
}

/// The logits and losses of `[batch, seq]` tokens.
pub(crate) fn naive(
    config: &MoeConfig,
    weights: &Weights,
    tokens: &[usize],
    targets: &[usize],
    seq: usize,
) -> Naive {
    let get = |path: &str| weights[path].clone();
    let (hidden, eps) = (config.hidden, config.norm_eps);
    let embedding = get("embedding.weight");
    let mut stream: Vec<Vec<f64>> = tokens
        .iter()
        .map(|id| embedding[id * hidden..(id + 1) * hidden].to_vec())
        .collect();
    let add = |stream: &mut Vec<Vec<f64>>, answers: Vec<Vec<f64>>| {
        for (x, answer) in stream.iter_mut().zip(answers) {
            x.iter_mut().zip(answer).for_each(|(x, a)| *x += a);
        }
    };

    let mut load = Vec::new();
    let mut probabilities = vec![0.0; config.n_experts];
    let mut squares = 0.0;
    for layer in 0..config.n_layers {
        let at = |part: &str| {
            let prefix = format!("blocks.{layer}.{part}");
            move |name: &str| get(&format!("{prefix}.{name}"))
        };
        let gain = at("attention_norm")("gamma");
        let normed: Vec<_> = stream.iter().map(|x| norm(x, &gain, eps)).collect();
        let read = at("attention");
        let attended = normed
            .chunks(seq)
            .flat_map(|x| attention(config, &read, x))
            .collect();
        add(&mut stream, attended);

        let gain = at("feed_forward_norm")("gamma");
        let read = at("feed_forward");
        let router = read("router.linear.weight");
        let mut counts = vec![0; config.n_experts];
        let mut answers = Vec::new();
        for x in stream.iter().map(|x| norm(x, &gain, eps)) {
            let logits = product(&x, &router);
            let p = softmax(&logits);
            squares += log_sum_exp(&logits).powi(2);
            let (answer, chosen) = experts(config, &read, &x, &p);
            chosen.into_iter().for_each(|e| counts[e] += 1);
            probabilities
                .iter_mut()
                .zip(&p)
                .for_each(|(sum, p)| *sum += p);
            answers.push(answer);
        }
        add(&mut stream, answers);
        load.push(counts);
    }

    let rows = (config.n_layers * tokens.len()) as f64;
    let frequency = |e: usize| load.iter().map(|layer| layer[e]).sum::<usize>() as f64 / rows;
    let agreement: f64 = (0..config.n_experts)
        .map(|e| frequency(e) * probabilities[e] / rows)
        .sum();
    let load_balancing = config.n_experts as f64 * agreement;
    let z_loss = squares / rows;

    let gain = get("norm.gamma");
    let project = |x: &[f64]| -> Vec<f64> {
        if !config.tied_embeddings {
            return product(x, &get("lm_head.weight"));
        }
        embedding
            .chunks(hidden)
            .map(|row| config.logit_multiplier * row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>())
            .collect()
    };
    let logits: Vec<Vec<f64>> = stream
        .iter()
        .map(|x| project(&norm(x, &gain, eps)))
        .collect();
    let nats: f64 = logits
        .iter()
        .zip(targets)
        .map(|(row, target)| log_sum_exp(row) - row[*target])
        .sum();
    let cross_entropy = nats / tokens.len() as f64;
    Naive {
        total: cross_entropy
            + config.load_balancing * load_balancing
            + config.router_z_loss * z_loss,
        logits: logits.concat(),
        cross_entropy,
        load_balancing,
        z_loss,
        load,
    }
}
