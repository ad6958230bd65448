//! How bytes get to a device: `serial:/dev/ttyACM0?baud=9600&mode=8N1`, `tcp:host:port`, `tls:host:port?ca=FILE&cn=NAME`,
//! `unix:/path`, `file:/path`, `hid:/dev/hidraw0`, `evdev:/dev/input/…`, `fd:7`; `record:FILE,LINK` writes a story down, `replay:FILE` plays one.

use crate::node::Node;
use crate::recording::{Recorded, replay};
use crate::tls::Peer;
use anyhow::{Context, Result, bail};
use drivers::{LinkKind, Spec};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_serial::{DataBits, Parity, SerialPortBuilderExt as _, StopBits};

const CONNECT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    Serial {
        path: String,
        baud: u32,
        data: DataBits,
        parity: Parity,
        stop: StopBits,
    },
    Tcp(String),
    Tls(Peer),
    Unix(PathBuf),
    File(PathBuf),
    Hid(PathBuf),
    Evdev(PathBuf),
    /// A descriptor this process was started with.
    Fd(i32),
    Record(PathBuf, Box<Link>),
    Replay(PathBuf),
}

/// An open line.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Link {
    /// # Errors
    /// Says what a link looks like.
    pub fn parse(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some(("serial", rest)) => serial(rest).with_context(|| format!("link {text:?}")),
            Some(("tcp", address)) if address.contains(':') => Ok(Self::Tcp(address.into())),
            Some(("tls", rest)) => Ok(Self::Tls(Peer::parse(rest).with_context(|| format!("link {text:?}"))?)),
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("hid", path)) if !path.is_empty() => Ok(Self::Hid(path.into())),
            Some(("evdev", path)) if !path.is_empty() => Ok(Self::Evdev(path.into())),
            Some(("fd", number)) => Ok(Self::Fd(number.parse().with_context(|| format!("fd:{number} is no number"))?)),
            Some(("replay", path)) if !path.is_empty() => Ok(Self::Replay(path.into())),
            Some(("record", rest)) => {
                let (path, link) = rest.split_once(',').context("record: wants a file, a comma and a link")?;
                Ok(Self::Record(path.into(), Box::new(Self::parse(link)?)))
            }
            Some(_) | None => {
                bail!(
                    "link {text:?} is none of serial:/dev/…?baud=9600&mode=8N1, tcp:host:port, tls:host:port?ca=FILE&cn=NAME, \
                     unix:/path, file:/path, \
                     hid:/dev/hidraw0, evdev:/dev/input/…, fd:7, record:FILE,LINK, replay:FILE"
                )
            }
        }
    }

    /// Which of the driver's link kinds this is; TCP stays open or not as the driver says.
    #[must_use]
    pub fn kind(&self, spec: &Spec) -> LinkKind {
        match self {
            Self::Serial { .. } => LinkKind::Serial,
            Self::Tcp(_) if spec.links.contains(&LinkKind::TcpPerCommand) => LinkKind::TcpPerCommand,
            Self::Tcp(_) => LinkKind::Tcp,
            Self::Tls(_) => LinkKind::TlsPerCommand,
            Self::Unix(_) => LinkKind::Unix,
            Self::File(_) => LinkKind::File,
            Self::Hid(_) => LinkKind::Hid,
            Self::Evdev(_) => LinkKind::Evdev,
            // Every driver works over bytes that are already there.
            Self::Fd(_) | Self::Replay(_) => spec.links.first().copied().unwrap_or(LinkKind::Serial),
            Self::Record(_, link) => link.kind(spec),
        }
    }

    /// The node in /dev that has to be there before the line can be opened.
    #[must_use]
    pub fn node(&self) -> Option<&std::path::Path> {
        match self {
            Self::Serial { path, .. } => Some(path.as_ref()),
            Self::Hid(path) | Self::Evdev(path) => Some(path),
            Self::Record(_, link) => link.node(),
            Self::Tcp(_) | Self::Tls(_) | Self::Unix(_) | Self::File(_) | Self::Fd(_) | Self::Replay(_) => None,
        }
    }

    /// # Errors
    /// Why the other end could not be reached.
    pub async fn open(&self) -> Result<Box<dyn Stream>> {
        let opened = tokio::time::timeout(CONNECT, self.open_now()).await;
        opened.with_context(|| format!("{self:?}: no answer in {CONNECT:?}"))?
    }

    async fn open_now(&self) -> Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Serial { path, baud, data, parity, stop } => {
                let port = tokio_serial::new(path, *baud).data_bits(*data).parity(*parity).stop_bits(*stop);
                Box::new(port.open_native_async().with_context(|| format!("cannot open {path}"))?)
            }
            Self::Tcp(address) => {
                let stream = tokio::net::TcpStream::connect(address).await;
                let stream = stream.with_context(|| format!("cannot connect to {address}"))?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Self::Tls(peer) => Box::new(peer.connect().await?),
            Self::Unix(path) => {
                let stream = tokio::net::UnixStream::connect(path).await;
                Box::new(stream.with_context(|| format!("cannot connect to {}", path.display()))?)
            }
            Self::File(path) => {
                let file = tokio::fs::OpenOptions::new().read(true).append(true).create(true).open(path).await;
                Box::new(file.with_context(|| format!("cannot open {}", path.display()))?)
            }
            Self::Hid(path) => Box::new(Node::hid(path)?),
            Self::Evdev(path) => Box::new(Node::evdev(path).await?),
            Self::Fd(number) => Box::new(Node::adopted(*number)?),
            Self::Record(file, link) => Box::new(Recorded::new(Box::pin(link.open_now()).await?, file)?),
            Self::Replay(path) => Box::new(replay(path).await?),
        })
    }
}

fn serial(rest: &str) -> Result<Link> {
    let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() {
        bail!("names no device, such as serial:/dev/serial/by-id/…");
    }
    let (mut baud, mut mode) = (9600, "8N1");
    for option in options.split('&').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("baud", value)) => baud = value.parse().with_context(|| format!("baud={value} is no number"))?,
            Some(("mode", value)) => mode = value,
            Some(_) | None => bail!("{option:?} is neither baud=… nor mode=…"),
        }
    }
    let (data, parity, stop) =
        frame(mode).with_context(|| format!("mode={mode} is none of 8N1, 8N2, 7E1, 7O1, 8E1"))?;
    Ok(Link::Serial { path: path.into(), baud, data, parity, stop })
}

fn frame(mode: &str) -> Option<(DataBits, Parity, StopBits)> {
    let mut letters = mode.chars();
    let data = match letters.next()? {
        '7' => DataBits::Seven,
        '8' => DataBits::Eight,
        _ => return None,
    };
    let parity = match letters.next()? {
        'N' => Parity::None,
        'E' => Parity::Even,
        'O' => Parity::Odd,
        _ => return None,
    };
    let stop = match letters.next()? {
        '1' => StopBits::One,
        '2' => StopBits::Two,
        _ => return None,
    };
    letters.next().is_none().then_some((data, parity, stop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_and_mistakes_told() {
        let scale = Link::parse("serial:/dev/ttyUSB0?baud=9600&mode=7E1").unwrap();
        let Link::Serial { data: DataBits::Seven, parity: Parity::Even, .. } = scale else { panic!("{scale:?}") };
        assert_eq!(Link::parse("tcp:10.0.0.7:20007").unwrap(), Link::Tcp("10.0.0.7:20007".into()));
        let Link::Record(_, inner) = Link::parse("record:/tmp/a.log,tcp:10.0.0.7:4001").unwrap() else { panic!() };
        assert_eq!(*inner, Link::Tcp("10.0.0.7:4001".into()));
        assert_eq!(Link::parse("fd:7").unwrap(), Link::Fd(7));
        for bad in [
            "record:x",
            "record:x,y",
            "fd:x",
            "hid:",
            "serial:",
            "serial:/dev/x?mode=9N1",
            "serial:/dev/x?speed=1",
            "tcp:host",
            "http://x",
            "unix:",
            "",
        ] {
            assert!(Link::parse(bad).is_err(), "{bad} was taken");
        }
    }
}
