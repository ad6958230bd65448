//! A device's `options` table.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// No table at all is an empty one.
pub(crate) fn parse<T: DeserializeOwned>(options: &Value) -> Result<T, String> {
    let table = if options.is_null() { Value::Object(serde_json::Map::new()) } else { options.clone() };
    serde_json::from_value(table).map_err(|wrong| wrong.to_string())
}
