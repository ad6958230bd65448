//! OpenVINO intermediate representation to ONNX, for the operations that the recogniser uses.

use std::collections::BTreeMap;

use prost::Message;
use roxmltree::{Document, Node};
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, OperatorSetIdProto};

use crate::onnx::{integer, integers, op, replace_prelu, tensor, value_info};

const IR_VERSION: i64 = 8;
const OPSET: i64 = 13;

/// Converts a network description (`.xml`) and its weights (`.bin`, 16-bit floats) to an ONNX file with one `input` and
/// one flat `output`, PRelu already replaced. The same input gives the same bytes.
pub fn to_onnx(xml: &str, weights: &[u8]) -> Result<Vec<u8>, String> {
    let document = Document::parse(xml).map_err(|error| format!("it is not XML: {error}"))?;
    let network = document.root_element();
    let mut builder = Builder { weights, sources: edges(network)?, ..Builder::default() };
    for layer in children(child(network, "layers")?, "layer") {
        let kind = attribute(layer, "type")?;
        let id = attribute(layer, "id")?;
        builder.layer(kind, id, layer).map_err(|reason| format!("layer {id} ({kind}): {reason}"))?;
    }
    let mut graph = builder.graph;
    replace_prelu(&mut graph)?;
    let model = ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSetIdProto { version: OPSET, ..OperatorSetIdProto::default() }],
        graph: Some(graph),
        ..ModelProto::default()
    };
    Ok(model.encode_to_vec())
}

/// A constant, already widened to 32 bits.
#[derive(Debug, Clone)]
struct Constant {
    dims: Vec<i64>,
    numbers: Vec<f32>,
}

#[derive(Default)]
struct Builder<'a> {
    weights: &'a [u8],
    /// Layers feeding a layer, by input port.
    sources: BTreeMap<String, Vec<String>>,
    constants: BTreeMap<String, Constant>,
    graph: GraphProto,
}

impl Builder<'_> {
    fn layer(&mut self, kind: &str, id: &str, layer: Node<'_, '_>) -> Result<(), String> {
        let tensor_name = format!("t{id}");
        match kind {
            "Parameter" => self.parameter(id, layer),
            "Const" => self.constant(id, layer),
            "Convert" => {
                let constant = self.constants.get(self.source(id, 0)?).ok_or("it converts no constant")?;
                self.constants.insert(id.to_owned(), constant.clone());
                Ok(())
            }
            "Convolution" => self.convolution(id, layer, false),
            "GroupConvolution" => self.convolution(id, layer, true),
            "Add" if self.absorb_bias(id)? => Ok(()),
            "Add" => self.node("Add", id, &tensor_name),
            "Multiply" => self.node("Mul", id, &tensor_name),
            "PReLU" => self.node("PRelu", id, &tensor_name),
            "Sigmoid" => self.node("Sigmoid", id, &tensor_name),
            "AvgPool" => self.pool(id, layer),
            "Result" => self.result(id, layer),
            _ => Err("this operation is not known".to_owned()),
        }
    }

    fn parameter(&mut self, id: &str, layer: Node<'_, '_>) -> Result<(), String> {
        let dims = numbers(attribute(child(layer, "data")?, "shape")?)?;
        self.graph.input.push(value_info("input", &dims));
        self.graph.name = "face".to_owned();
        self.graph.node.push(op("Identity", &["input"], &format!("t{id}"), Vec::new()));
        Ok(())
    }

    fn constant(&mut self, id: &str, layer: Node<'_, '_>) -> Result<(), String> {
        let data = child(layer, "data")?;
        if attribute(data, "element_type")? != "f16" {
            return Err("it does not hold 16-bit floats".to_owned());
        }
        let dims = numbers(attribute(data, "shape")?)?;
        let position = |name| attribute(data, name)?.parse::<usize>().map_err(|_| format!("{name} is no number"));
        let (offset, size) = (position("offset")?, position("size")?);
        let bytes = offset.checked_add(size).and_then(|end| self.weights.get(offset..end));
        let (pairs, rest) = bytes.ok_or("its weights lie outside the file")?.as_chunks::<2>();
        let numbers: Vec<f32> = pairs.iter().map(|pair| widen(u16::from_le_bytes(*pair))).collect();
        if !rest.is_empty() || dims.iter().product::<i64>() != numbers.len() as i64 {
            return Err("its shape does not fit its weights".to_owned());
        }
        self.constants.insert(id.to_owned(), Constant { dims, numbers });
        Ok(())
    }

    fn convolution(&mut self, id: &str, layer: Node<'_, '_>, grouped: bool) -> Result<(), String> {
        let data = child(layer, "data")?;
        let list = |name| numbers(attribute(data, name)?);
        let pads = [list("pads_begin")?, list("pads_end")?].concat();
        let weights = self.constants.get(self.source(id, 1)?).ok_or("its weights are no constant")?;
        let (group, dims) = match (grouped, weights.dims.as_slice()) {
            (true, [group, out, rest @ ..]) => (*group, [&[group * out], rest].concat()),
            (false, dims) => (1, dims.to_vec()),
            (true, _) => return Err("its weights have no groups".to_owned()),
        };
        let attributes = vec![
            integers("dilations", &list("dilations")?),
            integer("group", group),
            integers("kernel_shape", dims.get(2..).ok_or("its weights have no kernel")?),
            integers("pads", &pads),
            integers("strides", &list("strides")?),
        ];
        let name = format!("w{id}");
        self.graph.initializer.push(tensor(&name, &dims, &weights.numbers));
        let input = self.input(id, 0)?;
        self.push("Conv", &[&input, &name], &format!("t{id}"), attributes);
        Ok(())
    }

    /// Makes an addition of one number per channel the bias of the convolution right before it.
    fn absorb_bias(&mut self, id: &str) -> Result<bool, String> {
        let (from, bias) = (self.source(id, 0)?, self.constants.get(self.source(id, 1)?));
        let readers = self.sources.values().flatten().filter(|source| *source == from).count();
        let convolution = format!("t{from}");
        let (Some(bias), Some(node)) = (bias, self.graph.node.last_mut()) else {
            return Ok(false);
        };
        let per_channel = matches!(bias.dims.as_slice(), [1, _, 1, 1]);
        if !per_channel || readers != 1 || node.op_type != "Conv" || node.output != [convolution] {
            return Ok(false);
        }
        let name = format!("b{id}");
        node.output = vec![format!("t{id}")];
        node.input.push(name.clone());
        self.graph.initializer.push(tensor(&name, &[bias.numbers.len() as i64], &bias.numbers));
        Ok(true)
    }

    fn pool(&mut self, id: &str, layer: Node<'_, '_>) -> Result<(), String> {
        let kernel = numbers(attribute(child(layer, "data")?, "kernel")?)?;
        let port = children(child(layer, "input")?, "port").next().ok_or("it has no input")?;
        let shape: Vec<i64> =
            children(port, "dim").filter_map(|dim| dim.text()).filter_map(|text| text.parse().ok()).collect();
        if shape.get(2..) != Some(kernel.as_slice()) {
            return Err("only pooling over the whole plane is known".to_owned());
        }
        self.node("GlobalAveragePool", id, &format!("t{id}"))
    }

    fn result(&mut self, id: &str, layer: Node<'_, '_>) -> Result<(), String> {
        let port = children(child(layer, "input")?, "port").next().ok_or("it has no input")?;
        let length: i64 =
            children(port, "dim").filter_map(|dim| dim.text()).filter_map(|text| text.parse::<i64>().ok()).product();
        self.graph.output.push(value_info("output", &[1, length]));
        let input = self.input(id, 0)?;
        self.push("Flatten", &[&input], "output", vec![integer("axis", 1)]);
        Ok(())
    }

    fn node(&mut self, kind: &str, id: &str, output: &str) -> Result<(), String> {
        let count = self.sources.get(id).map_or(0, Vec::len);
        let inputs = (0..count).map(|port| self.input(id, port)).collect::<Result<Vec<_>, _>>()?;
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        self.push(kind, &inputs, output, Vec::new());
        Ok(())
    }

    fn push(&mut self, kind: &str, inputs: &[&str], output: &str, attributes: Vec<AttributeProto>) {
        self.graph.node.push(op(kind, inputs, output, attributes));
    }

    fn source(&self, id: &str, port: usize) -> Result<&str, String> {
        let source = self.sources.get(id).and_then(|sources| sources.get(port));
        source.map(String::as_str).ok_or_else(|| format!("input {port} is not connected"))
    }

    /// The tensor at an input; a constant becomes an initializer.
    fn input(&mut self, id: &str, port: usize) -> Result<String, String> {
        let source = self.source(id, port)?.to_owned();
        let Some(constant) = self.constants.get(&source) else {
            return Ok(format!("t{source}"));
        };
        let name = format!("w{source}");
        self.graph.initializer.push(tensor(&name, &constant.dims, &constant.numbers));
        Ok(name)
    }
}

/// Which layers feed which, ordered by input port.
fn edges(network: Node<'_, '_>) -> Result<BTreeMap<String, Vec<String>>, String> {
    let mut ports: BTreeMap<String, BTreeMap<u32, String>> = BTreeMap::new();
    for edge in children(child(network, "edges")?, "edge") {
        let port = attribute(edge, "to-port")?.parse().map_err(|_| "an edge has no port number")?;
        let from = attribute(edge, "from-layer")?.to_owned();
        ports.entry(attribute(edge, "to-layer")?.to_owned()).or_default().insert(port, from);
    }
    Ok(ports.into_iter().map(|(layer, sources)| (layer, sources.into_values().collect())).collect())
}

fn children<'a, 'input>(node: Node<'a, 'input>, name: &'static str) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |child| child.has_tag_name(name))
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &'static str) -> Result<Node<'a, 'input>, String> {
    children(node, name).next().ok_or_else(|| format!("<{}> has no <{name}>", node.tag_name().name()))
}

fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Result<&'a str, String> {
    node.attribute(name).ok_or_else(|| format!("<{}> has no {name}", node.tag_name().name()))
}

fn numbers(list: &str) -> Result<Vec<i64>, String> {
    list.split(',').map(|part| part.trim().parse().map_err(|_| format!("{list:?} is no list of numbers"))).collect()
}

/// A 16-bit float as a 32-bit one, exactly.
fn widen(half: u16) -> f32 {
    let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(half >> 10 & 0x1f);
    let fraction = f32::from(half & 0x3ff) / 1024.0;
    match exponent {
        0 => sign * fraction * 2.0_f32.powi(-14),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1.0 + fraction) * 2.0_f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_widen_exactly() {
        for (half, expected) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 2.0_f32.powi(-24)),
            (0x0400, 2.0_f32.powi(-14)),
            (0x3555, 0.333_251_95),
        ] {
            assert_eq!(widen(half), expected);
        }
        assert_eq!(widen(0x7c00), f32::INFINITY);
        assert!(widen(0x7e00).is_nan());
    }

    #[test]
    fn what_is_not_known_is_named() {
        let xml = r#"<net><layers><layer id="3" type="LSTM"/></layers><edges/></net>"#;
        assert_eq!(to_onnx(xml, &[]).unwrap_err(), "layer 3 (LSTM): this operation is not known");
        let xml = r#"<net><layers><layer id="1" type="Const"><data element_type="f16" shape="4" offset="0" size="8"/></layer></layers><edges/></net>"#;
        assert_eq!(to_onnx(xml, &[0; 4]).unwrap_err(), "layer 1 (Const): its weights lie outside the file");
        assert!(to_onnx("garbage", &[]).is_err());
    }
}
