//! Small networks, computed here and by tract.

use prost::Message;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto};

use crate::model::Network;
use crate::onnx::{integer, integers, op, tensor, value_info};

/// A network being written down, with numbers that repeat in every run.
#[derive(Default)]
struct Sketch {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    state: u32,
}

impl Sketch {
    fn numbers(&mut self, count: usize) -> Vec<f32> {
        let mut next = || {
            self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (self.state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn constant(&mut self, dims: &[i64]) -> String {
        let name = format!("c{}", self.constants.len());
        let count = dims.iter().product::<i64>() as usize;
        let numbers = self.numbers(count);
        self.constants.push(tensor(&name, dims, &numbers));
        name
    }

    fn node(&mut self, kind: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let name = format!("n{}", self.nodes.len());
        self.nodes.push(op(kind, inputs, &name, attributes));
        name
    }

    /// Output channels, input channels per group, kernel; stride; groups.
    fn conv(&mut self, x: &str, [out, per_group, kernel]: [i64; 3], stride: i64, group: i64) -> String {
        let (weights, bias) = (self.constant(&[out, per_group, kernel, kernel]), self.constant(&[out]));
        let attributes = vec![
            integers("kernel_shape", &[kernel, kernel]),
            integers("strides", &[stride, stride]),
            integers("pads", &[if kernel == 3 { 1 } else { 0 }; 4]),
            integer("group", group),
        ];
        self.node("Conv", &[x, &weights, &bias], attributes)
    }

    fn prelu(&mut self, x: &str, channels: i64) -> String {
        let slopes = self.constant(&[channels, 1, 1]);
        self.node("PRelu", &[x, &slopes], Vec::new())
    }

    /// Channels last, in one row, as our detectors' outputs are.
    fn outputs(mut self, side: i64, ends: &[(String, [i64; 3])]) -> Vec<u8> {
        let mut output = Vec::new();
        for (x, shape) in ends {
            let turned = self.node("Transpose", &[x], vec![integers("perm", &[0, 2, 3, 1])]);
            output.push(value_info(&turned, &[1, shape[0], shape[1], shape[2]]));
        }
        let graph = GraphProto {
            node: self.nodes,
            initializer: self.constants,
            input: vec![value_info("input", &[1, 3, side, side])],
            output,
            ..GraphProto::default()
        };
        let opset_import = vec![OperatorSetIdProto { version: 13, ..OperatorSetIdProto::default() }];
        ModelProto { ir_version: 7, opset_import, graph: Some(graph), ..ModelProto::default() }.encode_to_vec()
    }
}

/// Largest difference to tract as a share of the largest number, one thread and two.
fn difference(side: usize, bytes: &[u8]) -> f32 {
    let shape = [1, 3, side, side];
    let mut ours = Network::from_onnx("sketch", shape, bytes).unwrap();
    assert!(ours.is_planned());
    let planes: Vec<f32> = (0..3 * side * side).map(|at| (at * 7919 % 256) as f32 / 64.0).collect();
    let expected = Network::on_tract("sketch", shape, bytes).unwrap().run(&planes).unwrap();
    let mut worst = 0.0_f32;
    for threads in [1, 2, 2] {
        ours.set_threads(threads);
        let found = ours.run(&planes).unwrap();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.len(), expected.len());
            let most = expected.iter().fold(1.0, |most: f32, number| most.max(number.abs()));
            worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs() / most).fold(worst, f32::max);
        }
        ours.forget();
    }
    worst
}

#[test]
fn layers_of_any_width_compute_what_tract_computes() {
    for (channels, side) in [(5, 12), (16, 22), (23, 98), (64, 100), (103, 36)] {
        let mut sketch = Sketch::default();
        let x = sketch.conv("input", [channels, 3, 3], 2, 1);
        let x = sketch.prelu(&x, channels);
        let y = sketch.conv(&x, [channels + 3, channels, 1], 1, 1);
        let y = sketch.conv(&y, [channels + 3, 1, 3], 1, channels + 3);
        let y = sketch.node("Relu", &[&y], Vec::new());
        let z = sketch.conv(&y, [channels, channels + 3, 1], 1, 1);
        let sum = sketch.node("Add", &[&x, &z], Vec::new());
        let deep = sketch.conv(&sum, [channels, 1, 3], 2, channels);
        let deep = sketch.prelu(&deep, channels);
        let half = side / 2;
        let quarter = (half - 1) / 2 + 1;
        let bytes = sketch.outputs(side, &[(sum, [half, half, channels]), (deep, [quarter, quarter, channels])]);
        let off = difference(side as usize, &bytes);
        assert!(off < 1e-5, "{channels} channels: {off}");
    }
}

#[test]
fn heads_that_look_at_one_picture_and_pools_keep_their_outputs_apart() {
    for side in [24, 192] {
        let mut sketch = Sketch::default();
        let x = sketch.conv("input", [16, 3, 3], 2, 1);
        let x = sketch.node("Relu", &[&x], Vec::new());
        let x = sketch.conv(&x, [16, 16, 1], 1, 1);
        let x = sketch.conv(&x, [16, 1, 3], 1, 16);
        let x = sketch.node("Relu", &[&x], Vec::new());
        let window = vec![integers("kernel_shape", &[2, 2]), integers("strides", &[2, 2])];
        let x = sketch.node("MaxPool", &[&x], window);
        let quarter = side / 4;
        let mut ends = Vec::new();
        for channels in [1, 4, 1, 10] {
            let head = sketch.conv(&x, [channels, 16, 1], 1, 1);
            let head = sketch.conv(&head, [channels, 1, 3], 1, channels);
            ends.push((head, [quarter, quarter, channels]));
        }
        let off = difference(side as usize, &sketch.outputs(side, &ends));
        assert!(off < 1e-5, "side {side}: {off}");
    }
}

#[test]
fn a_channel_is_gated_by_what_the_whole_picture_shows() {
    let mut sketch = Sketch::default();
    let x = sketch.conv("input", [20, 3, 3], 2, 1);
    let mean = sketch.node("GlobalAveragePool", &[&x], Vec::new());
    let few = sketch.conv(&mean, [4, 20, 1], 1, 1);
    let few = sketch.node("Relu", &[&few], Vec::new());
    let gate = sketch.conv(&few, [20, 4, 1], 1, 1);
    let gate = sketch.node("Sigmoid", &[&gate], Vec::new());
    let gated = sketch.node("Mul", &[&x, &gate], Vec::new());
    let sum = sketch.node("Add", &[&x, &gated], Vec::new());
    let off = difference(20, &sketch.outputs(20, &[(sum, [10, 10, 20])]));
    assert!(off < 1e-5, "{off}");
}

#[test]
fn a_model_with_operations_unknown_here_runs_on_tract() {
    let mut sketch = Sketch::default();
    let x = sketch.conv("input", [4, 3, 3], 1, 1);
    let x = sketch.node("Tanh", &[&x], Vec::new());
    let bytes = sketch.outputs(6, &[(x, [6, 6, 4])]);
    let network = Network::from_onnx("sketch", [1, 3, 6, 6], &bytes).unwrap();
    assert!(!network.is_planned());
    let numbers = network.run(&[0.5; 3 * 6 * 6]).unwrap();
    assert_eq!(numbers[0].len(), 6 * 6 * 4);
    assert!(numbers[0].iter().all(|number| (-1.0..=1.0).contains(number)));
    assert!(network.run(&[0.5; 7]).unwrap_err().to_string().contains("no picture"));
    assert!(Network::from_onnx("noise", [1, 3, 6, 6], b"no model").is_err());
}
