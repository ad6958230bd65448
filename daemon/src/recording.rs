//! `record:` writes what goes over a line as a story; `replay:` plays one in place of the device.

use crate::link::Stream;
use crate::wire_trace;
use anyhow::{Context as _, Result};
use drivers::story::{Step, parse};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf};
use tokio::time::Instant;

/// Bytes closer together than this stand on one line, so that a number cut into chunks is seen whole and masked.
const TOGETHER: Duration = Duration::from_millis(50);
const LINE_MAX: usize = 4096;
/// The other side had better have sent by now what the story says it sends.
const SENT: Duration = Duration::from_secs(5);

/// A line that is written down. Card numbers and wallet codes are blotted out before they reach the file.
pub(crate) struct Recorded {
    line: Box<dyn Stream>,
    file: File,
    mark: char,
    held: Vec<u8>,
    at: Instant,
}

impl Recorded {
    pub(crate) fn new(line: Box<dyn Stream>, path: &Path) -> Result<Self> {
        let file = File::options().append(true).create(true).open(path);
        let file = file.with_context(|| format!("cannot record to {}", path.display()))?;
        Ok(Self { line, file, mark: '>', held: Vec::new(), at: Instant::now() })
    }

    fn heard(&mut self, mark: char, bytes: &[u8]) {
        let pause = self.at.elapsed();
        if pause >= TOGETHER || mark != self.mark || self.held.len() + bytes.len() > LINE_MAX {
            self.flush();
            if pause >= TOGETHER {
                let _ = writeln!(self.file, "@ {}", pause.as_millis());
            }
        }
        self.at = Instant::now();
        self.mark = mark;
        self.held.extend_from_slice(bytes);
    }

    /// A full disk must not stop a device, so what cannot be written is lost.
    fn flush(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let told: Vec<String> = wire_trace::blotted(&self.held).iter().map(|byte| format!("{byte:02x}")).collect();
        let _ = writeln!(self.file, "{} {}", self.mark, told.join(" "));
        self.held.clear();
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.flush();
    }
}

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.line).poll_read(cx, buffer))?;
        let fresh = buffer.filled().get(before..).unwrap_or(&[]).to_vec();
        if !fresh.is_empty() {
            self.heard('>', &fresh);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.line).poll_write(cx, bytes))?;
        self.heard('<', bytes.get(..count).unwrap_or(bytes));
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.line).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.line).poll_shutdown(cx)
    }
}

/// The device's part of a story, at its own pace; what the till sends is waited for and not judged.
pub(crate) async fn replay(path: &Path) -> Result<DuplexStream> {
    let text = tokio::fs::read_to_string(path).await.with_context(|| format!("cannot replay {}", path.display()))?;
    let story = parse(&text).map_err(|wrong| anyhow::anyhow!("{}: {wrong}", path.display()))?;
    let (till, device) = tokio::io::duplex(LINE_MAX);
    tokio::spawn(play(story.steps, device));
    Ok(till)
}

async fn play(steps: Vec<Step>, mut device: DuplexStream) {
    for step in steps {
        let broken = match step {
            Step::Bytes(bytes) => device.write_all(&bytes).await.is_err(),
            Step::Wait(ms) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                false
            }
            Step::Sends(bytes) => {
                let mut sent = vec![0; bytes.len()];
                matches!(tokio::time::timeout(SENT, device.read_exact(&mut sent)).await, Ok(Err(_)))
            }
            Step::Command(_) => false,
        };
        if broken {
            return;
        }
    }
    // The story is told; the device stays there and is silent, until the line is closed.
    let mut rest = [0; 256];
    while device.read(&mut rest).await.is_ok_and(|count| count > 0) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_recorded_can_be_replayed_and_tells_no_private_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("story.log");
        let (till, mut device) = tokio::io::duplex(256);
        let mut recorded = Recorded::new(Box::new(till), &path).unwrap();
        let mut buffer = [0; 64];
        device.write_all(b"6901234567892\r\n1349123412").await.unwrap();
        let first = recorded.read(&mut buffer).await.unwrap();
        // The rest of a wallet code comes in another chunk.
        device.write_all(b"34567890\r\n").await.unwrap();
        let second = recorded.read(&mut buffer[first..]).await.unwrap();
        recorded.write_all(b"\x07").await.unwrap();
        drop(recorded);
        let text = std::fs::read_to_string(&path).unwrap();
        let wallet: Vec<String> = b"1349123412".iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!text.contains(&wallet.join(" ")), "{text}");
        let mut again = replay(&path).await.unwrap();
        let mut replayed = vec![0; first + second];
        again.read_exact(&mut replayed).await.unwrap();
        assert!(replayed.starts_with(b"6901234567892\r\n13") && replayed.ends_with(b"\r\n"), "{replayed:?}");
    }
}
