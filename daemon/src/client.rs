//! A small HTTP/1.1 client for our own pages on this machine: `aisled status`, the demo, whole-store tests.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(15);
const ANSWER_MAX: u64 = 64 * 1024 * 1024;

/// Status and JSON of `GET path`.
///
/// # Errors
/// Nobody listens, or what answers is not ours.
pub fn get(address: SocketAddr, path: &str) -> Result<(u16, Value)> {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"))
}

/// Status and JSON of `POST path`, with a bearer token where one is given.
///
/// # Errors
/// As [`get`].
pub fn post(address: SocketAddr, path: &str, token: Option<&str>, body: &Value) -> Result<(u16, Value)> {
    let body = body.to_string();
    let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let length = body.len();
    exchange(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nX-Aisle: 1\r\n{bearer}Content-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ),
    )
}

fn exchange(address: SocketAddr, request: &str) -> Result<(u16, Value)> {
    let mut stream =
        TcpStream::connect_timeout(&address, PATIENCE).with_context(|| format!("nobody listens on {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n").context("no HTTP answer")?;
    let head = String::from_utf8_lossy(&answer[..split]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no HTTP status")?;
    let body = &answer[split + 4..];
    let body = if head.contains("transfer-encoding: chunked") { unchunked(body)? } else { body.to_vec() };
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

fn unchunked(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n").context("a torn answer")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line])?.trim(), 16)?;
        let from = line + 2;
        ensure!(rest.len() >= from + size, "a torn answer");
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&rest[from..from + size]);
        rest = rest.get(from + size + 2..).context("a torn answer")?;
    }
}
