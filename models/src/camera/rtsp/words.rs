//! RTSP's messages, what a camera offers (SDP, RFC 8866), and how a password is proved. Bytes in, words out; all capped.

use std::fmt;
use std::path::Path;

use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

/// Longest head of a message, and longest body, in bytes.
const HEAD_CAP: usize = 16 << 10;
const BODY_CAP: usize = 64 << 10;
const LOGIN_CAP: u64 = 512;
const PORT: u16 = 554;

/// Where the camera is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) url: String,
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    /// `rtsp://host[:port]/path`; IPv6 addresses in brackets.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let wrong = || format!("{url:?}: an address looks like rtsp://192.0.2.7:554/stream2");
        let plain = url.bytes().all(|byte| (33..127).contains(&byte));
        let rest = url.strip_prefix("rtsp://").filter(|_| plain).ok_or_else(wrong)?;
        let place = rest.split(['/', '?']).next().unwrap_or(rest);
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or_else(wrong)?,
            None => place.split_at(place.find(':').unwrap_or(place.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| wrong())?,
            None if port.is_empty() => PORT,
            None => return Err(wrong()),
        };
        if host.is_empty() || host.contains('@') {
            return Err(wrong());
        }
        Ok(Self { url: url.to_owned(), host: host.to_owned(), port })
    }
}

/// A reply (status), a request of the camera's own (status 0), or a packet (channel).
#[derive(Debug, Default)]
pub struct Message {
    pub(super) status: u16,
    pub(super) channel: Option<u8>,
    headers: Vec<(String, String)>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Message {
    /// The first header of that name, in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The challenge we can answer, the stronger one first.
    pub(super) fn challenge(&self) -> Option<&str> {
        let asked =
            || self.headers.iter().filter(|(name, _)| name == "www-authenticate").map(|(_, value)| value.as_str());
        asked().find(|value| value.starts_with("Digest ")).or_else(|| asked().find(|value| value.starts_with("Basic ")))
    }
}

/// Takes one whole message off the front of `pending`.
pub(super) fn cut(pending: &mut Vec<u8>) -> Result<Option<Message>, String> {
    // Some cameras send an empty line between messages.
    let blank = pending.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    pending.drain(..blank);
    match pending[..] {
        [] => Ok(None),
        [b'$', channel, high, low, ..] => {
            let end = 4 + usize::from(u16::from_be_bytes([high, low]));
            let packet = |body: &[u8]| Message {
                channel: Some(channel),
                body: Zeroizing::new(body.to_vec()),
                ..Message::default()
            };
            let message = pending.get(4..end).map(packet);
            if message.is_some() {
                pending.drain(..end);
            }
            Ok(message)
        }
        [b'$', ..] => Ok(None),
        _ => text(pending),
    }
}

fn text(pending: &mut Vec<u8>) -> Result<Option<Message>, String> {
    let Some(end) = pending.windows(4).take(HEAD_CAP).position(|four| four == b"\r\n\r\n") else {
        return if pending.len() > HEAD_CAP { Err("a head without an end".to_owned()) } else { Ok(None) };
    };
    let head = String::from_utf8_lossy(&pending[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let mut message = Message::default();
    if let Some(rest) = first.strip_prefix("RTSP/1.0 ") {
        message.status = rest.get(..3).and_then(|code| code.parse().ok()).ok_or("a reply without a number")?;
    } else if !first.ends_with(" RTSP/1.0") {
        return Err("it does not speak RTSP".to_owned());
    }
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    message.headers = lines.filter_map(header).collect();
    let length = message.header("content-length").map_or(Ok(0), str::parse::<usize>);
    let length = length.ok().filter(|length| *length <= BODY_CAP).ok_or("a body of no sensible length")?;
    let (start, stop) = (end + 4, end + 4 + length);
    let Some(body) = pending.get(start..stop) else { return Ok(None) };
    message.body = Zeroizing::new(body.to_vec());
    pending.drain(..stop);
    Ok(Some(message))
}

/// The track with pictures we read, and what all tracks are called together.
#[derive(Debug, PartialEq, Eq)]
pub struct Offer {
    pub(super) track: String,
    pub(super) whole: String,
    pub(super) encoding: Encoding,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Encoding {
    Jpeg,
    /// With what is told of it beside the stream: its parameter sets.
    H264(Vec<Vec<u8>>),
}

impl Message {
    /// What the camera at `url` offers, where this is its description: MJPEG, or else H.264.
    ///
    /// # Errors
    /// There are no pictures we read: says what there is instead.
    pub fn offer(&self, url: &str) -> Result<Offer, String> {
        let sdp = String::from_utf8_lossy(&self.body).into_owned();
        let base = self.header("content-base").or_else(|| self.header("content-location")).unwrap_or(url);
        let mut sections = sdp.split("\nm=");
        let common = sections.next().unwrap_or_default();
        let whole = resolved(base, control(common).unwrap_or("*"));
        let (mut others, mut second) = (Vec::new(), None);
        for media in sections.filter(|media| media.starts_with("video ")) {
            let track = || resolved(base, control(media).unwrap_or("*"));
            match encoding(media) {
                Some(name) if name.eq_ignore_ascii_case("JPEG") => {
                    return Ok(Offer { track: track(), whole, encoding: Encoding::Jpeg });
                }
                Some(name) if name.eq_ignore_ascii_case("H264") => {
                    second = second.or_else(|| Some((track(), Encoding::H264(sets(media)))));
                }
                name => others.push(name.unwrap_or("an unknown encoding").to_owned()),
            }
        }
        if let Some((track, encoding)) = second {
            return Ok(Offer { track, whole, encoding });
        }
        let has = if others.is_empty() { "no video".to_owned() } else { others.join(", ") };
        Err(unread(&has))
    }
}

pub(super) fn unread(has: &str) -> String {
    format!("the camera offers {has}; only MJPEG is read: use the address of its MJPEG stream")
}

const SETS_MAX: usize = 8;

/// `a=fmtp:96 …;sprop-parameter-sets=Z0…,aO…` (RFC 6184, 8.1), as much of it as is well-formed.
fn sets(media: &str) -> Vec<Vec<u8>> {
    let formats = media.lines().filter_map(|line| line.strip_prefix("a=fmtp:")?.split_once(' '));
    let told = formats.flat_map(|(_, format)| format.split(';'));
    let told = told.filter_map(|part| part.trim().strip_prefix("sprop-parameter-sets="));
    told.flat_map(|sets| sets.split(',')).filter_map(unbase64).take(SETS_MAX).collect()
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for letter in text.trim().trim_end_matches('=').bytes() {
        let value = LETTERS.iter().position(|known| *known == letter)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    Some(bytes)
}

/// The name of the first payload of a media section; 26 is JPEG without being told.
fn encoding(media: &str) -> Option<&str> {
    let payload = media.lines().next()?.split_whitespace().nth(3)?;
    let mapped =
        media.lines().find_map(|line| line.strip_prefix("a=rtpmap:")?.strip_prefix(payload)?.strip_prefix(' '));
    mapped.and_then(|name| name.split('/').next()).map(str::trim).or_else(|| (payload == "26").then_some("JPEG"))
}

fn control(section: &str) -> Option<&str> {
    section.lines().find_map(|line| line.strip_prefix("a=control:")).map(str::trim)
}

fn resolved(base: &str, control: &str) -> String {
    // What a camera calls its tracks goes into our requests: no more than one line of it.
    let clean = |text: &str| text.chars().filter(char::is_ascii_graphic).take(1024).collect::<String>();
    match clean(control).as_str() {
        "*" | "" => clean(base),
        whole if whole.starts_with("rtsp://") => whole.to_owned(),
        part => format!("{}/{}", clean(base).trim_end_matches('/'), part.trim_start_matches('/')),
    }
}

/// Who may look through the camera.
pub(super) struct Login {
    name: String,
    password: Zeroizing<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(***)")
    }
}

impl Login {
    /// One line, `user:password`.
    pub(super) fn read(file: &Path) -> Result<Self, String> {
        let at = file.display();
        let bytes = crate::model::read_capped(file, LOGIN_CAP).map_err(|error| format!("{at}: {error}"))?;
        let text = Zeroizing::new(String::from_utf8(bytes).map_err(|_| format!("{at} is not text"))?);
        Self::parse(text.trim_end_matches(['\r', '\n'])).ok_or_else(|| format!("{at} does not hold user:password"))
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let plain = !text.contains(['"', '\\', '\r', '\n']);
        let (name, password) = text.split_once(':').filter(|_| plain)?;
        Some(Self { name: name.to_owned(), password: Zeroizing::new(password.to_owned()) })
    }

    /// The header that proves it: RFC 2617, as cameras have it (MD5, without `qop`), or the password itself.
    pub(super) fn answer(&self, challenge: &str, verb: &str, url: &str) -> Zeroizing<String> {
        let Some(asked) = challenge.strip_prefix("Digest ") else {
            let both = Zeroizing::new(format!("{}:{}", self.name, *self.password));
            return Zeroizing::new(format!("Authorization: Basic {}\r\n", *base64(both.as_bytes())));
        };
        let field = |name: &str| {
            let field = asked.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
            field.map(|value| value.trim_matches('"')).unwrap_or_default()
        };
        let (realm, nonce) = (field("realm"), field("nonce"));
        let secret = Zeroizing::new(hex(&format!("{}:{realm}:{}", self.name, *self.password)));
        let response = hex(&format!("{}:{nonce}:{}", *secret, hex(&format!("{verb}:{url}"))));
        Zeroizing::new(format!(
            "Authorization: Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{url}\", response=\"{response}\"\r\n",
            self.name
        ))
    }
}

fn hex(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(sdp: &str, base: Option<&str>) -> Message {
        let headers = base.map(|base| ("content-base".to_owned(), base.to_owned())).into_iter().collect();
        Message { status: 200, headers, body: Zeroizing::new(sdp.as_bytes().to_vec()), channel: None }
    }

    #[test]
    fn addresses_are_read_and_odd_ones_refused() {
        let read = |url| Address::parse(url).map(|address| (address.host, address.port));
        assert_eq!(read("rtsp://192.0.2.7/stream2"), Ok(("192.0.2.7".into(), 554)));
        assert_eq!(read("rtsp://camera:8554"), Ok(("camera".into(), 8554)));
        assert_eq!(read("rtsp://[2001:db8::7]:8554/x?y"), Ok(("2001:db8::7".into(), 8554)));
        for wrong in ["rtsp://", "http://x", "rtsp://x:99999/", "rtsp://[x", "rtsp://a@b/", "rtsp://x/\r\nA: b"] {
            assert!(Address::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn any_chunking_gives_the_same_messages_and_endless_ones_are_refused() {
        let stream = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nabc\r\n$\x00\x00\x02xy$\x01\x00\x00OPTIONS rtsp://x RTSP/1.0\r\n\r\n";
        for size in 1..stream.len() {
            let (mut pending, mut seen) = (Vec::new(), Vec::new());
            for chunk in stream.chunks(size) {
                pending.extend_from_slice(chunk);
                while let Some(message) = cut(&mut pending).unwrap() {
                    seen.push((message.status, message.channel, message.body.to_vec()));
                }
            }
            let wanted = vec![
                (200, None, b"abc".to_vec()),
                (0, Some(0), b"xy".to_vec()),
                (0, Some(1), vec![]),
                (0, None, vec![]),
            ];
            assert_eq!(seen, wanted, "chunks of {size}");
        }
        for wrong in [
            vec![b'x'; HEAD_CAP + 5],
            b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
            b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n".to_vec(),
            b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n".to_vec(),
        ] {
            assert!(cut(&mut wrong.clone()).is_err());
        }
    }

    #[test]
    fn the_track_with_jpeg_is_found_and_other_encodings_are_named() {
        let sdp = "v=0\r\na=control:*\r\nm=audio 0 RTP/AVP 0\r\na=control:track1\r\nm=video 0 RTP/AVP 26\r\na=control:track2\r\n";
        let offer = described(sdp, Some("rtsp://x/live/")).offer("rtsp://x/live").unwrap();
        assert_eq!(
            offer,
            Offer { track: "rtsp://x/live/track2".into(), whole: "rtsp://x/live/".into(), encoding: Encoding::Jpeg }
        );
        let named = "v=0\nm=video 0 RTP/AVP 96\na=rtpmap:96 JPEG/90000\na=control:rtsp://x/a\n";
        assert_eq!(described(named, None).offer("rtsp://x").unwrap().track, "rtsp://x/a");
        let other = "v=0\nm=video 0 RTP/AVP 96\na=rtpmap:96 H265/90000\n";
        assert!(described(other, None).offer("rtsp://x").unwrap_err().contains("H265"));
        // H.264 where there is no MJPEG, with its sets: `Zw==` and `aGk=` are `g` and `hi`.
        let second = "v=0\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=1; sprop-parameter-sets=Zw==,aGk=,*\na=control:h\n";
        let offer = described(second, None).offer("rtsp://x").unwrap();
        assert_eq!(
            (offer.track.as_str(), offer.encoding),
            ("rtsp://x/h", Encoding::H264(vec![b"g".into(), b"hi".into()]))
        );
        let both = format!("{second}m=video 0 RTP/AVP 26\na=control:j\n");
        assert_eq!(described(&both, None).offer("rtsp://x").unwrap().track, "rtsp://x/j");
        assert!(described("", None).offer("rtsp://x").unwrap_err().contains("no video"));
    }

    #[test]
    fn passwords_are_proved_as_the_standards_have_it() {
        // RFC 2617, 2 and, without `qop`, 3.5 with the numbers of its example.
        let login = Login::parse("Aladdin:open sesame").unwrap();
        let basic = login.answer("Basic realm=\"camera\"", "DESCRIBE", "rtsp://x");
        assert_eq!(*basic, "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n");
        let login = Login::parse("Mufasa:Circle Of Life").unwrap();
        let challenge = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
        let digest = login.answer(challenge, "GET", "/dir/index.html");
        assert!(digest.contains("response=\"670fd8c2df070c60b045671b8b24ff02\""), "{}", *digest);
        assert_eq!(format!("{login:?}"), "Login(***)");
        assert!(Login::parse("a:b\r\nX: y").is_none() && Login::parse("nobody").is_none());
    }
}
