//! The inner loops: pictures lie row by row, pixel by pixel, the channels of a pixel side by side and padded to [`PAD`], so that every
//! loop runs over whole vectors. Compiled for each kind of processor; what runs is chosen when the program starts.

#![expect(
    clippy::needless_range_loop,
    clippy::manual_memcpy,
    reason = "an iterator's methods may be compiled as calls, which know nothing of the processor that was chosen"
)]

use pulp::{Simd, WithSimd};

/// Channels are padded to a multiple of this: one vector of the widest processors.
pub const PAD: usize = 16;

/// How wide a processor's vectors are, and how many of them a tile's weights take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width {
    pub lanes: usize,
    pub vectors: usize,
}

impl Width {
    /// Output channels that are worked on together.
    pub fn block(self) -> usize {
        self.lanes * self.vectors
    }
}

/// Asks what it runs on.
pub struct Ask;

impl WithSimd for Ask {
    type Output = Width;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Width {
        Width { lanes: S::F32_LANES, vectors: if S::REGISTER_COUNT >= 32 { 4 } else { 2 } }
    }
}

/// What is done to a sum before it is stored.
#[derive(Debug, Clone)]
pub enum Bend {
    Straight,
    /// Nothing below zero.
    Cut,
    /// Per channel, times one number above zero and another below.
    Sloped {
        above: Vec<f32>,
        below: Vec<f32>,
    },
}

/// Weights of a convolution without groups, in blocks of output channels: for each block every input number's row.
#[derive(Debug)]
pub struct Dense {
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
    pub bend: Bend,
    /// Input numbers per output: `runs` stretches of `run` neighbours.
    pub runs: usize,
    pub run: usize,
    /// Padded output channels.
    pub out: usize,
}

/// A row of pixels through a [`Dense`].
pub struct DenseRow<'a> {
    pub layer: &'a Dense,
    pub input: &'a [f32],
    /// From one pixel to the next, and from one run to the next, in the input.
    pub pixel: usize,
    pub skip: usize,
    pub output: &'a mut [f32],
    /// Added to what comes out, in the output's layout.
    pub residual: Option<&'a [f32]>,
}

impl WithSimd for DenseRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let pixels = self.output.len() / self.layer.out;
        let most = if S::REGISTER_COUNT >= 32 { 4 } else { 2 };
        let mut channel = 0;
        while channel < self.layer.out {
            let vectors = ((self.layer.out - channel) / S::F32_LANES).min(most);
            match vectors {
                4 => self.strip::<S, 6, 4>(simd, channel, pixels),
                3 => self.strip::<S, 6, 3>(simd, channel, pixels),
                2 if S::REGISTER_COUNT >= 32 => self.strip::<S, 12, 2>(simd, channel, pixels),
                2 => self.strip::<S, 6, 2>(simd, channel, pixels),
                _ => self.strip::<S, 12, 1>(simd, channel, pixels),
            }
            channel += vectors * S::F32_LANES;
        }
    }
}

impl DenseRow<'_> {
    /// All pixels, one block of channels.
    #[inline(always)]
    fn strip<S: Simd, const M: usize, const V: usize>(&mut self, simd: S, channel: usize, pixels: usize) {
        let mut at = 0;
        while at + M <= pixels {
            self.tile::<S, M, V>(simd, channel, at);
            at += M;
        }
        if M > 6 && at + 6 <= pixels {
            self.tile::<S, 6, V>(simd, channel, at);
            at += 6;
        }
        if at + 4 <= pixels {
            self.tile::<S, 4, V>(simd, channel, at);
            at += 4;
        }
        if at + 2 <= pixels {
            self.tile::<S, 2, V>(simd, channel, at);
            at += 2;
        }
        if at < pixels {
            self.tile::<S, 1, V>(simd, channel, at);
        }
    }

    /// `M` pixels by `V` vectors of channels, their sums in registers.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(&mut self, simd: S, channel: usize, at: usize) {
        let layer = self.layer;
        let depth = layer.runs * layer.run;
        let weights = &layer.weights[channel * depth..][..V * S::F32_LANES * depth];
        let (weights, _) = S::as_simd_f32s(weights);
        let (mut weights, _) = weights.as_chunks::<V>();
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        for index in 0..layer.runs {
            let start = at * self.pixel + index * self.skip;
            let (now, later) = weights.split_at(layer.run);
            weights = later;
            let mut rows = [&[][..]; M];
            for m in 0..M {
                rows[m] = &self.input[start + m * self.pixel..][..now.len()];
            }
            sums = products::<S, M, V>(simd, rows, now, sums);
        }
        self.finish::<S, M, V>(simd, channel, at, sums);
    }

    #[inline(always)]
    fn finish<S: Simd, const M: usize, const V: usize>(
        &mut self,
        simd: S,
        channel: usize,
        at: usize,
        mut sums: [[S::f32s; V]; M],
    ) {
        let width = V * S::F32_LANES;
        let bias = vectors::<S, V>(&self.layer.bias[channel..]);
        for m in 0..M {
            for v in 0..V {
                sums[m][v] = simd.add_f32s(sums[m][v], bias[v]);
            }
        }
        let zero = simd.splat_f32s(0.0);
        match &self.layer.bend {
            Bend::Straight => {}
            Bend::Cut => {
                for m in 0..M {
                    for v in 0..V {
                        sums[m][v] = simd.max_f32s(sums[m][v], zero);
                    }
                }
            }
            Bend::Sloped { above, below } => {
                let above = vectors::<S, V>(&above[channel..]);
                let below = vectors::<S, V>(&below[channel..]);
                for m in 0..M {
                    for v in 0..V {
                        sums[m][v] = sloped(simd, sums[m][v], above[v], below[v]);
                    }
                }
            }
        }
        for m in 0..M {
            let start = (at + m) * self.layer.out + channel;
            if let Some(residual) = self.residual {
                let residual = vectors::<S, V>(&residual[start..]);
                for v in 0..V {
                    sums[m][v] = simd.add_f32s(sums[m][v], residual[v]);
                }
            }
            let (output, _) = S::as_mut_simd_f32s(&mut self.output[start..start + width]);
            for v in 0..V {
                output[v] = sums[m][v];
            }
        }
    }
}

/// Adds to each sum every number of its row times the number's weights. Rows are as long as there are weights.
#[inline(always)]
fn products<S: Simd, const M: usize, const V: usize>(
    simd: S,
    rows: [&[f32]; M],
    weights: &[[S::f32s; V]],
    mut sums: [[S::f32s; V]; M],
) -> [[S::f32s; V]; M] {
    for m in 0..M {
        assert!(rows[m].len() == weights.len(), "rows are cut to this length");
    }
    for k in 0..weights.len() {
        for m in 0..M {
            let x = simd.splat_f32s(rows[m][k]);
            for v in 0..V {
                sums[m][v] = simd.mul_add_e_f32s(x, weights[k][v], sums[m][v]);
            }
        }
    }
    sums
}

#[inline(always)]
fn sloped<S: Simd>(simd: S, x: S::f32s, above: S::f32s, below: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    simd.mul_add_e_f32s(below, simd.min_f32s(x, zero), simd.mul_f32s(above, simd.max_f32s(x, zero)))
}

#[inline(always)]
fn vectors<S: Simd, const V: usize>(numbers: &[f32]) -> [S::f32s; V] {
    let (vectors, _) = S::as_simd_f32s(&numbers[..V * S::F32_LANES]);
    vectors.as_chunks::<V>().0[0]
}

/// Weights of a three by three convolution of each channel with itself: nine rows of channels.
#[derive(Debug)]
pub struct Depthwise {
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
    pub bend: Bend,
    pub channels: usize,
    pub stride: usize,
}

/// One output row of a [`Depthwise`]; rows beyond the picture are given as zeros.
pub struct DepthwiseRow<'a> {
    pub layer: &'a Depthwise,
    pub rows: [&'a [f32]; 3],
    pub output: &'a mut [f32],
}

impl WithSimd for DepthwiseRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.layer.stride {
            1 => self.row::<S, 1>(simd),
            _ => self.row::<S, 2>(simd),
        }
    }
}

/// One vector of channels along a row; `W` is the number of vectors per pixel where it is known, else 0.
struct Column<'a, S: Simd, const W: usize> {
    rows: [&'a [S::f32s]; 3],
    weights: [S::f32s; 9],
    bias: S::f32s,
    slopes: Option<[S::f32s; 2]>,
    vectors: usize,
    vector: usize,
}

impl DepthwiseRow<'_> {
    #[inline(always)]
    fn row<S: Simd, const STRIDE: usize>(self, simd: S) {
        match self.layer.channels / S::F32_LANES {
            1 => self.columns::<S, STRIDE, 1>(simd),
            4 => self.columns::<S, STRIDE, 4>(simd),
            8 => self.columns::<S, STRIDE, 8>(simd),
            16 => self.columns::<S, STRIDE, 16>(simd),
            _ => self.columns::<S, STRIDE, 0>(simd),
        }
    }

    #[inline(always)]
    fn columns<S: Simd, const STRIDE: usize, const W: usize>(self, simd: S) {
        let Self { layer, rows, output } = self;
        let vectors = if W == 0 { layer.channels / S::F32_LANES } else { W };
        let (output, _) = S::as_mut_simd_f32s(output);
        let (weights, _) = S::as_simd_f32s(&layer.weights);
        let (bias, _) = S::as_simd_f32s(&layer.bias);
        let rows = [S::as_simd_f32s(rows[0]).0, S::as_simd_f32s(rows[1]).0, S::as_simd_f32s(rows[2]).0];
        for vector in 0..vectors {
            let mut taps = [simd.splat_f32s(0.0); 9];
            for tap in 0..9 {
                taps[tap] = weights[tap * vectors + vector];
            }
            let slopes = match &layer.bend {
                Bend::Straight => None,
                Bend::Cut => Some([simd.splat_f32s(1.0), simd.splat_f32s(0.0)]),
                Bend::Sloped { above, below } => {
                    Some([S::as_simd_f32s(above).0[vector], S::as_simd_f32s(below).0[vector]])
                }
            };
            let column = Column::<S, W> { rows, weights: taps, bias: bias[vector], slopes, vectors, vector };
            column.run::<STRIDE>(simd, output);
        }
    }
}

impl<S: Simd, const W: usize> Column<'_, S, W> {
    #[inline(always)]
    fn run<const STRIDE: usize>(&self, simd: S, output: &mut [S::f32s]) {
        let wide = self.rows[0].len() / self.vectors;
        let pixels = output.len() / self.vectors;
        self.edge::<STRIDE>(simd, 0, wide, output);
        let mut at = 1;
        while at + 4 <= pixels && (at + 3) * STRIDE + 1 < wide {
            self.inside::<4, STRIDE>(simd, at, output);
            at += 4;
        }
        while at < pixels && at * STRIDE + 1 < wide {
            self.inside::<1, STRIDE>(simd, at, output);
            at += 1;
        }
        while at < pixels {
            self.edge::<STRIDE>(simd, at, wide, output);
            at += 1;
        }
    }

    /// `N` outputs whose neighbours all lie inside.
    #[inline(always)]
    fn inside<const N: usize, const STRIDE: usize>(&self, simd: S, at: usize, output: &mut [S::f32s]) {
        let vectors = if W == 0 { self.vectors } else { W };
        let mut sums = [self.bias; N];
        let first = (at * STRIDE - 1) * vectors + self.vector;
        for row in 0..3 {
            let numbers = &self.rows[row][first..][..((N - 1) * STRIDE + 2) * vectors + 1];
            for n in 0..N {
                for tap in 0..3 {
                    let x = numbers[(n * STRIDE + tap) * vectors];
                    sums[n] = simd.mul_add_e_f32s(self.weights[row * 3 + tap], x, sums[n]);
                }
            }
        }
        let output = &mut output[at * vectors + self.vector..][..(N - 1) * vectors + 1];
        for n in 0..N {
            output[n * vectors] = self.bent(simd, sums[n]);
        }
    }

    /// One output at the left or right edge.
    #[inline(always)]
    fn edge<const STRIDE: usize>(&self, simd: S, at: usize, wide: usize, output: &mut [S::f32s]) {
        let mut sum = self.bias;
        for row in 0..3 {
            for tap in 0..3 {
                let x = at * STRIDE + tap;
                if x >= 1 && x <= wide {
                    let x = self.rows[row][(x - 1) * self.vectors + self.vector];
                    sum = simd.mul_add_e_f32s(self.weights[row * 3 + tap], x, sum);
                }
            }
        }
        output[at * self.vectors + self.vector] = self.bent(simd, sum);
    }

    #[inline(always)]
    fn bent(&self, simd: S, sum: S::f32s) -> S::f32s {
        match self.slopes {
            Some([above, below]) => sloped(simd, sum, above, below),
            None => sum,
        }
    }
}

/// The largest of each two by two pixels of two rows.
pub struct PoolRow<'a> {
    pub rows: [&'a [f32]; 2],
    pub output: &'a mut [f32],
    pub channels: usize,
}

impl WithSimd for PoolRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let vectors = self.channels / S::F32_LANES;
        let (output, _) = S::as_mut_simd_f32s(self.output);
        let (above, below) = (S::as_simd_f32s(self.rows[0]).0, S::as_simd_f32s(self.rows[1]).0);
        for at in 0..output.len() {
            let from = (at / vectors) * 2 * vectors + at % vectors;
            let left = simd.max_f32s(above[from], below[from]);
            let right = simd.max_f32s(above[from + vectors], below[from + vectors]);
            output[at] = simd.max_f32s(left, right);
        }
    }
}

/// One number per channel: the sum of all pixels, each times its own weight or all times the same.
pub struct Weigh<'a> {
    pub input: &'a [f32],
    pub weights: Option<&'a [f32]>,
    pub share: f32,
    pub bias: &'a [f32],
    pub output: &'a mut [f32],
}

impl WithSimd for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (output, _) = S::as_mut_simd_f32s(self.output);
        let (input, _) = S::as_simd_f32s(self.input);
        let (bias, _) = S::as_simd_f32s(self.bias);
        let share = simd.splat_f32s(self.share);
        let vectors = output.len();
        for vector in 0..vectors {
            let mut sum = bias[vector];
            let mut at = vector;
            if let Some(weights) = self.weights {
                let (weights, _) = S::as_simd_f32s(weights);
                while at < input.len() {
                    sum = simd.mul_add_e_f32s(input[at], weights[at], sum);
                    at += vectors;
                }
            } else {
                while at < input.len() {
                    sum = simd.mul_add_e_f32s(input[at], share, sum);
                    at += vectors;
                }
            }
            output[vector] = sum;
        }
    }
}

/// Each channel times its gate, or as it is without one, plus another picture.
pub struct Blend<'a> {
    pub input: &'a [f32],
    pub gate: Option<&'a [f32]>,
    pub plus: Option<&'a [f32]>,
    pub channels: usize,
    pub output: &'a mut [f32],
}

impl WithSimd for Blend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let vectors = self.channels / S::F32_LANES;
        let (output, _) = S::as_mut_simd_f32s(self.output);
        let (input, _) = S::as_simd_f32s(self.input);
        for vector in 0..vectors {
            let gate = match self.gate {
                Some(gate) => S::as_simd_f32s(gate).0[vector],
                None => simd.splat_f32s(1.0),
            };
            let mut at = vector;
            if let Some(plus) = self.plus {
                let (plus, _) = S::as_simd_f32s(plus);
                while at < output.len() {
                    output[at] = simd.mul_add_e_f32s(input[at], gate, plus[at]);
                    at += vectors;
                }
            } else {
                while at < output.len() {
                    output[at] = simd.mul_f32s(input[at], gate);
                    at += vectors;
                }
            }
        }
    }
}
