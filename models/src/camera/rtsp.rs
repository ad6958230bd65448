//! A network camera over RTSP (RFC 2326), its pictures as MJPEG in RTP (RFC 2435) on the same TCP connection.
//!
//! Small on purpose: every read has an end, every message a cap. A camera that only has H.264 is told so, unless the program
//! is built to read that. Names and passwords come from a file and appear in no log.

#[cfg(feature = "camera-h264")]
mod h264;
mod jpeg;
mod words;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use self::words::{Address, Encoding, Login, cut};
pub use self::words::{Message, Offer};
use super::{Fault, Film, Outlet};
use crate::video;

/// How long one read lasts: so soon a closed outlet is noticed.
const POLL: Duration = Duration::from_millis(100);
/// The camera's time for each answer.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// Without a packet for so long the connection is dead.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// Cameras end a session nobody asks about, the strictest after half a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// What may wait unread: the largest packet and the largest message.
const PENDING_CAP: usize = 256 << 10;
const CHUNK: usize = 64 << 10;

/// Films the camera at `address`; `login` names the file with `user:password`.
///
/// # Errors
/// The address or the file cannot be read.
pub fn film(address: &str, login: Option<&Path>) -> Result<Film, Fault> {
    let address = Address::parse(address).map_err(Fault::Format)?;
    let login = login.map(Login::read).transpose().map_err(Fault::Refused)?;
    Ok(Arc::new(move |outlet| match run(&address, login.as_ref(), outlet) {
        Err(Ended::Fault(fault)) => Err(fault),
        Ok(()) | Err(Ended::Closed) => Ok(()),
    }))
}

enum Ended {
    Fault(Fault),
    /// Nobody looks any more.
    Closed,
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

fn run(address: &Address, login: Option<&Login>, outlet: &Outlet) -> Result<(), Ended> {
    let mut line = Line::connect(address, login, outlet)?;
    let described = line.ask("DESCRIBE", &address.url, "Accept: application/sdp\r\n")?;
    let offer = described.offer(&address.url).map_err(Fault::Format)?;
    line.ear.pictures = Pictures::of(&offer.encoding).map_err(Fault::Format)?;
    let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
    let set_up = line.ask("SETUP", &offer.track, transport)?;
    let session = set_up.header("session").map(|session| session.split(';').next().unwrap_or(session).trim());
    let session = format!("Session: {}\r\n", session.unwrap_or_default());
    line.ask("PLAY", &offer.whole, &session)?;
    let filmed = line.film(&offer.whole, &session);
    // A camera that is told goodbye is free for the next session at once.
    let _ = line.say("TEARDOWN", &offer.whole, &session);
    filmed
}

/// What a camera says, put together from its bytes however they come: all of it that a hostile one gets to touch.
#[derive(Debug, Default)]
pub struct Ear {
    pending: Zeroizing<Vec<u8>>,
    pictures: Pictures,
}

#[derive(Debug)]
pub enum Heard {
    /// A reply, or a request of the camera's own.
    Words(Message),
    /// A whole picture: a JPEG file, or units of H.264.
    Picture(Zeroizing<Vec<u8>>),
    /// A part of one, a torn one, or something else than pictures.
    Packet,
}

/// How pictures are put together.
#[derive(Debug)]
enum Pictures {
    Jpeg(jpeg::Pictures),
    #[cfg(feature = "camera-h264")]
    H264(h264::Pictures),
}

impl Default for Pictures {
    fn default() -> Self {
        Self::Jpeg(jpeg::Pictures::default())
    }
}

impl Pictures {
    fn of(encoding: &Encoding) -> Result<Self, String> {
        match encoding {
            Encoding::Jpeg => Ok(Self::default()),
            #[cfg(feature = "camera-h264")]
            Encoding::H264(sets) => Ok(Self::H264(h264::Pictures::new(sets))),
            #[cfg(not(feature = "camera-h264"))]
            Encoding::H264(_) => Err(words::unread("H264")),
        }
    }
}

impl Ear {
    pub fn hear(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole thing that was said.
    ///
    /// # Errors
    /// It is not RTSP, or has no end.
    pub fn heard(&mut self) -> Result<Option<Heard>, String> {
        match cut(&mut self.pending)? {
            None if self.pending.len() > PENDING_CAP => Err("a message without an end".to_owned()),
            None => Ok(None),
            Some(packet) if packet.channel == Some(0) => {
                let picture = match &mut self.pictures {
                    Pictures::Jpeg(pictures) => pictures.take(&packet.body),
                    #[cfg(feature = "camera-h264")]
                    Pictures::H264(pictures) => pictures.take(&packet.body),
                };
                Ok(Some(picture.map_or(Heard::Packet, Heard::Picture)))
            }
            Some(packet) if packet.channel.is_some() => Ok(Some(Heard::Packet)),
            Some(message) => Ok(Some(Heard::Words(message))),
        }
    }
}

/// One connection.
struct Line<'a> {
    address: &'a Address,
    login: Option<&'a Login>,
    outlet: &'a Outlet,
    stream: TcpStream,
    ear: Ear,
    chunk: Zeroizing<Vec<u8>>,
    said: u32,
    /// What the camera wants a password for.
    challenge: Option<String>,
}

impl<'a> Line<'a> {
    fn connect(address: &'a Address, login: Option<&'a Login>, outlet: &'a Outlet) -> Result<Self, Fault> {
        let away = |error: std::io::Error| {
            tracing::debug!(%error, "no connection");
            Fault::Absent(address.url.clone())
        };
        let mut found = (address.host.as_str(), address.port).to_socket_addrs().map_err(away)?;
        let found = found.next().ok_or_else(|| Fault::Absent(address.url.clone()))?;
        let stream = TcpStream::connect_timeout(&found, ANSWER_MAX).map_err(away)?;
        stream.set_read_timeout(Some(POLL)).and_then(|()| stream.set_write_timeout(Some(ANSWER_MAX))).map_err(away)?;
        let chunk = Zeroizing::new(vec![0; CHUNK]);
        Ok(Self { address, login, outlet, stream, ear: Ear::default(), chunk, said: 0, challenge: None })
    }

    fn say(&mut self, verb: &str, url: &str, headers: &str) -> Result<(), Fault> {
        self.said += 1;
        let proof = match (self.login, &self.challenge) {
            (Some(login), Some(challenge)) => login.answer(challenge, verb, url),
            (Some(_) | None, _) => Zeroizing::default(),
        };
        let request = Zeroizing::new(format!(
            "{verb} {url} RTSP/1.0\r\nCSeq: {}\r\nUser-Agent: aisle\r\n{}{headers}\r\n",
            self.said, *proof
        ));
        self.stream.write_all(request.as_bytes()).map_err(|_| Fault::NoPicture)
    }

    /// Asks and waits for the answer, with the password where it is wanted.
    fn ask(&mut self, verb: &str, url: &str, headers: &str) -> Result<Message, Ended> {
        for _ in 0..2 {
            self.say(verb, url, headers)?;
            let until = Instant::now() + ANSWER_MAX;
            let answer = loop {
                match self.next(until)? {
                    Some(Heard::Words(message)) if message.status != 0 => break message,
                    Some(_) => {}
                    None => return Err(Fault::NoPicture.into()),
                }
            };
            match answer.status {
                200 => return Ok(answer),
                401 if self.login.is_some() && self.challenge.is_none() => {
                    self.challenge = answer.challenge().map(str::to_owned);
                    if self.challenge.is_none() {
                        break;
                    }
                }
                401 => break,
                status => {
                    return Err(Fault::Format(format!("{}: {verb} is answered {status}", self.address.url)).into());
                }
            }
        }
        Err(Fault::Refused(format!("{}: name and password are missing or wrong", self.address.url)).into())
    }

    fn film(&mut self, whole: &str, session: &str) -> Result<(), Ended> {
        let mut asked = Instant::now();
        #[cfg(feature = "camera-h264")]
        let mut eyes = h264::Eyes::default();
        loop {
            let until = Instant::now() + SILENCE_MAX;
            if let Heard::Picture(picture) = self.next(until)?.ok_or(Fault::NoPicture)? {
                match &mut self.ear.pictures {
                    Pictures::Jpeg(_) => self.outlet.offer(|| video::jpeg(&picture)),
                    // Pictures lean on those before: each is decoded, whether or not somebody waits for one.
                    #[cfg(feature = "camera-h264")]
                    Pictures::H264(pictures) => match eyes.see(&picture) {
                        Ok(Some(frame)) => self.outlet.offer(|| Ok(frame)),
                        Ok(None) => {}
                        Err(torn) => {
                            tracing::debug!("{torn}");
                            pictures.lose();
                            eyes = h264::Eyes::default();
                        }
                    },
                }
            }
            if asked.elapsed() > KEEP_ALIVE {
                asked = Instant::now();
                self.say("OPTIONS", whole, session)?;
            }
        }
    }

    /// The next whole thing that is said, `None` when the time is up.
    fn next(&mut self, until: Instant) -> Result<Option<Heard>, Ended> {
        loop {
            if self.outlet.is_closed() {
                return Err(Ended::Closed);
            }
            if let Some(heard) = self.ear.heard().map_err(Fault::Format)? {
                return Ok(Some(heard));
            }
            match self.stream.read(&mut self.chunk) {
                Ok(0) => return Err(Fault::Absent(self.address.url.clone()).into()),
                Ok(count) => self.ear.hear(&self.chunk[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if Instant::now() >= until {
                        return Ok(None);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Fault::Absent(self.address.url.clone()).into()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
