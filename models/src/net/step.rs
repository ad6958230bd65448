//! One step of a plan: a layer, or several whose rows follow each other.

use std::ops::Range;

use pulp::Arch;

use super::graph::Shape;
use super::kernels::{Blend, Dense, DenseRow, Depthwise, DepthwiseRow, PoolRow, Weigh};
use super::memory::{Aligned, Memory, THREADS_MAX};

/// Bytes of input that a dense layer works on before it takes the next block of channels: a share of the nearer caches.
const NEAR: usize = 64 << 10;
/// Multiplications below which a second thread costs more than it helps.
const SHARE_MIN: usize = 4_000_000;

/// A dense layer and how it walks over its input.
#[derive(Debug)]
pub struct Layer {
    pub dense: Dense,
    pub stride: usize,
    /// Reads the photograph itself, three by three with a border.
    pub photograph: bool,
}

/// What a step does.
#[derive(Debug)]
pub enum Work {
    /// The photograph's planes side by side, with a border of one pixel; per channel times the first and plus the second.
    Photograph([[f32; 3]; 2]),
    Dense(Layer),
    Depthwise(Depthwise),
    Rows(Rows),
    Pool,
    Double,
    Blend {
        gated: bool,
    },
    Weigh {
        weights: Option<Vec<f32>>,
        bias: Vec<f32>,
    },
    Sigmoid,
}

/// Dense layers, a depthwise one over what they give, and perhaps the largest of each two by two of that, row by row: only
/// three rows of what lies between are kept.
#[derive(Debug)]
pub struct Rows {
    pub layers: Vec<Layer>,
    pub between: Shape,
    pub deep: Depthwise,
    pub pool: bool,
}

/// Work with its inputs and its place.
#[derive(Debug)]
pub struct Step {
    pub work: Work,
    pub inputs: Vec<usize>,
    pub place: usize,
    pub from: Shape,
    pub shape: Shape,
}

/// Who does a step: what the processor can do, and how many threads.
#[derive(Debug, Clone, Copy)]
pub struct Crew {
    pub arch: Arch,
    pub threads: usize,
}

impl Step {
    /// Numbers of the result.
    pub fn size(&self) -> usize {
        match self.work {
            Work::Photograph(_) => (self.shape.height + 2) * (self.shape.width + 2) * 3,
            Work::Dense(_)
            | Work::Depthwise(_)
            | Work::Rows(_)
            | Work::Pool
            | Work::Double
            | Work::Blend { .. }
            | Work::Weigh { .. }
            | Work::Sigmoid => self.shape.pixels() * self.shape.padded(),
        }
    }

    /// Numbers that each thread needs while the step runs.
    pub fn scratch(&self) -> usize {
        match &self.work {
            Work::Rows(rows) => rows.scratch(),
            Work::Depthwise(deep) => self.from.width * deep.channels,
            Work::Photograph(_)
            | Work::Dense(_)
            | Work::Pool
            | Work::Double
            | Work::Blend { .. }
            | Work::Weigh { .. }
            | Work::Sigmoid => 0,
        }
    }

    fn multiplications(&self) -> usize {
        let dense = |layer: &Layer| layer.dense.out * layer.dense.runs * layer.dense.run;
        match &self.work {
            Work::Dense(layer) => self.shape.pixels() * dense(layer),
            Work::Rows(rows) => {
                let each = rows.layers.iter().map(dense).sum::<usize>() + 9 * rows.deep.channels;
                rows.between.pixels() * each
            }
            Work::Depthwise(deep) => self.shape.pixels() * deep.channels * 9,
            Work::Photograph(_) => self.shape.pixels() * 12,
            Work::Pool | Work::Double | Work::Blend { .. } | Work::Weigh { .. } | Work::Sigmoid => 0,
        }
    }

    pub fn run(&self, crew: Crew, planes: &[f32], memory: &mut Memory) {
        let mut place = std::mem::take(&mut memory.places[self.place]);
        let mut scratch = std::mem::take(&mut memory.work);
        let output = &mut place.as_mut_slice()[..self.size()];
        let input = |at: usize| self.inputs.get(at).map(|&place| memory.place(place));
        let threads = if self.multiplications() < SHARE_MIN { 1 } else { crew.threads };
        self.perform(Crew { threads, ..crew }, input(0).unwrap_or(planes), [input(1), input(2)], output, &mut scratch);
        memory.places[self.place] = place;
        memory.work = scratch;
    }

    fn perform(
        &self,
        crew: Crew,
        first: &[f32],
        [second, third]: [Option<&[f32]>; 2],
        output: &mut [f32],
        scratch: &mut [Aligned; THREADS_MAX],
    ) {
        let Self { from, shape, .. } = *self;
        let line = shape.width * shape.padded();
        let seen = from.pixels() * from.padded();
        match &self.work {
            Work::Photograph(affine) => photograph(crew, first, affine, shape, output, scratch),
            Work::Dense(layer) => share(crew, shape.height, line, output, scratch, |rows, output, _| {
                self.dense(crew.arch, layer, first, second, rows, output);
            }),
            Work::Depthwise(deep) => share(crew, shape.height, line, output, scratch, |rows, output, scratch| {
                self.depthwise(crew.arch, deep, first, rows, output, scratch);
            }),
            Work::Rows(joined) => share(crew, shape.height, line, output, scratch, |rows, output, scratch| {
                joined.run(crew.arch, (first, from), rows, output, scratch);
            }),
            Work::Pool => {
                let row = from.width * from.padded();
                for (rows, output) in first.chunks_exact(2 * row).zip(output.chunks_exact_mut(line)) {
                    let (above, below) = rows.split_at(row);
                    crew.arch.dispatch(PoolRow { rows: [above, below], output, channels: shape.padded() });
                }
            }
            Work::Double => double(&first[..seen], from, output),
            Work::Blend { gated } => {
                let (gate, plus) = if *gated { (second, third) } else { (None, second) };
                crew.arch.dispatch(Blend { input: first, gate, plus, channels: shape.padded(), output });
            }
            Work::Weigh { weights, bias } => {
                let share = 1.0 / from.pixels() as f32;
                let weights = weights.as_deref();
                crew.arch.dispatch(Weigh { input: &first[..seen], weights, share, bias, output });
            }
            Work::Sigmoid => output.iter_mut().zip(first).for_each(|(number, &x)| *number = sigmoid(x)),
        }
    }

    fn dense(
        &self,
        arch: Arch,
        layer: &Layer,
        input: &[f32],
        residual: Option<&[f32]>,
        rows: Range<usize>,
        output: &mut [f32],
    ) {
        let out = layer.dense.out;
        if layer.photograph {
            for (y, output) in rows.zip(output.chunks_exact_mut(self.shape.width * out)) {
                arch.dispatch(layer.row(input, self.from, y, output));
            }
            return;
        }
        let pixel = self.from.padded();
        let group = (NEAR / size_of::<f32>() / pixel).clamp(24, 480);
        let first = rows.start * self.shape.width;
        for (at, output) in output.chunks_mut(group * out).enumerate() {
            let at = first + at * group;
            let residual = residual.map(|residual| &residual[at * out..]);
            let input = &input[at * pixel..];
            arch.dispatch(DenseRow { layer: &layer.dense, input, pixel, skip: 0, output, residual });
        }
    }

    fn depthwise(
        &self,
        arch: Arch,
        deep: &Depthwise,
        input: &[f32],
        rows: Range<usize>,
        output: &mut [f32],
        zeros: &mut [f32],
    ) {
        let row = self.from.width * deep.channels;
        let zeros = &mut zeros[..row];
        zeros.fill(0.0);
        for (y, output) in rows.zip(output.chunks_exact_mut(self.shape.width * deep.channels)) {
            let rows = window(y * deep.stride, self.from.height).map(|y| match y {
                Some(y) => &input[y * row..][..row],
                None => &*zeros,
            });
            arch.dispatch(DepthwiseRow { layer: deep, rows, output });
        }
    }
}

/// Runs a job over all output rows, or over each half by a thread of its own.
fn share(
    crew: Crew,
    rows: usize,
    line: usize,
    output: &mut [f32],
    [one, other]: &mut [Aligned; THREADS_MAX],
    job: impl Fn(Range<usize>, &mut [f32], &mut [f32]) + Sync,
) {
    let (one, other) = (one.as_mut_slice(), other.as_mut_slice());
    if crew.threads < 2 || rows < 2 {
        return job(0..rows, output, one);
    }
    let half = rows / 2;
    let (upper, lower) = output.split_at_mut(half * line);
    std::thread::scope(|scope| {
        scope.spawn(|| job(half..rows, lower, other));
        job(0..half, upper, one);
    });
}

/// The three rows around one, where there are such.
fn window(y: usize, height: usize) -> [Option<usize>; 3] {
    [0, 1, 2].map(|tap| (y + tap).checked_sub(1).filter(|&y| y < height))
}

impl Layer {
    /// The work on one output row; `from` is the shape of the input.
    fn row<'a>(&'a self, input: &'a [f32], from: Shape, y: usize, output: &'a mut [f32]) -> DenseRow<'a> {
        let (pixel, line) =
            if self.photograph { (3, (from.width + 2) * 3) } else { (from.padded(), from.width * from.padded()) };
        let input = &input[y * self.stride * line..];
        DenseRow { layer: &self.dense, input, pixel: pixel * self.stride, skip: line, output, residual: None }
    }
}

impl Rows {
    fn line(&self) -> usize {
        self.between.width * self.deep.channels
    }

    /// A row of zeros, three rows between, what the first layer makes of a row, two rows before they are pooled.
    fn scratch(&self) -> usize {
        let early = self.layers.first().map_or(0, |layer| layer.dense.out) * self.between.width;
        6 * self.line() + early
    }

    fn run(
        &self,
        arch: Arch,
        (input, from): (&[f32], Shape),
        wanted: Range<usize>,
        output: &mut [f32],
        scratch: &mut [f32],
    ) {
        let row = self.line();
        let (zeros, scratch) = scratch.split_at_mut(row);
        let (ring, scratch) = scratch.split_at_mut(3 * row);
        let (pair, early) = scratch.split_at_mut(2 * row);
        zeros.fill(0.0);
        let each = if self.pool { 2 } else { 1 };
        let line = output.len() / wanted.len();
        // Where pooled, the depthwise rows are as long as those between: its stride is 1.
        let deep_line = line * each;
        let mut made = (wanted.start * each * self.deep.stride).saturating_sub(1);
        for y in wanted.start * each..wanted.end * each {
            let rows = window(y * self.deep.stride, self.between.height);
            while rows.iter().flatten().any(|&row| row >= made) {
                self.make(arch, input, from, made, &mut ring[made % 3 * row..][..row], early);
                made += 1;
            }
            let rows = rows.map(|y| match y {
                Some(y) => &ring[y % 3 * row..][..row],
                None => &*zeros,
            });
            let at = y / each - wanted.start;
            if !self.pool {
                let output = &mut output[at * line..][..line];
                arch.dispatch(DepthwiseRow { layer: &self.deep, rows, output });
                continue;
            }
            let half = &mut pair[y % 2 * deep_line..][..deep_line];
            arch.dispatch(DepthwiseRow { layer: &self.deep, rows, output: half });
            if y % 2 == 1 {
                let (above, below) = pair[..2 * deep_line].split_at(deep_line);
                let output = &mut output[at * line..][..line];
                arch.dispatch(PoolRow { rows: [above, below], output, channels: self.deep.channels });
            }
        }
    }

    /// One row through the dense layers.
    fn make(&self, arch: Arch, input: &[f32], from: Shape, y: usize, output: &mut [f32], early: &mut [f32]) {
        let [layers @ .., last] = self.layers.as_slice() else { return };
        let Some(first) = layers.first() else {
            return arch.dispatch(last.row(input, from, y, output));
        };
        let row = &mut early[..self.between.width * first.dense.out];
        arch.dispatch(first.row(input, from, y, row));
        let shape = Shape { channels: first.dense.out, ..self.between };
        arch.dispatch(last.row(row, shape, 0, output));
    }
}

pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn photograph(
    crew: Crew,
    planes: &[f32],
    [scale, shift]: &[[f32; 3]; 2],
    shape: Shape,
    output: &mut [f32],
    scratch: &mut [Aligned; THREADS_MAX],
) {
    let line = (shape.width + 2) * 3;
    let plane = shape.pixels();
    let (above, rest) = output.split_at_mut(line);
    let (inside, below) = rest.split_at_mut(shape.height * line);
    above.fill(0.0);
    below.fill(0.0);
    share(crew, shape.height, line, inside, scratch, |rows, inside, _| {
        for (y, row) in rows.zip(inside.chunks_exact_mut(line)) {
            row[..3].fill(0.0);
            row[line - 3..].fill(0.0);
            let [blue, green, red] =
                [0, 1, 2].map(|channel| &planes[channel * plane + y * shape.width..][..shape.width]);
            let (pixels, _) = row[3..line - 3].as_chunks_mut::<3>();
            for (((pixel, b), g), r) in pixels.iter_mut().zip(blue).zip(green).zip(red) {
                *pixel = [b * scale[0] + shift[0], g * scale[1] + shift[1], r * scale[2] + shift[2]];
            }
        }
    });
}

fn double(input: &[f32], from: Shape, output: &mut [f32]) {
    let channels = from.padded();
    let rows = output.chunks_exact_mut(4 * from.width * channels);
    for (pair, row) in rows.zip(input.chunks_exact(from.width * channels)) {
        let (above, below) = pair.split_at_mut(2 * from.width * channels);
        for (twice, pixel) in above.chunks_exact_mut(2 * channels).zip(row.chunks_exact(channels)) {
            twice[..channels].copy_from_slice(pixel);
            twice[channels..].copy_from_slice(pixel);
        }
        below.copy_from_slice(above);
    }
}
