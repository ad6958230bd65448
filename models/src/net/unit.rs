//! Which nodes are worked on together, and their weights in the order in which the inner loops read them.

use super::graph::{Conv, Graph, Op, Shape};
use super::kernels::{Bend, Dense, Depthwise, Width};
use super::step::{Layer, Rows, Work};

/// Rows shorter than this are not worth joining layers for: the whole picture is near anyway.
const JOIN_WIDTH: usize = 40;

/// Nodes that are worked on together, first to last.
#[derive(Debug)]
pub struct Unit {
    nodes: Vec<usize>,
    pub last: usize,
    /// Nodes outside that are read; the first is the picture.
    pub reads: Vec<usize>,
}

/// Every node that leads to an output, each in one unit, in an order in which they can run.
pub fn units(graph: &Graph) -> Vec<Unit> {
    let readers = graph.readers();
    let mut units: Vec<Unit> = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate().filter(|(index, _)| readers[*index] > 0) {
        let before = node.inputs.iter().rev().find_map(|&input| {
            let unit = units.iter().position(|unit| unit.last == input)?;
            (readers[input] == 1 && units[unit].takes(graph, index)).then_some(unit)
        });
        match before {
            Some(unit) => {
                let mut unit = units.remove(unit);
                unit.add(graph, index);
                units.push(unit);
            }
            None => units.push(Unit { nodes: vec![index], last: index, reads: node.inputs.clone() }),
        }
    }
    units
}

impl Unit {
    /// Whether a node that alone reads this unit's result may join it.
    fn takes(&self, graph: &Graph, node: usize) -> bool {
        let kinds: Vec<&Op> = self.nodes.iter().map(|&node| &graph.nodes[node].op).collect();
        let wide = graph.nodes[self.last].shape.width >= JOIN_WIDTH;
        match (&graph.nodes[node].op, kinds.as_slice()) {
            (Op::Add, [Op::Gate]) => true,
            (Op::Add, [Op::Dense(conv)]) => conv.kernel == 1 && conv.bend.is_none(),
            (Op::Dense(conv), [Op::Dense(_)]) => wide && conv.kernel == 1,
            (Op::Depthwise(conv), [Op::Dense(_)] | [Op::Dense(_), Op::Dense(_)]) => {
                wide && (conv.kernel, conv.pad) == (3, 1) && conv.stride <= 2
            }
            (Op::Pool, [Op::Dense(_), .., Op::Depthwise(conv)]) => conv.stride == 1,
            _ => false,
        }
    }

    fn add(&mut self, graph: &Graph, node: usize) {
        self.reads.extend(graph.nodes[node].inputs.iter().filter(|&&input| input != self.last));
        self.nodes.push(node);
        self.last = node;
    }

    /// Packs what the unit needs to run.
    pub fn work(&self, graph: &Graph, width: Width) -> Result<Work, String> {
        let first = &graph.nodes[self.nodes[0]];
        Ok(match &first.op {
            Op::Input(affine) => Work::Photograph(*affine),
            Op::Pool => Work::Pool,
            Op::Double => Work::Double,
            Op::Add => Work::Blend { gated: false },
            Op::Gate => Work::Blend { gated: true },
            Op::Sigmoid => Work::Sigmoid,
            Op::Mean => Work::Weigh { weights: None, bias: vec![0.0; first.shape.padded()] },
            Op::Depthwise(conv) if (conv.kernel, conv.pad) == (3, 1) && conv.stride <= 2 => {
                Work::Depthwise(depthwise(conv, first.shape))
            }
            Op::Depthwise(conv) if first.shape.pixels() == 1 && conv.pad == 0 && conv.bend.is_none() => {
                let whole = depthwise(conv, first.shape);
                Work::Weigh { weights: Some(whole.weights), bias: whole.bias }
            }
            Op::Depthwise(_) => return Err("a depthwise window is not three by three".to_owned()),
            Op::Dense(_) => self.rows(graph, width)?,
        })
    }

    fn rows(&self, graph: &Graph, width: Width) -> Result<Work, String> {
        let (mut layers, mut deep, mut pool) = (Vec::new(), None, false);
        for &index in &self.nodes {
            let node = &graph.nodes[index];
            match &node.op {
                Op::Dense(conv) => {
                    let photograph = matches!(graph.nodes[node.inputs[0]].op, Op::Input(_));
                    let window = (conv.kernel, conv.pad);
                    if window != if photograph { (3, 1) } else { (1, 0) } || !photograph && conv.stride != 1 {
                        return Err("a dense window is not of a known kind".to_owned());
                    }
                    layers.push(Layer { dense: dense(conv, node.shape, width), stride: conv.stride, photograph });
                }
                Op::Depthwise(conv) => deep = Some((depthwise(conv, node.shape), graph.nodes[node.inputs[0]].shape)),
                Op::Pool => pool = true,
                Op::Input(_) | Op::Double | Op::Add | Op::Mean | Op::Gate | Op::Sigmoid => {}
            }
        }
        match deep {
            Some((deep, between)) => Ok(Work::Rows(Rows { layers, between, deep, pool })),
            None if layers.len() == 1 => Ok(Work::Dense(layers.swap_remove(0))),
            None => Err("dense layers follow each other".to_owned()),
        }
    }
}

fn bend(pairs: Option<&Vec<[f32; 2]>>, padded: usize) -> Bend {
    let Some(pairs) = pairs else { return Bend::Straight };
    if pairs.iter().all(|pair| *pair == [1.0, 0.0]) {
        return Bend::Cut;
    }
    let pick = |which: usize| spread(pairs.iter().map(|pair| pair[which]).collect(), padded);
    Bend::Sloped { above: pick(0), below: pick(1) }
}

/// With zeros for the channels that are padding.
fn spread(mut numbers: Vec<f32>, padded: usize) -> Vec<f32> {
    numbers.resize(padded, 0.0);
    numbers
}

fn dense(conv: &Conv, shape: Shape, width: Width) -> Dense {
    let out = shape.padded();
    let taps = conv.kernel * conv.kernel;
    let from = conv.weights.len() / shape.channels / taps;
    let run = conv.kernel * from;
    let mut weights = Vec::with_capacity(out * conv.kernel * run);
    for block in (0..out).step_by(width.block()) {
        for k in 0..conv.kernel * run {
            let (row, column, input) = (k / run, k % run / from, k % from);
            for output in block..out.min(block + width.block()) {
                let at = (output * from + input) * taps + row * conv.kernel + column;
                weights.push(if output < shape.channels { conv.weights[at] } else { 0.0 });
            }
        }
    }
    let bias = spread(conv.bias.clone(), out);
    Dense { weights, bias, bend: bend(conv.bend.as_ref(), out), runs: conv.kernel, run, out }
}

fn depthwise(conv: &Conv, shape: Shape) -> Depthwise {
    let channels = shape.padded();
    let taps = conv.kernel * conv.kernel;
    let mut weights = vec![0.0; taps * channels];
    for channel in 0..shape.channels {
        for tap in 0..taps {
            weights[tap * channels + channel] = conv.weights[channel * taps + tap];
        }
    }
    let bias = spread(conv.bias.clone(), channels);
    Depthwise { weights, bias, bend: bend(conv.bend.as_ref(), channels), channels, stride: conv.stride }
}
