//! Rewrites of ONNX graphs that make them fast here without changing what they compute.

use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType, tensor_proto::DataType, tensor_shape_proto, tensor_shape_proto::dimension,
    type_proto,
};

/// Reads an ONNX file.
pub(crate) fn parse(bytes: &[u8]) -> Result<ModelProto, String> {
    ModelProto::decode(bytes).map_err(|error| format!("it is not an ONNX file: {error}"))
}

/// The same model in a form tract runs fast: PRelu replaced, class scores turned into probabilities, source notes gone.
pub(crate) fn rewrite_classifier(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut model = parse(bytes)?;
    let graph = model.graph.as_mut().ok_or("it has no graph")?;
    replace_prelu(graph)?;
    append_softmax(graph)?;
    Ok(model.encode_to_vec())
}

/// Replaces every PRelu(x, a) by (1+a)/2 x + (1-a)/2 |x|, which is the same function.
pub(crate) fn replace_prelu(graph: &mut GraphProto) -> Result<(), String> {
    let nodes = std::mem::take(&mut graph.node);
    for node in nodes {
        if node.op_type == "PRelu" {
            replace_one(graph, &node)?;
        } else {
            graph.node.push(node);
        }
    }
    let nodes = &graph.node;
    graph.initializer.retain(|tensor| nodes.iter().any(|node| node.input.contains(&tensor.name)));
    Ok(())
}

fn replace_one(graph: &mut GraphProto, node: &NodeProto) -> Result<(), String> {
    let ([x, slope], [y]) = (node.input.as_slice(), node.output.as_slice()) else {
        return Err(format!("PRelu {} has another shape than expected", node.name));
    };
    let found = graph.initializer.iter().find(|tensor| tensor.name == *slope);
    let slope = found.ok_or_else(|| format!("PRelu {} has no constant slope", node.name))?;
    let (dims, slopes) = (four_dimensions(&slope.dims), floats(slope)?);
    let name = |part: &str| format!("{y}/{part}");
    let through: Vec<f32> = slopes.iter().map(|a| (1.0 + a) / 2.0).collect();
    let folded: Vec<f32> = slopes.iter().map(|a| (1.0 - a) / 2.0).collect();
    graph.initializer.push(tensor(&name("through"), &dims, &through));
    graph.initializer.push(tensor(&name("folded"), &dims, &folded));
    graph.node.push(op("Abs", &[x], &name("abs"), Vec::new()));
    graph.node.push(op("Mul", &[&name("abs"), &name("folded")], &name("bent"), Vec::new()));
    graph.node.push(op("Mul", &[x, &name("through")], &name("line"), Vec::new()));
    graph.node.push(op("Add", &[&name("line"), &name("bent")], y, Vec::new()));
    Ok(())
}

/// Slopes broadcast against batch, channels, height, width; ONNX aligns them at the end.
fn four_dimensions(dims: &[i64]) -> Vec<i64> {
    let missing = 4_usize.saturating_sub(dims.len());
    std::iter::repeat_n(1, missing).chain(dims.iter().copied()).collect()
}

fn append_softmax(graph: &mut GraphProto) -> Result<(), String> {
    let [output] = graph.output.as_mut_slice() else {
        return Err("it has more than one output".to_owned());
    };
    let scores = std::mem::replace(&mut output.name, "prob".to_owned());
    graph.node.push(op("Softmax", &[&scores], "prob", vec![integer("axis", 1)]));
    Ok(())
}

/// The numbers of a constant.
pub(crate) fn floats(tensor: &TensorProto) -> Result<Vec<f32>, String> {
    if tensor.data_type != DataType::Float as i32 {
        return Err(format!("constant {} does not hold 32-bit floats", tensor.name));
    }
    if !tensor.float_data.is_empty() {
        return Ok(tensor.float_data.clone());
    }
    let (quads, rest) = tensor.raw_data.as_chunks::<4>();
    if quads.is_empty() || !rest.is_empty() {
        return Err(format!("constant {} has a broken length", tensor.name));
    }
    Ok(quads.iter().map(|quad| f32::from_le_bytes(*quad)).collect())
}

/// A constant of 32-bit floats.
pub(crate) fn tensor(name: &str, dims: &[i64], numbers: &[f32]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: dims.to_vec(),
        data_type: DataType::Float as i32,
        raw_data: numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
        ..TensorProto::default()
    }
}

/// One operation with one output, which also names it.
pub(crate) fn op(kind: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        op_type: kind.to_owned(),
        name: output.to_owned(),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute,
        ..NodeProto::default()
    }
}

/// A whole-number attribute.
pub(crate) fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: AttributeType::Int as i32, i: value, ..AttributeProto::default() }
}

/// An attribute of several whole numbers.
pub(crate) fn integers(name: &str, values: &[i64]) -> AttributeProto {
    let r#type = AttributeType::Ints as i32;
    AttributeProto { name: name.to_owned(), r#type, ints: values.to_vec(), ..AttributeProto::default() }
}

/// An input or output of 32-bit floats.
pub(crate) fn value_info(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = dims
        .iter()
        .map(|&value| tensor_shape_proto::Dimension {
            value: Some(dimension::Value::DimValue(value)),
            ..tensor_shape_proto::Dimension::default()
        })
        .collect();
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() }),
        ..ValueInfoProto::default()
    }
}
