//! What the size of an optimizer's update depends on.

/// What the size of an optimizer's update depends on, at one rate: it decides how the rate has to
/// follow the widths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Every coordinate moves by about the rate, whatever its gradient: Adam, AdamW, Adan, Lion,
    /// RMSProp, AdaGrad.
    Elementwise,
    /// Every coordinate moves by the rate times its gradient: SGD.
    Gradient,
    /// Every coordinate moves by about the rate times the RMS of the parameter: Adafactor with
    /// scaled parameters, LAMB with trust ratios.
    Relative,
    /// Every matrix moves by an orthogonal one, times the rate and a factor of its shape: Muon. The
    /// rate follows the widths as the spectral norm of a change has to
    /// ([arXiv 2310.17813](https://arxiv.org/abs/2310.17813)).
    Orthogonal(ShapeFactor),
}

/// The factor of the shape of a matrix, `[.., rows, columns]`, that Muon multiplies its rate by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeFactor {
    /// `sqrt(max(1, rows / columns))`: Muon's own. No other factor is left where all widths grow
    /// alike.
    Aspect,
    /// `sqrt(max(rows, columns))`, times a constant: updates as large as AdamW's.
    LargerSide,
}

impl ShapeFactor {
    /// Computes the factor of a parameter of `shape`, but for a constant.
    pub(super) fn of(self, shape: &[usize]) -> f64 {
        let [.., rows, columns] = *shape else {
            return 1.0;
        };
        let (rows, columns) = (rows as f64, columns as f64);
        match self {
            Self::Aspect => (rows / columns).max(1.0).sqrt(),
            Self::LargerSide => rows.max(columns).sqrt(),
        }
    }
}
