//! What a network computes, read from ONNX: the few operations our models are made of, joined where one follows from the other.
//! Anything else is refused by name.

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, ValueInfoProto, tensor_shape_proto::dimension, type_proto};

use crate::onnx::floats;

/// Height, width and channels of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

/// A convolution with its bias and rectifier. Weights lie as in ONNX: output channel, input channel, row, column.
#[derive(Debug, Clone)]
pub struct Conv {
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
    pub kernel: usize,
    pub stride: usize,
    pub pad: usize,
    /// Of the rectifier: what is above zero times the first, what is below times the second, a pair per channel.
    pub bend: Option<Vec<[f32; 2]>>,
}

#[derive(Debug, Clone)]
pub enum Op {
    /// The photograph, per channel times the first and plus the second.
    Input([[f32; 3]; 2]),
    Dense(Conv),
    Depthwise(Conv),
    /// The largest of each two by two.
    Pool,
    /// Each pixel four times.
    Double,
    Add,
    /// One number per channel.
    Mean,
    /// Each channel times a number.
    Gate,
    Sigmoid,
}

#[derive(Debug, Clone)]
pub struct Node {
    pub op: Op,
    pub inputs: Vec<usize>,
    pub shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    Plain,
    Sigmoid,
    Softmax,
}

/// Some channels of a node, as the network's user wants them.
#[derive(Debug, Clone)]
pub struct Output {
    pub node: usize,
    pub first: usize,
    pub channels: usize,
    pub last: Last,
}

#[derive(Debug)]
pub struct Graph {
    pub nodes: Vec<Node>,
    pub outputs: Vec<Output>,
}

impl Graph {
    /// How many others, outputs among them, read each node that leads to an output.
    pub fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.nodes.len()];
        self.outputs.iter().for_each(|output| readers[output.node] += 1);
        for (index, node) in self.nodes.iter().enumerate().rev() {
            if readers[index] > 0 {
                node.inputs.iter().for_each(|&input| readers[input] += 1);
            }
        }
        readers
    }
}

/// What a name stands for while reading.
#[derive(Clone)]
enum Value {
    Node(usize),
    Constant(Vec<usize>, Vec<f32>),
    /// |x|, and parts of a rectifier that is still being put together.
    Folded(usize, Vec<f32>),
    Through(usize, Vec<f32>),
    /// Channels last, as pictures lie here anyway.
    Turned(usize),
    Last(usize, Last),
    /// Numbers that are no picture, such as shapes.
    Other,
}

pub fn read(model: &ModelProto) -> Result<Graph, String> {
    let proto = model.graph.as_ref().ok_or("it has no graph")?;
    let mut reader = Reader { values: HashMap::new(), uses: HashMap::new(), nodes: Vec::new(), names: Vec::new() };
    reader.constants(proto)?;
    reader.input(proto)?;
    for node in &proto.node {
        let [name] = node.output.as_slice() else { return Err(format!("{} has several outputs", node.name)) };
        let value = reader.node(node).map_err(|reason| format!("{} {}: {reason}", node.op_type, node.name))?;
        reader.values.insert(name.clone(), value);
    }
    let outputs = proto.output.iter().map(|output| reader.output(&output.name)).collect::<Result<_, _>>()?;
    let mut graph = Graph { nodes: reader.nodes, outputs };
    super::merge::heads(&mut graph);
    Ok(graph)
}

struct Reader {
    values: HashMap<String, Value>,
    /// How many nodes read a name.
    uses: HashMap<String, usize>,
    nodes: Vec<Node>,
    /// Under which name each node's picture is read.
    names: Vec<String>,
}

impl Reader {
    fn constants(&mut self, proto: &GraphProto) -> Result<(), String> {
        for tensor in &proto.initializer {
            let dims = tensor.dims.iter().map(|&dim| usize::try_from(dim)).collect::<Result<Vec<_>, _>>();
            let dims = dims.map_err(|_| format!("constant {} has a negative size", tensor.name))?;
            let value = match floats(tensor) {
                Ok(numbers) if numbers.len() == dims.iter().product::<usize>() => Value::Constant(dims, numbers),
                Ok(_) | Err(_) => Value::Other,
            };
            self.values.insert(tensor.name.clone(), value);
        }
        for name in proto.node.iter().flat_map(|node| &node.input) {
            *self.uses.entry(name.clone()).or_default() += 1;
        }
        Ok(())
    }

    fn input(&mut self, proto: &GraphProto) -> Result<(), String> {
        let input = proto.input.iter().find(|input| !self.values.contains_key(&input.name)).ok_or("it has no input")?;
        let dims = dims(input).ok_or("its input has no fixed shape")?;
        let [1, 3, height, width] = dims[..] else { return Err("its input is no picture".to_owned()) };
        let shape = Shape { height, width, channels: 3 };
        let node = self.push(&input.name, Op::Input([[1.0; 3], [0.0; 3]]), vec![], shape);
        self.values.insert(input.name.clone(), node);
        Ok(())
    }

    fn push(&mut self, name: &str, op: Op, inputs: Vec<usize>, shape: Shape) -> Value {
        self.nodes.push(Node { op, inputs, shape });
        self.names.push(name.to_owned());
        Value::Node(self.nodes.len() - 1)
    }

    fn value(&self, node: &NodeProto, at: usize) -> Result<Value, String> {
        let name = node.input.get(at).ok_or("an input is missing")?;
        self.values.get(name).cloned().ok_or_else(|| format!("{name} is not known"))
    }

    fn picture(&self, node: &NodeProto, at: usize) -> Result<usize, String> {
        let Value::Node(index) = self.value(node, at)? else { return Err("an input is no picture".to_owned()) };
        Ok(index)
    }

    fn constant(&self, node: &NodeProto, at: usize) -> Result<(Vec<usize>, Vec<f32>), String> {
        let Value::Constant(dims, numbers) = self.value(node, at)? else {
            return Err("an input is not constant".to_owned());
        };
        Ok((dims, numbers))
    }

    fn node(&mut self, node: &NodeProto) -> Result<Value, String> {
        match node.op_type.as_str() {
            "Conv" => self.conv(node),
            "Identity" => {
                let x = self.picture(node, 0)?;
                let alone = self.uses.get(&self.names[x]) == Some(&1);
                self.names[x].clone_from(&node.output[0]);
                alone.then_some(Value::Node(x)).ok_or_else(|| "a picture under two names".to_owned())
            }
            "Relu" => {
                let x = self.picture(node, 0)?;
                self.bend(x, node, 1, &[1.0], &[0.0])
            }
            "PRelu" => {
                let (x, (_, slopes)) = (self.picture(node, 0)?, self.constant(node, 1)?);
                self.bend(x, node, 1, &[1.0], &slopes)
            }
            "Abs" => Ok(Value::Folded(self.picture(node, 0)?, Vec::new())),
            "Mul" => self.multiply(node),
            "Add" => self.add(node),
            "MaxPool" => self.pool(node),
            "Resize" => self.resize(node),
            "GlobalAveragePool" => {
                let x = self.picture(node, 0)?;
                let shape = Shape { height: 1, width: 1, ..self.nodes[x].shape };
                Ok(self.push(&node.output[0], Op::Mean, vec![x], shape))
            }
            "Sigmoid" => self.sigmoid(node),
            "Softmax" => Ok(Value::Last(self.picture(node, 0)?, Last::Softmax)),
            "MatMul" => self.matmul(node),
            "BatchNormalization" => self.normalise(node),
            "Transpose" => {
                let x = self.picture(node, 0)?;
                (ints(node, "perm") == [0, 2, 3, 1])
                    .then_some(Value::Turned(x))
                    .ok_or_else(|| "another order".to_owned())
            }
            "Reshape" | "Flatten" => self.reshape(node),
            _ => Err("not one of the operations known here".to_owned()),
        }
    }

    /// Turned pictures, and pictures of one pixel, lie in the order that is asked for already.
    fn reshape(&self, node: &NodeProto) -> Result<Value, String> {
        let value = self.value(node, 0)?;
        let ready = match &value {
            Value::Turned(_) => true,
            Value::Node(x) => self.is_pixel(*x),
            Value::Constant(..) | Value::Folded(..) | Value::Through(..) | Value::Last(..) | Value::Other => false,
        };
        ready.then_some(value).ok_or_else(|| "it would reorder a picture".to_owned())
    }

    fn is_pixel(&self, node: usize) -> bool {
        let shape = self.nodes[node].shape;
        (shape.height, shape.width) == (1, 1)
    }

    fn conv(&mut self, node: &NodeProto) -> Result<Value, String> {
        let x = self.picture(node, 0)?;
        let (dims, weights) = self.constant(node, 1)?;
        let [out, per_group, kernel, across] = dims[..] else { return Err("odd weights".to_owned()) };
        let bias = if node.input.len() > 2 { self.constant(node, 2)?.1 } else { vec![0.0; out] };
        let from = self.nodes[x].shape;
        let (strides, pads) = (ints(node, "strides"), ints(node, "pads"));
        let stride = *strides.first().unwrap_or(&1);
        let pad = *pads.first().unwrap_or(&0);
        let square = kernel == across
            && strides.iter().all(|&s| s == stride)
            && pads.iter().all(|&p| p == pad)
            && ints(node, "dilations").iter().all(|&d| d == 1)
            && bias.len() == out
            && stride > 0
            && from.height + 2 * pad >= kernel
            && from.width + 2 * pad >= kernel;
        if !square {
            return Err("its window is not of a known kind".to_owned());
        }
        let size = |length: usize| (length + 2 * pad - kernel) / stride + 1;
        let shape = Shape { height: size(from.height), width: size(from.width), channels: out };
        let conv = Conv { weights, bias, kernel, stride, pad, bend: None };
        let groups = ints(node, "group").first().copied().unwrap_or(1);
        let op = if kernel > 1 && per_group == 1 && groups == from.channels && out == from.channels {
            Op::Depthwise(conv)
        } else if groups == 1 && per_group == from.channels {
            Op::Dense(conv)
        } else {
            return Err("its groups are not of a known kind".to_owned());
        };
        Ok(self.push(&node.output[0], op, vec![x], shape))
    }

    /// A rectifier after a convolution that nobody else reads becomes a part of it.
    fn bend(
        &mut self,
        x: usize,
        node: &NodeProto,
        readers: usize,
        above: &[f32],
        below: &[f32],
    ) -> Result<Value, String> {
        let channels = self.nodes[x].shape.channels;
        let alone = self.uses.get(&self.names[x]) == Some(&readers);
        let spread = |numbers: &[f32], at: usize| numbers.get(if numbers.len() == 1 { 0 } else { at }).copied();
        let pairs = (0..channels).map(|at| Some([spread(above, at)?, spread(below, at)?])).collect::<Option<Vec<_>>>();
        match (&mut self.nodes[x].op, pairs) {
            (Op::Dense(conv) | Op::Depthwise(conv), Some(pairs)) if alone && conv.bend.is_none() => {
                conv.bend = Some(pairs);
                self.names[x].clone_from(&node.output[0]);
                Ok(Value::Node(x))
            }
            _ => Err("a rectifier stands where none is known".to_owned()),
        }
    }

    fn multiply(&mut self, node: &NodeProto) -> Result<Value, String> {
        match (self.value(node, 0)?, self.value(node, 1)?) {
            (Value::Folded(x, parts), Value::Constant(_, numbers)) if parts.is_empty() => Ok(Value::Folded(x, numbers)),
            (Value::Node(x), Value::Constant(_, numbers)) => Ok(Value::Through(x, numbers)),
            (Value::Node(x), Value::Node(gate)) => {
                let (shape, numbers) = (self.nodes[x].shape, self.nodes[gate].shape);
                if numbers != (Shape { height: 1, width: 1, ..shape }) {
                    return Err("two pictures".to_owned());
                }
                Ok(self.push(&node.output[0], Op::Gate, vec![x, gate], shape))
            }
            _ => Err("inputs of an unknown kind".to_owned()),
        }
    }

    fn add(&mut self, node: &NodeProto) -> Result<Value, String> {
        match (self.value(node, 0)?, self.value(node, 1)?) {
            (Value::Through(x, through), Value::Folded(y, folded)) if x == y && !folded.is_empty() => {
                let channels = through.len().max(folded.len());
                let part = |numbers: &[f32], at: usize| numbers[if numbers.len() == 1 { 0 } else { at }];
                if [&through, &folded].iter().any(|numbers| ![1, channels].contains(&numbers.len())) {
                    return Err("slopes of different sizes".to_owned());
                }
                let above: Vec<f32> = (0..channels).map(|at| part(&through, at) + part(&folded, at)).collect();
                let below: Vec<f32> = (0..channels).map(|at| part(&through, at) - part(&folded, at)).collect();
                self.bend(x, node, 2, &above, &below)
            }
            (Value::Through(x, scale), Value::Constant(_, shift)) => {
                let (Op::Input(affine), Ok(scale), Ok(shift)) =
                    (&mut self.nodes[x].op, scale.as_slice().try_into(), shift.as_slice().try_into())
                else {
                    return Err("a scale stands where none is known".to_owned());
                };
                *affine = [scale, shift];
                Ok(Value::Node(x))
            }
            (Value::Node(x), Value::Node(y)) if self.nodes[x].shape == self.nodes[y].shape => {
                let shape = self.nodes[x].shape;
                Ok(self.push(&node.output[0], Op::Add, vec![x, y], shape))
            }
            _ => Err("inputs of an unknown kind".to_owned()),
        }
    }

    fn pool(&mut self, node: &NodeProto) -> Result<Value, String> {
        let x = self.picture(node, 0)?;
        let from = self.nodes[x].shape;
        let plain = ints(node, "kernel_shape") == [2, 2]
            && ints(node, "strides") == [2, 2]
            && ints(node, "pads").iter().all(|&pad| pad == 0)
            && from.height.is_multiple_of(2)
            && from.width.is_multiple_of(2);
        if !plain {
            return Err("its window is not two by two".to_owned());
        }
        let shape = Shape { height: from.height / 2, width: from.width / 2, ..from };
        Ok(self.push(&node.output[0], Op::Pool, vec![x], shape))
    }

    fn resize(&mut self, node: &NodeProto) -> Result<Value, String> {
        let x = self.picture(node, 0)?;
        let (_, scales) = self.constant(node, node.input.len() - 1)?;
        let plain = scales == [1.0, 1.0, 2.0, 2.0]
            && text(node, "mode") == b"nearest"
            && text(node, "coordinate_transformation_mode") == b"asymmetric"
            && text(node, "nearest_mode") == b"floor";
        if !plain {
            return Err("it does not repeat each pixel".to_owned());
        }
        let from = self.nodes[x].shape;
        let shape = Shape { height: from.height * 2, width: from.width * 2, ..from };
        Ok(self.push(&node.output[0], Op::Double, vec![x], shape))
    }

    fn sigmoid(&mut self, node: &NodeProto) -> Result<Value, String> {
        let value = self.value(node, 0)?;
        if let Value::Turned(x) = value {
            return Ok(Value::Last(x, Last::Sigmoid));
        }
        let x = self.picture(node, 0)?;
        if !self.is_pixel(x) {
            return Err("it stands where none is known".to_owned());
        }
        let shape = self.nodes[x].shape;
        Ok(self.push(&node.output[0], Op::Sigmoid, vec![x], shape))
    }

    fn matmul(&mut self, node: &NodeProto) -> Result<Value, String> {
        let x = self.picture(node, 0)?;
        let (dims, numbers) = self.constant(node, 1)?;
        let from = self.nodes[x].shape;
        let [deep, out] = dims[..] else { return Err("odd weights".to_owned()) };
        if (from.height, from.width, from.channels) != (1, 1, deep) {
            return Err("shapes do not fit".to_owned());
        }
        let weights = (0..out * deep).map(|at| numbers[at % deep * out + at / deep]).collect();
        let conv = Conv { weights, bias: vec![0.0; out], kernel: 1, stride: 1, pad: 0, bend: None };
        Ok(self.push(&node.output[0], Op::Dense(conv), vec![x], Shape { channels: out, ..from }))
    }

    /// Becomes a part of the layer before it.
    fn normalise(&mut self, node: &NodeProto) -> Result<Value, String> {
        let x = self.picture(node, 0)?;
        let mut parts = Vec::new();
        for at in 1..5 {
            parts.push(self.constant(node, at)?.1);
        }
        let epsilon = node.attribute.iter().find(|a| a.name == "epsilon").map_or(1e-5, |a| a.f);
        let alone = self.uses.get(&self.names[x]) == Some(&1);
        let channels = self.nodes[x].shape.channels;
        let Op::Dense(conv) = &mut self.nodes[x].op else { return Err("it follows no dense layer".to_owned()) };
        if !alone || conv.bend.is_some() || parts.iter().any(|part| part.len() != channels) {
            return Err("it stands where none is known".to_owned());
        }
        let depth = conv.weights.len() / channels;
        for (at, weights) in conv.weights.chunks_exact_mut(depth).enumerate() {
            let [gain, shift, mean, variance] = [0, 1, 2, 3].map(|part: usize| parts[part][at]);
            let scale = gain / (variance + epsilon).sqrt();
            weights.iter_mut().for_each(|weight| *weight *= scale);
            conv.bias[at] = (conv.bias[at] - mean) * scale + shift;
        }
        self.names[x].clone_from(&node.output[0]);
        Ok(Value::Node(x))
    }

    fn output(&self, name: &str) -> Result<Output, String> {
        let (node, last) = match self.values.get(name) {
            Some(Value::Last(x, last)) => (*x, *last),
            Some(Value::Turned(x)) => (*x, Last::Plain),
            Some(Value::Node(x)) if self.is_pixel(*x) => (*x, Last::Plain),
            _ => return Err(format!("output {name} is of an unknown kind")),
        };
        Ok(Output { node, first: 0, channels: self.nodes[node].shape.channels, last })
    }
}

fn dims(info: &ValueInfoProto) -> Option<Vec<usize>> {
    let type_proto::Value::TensorType(tensor) = info.r#type.as_ref()?.value.as_ref()?;
    let mut sizes = Vec::new();
    for dim in &tensor.shape.as_ref()?.dim {
        let dimension::Value::DimValue(size) = dim.value.as_ref()? else { return None };
        sizes.push(usize::try_from(*size).ok()?);
    }
    Some(sizes)
}

fn ints(node: &NodeProto, name: &str) -> Vec<usize> {
    let found = node.attribute.iter().find(|attribute| attribute.name == name);
    found.map_or(Vec::new(), |attribute| {
        let many = attribute.ints.iter().map(|&value| usize::try_from(value).unwrap_or(usize::MAX));
        if attribute.ints.is_empty() {
            vec![usize::try_from(attribute.i).unwrap_or(usize::MAX)]
        } else {
            many.collect()
        }
    })
}

fn text<'a>(node: &'a NodeProto, name: &str) -> &'a [u8] {
    node.attribute.iter().find(|attribute| attribute.name == name).map_or(&[][..], |attribute| attribute.s.as_slice())
}
