//! Alipay's RSA2 signatures. docs/PAYMENTS.md maps its calls to our port.

use super::rsa::{Signing, Verifying};
use std::collections::BTreeMap;

/// Parameters by name, without empty ones, `sign`, and what `leave_out` names, joined as `a=1&b=2`.
fn message(parameters: &BTreeMap<String, String>, leave_out: &[&str]) -> String {
    let signed = parameters
        .iter()
        .filter(|(name, value)| !value.is_empty() && name.as_str() != "sign" && !leave_out.contains(&name.as_str()));
    let pairs: Vec<String> = signed.map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// What is signed of a request: every parameter, `sign_type` among them, before it is URL-encoded.
#[must_use]
pub fn request_message(parameters: &BTreeMap<String, String>) -> String {
    message(parameters, &[])
}

/// What is signed of a notification: without `sign_type`, after it is URL-decoded.
#[must_use]
pub fn notice_message(parameters: &BTreeMap<String, String>) -> String {
    message(parameters, &["sign_type"])
}

/// # Errors
/// When it cannot be signed.
pub fn sign(key: &Signing, parameters: &BTreeMap<String, String>) -> anyhow::Result<String> {
    key.sign(&request_message(parameters))
}

#[must_use]
pub fn verify_notice(key: &Verifying, parameters: &BTreeMap<String, String>) -> bool {
    parameters.get("sign").is_some_and(|sign| key.verifies(&notice_message(parameters), sign))
}

/// The answer to a request is signed as the bytes of the object `…_response` stand there: neither parsed nor written again.
#[must_use]
pub fn verify_answer(key: &Verifying, response: &str, sign: &str) -> bool {
    key.verifies(response, sign)
}
