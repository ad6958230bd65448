//! Branches that look at the same picture are worked on as one: a detector's heads have 1, 4, 1 and 10 channels.

use super::graph::{Conv, Graph, Node, Op, Shape};

/// Joins pointwise convolutions of the same input that are each followed by their own depthwise one and nothing else.
pub fn heads(graph: &mut Graph) {
    let branches = branches(graph);
    let mut at = 0;
    while at < branches.len() {
        let (input, kind) = (branches[at].input, branches[at].kind);
        let group: Vec<Branch> =
            branches.iter().filter(|other| (other.input, other.kind) == (input, kind)).copied().collect();
        if group[0].dense == branches[at].dense && group.len() > 1 {
            join(graph, &group);
        }
        at += 1;
    }
}

#[derive(Clone, Copy)]
struct Branch {
    input: usize,
    dense: usize,
    deep: usize,
    /// Kernel, stride and padding of the depthwise convolution.
    kind: [usize; 3],
}

fn branches(graph: &Graph) -> Vec<Branch> {
    let readers = graph.readers();
    let branch = |(deep, node): (usize, &Node)| {
        let Op::Depthwise(conv) = &node.op else { return None };
        let dense = node.inputs[0];
        let Op::Dense(before) = &graph.nodes[dense].op else { return None };
        let plain = before.kernel == 1 && before.bend.is_none() && conv.bend.is_none();
        let last = readers[dense] == 1 && graph.nodes.iter().all(|other| !other.inputs.contains(&deep));
        let kind = [conv.kernel, conv.stride, conv.pad];
        (plain && last).then(|| Branch { input: graph.nodes[dense].inputs[0], dense, deep, kind })
    };
    graph.nodes.iter().enumerate().filter_map(branch).collect()
}

fn join(graph: &mut Graph, group: &[Branch]) {
    let mut first = 0;
    for branch in group {
        let channels = graph.nodes[branch.deep].shape.channels;
        for output in graph.outputs.iter_mut().filter(|output| output.node == branch.deep) {
            (output.node, output.first) = (group[0].deep, first);
        }
        first += channels;
    }
    for pick in [|branch: &Branch| branch.dense, |branch: &Branch| branch.deep] {
        let convs: Vec<&Conv> = group.iter().filter_map(|branch| conv(&graph.nodes[pick(branch)])).collect();
        let joined = Conv {
            weights: convs.iter().flat_map(|conv| conv.weights.iter().copied()).collect(),
            bias: convs.iter().flat_map(|conv| conv.bias.iter().copied()).collect(),
            ..convs[0].clone()
        };
        let node = &mut graph.nodes[pick(&group[0])];
        node.shape = Shape { channels: first, ..node.shape };
        match &mut node.op {
            Op::Dense(conv) | Op::Depthwise(conv) => *conv = joined,
            Op::Input(_) | Op::Pool | Op::Double | Op::Add | Op::Mean | Op::Gate | Op::Sigmoid => {}
        }
    }
}

fn conv(node: &Node) -> Option<&Conv> {
    match &node.op {
        Op::Dense(conv) | Op::Depthwise(conv) => Some(conv),
        Op::Input(_) | Op::Pool | Op::Double | Op::Add | Op::Mean | Op::Gate | Op::Sigmoid => None,
    }
}
