//! Independent evidence, where this machine has it.

use serde_json::Value;

/// The file `name` of the folder `AISLE_VECTORS` names, or nothing, said aloud.
pub(crate) fn read(name: &str) -> Option<Value> {
    let Some(folder) = std::env::var_os("AISLE_VECTORS") else {
        eprintln!("skipped: AISLE_VECTORS is not set");
        return None;
    };
    let path = std::path::Path::new(&folder).join(name);
    let text = std::fs::read_to_string(path).expect("a readable vector file");
    let parsed = serde_json::from_str(&text).or_else(|_| {
        // Bytes that are not UTF-8 are written as lone surrogates, which JSON readers refuse.
        let parts: Vec<&str> = text.split("\\udc").collect();
        let mended: Vec<String> = parts
            .iter()
            .enumerate()
            .map(|(at, part)| match at {
                0 => (*part).to_owned(),
                _ => format!("\\ufffd{}", &part[2..]),
            })
            .collect();
        serde_json::from_str(&mended.concat())
    });
    Some(parsed.expect("JSON"))
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}
