//! The keywords of JSON Schema that the contract uses. An object holds what is named and nothing else, unless it is said to be
//! open; a keyword this does not know is refused, so that nothing stands in the document unchecked.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value};

/// What a `$ref` names; anything else is itself.
///
/// # Errors
/// It names something elsewhere, or nothing.
pub fn resolved<'a>(root: &'a Value, value: &'a Value) -> Result<&'a Value> {
    let Some(name) = value["$ref"].as_str() else { return Ok(value) };
    let pointer = name.strip_prefix('#').with_context(|| format!("{name} is elsewhere"))?;
    root.pointer(pointer).with_context(|| format!("{name} is not there"))
}

/// # Errors
/// Says what of `value` is not as `schema` has it, and where.
pub fn holds(root: &Value, schema: &Value, value: &Value) -> Result<()> {
    let schema = resolved(root, schema)?.as_object().context("a schema is an object")?;
    for (keyword, said) in schema {
        let holds = match keyword.as_str() {
            "type" => is_of(said, value)?,
            "const" => said == value,
            "enum" => said.as_array().is_some_and(|listed| listed.contains(value)),
            "pattern" => matches(said, value)?,
            "maxLength" => value.as_str().is_none_or(|text| said.as_u64() >= Some(text.chars().count() as u64)),
            "minimum" => value.as_i64().is_none_or(|number| said.as_i64().is_some_and(|least| number >= least)),
            "maximum" => value.as_u64().is_none_or(|number| said.as_u64().is_some_and(|most| number <= most)),
            "minProperties" => value.as_object().is_none_or(|object| said.as_u64() <= Some(object.len() as u64)),
            "maxProperties" => value.as_object().is_none_or(|object| said.as_u64() >= Some(object.len() as u64)),
            "required" => is_whole(said, value)?,
            "oneOf" => {
                let alternatives = said.as_array().context("oneOf is a list")?;
                let held = alternatives.iter().map(|one| holds(root, one, value));
                let wrong: Vec<String> = held.filter_map(Result::err).map(|error| format!("{error:#}")).collect();
                ensure!(wrong.len() + 1 == alternatives.len(), "not one of its shapes: {}", wrong.join(" | "));
                true
            }
            "items" => {
                for (nth, item) in value.as_array().into_iter().flatten().enumerate() {
                    holds(root, said, item).with_context(|| format!("item {nth}"))?;
                }
                true
            }
            "properties" => {
                properties(root, said, schema.get("additionalProperties"), value)?;
                true
            }
            "additionalProperties" => {
                let named = schema.get("properties").is_some();
                if !named && said.is_object() {
                    properties(root, &Value::Object(Map::new()), Some(said), value)?;
                }
                true
            }
            "description" | "contentMediaType" | "contentSchema" | "examples" => true,
            other => bail!("this judge does not know the keyword {other}"),
        };
        ensure!(holds, "{} does not hold {keyword} {said}", shortly(value));
    }
    Ok(())
}

fn is_whole(said: &Value, value: &Value) -> Result<bool> {
    let names = said.as_array().context("required is a list")?;
    Ok(value
        .as_object()
        .is_none_or(|object| names.iter().filter_map(Value::as_str).all(|name| object.contains_key(name))))
}

fn properties(root: &Value, named: &Value, others: Option<&Value>, value: &Value) -> Result<()> {
    for (name, inner) in value.as_object().into_iter().flatten() {
        match (named.get(name), others) {
            (Some(schema), _) => holds(root, schema, inner).with_context(|| name.clone())?,
            (None, Some(Value::Bool(true))) => {}
            (None, Some(schema @ Value::Object(_))) => holds(root, schema, inner).with_context(|| name.clone())?,
            (None, _) => bail!("{name} is not documented"),
        }
    }
    Ok(())
}

fn is_of(said: &Value, value: &Value) -> Result<bool> {
    let types = said.as_array().map_or(std::slice::from_ref(said), Vec::as_slice);
    for one in types {
        let is = match one.as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("boolean") => value.is_boolean(),
            Some("null") => value.is_null(),
            _ => bail!("this judge does not know the type {one}"),
        };
        if is {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The one pattern there is: a hash.
fn matches(said: &Value, value: &Value) -> Result<bool> {
    ensure!(said == "^[0-9a-f]{64}$", "this judge does not know the pattern {said}");
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    Ok(value.as_str().is_none_or(|text| text.len() == 64 && text.bytes().all(digit)))
}

fn shortly(value: &Value) -> String {
    value.to_string().chars().take(80).collect()
}
