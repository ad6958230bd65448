//! A page as the daemon sees it: one open stream of server-sent events.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Page {
    stream: TcpStream,
    unread: Vec<u8>,
    read_at: Instant,
}

impl Page {
    pub fn open(address: SocketAddr, lane: u16) -> Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // HTTP/1.0 asks for a body without chunk framing.
        write!(stream, "GET /api/events/{lane} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        let mut page = Self { stream, unread: Vec::new(), read_at: Instant::now() };
        let head = page.take(b"\r\n\r\n")?;
        ensure!(head.contains(" 200 "), "the page's events are not served: {head}");
        Ok(page)
    }

    /// Reads on until a picture is as wanted; gives the moment its last byte was here, and the picture.
    pub fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<(Instant, Value)> {
        let patience = Instant::now() + PATIENCE;
        let mut last = Value::Null;
        while Instant::now() < patience {
            let message = self.take(b"\n\n").with_context(|| format!("waited for {what}; the lane shows {last}"))?;
            let Some(data) = message.strip_prefix("data:") else { continue };
            last = serde_json::from_str(data).context("an event that is no JSON")?;
            if wanted(&last) {
                return Ok((self.read_at, last));
            }
        }
        anyhow::bail!("waited {PATIENCE:?} for {what}; the lane shows {last}")
    }

    fn take(&mut self, end: &[u8]) -> Result<String> {
        let mut buffer = [0; 64 * 1024];
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|window| window == end) {
                let rest = self.unread.split_off(at + end.len());
                let message = std::mem::replace(&mut self.unread, rest);
                return Ok(String::from_utf8(message)?);
            }
            let count = self.stream.read(&mut buffer)?;
            self.read_at = Instant::now();
            ensure!(count > 0, "the daemon hung up");
            self.unread.extend_from_slice(&buffer[..count]);
        }
    }
}
